"""What a message says: plain text, or a list of parts. And which strings may be stored at all."""

from typing import TypeAlias

import msgspec

from tenure.errors import Code, TenureError


class TextPart(msgspec.Struct, frozen=True, tag="text", tag_field="type", forbid_unknown_fields=True):
    """A piece of text."""

    text: str


class FilePart(msgspec.Struct, frozen=True, tag="file", tag_field="type", forbid_unknown_fields=True):
    """A file of the session that the message is about."""

    file_id: str


Part: TypeAlias = TextPart | FilePart
Content: TypeAlias = str | tuple[Part, ...]


def text_of(content: Content) -> str:
    """The text of a message; parts are joined by line breaks. Files have no text."""
    if isinstance(content, str):
        return content
    return "\n".join(part.text for part in content if isinstance(part, TextPart))


def file_ids_of(content: Content) -> tuple[str, ...]:
    """The files that a message refers to, in order."""
    if isinstance(content, str):
        return ()
    return tuple(part.file_id for part in content if isinstance(part, FilePart))


def storable(text: str, field: str) -> str:
    """`text` itself if it can be stored and sent everywhere. Raises TenureError `invalid` otherwise.

    U+0000 can't be stored by every store, and lone surrogates have no UTF-8 form.
    """
    if "\x00" in text:
        raise TenureError(Code.INVALID, f"{field} holds the character U+0000. Send it without.", field=field)
    if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        raise TenureError(
            Code.INVALID,
            f"{field} holds half of a surrogate pair. Send valid Unicode.",
            field=field,
        )
    return text
