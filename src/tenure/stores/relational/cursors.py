"""Cursors of lists whose order is by several columns: the values of the last row, as one word."""

import base64
import binascii
from typing import TypeVar

import msgspec

from tenure.errors import Code, TenureError

T = TypeVar("T")


def word(*values: str) -> str:
    """The cursor behind a row with these values."""
    return base64.urlsafe_b64encode(msgspec.json.encode(values)).decode()


def values(cursor: str, kind: type[T]) -> T:
    """The values of the row that a cursor stands behind. Raises TenureError `bad_cursor` for nonsense."""
    try:
        return msgspec.json.decode(base64.b64decode(cursor, b"-_", validate=True), type=kind)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        detail = f"The cursor {cursor[:100]!r} was not given by this list. Use next_cursor as it came."
        raise TenureError(Code.BAD_CURSOR, detail, cursor=cursor[:100]) from None
