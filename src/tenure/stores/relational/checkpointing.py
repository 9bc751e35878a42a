"""What a relational store keeps for runners: `ports.checkpoints` over the store's lane."""

from typing import cast

import msgspec

from tenure.ports.acts import Lease
from tenure.ports.checkpoints import Asked, Checkpoint
from tenure.ports.effects import Caller
from tenure.stores.relational import locks
from tenure.stores.relational.acts.effects import calling
from tenure.stores.relational.lane import Lane
from tenure.stores.relational.tx import Tx


class RelationalCheckpoints:
    """Checkpoints of runs. It holds no rule."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    async def save(self, lease: Lease, caller: Caller, data: bytes, asked: tuple[Asked, ...]) -> None:
        await self._lane.write(
            lambda tx: _save(tx, lease, caller, data, asked),
            locks.host(lease),
            locks.session_of_run(caller.run_id),
        )

    async def asked(self, run_id: str) -> tuple[Asked, ...]:
        row = await self._lane.peek(lambda db: db.one("checkpoint_asked", run_id=run_id))
        return () if row is None else msgspec.json.decode(row[0], type=tuple[Asked, ...])

    async def of_run(self, session_id: str, run_id: str) -> bytes | None:
        found = await self._lane.read(
            lambda db: db.first("read_checkpoint", session_id=session_id, run_id=run_id)
        )
        return None if found is None else cast("bytes", found["data"])

    async def latest(self, session_id: str) -> Checkpoint | None:
        found = await self._lane.read(lambda db: db.first("read_latest_checkpoint", session_id=session_id))
        return None if found is None else Checkpoint(found["run_id"], found["data"])


def _save(tx: Tx, lease: Lease, caller: Caller, data: bytes, asked: tuple[Asked, ...]) -> None:
    session, run = calling(tx, lease, caller)
    known = msgspec.json.encode(asked).decode()
    tx.must("checkpoint_put", run_id=run.id, no=session.no, attempt=run.attempt, asked=known, data=data)
