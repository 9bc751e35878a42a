"""A session's journal as clients read it: a page, one event, or a stream."""

from typing import Any

import msgspec
from starlette.types import ASGIApp

from tenure.core.entry import frame, lines_of
from tenure.core.view import View
from tenure.errors import Code, TenureError
from tenure.http.call import Call, NoBody, NoQuery
from tenure.http.gates import not_found
from tenure.http.lists import Limit, check_head, cursor_of, place
from tenure.http.stream import EventStream
from tenure.http.wire import Reply, json_response
from tenure.ports.overviews import BriefPage
from tenure.ports.store import JournalPage, Span


class EventsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which part of the journal: what comes after a number, or, backwards, what comes before one.

    With `brief`, without the pieces of messages and reasoning that stand whole in the journal, but for the
    first piece of each message. Such a page tells in `scanned` which numbers it covers: read on from there.
    """

    after: str | None = None
    before: str | None = None
    limit: Limit = 100
    history: str | None = None
    brief: bool = False


class Envelope(View, frozen=True, kw_only=True):
    """One event of a journal. What `data` holds depends on `type`; the events reference lists both."""

    seq: int
    at: str
    type: str
    run_id: str | None
    data: dict[str, Any]


class EventGap(View, frozen=True, kw_only=True):
    """A part of the journal that was retired: the page goes on at `min_available`."""

    after: int
    min_available: int


class Scanned(View, frozen=True, kw_only=True):
    """The numbers that a brief page covers, both included; none if `last` lies before `first`.

    Read on with `after` = `last`, up to the head, or with `before` = `first`, down to 1 or the gap.
    """

    first: int
    last: int


class EventPage(View, frozen=True, kw_only=True):
    """A page of a journal, oldest first, and the head it was read at. A brief one says what it covers."""

    data: tuple[Envelope, ...]
    head_seq: int
    gap: EventGap | msgspec.UnsetType = msgspec.UNSET
    scanned: Scanned | msgspec.UnsetType = msgspec.UNSET


async def read_events(call: Call[NoBody, EventsQuery]) -> ASGIApp:
    """A page of the journal; with `Accept: text/event-stream`, replay and then follow."""
    query = call.query
    after = cursor_of(call, query.after, query.history)
    if call.wants_stream:
        _refuse_before(query, "A stream only goes forwards.")
        _refuse_brief(query)
        if call.site.host.draining:
            raise TenureError(Code.DRAINING, "The host is draining. Follow the session on another host.")
        return EventStream(call, after or 0)
    if query.before is not None:
        if after is not None:
            _refuse_before(query, "The page has another cursor already.")
        return await _page_before(call, place(query.before, "before"))
    return await _page_after(call, after or 0)


async def read_event(call: Call[NoBody, NoQuery]) -> ASGIApp:
    """One event by its number."""
    seq = place(call.path["seq"], "seq")
    store = call.site.host.store
    if 0 < seq <= await store.head(call.session_id):
        page = await store.page(call.session_id, seq - 1, 1)
        found = cut(page.spans, seq - 1, seq + 1)
        if found:
            return Reply(200, found[0])
    raise not_found("event", call.path["seq"])


class OutlineQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which marks: the last ones before a number, or of all."""

    before: str | None = None
    limit: Limit = 1_000


async def read_outline(call: Call[NoBody, OutlineQuery]) -> ASGIApp:
    """Where in a journal what people look for stands, without reading the journal.

    Ends of runs, decisions and denied calls have no number there: brief pages of the journal show them.
    """
    query = call.query
    before = None if query.before is None else place(query.before, "before")
    found = await call.site.host.store.overviews.outline(call.session_id, before, query.limit)
    return json_response(found)


async def _page_after(call: Call[NoBody, EventsQuery], after: int) -> Reply:
    store, limit = call.site.host.store, call.query.limit
    await check_head(store, call.session_id, after)
    if call.query.brief:
        brief = await store.overviews.brief_after(call.session_id, after, limit)
        return _brief_reply(brief, after if brief.min_available > after + 1 else None)
    page = await store.page(call.session_id, after, limit)
    start = max(after, page.min_available - 1)
    gap = EventGap(after=after, min_available=page.min_available) if start > after else msgspec.UNSET
    return _reply(cut(page.spans, start, start + limit + 1), page, gap)


async def _page_before(call: Call[NoBody, EventsQuery], before: int) -> Reply:
    store, limit = call.site.host.store, call.query.limit
    before = min(before, await store.head(call.session_id) + 1)
    if call.query.brief:
        brief = await store.overviews.brief_before(call.session_id, before, limit)
        return _brief_reply(brief, 0 if 1 < brief.min_available == brief.first else None)
    page = await store.page_back(call.session_id, before, limit)
    found = cut(page.spans, max(0, before - limit - 1), before)
    is_gone = page.min_available > 1 and len(found) < limit
    gap = EventGap(after=0, min_available=page.min_available) if is_gone else msgspec.UNSET
    return _reply(found, page, gap)


def _reply(envelopes: list[bytes], page: JournalPage, gap: EventGap | msgspec.UnsetType) -> Reply:
    """The stored bytes of the events are answered as they are; only the frame around them is made."""
    rest = b"" if isinstance(gap, msgspec.UnsetType) else b',"gap":%b' % msgspec.json.encode(gap)
    return Reply(200, b'{"data":[%b],"head_seq":%d%b}' % (b",".join(envelopes), page.head, rest))


def _brief_reply(page: BriefPage, gone_after: int | None) -> Reply:
    gap = b""
    if gone_after is not None:
        gone = EventGap(after=gone_after, min_available=page.min_available)
        gap = b',"gap":%b' % msgspec.json.encode(gone)
    scanned = msgspec.json.encode(Scanned(first=page.first, last=page.last))
    data = b",".join(frame(seq, rest) for seq, rest in page.lines)
    return Reply(200, b'{"data":[%b],"head_seq":%d%b,"scanned":%b}' % (data, page.head, gap, scanned))


def cut(spans: list[Span], after: int, before: int) -> list[bytes]:
    """The envelopes of the stored ranges whose numbers lie between the two, both exclusive."""
    return [
        frame(span.first + at, rest)
        for span in spans
        if span.last > after and span.first < before
        for at, rest in enumerate(lines_of(span.body))
        if after < span.first + at < before
    ]


def _refuse_before(query: EventsQuery, why: str) -> None:
    if query.before is not None:
        raise TenureError(
            Code.INVALID,
            f"before={query.before[:100]} can't be combined: {why} Leave it out.",
            field="before",
        )


def _refuse_brief(query: EventsQuery) -> None:
    if query.brief:
        raise TenureError(
            Code.INVALID,
            "A stream can't be brief: who follows a session gets every piece as it is said. Leave brief out, "
            "or read pages.",
            field="brief",
        )
