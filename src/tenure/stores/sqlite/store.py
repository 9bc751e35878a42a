"""The SQLite store: the Store port over one lane. It holds no rule; acts and reads do the work."""

import sqlite3
from asyncio import Future
from collections.abc import Callable, Sequence
from functools import partial

from tenure.core.command import (
    ChangeMessage,
    CloseSession,
    CreateKey,
    InterruptRun,
    OpenSession,
    RetryRun,
    UpdateSession,
)
from tenure.core.entry import Entry
from tenure.core.evidence import Stored
from tenure.core.ids import RUN
from tenure.core.moment import Micros
from tenure.core.principal import Principal
from tenure.core.rules import Rules
from tenure.core.run import RunState
from tenure.core.steering import SteeringMessage
from tenure.core.view import (
    InterruptReceipt,
    KeyInfo,
    MessageInfo,
    MessageReceipt,
    RunInfo,
    SessionInfo,
    TranscriptPage,
)
from tenure.ports.approvals import ApprovalActs
from tenure.ports.checkpoints import CheckpointActs
from tenure.ports.clock import Ids
from tenure.ports.effects import EffectActs
from tenure.ports.events import EventActs
from tenure.ports.files import FileActs
from tenure.ports.history import HistoryActs
from tenure.ports.limits import LimitActs
from tenure.ports.schedules import ScheduleActs
from tenure.ports.states import States
from tenure.ports.store import (
    Admission,
    Answer,
    Append,
    Block,
    Commits,
    Figures,
    Ground,
    JournalPage,
    Lease,
    Page,
    Reaped,
    SessionFilter,
    Settled,
    Settlement,
    Stamp,
    Wake,
)
from tenure.stores.sqlite import audits, reads
from tenure.stores.sqlite.acts import (
    keys,
    messages,
    queue,
    recovery,
    retries,
    runs,
    search,
    sessions,
    steering,
)
from tenure.stores.sqlite.acts.events import SqliteEvents
from tenure.stores.sqlite.batch import Tx
from tenure.stores.sqlite.checkpointing import SqliteCheckpoints
from tenure.stores.sqlite.filing import SqliteFiles
from tenure.stores.sqlite.histories import SqliteHistories
from tenure.stores.sqlite.lane import Lane
from tenure.stores.sqlite.ledgers import SqliteApprovals, SqliteEffects
from tenure.stores.sqlite.limiting import SqliteLimits
from tenure.stores.sqlite.scheduling import SqliteSchedules
from tenure.stores.sqlite.states import SqliteStates

SEARCH_WAITS_FOR = 50
"""How many steps of indexing a search waits for at most: the newest messages come first."""


