"""The index of words on Postgres: they are taken apart here, so that no setting of the server matters."""

import re
from unicodedata import combining, normalize

from tenure.core.search import Term, searchable, searchable_content, terms_of

_WORD = re.compile(r"[^\W_]+")
MOST_PLACES = 16_383
"""Postgres knows no later place in a text; words behind it all stand there."""
MOST_OF_ONE = 256
"""So many places of one word count."""
LONGEST = 500
"""So many characters of a word count."""


def words_of(text: str) -> list[str]:
    """The words of a text, without case and accents, in order."""
    plain = "".join(c for c in normalize("NFKD", text) if not combining(c)) if not text.isascii() else text
    return [word[:LONGEST] for word in _WORD.findall(plain.casefold())]


def lexemes(tenant: str, text: str, *, json: bool) -> str:
    """A title, or with `json` what a message says, as Postgres keeps it: words, places, and whose."""
    places: dict[str, list[int]] = {}
    words = words_of(searchable_content(text) if json else searchable(text))
    for place, word in enumerate(words, 1):
        places.setdefault(word, []).append(min(place, MOST_PLACES))
    kept = [f"'{word}':{','.join(map(str, found[:MOST_OF_ONE]))}" for word, found in places.items()]
    return " ".join([_whose(tenant), *kept])


def query_of(words: str, tenant: str | None) -> str:
    """The query that finds all of `words` in what belongs to `tenant`, or to anybody if that is None."""
    asked = [phrase for term in terms_of(words) if (phrase := _phrase(term))]
    if not asked:
        return "'='"
    return " & ".join(asked if tenant is None else [_whose(tenant), *asked])


def _phrase(term: Term) -> str:
    words = [f"'{word}'" for word in words_of(term.text)]
    if words and term.open:
        words[-1] += ":*"
    return f"({' <-> '.join(words)})" if words else ""


def _whose(tenant: str) -> str:
    # No word of a text holds the sign, so nobody can ask for another tenant's.
    return f"'={tenant.encode().hex()}'"
