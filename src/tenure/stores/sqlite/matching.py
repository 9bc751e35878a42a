"""What a search box holds, as a query of the index. No character of it has a meaning of its own there."""

from tenure.core.search import Term, terms_of

NOTHING = 'whose : "nobody"'
"""A query that finds nothing: no tenant is called so in the index."""


def match_of(words: str, tenant: str | None) -> str:
    """The query that finds all of `words` in what belongs to `tenant`, or to anybody if that is None."""
    terms = terms_of(words)
    if not terms:
        return NOTHING
    said = f"text : ({' AND '.join(_quoted(term) for term in terms)})"
    return said if tenant is None else f'whose : "t{tenant.encode().hex()}" AND {said}'


def _quoted(term: Term) -> str:
    text = term.text.replace('"', '""')
    return f'"{text}" *' if term.open else f'"{text}"'