class SqliteStore:
    """All acts and reads on one file. Opened by `opened`, closed by `close`."""

    def __init__(self, lane: Lane, rules: Rules, ids: Ids, history: str) -> None:
        self._lane = lane
        self._rules = rules
        self._ids = ids
        self._history = history
        self.effects: EffectActs = SqliteEffects(lane, rules)
        self.approvals: ApprovalActs = SqliteApprovals(lane, rules)
        self.files: FileActs = SqliteFiles(lane, rules)
        self.histories: HistoryActs = SqliteHistories(lane, rules)
        self.incoming: EventActs = SqliteEvents(lane, rules)
        self.states: States = SqliteStates(lane)
        self.limits: LimitActs = SqliteLimits(lane)
        self.checkpoints: CheckpointActs = SqliteCheckpoints(lane)
        self.schedules: ScheduleActs = SqliteSchedules(lane, rules)

    @classmethod
    async def opened(cls, lane: Lane, rules: Rules, ids: Ids) -> "SqliteStore":
        """The store behind `lane`. A new file gets its history id here."""

        def history(tx: Tx) -> str:
            row = tx.one("meta_get", name="history")
            if row is None:
                tx.do("meta_put", name="history", value=ids.new("his_"))
                row = tx.one("meta_get", name="history")
            return str(row[0])

        return cls(lane, rules, ids, await lane.write(history))

    @property
    def history(self) -> str:
        return self._history

    def on_commit(self, listener: Callable[[Block], None]) -> None:
        self._lane.on_commit(listener)

    def commits(self) -> Commits:
        return self._lane.commits()

    def healthy(self) -> bool:
        return self._lane.healthy()

    def close(self) -> None:
        """Finish what waits and close the file."""
        self._lane.close()

    # --- life of a host

    async def join(self, at: Micros) -> Lease:
        return await self._lane.write(partial(recovery.join, at=at))

    async def leave(self, lease: Lease, at: Micros) -> None:
        await self._lane.write(partial(recovery.leave, lease=lease, at=at))

    async def reap(self, lease: Lease, at: Micros) -> Reaped:
        mint = partial(self._ids.new, RUN)
        return await self._lane.write(
            partial(recovery.reap, lease=lease, at=at, rules=self._rules, mint=mint)
        )

    async def index_words(self) -> int:
        return await self._lane.write(search.index_words)

    async def purge(self, at: Micros) -> int:
        return await self._lane.write(partial(recovery.purge, at=at))

    # --- commands

    async def open_session(self, stamp: Stamp, ask: OpenSession, session_id: str) -> Answer[SessionInfo]:
        return await self._lane.write(
            lambda tx: sessions.open_session(tx, stamp, ask, session_id, self._rules)
        )

    async def update_session(self, stamp: Stamp, session_id: str, ask: UpdateSession) -> SessionInfo:
        return await self._lane.write(lambda tx: sessions.update_session(tx, stamp, session_id, ask))

    async def close_session(self, stamp: Stamp, session_id: str, ask: CloseSession) -> Answer[SessionInfo]:
        return await self._lane.write(lambda tx: sessions.close_session(tx, stamp, session_id, ask))

    async def reopen_session(self, stamp: Stamp, session_id: str) -> Answer[SessionInfo]:
        return await self._lane.write(lambda tx: sessions.reopen_session(tx, stamp, session_id, self._rules))

    async def delete_session(self, stamp: Stamp, session_id: str) -> int:
        return await self._lane.write(lambda tx: sessions.delete_session(tx, stamp, session_id))

    async def admit(self, admission: Admission) -> tuple[Answer[MessageReceipt], Wake]:
        return await self._lane.write(lambda tx: messages.admit(tx, admission, self._rules))

    async def interrupt(
        self,
        stamp: Stamp,
        session_id: str,
        ask: InterruptRun,
        lease: Lease | None,
        next_run_id: str,
    ) -> tuple[Answer[InterruptReceipt], Wake]:
        return await self._lane.write(
            lambda tx: sessions.interrupt(tx, stamp, session_id, ask, self._rules, lease, next_run_id)
        )

    async def change_message(
        self,
        stamp: Stamp,
        session_id: str,
        message_id: str,
        ask: ChangeMessage,
        lease: Lease | None,
        next_run_id: str,
    ) -> tuple[MessageInfo, Wake]:
        return await self._lane.write(
            lambda tx: queue.change_message(
                tx, stamp, session_id, message_id, ask, self._rules, lease, next_run_id
            )
        )

    async def withdraw_message(
        self,
        stamp: Stamp,
        session_id: str,
        message_id: str,
        if_version: int | None,
        lease: Lease | None,
        next_run_id: str,
    ) -> Wake:
        return await self._lane.write(
            lambda tx: queue.withdraw_message(
                tx, stamp, session_id, message_id, if_version, self._rules, lease, next_run_id
            )
        )

    async def retry_run(
        self, stamp: Stamp, run_id: str, ask: RetryRun, lease: Lease | None, next_run_id: str
    ) -> tuple[Answer[MessageReceipt], Wake]:
        return await self._lane.write(
            lambda tx: retries.retry_run(tx, stamp, run_id, ask, self._rules, lease, next_run_id)
        )

    async def create_key(
        self, stamp: Stamp, ask: CreateKey, key_id: str, secret_hash: bytes, *, root: bool = False
    ) -> Answer[KeyInfo]:
        return await self._lane.write(
            lambda tx: keys.create_key(tx, stamp, ask, key_id, secret_hash, root=root)
        )

    async def revoke_key(self, stamp: Stamp, key_id: str) -> KeyInfo:
        return await self._lane.write(lambda tx: keys.revoke_key(tx, stamp, key_id, self._rules))

    # --- the owner of a run

    def append(self, lease: Lease, append: Append) -> "Future[None]":
        return self._lane.write(lambda tx: runs.append(tx, lease, append))

    async def expire(self, lease: Lease, run_id: str, at: Micros, reason: str) -> None:
        await self._lane.write(lambda tx: runs.expire(tx, lease, run_id, at, reason))

    async def settle(self, lease: Lease, settlement: Settlement) -> Settled:
        return await self._lane.write(lambda tx: runs.settle(tx, lease, settlement, self._rules))

    async def claim(self, lease: Lease, room: int, at: Micros) -> Wake:
        mint = partial(self._ids.new, RUN)
        return await self._lane.write(lambda tx: runs.claim(tx, lease, room, at, self._rules, mint))

    async def release(self, lease: Lease, run_id: str, at: Micros, reason: str) -> None:
        mint = partial(self._ids.new, RUN)
        await self._lane.write(lambda tx: runs.release(tx, lease, run_id, at, reason, self._rules, mint))

    async def take_steering(
        self, lease: Lease, run_id: str, attempt: int, most: int, at: Micros
    ) -> tuple[SteeringMessage, ...]:
        return await self._lane.write(lambda tx: steering.take(tx, lease, run_id, attempt, most, at))

    async def note(self, session_id: str, entries: Sequence[Entry]) -> None:
        await self._lane.write(lambda tx: sessions.note(tx, session_id, entries))

    # --- point reads

    def ground(self, session_id: str) -> Ground | None:
        return self._lane.peek(lambda db: reads.ground(db, "read_ground", session_id))

    def ground_of_run(self, run_id: str) -> Ground | None:
        return self._lane.peek(lambda db: reads.ground(db, "read_ground_of_run", run_id))

    def ground_of_approval(self, approval_id: str) -> Ground | None:
        return self._lane.peek(lambda db: reads.ground(db, "read_ground_of_approval", approval_id))

    def head(self, session_id: str) -> int:
        return self._lane.peek(lambda db: reads.head(db, session_id)[2])

    def principal(self, secret_hash: bytes, at: Micros) -> Principal | None:
        return self._lane.peek(lambda db: reads.principal(db, secret_hash, at))

    def key(self, key_id: str) -> KeyInfo | None:
        return self._lane.peek(lambda db: reads.key_info(db, key_id))

    def session(self, session_id: str) -> SessionInfo | None:
        return self._lane.peek(lambda db: reads.session_info(db, session_id))

    def run(self, run_id: str) -> RunInfo | None:
        return self._lane.peek(lambda db: reads.run_info(db, run_id))

    def run_state(self, run_id: str) -> RunState | None:
        return self._lane.peek(lambda db: reads.run_state(db, run_id))

    def steering(self, run_id: str, attempt: int) -> tuple[str, ...]:
        return self._lane.peek(lambda db: reads.steering(db, run_id, attempt))

    async def message(self, session_id: str, message_id: str) -> MessageInfo | None:
        return await self._lane.read(lambda db: reads.message(db, session_id, message_id))

    # --- reads that may be long

    async def page(self, session_id: str, after: int, limit: int) -> JournalPage:
        return await self._lane.read(lambda db: reads.page(db, session_id, after, limit))

    async def page_back(self, session_id: str, before: int, limit: int) -> JournalPage:
        return await self._lane.read(lambda db: reads.page_back(db, session_id, before, limit))

    async def transcript(self, session_id: str, cursor: str | None, limit: int) -> TranscriptPage:
        return await self._lane.read(lambda db: reads.transcript(db, session_id, cursor, limit))

    async def sessions(self, which: SessionFilter, cursor: str | None, limit: int) -> Page[SessionInfo]:
        if which.words is not None:
            await self._find_words()
        return await self._lane.read(lambda db: reads.sessions(db, which, cursor, limit))

    async def _find_words(self) -> None:
        """Whoever searches finds what was said up to now, as far as that can be waited for."""
        for _ in range(SEARCH_WAITS_FOR):
            if not await self.index_words():
                return

    async def runs(self, session_id: str, cursor: str | None, limit: int) -> Page[RunInfo]:
        return await self._lane.read(lambda db: reads.runs(db, session_id, cursor, limit))

    async def keys(self, tenant: str | None, cursor: str | None, limit: int) -> Page[KeyInfo]:
        return await self._lane.read(lambda db: reads.keys(db, tenant, cursor, limit))

    async def figures(self) -> Figures:
        return await self._lane.read(reads.figures)

    async def session_ids(self, after: str, limit: int) -> list[str]:
        return await self._lane.read(lambda db: audits.session_ids(db, after, limit))

    async def audit(self, session_id: str) -> Stored | None:
        return await self._lane.read(lambda db: audits.audit(db, session_id))

    async def counter_faults(self) -> list[str]:
        return await self._lane.read(audits.counter_faults)


def check_integrity(db: sqlite3.Connection) -> str:
    """What SQLite says of the file itself: `ok`, or the first fault."""
    return str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
