"""How an act becomes durable: each is a transaction of its own, tried until it is known what came of it.

What lost a race, or lost its connection before COMMIT was sent, left nothing behind and is run again. What
lost it in COMMIT is asked for, by the number that each transaction leaves at its seat. Used by the lane.
"""

import asyncio

from asyncpg.exceptions import PostgresError
from asyncpg.transaction import Transaction

from tenure.errors import TenureError
from tenure.ports.store import Lease
from tenure.stores.postgres import bridge
from tenure.stores.postgres.faults import FAULTS, RACES, Away, away, gone, refused, unsure
from tenure.stores.postgres.lines import Committed, Job
from tenure.stores.postgres.marks import Doubt, told
from tenure.stores.postgres.pace import Patience
from tenure.stores.postgres.seats import Seat, Seats
from tenure.stores.postgres.tx import PostgresTx
from tenure.stores.relational.acts.recovery import given_up
from tenure.stores.relational.lane import Outcome
from tenure.stores.relational.locks import Lock, Rank

AGAIN = 5
"""How often an act that lost a race is run again."""


class Unsure(Exception):
    """The connection was lost in COMMIT: whether the act was committed has to be asked."""

    def __init__(self, doubt: Doubt, committed: Committed) -> None:
        super().__init__("the connection was lost while it was to keep this")
        self.doubt = doubt
        self.committed = committed


async def done(seats: Seats, job: Job, patience: Patience, doubting: Patience) -> Committed:
    """What an act came to. It is tried while `patience` lasts, and asked for while `doubting` does."""
    races = 0
    while True:
        try:
            async with seats.lent(patience.left) as seat:
                return await bridge.run(lambda seat=seat: _decided(seat, job))
        except TenureError as refusal:
            return _failed(refusal)
        except Unsure as lost:
            try:
                if (await told(seats, lost.doubt, doubting)).committed:
                    return lost.committed
            except Away as silent:
                return _failed(unsure(silent))
            if patience.over:
                return _failed(away(lost))
            await patience.pause()
        except RACES as race:
            races += 1
            if races > AGAIN or patience.over:
                return _failed(refused(race))
            await patience.step_aside(races)
        except Away as lost:
            if patience.over:
                return _failed(away(lost))
            await patience.pause()
        except PostgresError as fault:
            return _failed(refused(fault))


def _failed(error: Exception) -> Committed:
    return Committed(Outcome(error=error), [])


def _decided(seat: Seat, job: Job) -> Committed:
    """Run an act in its transaction; a refusal leaves nothing behind."""
    begun = seat.db.transaction()
    bridge.wait(begun.start())
    try:
        tx = PostgresTx(seat.db)
        _hold(tx, job.locks)
        value = job.act(tx)
        mark = seat.mark()
        blocks = tx.flush(seat.number, mark)
    except asyncio.CancelledError:
        seat.db.terminate()
        raise
    except BaseException:
        _undo(seat, begun)
        raise
    committed = Committed(Outcome(value), blocks)
    if not tx.wrote:
        bridge.wait(begun.rollback())
        return committed
    try:
        bridge.wait(begun.commit())
    except FAULTS as fault:
        if isinstance(fault, PostgresError) and not gone(fault):
            raise  # the server itself says that it kept nothing
        seat.db.terminate()
        raise Unsure(Doubt(seat.number, mark), committed) from fault
    return committed


def _hold(tx: PostgresTx, locks: tuple[Lock, ...]) -> None:
    """Take the locks of an act, in the order that all keep."""
    for lock in sorted(locks, key=_rank):
        if not tx.lock(lock) and lock.rank is Rank.HOST:
            raise given_up(Lease(int(str(lock.values["incarnation"]))))


def _undo(seat: Seat, begun: Transaction) -> None:
    """Leave nothing of a transaction behind, and the connection as it was, or closed."""
    try:
        bridge.wait(begun.rollback())
    except FAULTS:
        seat.db.terminate()


def _rank(lock: Lock) -> Rank:
    return lock.rank
