"""What a relational store does to the history of a session: the port `HistoryActs` over the store's lane."""

from collections.abc import Sequence

from tenure.core.history import (
    CompactSession,
    ForkSession,
    RedoReceipt,
    RedoTurns,
    UndoReceipt,
    UndoTurns,
)
from tenure.core.rules import Rules
from tenure.core.view import MessageReceipt, SessionInfo
from tenure.ports.acts import Answer, Lease, Stamp, Wake
from tenure.ports.history import Bundled
from tenure.stores.relational import locks
from tenure.stores.relational.acts import bundles, compactions, forks, undos
from tenure.stores.relational.lane import Lane


class RelationalHistories:
    """Acts on histories. It holds no rule."""

    def __init__(self, lane: Lane, rules: Rules) -> None:
        self._lane = lane
        self._rules = rules

    async def undo(self, stamp: Stamp, session_id: str, ask: UndoTurns) -> tuple[Answer[UndoReceipt], Wake]:
        return await self._lane.write(
            lambda tx: undos.undo(tx, stamp, session_id, ask, self._rules),
            *locks.receipt(stamp),
            locks.session(session_id),
        )

    async def redo(self, stamp: Stamp, session_id: str, ask: RedoTurns) -> Answer[RedoReceipt]:
        return await self._lane.write(
            lambda tx: undos.redo(tx, stamp, session_id, ask, self._rules),
            *locks.receipt(stamp),
            locks.session(session_id),
        )

    async def compact(
        self,
        stamp: Stamp,
        session_id: str,
        ask: CompactSession,
        message_id: str,
        run_id: str,
        lease: Lease | None,
    ) -> tuple[Answer[MessageReceipt], Wake]:
        admission = compactions.admission(stamp, session_id, ask, message_id, run_id, lease)
        return await self._lane.write(
            lambda tx: compactions.compact(tx, admission, self._rules),
            *locks.taking(lease),
            *locks.receipt(stamp),
            locks.session(session_id),
        )

    async def fork(
        self, stamp: Stamp, session_id: str, ask: ForkSession, child_id: str
    ) -> Answer[SessionInfo]:
        prefix = await self._lane.read(lambda db: forks.prefix(db, session_id, ask.at_seq))
        return await self._lane.write(
            lambda tx: forks.fork(tx, stamp, session_id, ask, child_id, prefix, self._rules),
            *locks.receipt(stamp),
            locks.session(session_id),
        )

    async def delete_family(self, stamp: Stamp, session_id: str) -> None:
        await self._lane.write(
            lambda tx: forks.delete_family(tx, stamp, session_id), locks.family(session_id)
        )

    async def bring_in(self, stamp: Stamp, bundle: Bundled, session_id: str) -> SessionInfo:
        return await self._lane.write(
            lambda tx: bundles.bring_in(tx, stamp, bundle, session_id, self._rules), *locks.receipt(stamp)
        )

    async def bring_files(self, session_id: str, bundle: Bundled, kept: Sequence[str]) -> None:
        await self._lane.write(
            lambda tx: bundles.bring_files(tx, session_id, bundle, kept), locks.session(session_id)
        )
