"""What became of a transaction whose connection was lost: the mark at its seat tells. Used by the lane.

Whoever asks makes the transaction void first, unless it is committed. So there is no moment at which it
isn't committed yet and may still be.
"""

from collections.abc import Sequence
from typing import NamedTuple

from asyncpg.exceptions import PostgresError

from tenure.stores.postgres.faults import Away
from tenure.stores.postgres.pace import Patience
from tenure.stores.postgres.seats import Seats
from tenure.stores.postgres.tx import arguments


class Doubt(NamedTuple):
    """A transaction of which nobody knows whether it was committed."""

    seat: int
    mark: int


class Answer(NamedTuple):
    """Whether it was committed, and which last numbers its output got, by their places."""

    committed: bool
    seqs: Sequence[int]


async def told(seats: Seats, doubt: Doubt, patience: Patience) -> Answer:
    """What became of it. From here on nothing else can. Raises Away if nobody could be asked for so long."""
    while True:
        try:
            return await _asked(seats, doubt, patience)
        except Away:
            if patience.over:
                raise
        except PostgresError as fault:  # the lost one's own process may still hold the mark
            if patience.over:
                raise Away(str(fault)) from fault
        await patience.pause()


async def _asked(seats: Seats, doubt: Doubt, patience: Patience) -> Answer:
    which: dict[str, object] = {"seat": doubt.seat, "mark": doubt.mark}
    async with seats.lent(patience.left) as seat:
        sql, given = arguments("mark_void", which)
        await seat.db.execute(sql, *given)
        sql, given = arguments("mark_told", which)
        row = await seat.db.fetchrow(sql, *given)
    if row is None:
        raise Away("what could tell was cleared away after a day")
    void, seqs = row
    return Answer(not void, seqs or ())
