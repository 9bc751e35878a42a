"""Excerpts for lists: how a message begins, and where in it the words of a search stand. Pure.

Stores make them of what they keep, so that no list carries whole messages.
"""

import re
from typing import NamedTuple
from unicodedata import combining, normalize

import msgspec

from tenure.core.search import searchable, terms_of

MOST_OF_LINE = 160
"""So many characters of a message stand in a list."""
MOST_OF_HIT = 200
"""So many characters stand around a hit."""
LEAD = 60
"""About so many of them stand before it."""
BEGINNING = 2_000
"""So many characters of stored content are enough to tell how a message begins."""

MARKED = 16
"""So many words of a phrase are marked: whoever looks for a page must not keep everybody waiting."""

_SAID = r'"((?:\\u[0-9a-fA-F]{4}|\\[^u]|[^"\\])*)'
"""What a JSON string says, as far as it goes: what it is cut off in the middle of doesn't count."""
_WHOLE = re.compile(_SAID)
_PART = re.compile(f'"text":{_SAID}')
_WORD = re.compile(r"[^\W_]+")


class Excerpt(NamedTuple):
    """A piece of a text, and where the words stand in it: pairs of from and to, in characters."""

    text: str
    marks: tuple[tuple[int, int], ...]


def line_of(stored: str) -> str:
    """How a message begins, on one line, from the first `BEGINNING` characters of its stored content."""
    pieces = _PART.findall(stored) if stored.startswith("[") else _WHOLE.findall(stored)[:1]
    texts = [msgspec.json.decode(f'"{piece}"', type=str) for piece in pieces]
    text = " ".join(" ".join(texts).split())
    return text if len(text) <= MOST_OF_LINE else text[: MOST_OF_LINE - 1].rstrip() + "…"


def excerpt_of(text: str, words: str) -> Excerpt:
    """The piece of a text around the first of the words that a person searched for."""
    shown = text.translate(_BREAKS)
    wanted = _pattern(words)
    plain = shown.translate(_PLAIN)
    first = wanted.search(plain) if wanted else None
    start, end = _around(shown, first.start() if first else 0)
    piece = f"{'…' if start else ''}{shown[start:end]}{'…' if end < len(shown) else ''}"
    at = start - bool(start)
    found = wanted.finditer(plain, start, end) if wanted else ()
    return Excerpt(piece, tuple((hit.start() - at, hit.end() - at) for hit in found if hit.end() <= end))


def _around(text: str, hit: int) -> tuple[int, int]:
    """From where to where to cut, so that the hit stands in it and words stay whole where they can."""
    if len(text) <= MOST_OF_HIT:
        return 0, len(text)
    start = 0
    if hit > LEAD:
        start = text.find(" ", hit - LEAD, hit) + 1 or hit - LEAD
    end = min(len(text), start + MOST_OF_HIT - 2)
    if end < len(text):
        last = text.rfind(" ", hit + MOST_OF_HIT // 4, end)
        end = last if last > start else end
    return start, end


def _pattern(words: str) -> re.Pattern[str] | None:
    """What finds the words in a plain text, as the index of words does."""
    phrases = [_phrase(term.text, is_open=term.open) for term in terms_of(words)]
    inside = [said for said, is_spaced in phrases if said and not is_spaced]
    spaced = [said for said, is_spaced in phrases if said and is_spaced]
    # That a word begins is asked once for all of them: most places of a text are none, and go fast.
    begun = [rf"(?<![^\W_])(?:{'|'.join(spaced)})"] if spaced else []
    wanted = [*begun, *inside]
    return re.compile("|".join(wanted)) if wanted else None


def _phrase(text: str, *, is_open: bool) -> tuple[str, bool]:
    """What finds the beginning of a phrase, and whether only where a word begins."""
    words = _WORD.findall(text.translate(_PLAIN))
    spaced = all(searchable(word) == word for word in words)
    between = r"[\W_]+" if spaced else r"[\W_]*"
    said = between.join(re.escape(word) for word in words[:MARKED])
    is_whole = spaced and (not is_open or len(words) > MARKED)
    return said + (r"(?![^\W_])" if words and is_whole else ""), spaced


_COMMON = 0x10000
"""Characters below are remembered; nobody fills the memory with the others."""


class _Plain(dict[int, str]):
    """Characters without case and accents, each one character: places stay what they are."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        base = [c for c in normalize("NFKD", character).lower() if not combining(c)]
        found = base[0] if len(base) == 1 else character
        if code < _COMMON:
            self[code] = found
        return found


_PLAIN = _Plain()
_BREAKS = str.maketrans("\t\n\v\f\r", " " * 5)
