"""How lists and journals are asked for: limits, cursors, and places in a journal. Pure; no store."""

from typing import Annotated, TypeAlias

import msgspec

from tenure.errors import Code, TenureError
from tenure.host.fanout import cursor_ahead
from tenure.http.call import AnyCall
from tenure.http.gates import not_found
from tenure.ports.store import Store

MAX_LIMIT = 1_000
BEYOND = 10**18
"""What a cursor with more digits than this counts as: beyond every journal."""

Limit: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=MAX_LIMIT)]


class PageQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which page of a list: `cursor` is the `next_cursor` of the page before."""

    limit: Limit = 100
    cursor: str | None = None


def place(text: str, name: str) -> int:
    """The journal number that `text` names. Raises TenureError `bad_cursor`."""
    if not (text.isascii() and text.isdigit()):
        raise TenureError(
            Code.BAD_CURSOR,
            f"{name} is {text[:100]!r}. Send the number of an event, or 0 for the start.",
            field=name,
        )
    return int(text) if len(text) < len(str(BEYOND)) else BEYOND


def cursor_of(call: AnyCall, after: str | None, history: str | None) -> int | None:
    """The place after which a reader goes on; None if it names none. `Last-Event-ID` wins over `after`.

    Raises TenureError `bad_cursor`, or `history_changed` if the cursor was made in another history.
    """
    last = call.header(b"last-event-id")
    if last:
        at = place(last, "Last-Event-ID")
    elif after is not None:
        at = place(after, "after")
    else:
        return None
    _check_history(call, call.header(b"tenure-history") or history)
    return at


async def check_head(store: Store, session_id: str, after: int) -> None:
    """Raises TenureError `cursor_ahead` with `head_seq` if `after` lies beyond the journal's head.

    And `not_found` if the session was deleted since the gates let the request in.
    """
    head = await store.head(session_id)
    if head == 0:
        raise not_found("session", session_id)
    if after > head:
        raise cursor_ahead(session_id, after, head)


def _check_history(call: AnyCall, given: str | None) -> None:
    current = call.site.host.store.history
    if given and given != current:
        raise TenureError(
            Code.HISTORY_CHANGED,
            f"The cursor belongs to history {given[:100]}; this store is at {current}. "
            "Read the session again from the start.",
            history=current,
        )
