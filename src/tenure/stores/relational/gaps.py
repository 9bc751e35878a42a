"""What a host reads of many sessions at once: where they stand, and what other hosts wrote into them."""

from collections.abc import Mapping, Sequence

import msgspec

from tenure.ports.store import JournalPage, Span
from tenure.stores.relational.look import Look


def heads(db: Look, session_ids: Sequence[str]) -> dict[str, int]:
    """The head of each session that is there."""
    ids = msgspec.json.encode(session_ids).decode()
    return dict(db.each("gap_heads", ids=ids))


def pages(db: Look, after: Mapping[str, int], limit: int) -> dict[str, JournalPage]:
    """What each session that is there has after its cursor: at most `limit` ranges, by one statement."""
    cursors = msgspec.json.encode(after).decode()
    found: dict[str, JournalPage] = {}
    for session_id, head, first, last, body in db.each("gap_ranges", cursors=cursors, limit=limit):
        page = found.get(session_id)
        if page is None:
            page = found[session_id] = JournalPage([], head, 1)
        if first is not None:
            page.spans.append(Span(first, last, body))
    return {session_id: _told(page, after[session_id]) for session_id, page in found.items()}


def _told(page: JournalPage, after: int) -> JournalPage:
    """Numbers have no gaps, so what is missing in front of the first range was retired."""
    retired = bool(page.spans) and page.spans[0].first > after + 1
    return page._replace(min_available=page.spans[0].first) if retired else page
