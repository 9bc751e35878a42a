"""Full-text search: which words a text has, and what a person who types into a search box means.

The words of a text are kept by a store's index; this module says what goes in and how it is asked for.
Scripts without spaces between words are taken apart into single characters, so that any part is found.
"""

import re
from typing import NamedTuple

import msgspec

from tenure.core.content import Content, text_of

MOST_TERMS = 16
"""So many words and phrases of a query count; the others are left out."""

MOST_INDEXED = 65_536
"""So many characters of a message can be found: to index a book would keep everybody else waiting."""

_UNSPACED = re.compile(
    "[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)
_TERM = re.compile(r'"([^"]*)("|$)|([^\s"]+)')


class Term(NamedTuple):
    """Words that must stand next to each other; with `open`, the last may go on."""

    text: str
    open: bool = False


def searchable(text: str) -> str:
    """A text as it is kept in the index."""
    return text if text.isascii() else _UNSPACED.sub(lambda found: f" {found[0]} ", text)


def searchable_content(content: str) -> str:
    """The same for what a message says, given as JSON: as much of it as a search looks at."""
    return searchable(text_of(msgspec.json.decode(content, type=Content))[:MOST_INDEXED])


def terms_of(query: str) -> list[Term]:
    """What must be found, all of it: words, and phrases in quotes. The last word may be a beginning.

    No character has another meaning, and what holds no letter or digit is left out.
    """
    found: list[Term] = []
    for match in _TERM.finditer(query):
        quoted, closed, word = match.groups()
        is_open = match.end() == len(query) and (word is not None or not closed)
        text = searchable(quoted if word is None else word)
        if any(character.isalnum() for character in text):
            found.append(Term(text, is_open))
    return found[-MOST_TERMS:]
