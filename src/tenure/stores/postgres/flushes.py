"""Output of all runs, in batches: each one statement that numbers, fences and inserts. Used by the lane.

A batch that the database refuses is written part by part, so that one bad row fails alone. A batch whose
connection was lost is asked for by its mark, and only what is known not to be there is written again.
"""

from collections.abc import Sequence
from typing import TypeAlias

from asyncpg.exceptions import PostgresError

from tenure.errors import TenureError
from tenure.stores.postgres.acts import AGAIN
from tenure.stores.postgres.faults import FAULTS, RACES, Away, away, gone, refused, unsure
from tenure.stores.postgres.lines import Part
from tenure.stores.postgres.marks import Doubt, told
from tenure.stores.postgres.pace import Patience
from tenure.stores.postgres.seats import Seat, Seats
from tenure.stores.postgres.tx import arguments
from tenure.stores.relational.acts.rows import fenced

Written: TypeAlias = int | TenureError
"""The last number that a part's output got, or why it got none."""


class Lost(Exception):
    """The connection was lost while a batch was written."""

    def __init__(self, doubt: Doubt) -> None:
        super().__init__("the connection was lost while it was to keep this")
        self.doubt = doubt


async def written(
    seats: Seats, parts: Sequence[Part], patience: Patience, doubting: Patience
) -> Sequence[Written]:
    """Make a batch durable. What became of each part, in their order."""
    races = 0
    while True:
        try:
            return await _written(seats, parts, patience)
        except Lost as lost:
            try:
                answer = await told(seats, lost.doubt, doubting)
            except Away as silent:
                return [unsure(silent)] * len(parts)
            if answer.committed:
                return _sorted(parts, answer.seqs)
            if patience.over:
                return [away(lost)] * len(parts)
            await patience.pause()
        except RACES as race:
            races += 1
            if races > AGAIN or patience.over:
                return [refused(race)] * len(parts)
            await patience.step_aside(races)
        except Away as lost:
            if patience.over:
                return [away(lost)] * len(parts)
            await patience.pause()
        except PostgresError as fault:
            if len(parts) == 1:
                return [refused(fault)]
            return [await _alone(seats, part, patience, doubting) for part in parts]


async def _alone(seats: Seats, part: Part, patience: Patience, doubting: Patience) -> Written:
    (one,) = await written(seats, [part], patience, doubting)
    return one


async def _written(seats: Seats, parts: Sequence[Part], patience: Patience) -> Sequence[Written]:
    async with seats.lent(patience.left) as seat:
        await _find(seat, [part for part in parts if not part.line.session_no])
        known = [part for part in parts if part.line.session_no]
        return _sorted(parts, await _append(seat, known) if known else ())


def _sorted(parts: Sequence[Part], seqs: Sequence[int]) -> Sequence[Written]:
    """The numbers, given to the parts whose session is known; there is none for a run that isn't."""
    numbers = iter(seqs)
    got = [next(numbers) if part.line.session_no else 0 for part in parts]
    return [seq or fenced(part.line.run_id) for part, seq in zip(parts, got, strict=True)]


async def _find(seat: Seat, parts: Sequence[Part]) -> None:
    """Learn which sessions the output of runs goes to."""
    if not parts:
        return
    lines = {part.line.run_id: part.line for part in parts}
    sql, given = arguments("runs_fence", {"run_ids": list(lines)})
    for run_id, no, session_id in await seat.db.fetch(sql, *given):
        lines[run_id].session_no, lines[run_id].session_id = no, session_id


async def _append(seat: Seat, parts: Sequence[Part]) -> Sequence[int]:
    """The last numbers of the parts, 0 for one that its host may not write any more."""
    entries = [part.entries() for part in parts]
    mark = seat.mark()
    sql, given = arguments(
        "journal_append",
        {
            "seat": seat.number,
            "mark": mark,
            "incarnation": parts[0].incarnation,
            "run_ids": [part.line.run_id for part in parts],
            "nos": [part.line.session_no for part in parts],
            "counts": [len(lines) for lines in entries],
            "bodies": [b"\n".join([entry.line for entry in lines]) for lines in entries],
        },
    )
    try:
        row = await seat.db.fetchrow(sql, *given)
    except FAULTS as fault:
        if gone(fault) or seat.db.is_closed():
            seat.db.terminate()
            raise Lost(Doubt(seat.number, mark)) from fault
        raise
    if row is None:
        seat.db.terminate()
        raise Away("its connection stood unused for too long")
    return row[0]
