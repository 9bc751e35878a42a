"""Retention: the oldest entries of a journal go, and what they fold to is kept as a snapshot."""

from tenure.core.entry import Recorded, lines_of, record
from tenure.core.event import MessageDelta
from tenure.core.moment import Micros, timestamp
from tenure.core.snapshot import kept, unfolded
from tenure.stores.relational.acts.rows import live_run
from tenure.stores.relational.tx import Tx

KEPT_AT_LEAST = 1_000
"""So many of a session's last entries always stay."""

RETIRED_AT_ONCE = 2_000


def retire(tx: Tx, no: int, before: Micros) -> int:
    """Take away some of a session's oldest entries, whole rows of them. Returns how many entries went."""
    limit = _limit(tx, no)
    rows = _rows(tx, no, limit, before)
    if not rows:
        return 0
    first, last = rows[0][0], rows[-1][1]
    row = tx.one("snapshot_get", strand=no)
    begun = set[str]() if row is None else _begun(row[1])
    lines = kept([r for low, _, body in rows for r in _entries(low, body)], begun)
    tx.must("snapshot_grow", strand=no, through=last, more=b"\n".join(lines))
    tx.do("journal_retire", strand=no, through=last)
    tx.frees = True
    return last - first + 1


def _limit(tx: Tx, no: int) -> int:
    """The number up to which entries may go: not the latest, nothing of the live run, nothing forks need."""
    limit = tx.head(no) - KEPT_AT_LEAST
    run = live_run(tx, no)
    if run is not None:
        since = tx.one("message_since", no=no, id=run.message_id)
        limit = min(limit, 0 if since is None else since[0] - 1)
    for head, through in tx.all("strand_readers", strand=no):
        if head - KEPT_AT_LEAST < through:
            limit = min(limit, head - KEPT_AT_LEAST)
    return limit


def _rows(tx: Tx, no: int, limit: int, before: Micros) -> list[tuple[int, int, bytes]]:
    found: list[tuple[int, int, bytes]] = []
    until = timestamp(before)
    for first, last, body, at in tx.each("journal_oldest", strand=no, limit=limit):
        if at >= until:
            break
        found.append((first, last, body))
        if last - found[0][0] >= RETIRED_AT_ONCE:
            break
    return found


def _entries(first: int, body: bytes) -> list[Recorded]:
    return [record(seq, b"{" + rest) for seq, rest in enumerate(lines_of(body), first)]


def _begun(body: bytes) -> set[str]:
    """The messages whose first piece is in the snapshot."""
    deltas = (line for line in body.split(b"\n") if b'"type":"message.delta"' in line)
    return {r.event.message_id for r in unfolded(deltas) if isinstance(r.event, MessageDelta)}
