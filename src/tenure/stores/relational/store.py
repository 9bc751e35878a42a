"""The Store port over one lane, whatever the database. It holds no rule; acts and reads do the work."""

from asyncio import Future
from collections.abc import Callable, Mapping, Sequence
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
    ListedSession,
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
from tenure.ports.hosts import UNNAMED, HostActs, HostCard
from tenure.ports.limits import LimitActs
from tenure.ports.operations import OperationActs
from tenure.ports.overviews import Overviews
from tenure.ports.schedules import ScheduleActs
from tenure.ports.signing import ShareActs, SignInActs
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
from tenure.stores.relational import audits, gaps, listings, locks, reads
from tenure.stores.relational.acts import (
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
from tenure.stores.relational.acts.events import RelationalEvents
from tenure.stores.relational.checkpointing import RelationalCheckpoints
from tenure.stores.relational.filing import RelationalFiles
from tenure.stores.relational.histories import RelationalHistories
from tenure.stores.relational.hosting import RelationalHosts
from tenure.stores.relational.lane import Lane
from tenure.stores.relational.ledgers import RelationalApprovals, RelationalEffects
from tenure.stores.relational.limiting import RelationalLimits
from tenure.stores.relational.operating import RelationalOperations
from tenure.stores.relational.overviews import RelationalOverviews
from tenure.stores.relational.scheduling import RelationalSchedules
from tenure.stores.relational.signing import RelationalShares, RelationalSignIns, guest
from tenure.stores.relational.states import RelationalStates
from tenure.stores.relational.tx import Tx

SEARCH_WAITS_FOR = 50
"""How many steps of indexing a search waits for at most: the newest messages come first."""


class RelationalStore:
    """All acts and reads over one lane. Opened by `opened`, closed by `close`."""

    alone = True
    """Whether only one host can be there, so that a new life of it ends all others."""

    def __init__(self, lane: Lane, rules: Rules, ids: Ids, history: str) -> None:
        self._lane = lane
        self._rules = rules
        self._ids = ids
        self._history = history
        self.effects: EffectActs = RelationalEffects(lane, rules)
        self.approvals: ApprovalActs = RelationalApprovals(lane, rules)
        self.files: FileActs = RelationalFiles(lane, rules)
        self.histories: HistoryActs = RelationalHistories(lane, rules)
        self.incoming: EventActs = RelationalEvents(lane, rules)
        self.states: States = RelationalStates(lane)
        self.limits: LimitActs = RelationalLimits(lane)
        self.checkpoints: CheckpointActs = RelationalCheckpoints(lane)
        self.schedules: ScheduleActs = RelationalSchedules(lane, rules)
        self.hosts: HostActs = RelationalHosts(lane)
        self.sign_ins: SignInActs = RelationalSignIns(lane)
        self.shares: ShareActs = RelationalShares(lane)
        self.operations: OperationActs = RelationalOperations(lane)
        self.overviews: Overviews = RelationalOverviews(lane)

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

    async def join(self, at: Micros, card: HostCard = UNNAMED) -> Lease:
        return await self._lane.write(partial(recovery.join, at=at, card=card, alone=self.alone))

    async def leave(self, lease: Lease, at: Micros, *, lost: bool = False) -> None:
        await self._lane.write(partial(recovery.leave, lease=lease, lost=lost))

    async def reap(self, lease: Lease, at: Micros) -> Reaped:
        mint = partial(self._ids.new, RUN)
        return await self._lane.write(
            partial(recovery.reap, lease=lease, at=at, rules=self._rules, mint=mint)
        )

    async def index_words(self) -> int:
        return await self._lane.write(search.index_words, locks.alone("search"))

    async def purge(self, at: Micros) -> int:
        return await self._lane.write(partial(recovery.purge, at=at), locks.alone("purge"))

    # --- commands

    async def open_session(self, stamp: Stamp, ask: OpenSession, session_id: str) -> Answer[SessionInfo]:
        return await self._lane.write(
            lambda tx: sessions.open_session(tx, stamp, ask, session_id, self._rules), *locks.receipt(stamp)
        )

    async def update_session(self, stamp: Stamp, session_id: str, ask: UpdateSession) -> SessionInfo:
        return await self._lane.write(
            lambda tx: sessions.update_session(tx, stamp, session_id, ask), locks.session(session_id)
        )

    async def close_session(self, stamp: Stamp, session_id: str, ask: CloseSession) -> Answer[SessionInfo]:
        return await self._lane.write(
            lambda tx: sessions.close_session(tx, stamp, session_id, ask),
            *locks.receipt(stamp),
            locks.session(session_id),
        )

    async def reopen_session(self, stamp: Stamp, session_id: str) -> Answer[SessionInfo]:
        return await self._lane.write(
            lambda tx: sessions.reopen_session(tx, stamp, session_id, self._rules), locks.session(session_id)
        )

    async def delete_session(self, stamp: Stamp, session_id: str) -> int:
        return await self._lane.write(
            lambda tx: sessions.delete_session(tx, stamp, session_id), locks.session(session_id)
        )

    async def admit(self, admission: Admission) -> tuple[Answer[MessageReceipt], Wake]:
        return await self._lane.write(
            lambda tx: messages.admit(tx, admission, self._rules),
            *locks.taking(admission.lease),
            *locks.receipt(admission.stamp),
            locks.session(admission.session_id),
        )

    async def interrupt(
        self,
        stamp: Stamp,
        session_id: str,
        ask: InterruptRun,
        lease: Lease | None,
        next_run_id: str,
    ) -> tuple[Answer[InterruptReceipt], Wake]:
        return await self._lane.write(
            lambda tx: sessions.interrupt(tx, stamp, session_id, ask, self._rules, lease, next_run_id),
            *locks.taking(lease),
            *locks.receipt(stamp),
            locks.session(session_id),
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
            ),
            *locks.taking(lease),
            locks.session(session_id),
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
            ),
            *locks.taking(lease),
            locks.session(session_id),
        )

    async def retry_run(
        self, stamp: Stamp, run_id: str, ask: RetryRun, lease: Lease | None, next_run_id: str
    ) -> tuple[Answer[MessageReceipt], Wake]:
        return await self._lane.write(
            lambda tx: retries.retry_run(tx, stamp, run_id, ask, self._rules, lease, next_run_id),
            *locks.taking(lease),
            *locks.receipt(stamp),
            locks.session_of_run(run_id),
        )

    async def create_key(
        self, stamp: Stamp, ask: CreateKey, key_id: str, secret_hash: bytes, *, root: bool = False
    ) -> Answer[KeyInfo]:
        return await self._lane.write(
            lambda tx: keys.create_key(tx, stamp, ask, key_id, secret_hash, root=root), *locks.receipt(stamp)
        )

    async def revoke_key(self, stamp: Stamp, key_id: str) -> KeyInfo:
        return await self._lane.write(
            lambda tx: keys.revoke_key(tx, stamp, key_id, self._rules), locks.sessions_of_key(key_id)
        )

    # --- the owner of a run

    def append(self, lease: Lease, append: Append) -> "Future[None]":
        return self._lane.append(lease, append)

    async def expire(self, lease: Lease, run_id: str, at: Micros, reason: str) -> None:
        await self._lane.write(
            lambda tx: runs.expire(tx, lease, run_id, at, reason),
            locks.host(lease),
            locks.session_of_run(run_id),
        )

    async def settle(self, lease: Lease, settlement: Settlement) -> Settled:
        return await self._lane.write(
            lambda tx: runs.settle(tx, lease, settlement, self._rules),
            locks.host(lease),
            locks.session_of_run(settlement.run_id),
        )

    async def claim(self, lease: Lease, room: int, at: Micros) -> Wake:
        mint = partial(self._ids.new, RUN)
        return await self._lane.write(
            lambda tx: runs.claim(tx, lease, room, at, self._rules, mint), locks.host(lease)
        )

    async def release(self, lease: Lease, run_id: str, at: Micros, reason: str) -> None:
        mint = partial(self._ids.new, RUN)
        await self._lane.write(
            lambda tx: runs.release(tx, lease, run_id, at, reason, self._rules, mint),
            locks.host(lease),
            locks.session_of_run(run_id),
        )

    async def take_steering(
        self, lease: Lease, run_id: str, attempt: int, most: int, at: Micros
    ) -> tuple[SteeringMessage, ...]:
        return await self._lane.write(
            lambda tx: steering.take(tx, lease, run_id, attempt, most, at),
            locks.host(lease),
            locks.session_of_run(run_id),
        )

    async def note(self, session_id: str, entries: Sequence[Entry]) -> None:
        await self._lane.write(lambda tx: sessions.note(tx, session_id, entries), locks.session(session_id))

    # --- point reads

    async def ground(self, session_id: str) -> Ground | None:
        return await self._lane.peek(lambda db: reads.ground(db, "read_ground", session_id))

    async def ground_of_run(self, run_id: str) -> Ground | None:
        return await self._lane.peek(lambda db: reads.ground(db, "read_ground_of_run", run_id))

    async def ground_of_approval(self, approval_id: str) -> Ground | None:
        return await self._lane.peek(lambda db: reads.ground(db, "read_ground_of_approval", approval_id))

    async def head(self, session_id: str) -> int:
        return await self._lane.peek(lambda db: reads.head(db, session_id)[2])

    async def heads(self, session_ids: Sequence[str]) -> dict[str, int]:
        return await self._lane.peek(lambda db: gaps.heads(db, session_ids))

    async def pages(self, after: Mapping[str, int], limit: int) -> dict[str, JournalPage]:
        return await self._lane.peek(lambda db: gaps.pages(db, after, limit))

    async def principal(self, secret_hash: bytes, at: Micros) -> Principal | None:
        return await self._lane.peek(
            lambda db: reads.principal(db, secret_hash, at) or guest(db, secret_hash, at)
        )

    async def key(self, key_id: str) -> KeyInfo | None:
        return await self._lane.peek(lambda db: reads.key_info(db, key_id))

    async def session(self, session_id: str) -> SessionInfo | None:
        return await self._lane.peek(lambda db: reads.session_info(db, session_id))

    async def run(self, run_id: str) -> RunInfo | None:
        return await self._lane.peek(lambda db: reads.run_info(db, run_id))

    async def run_state(self, run_id: str) -> RunState | None:
        return await self._lane.peek(lambda db: reads.run_state(db, run_id))

    async def steering(self, run_id: str, attempt: int) -> tuple[str, ...]:
        return await self._lane.peek(lambda db: reads.steering(db, run_id, attempt))

    async def message(self, session_id: str, message_id: str) -> MessageInfo | None:
        return await self._lane.read(lambda db: reads.message(db, session_id, message_id))

    # --- reads that may be long

    async def page(self, session_id: str, after: int, limit: int) -> JournalPage:
        return await self._lane.read(lambda db: reads.page(db, session_id, after, limit))

    async def page_back(self, session_id: str, before: int, limit: int) -> JournalPage:
        return await self._lane.read(lambda db: reads.page_back(db, session_id, before, limit))

    async def transcript(self, session_id: str, cursor: str | None, limit: int) -> TranscriptPage:
        return await self._lane.read(lambda db: reads.transcript(db, session_id, cursor, limit))

    async def sessions(self, which: SessionFilter, cursor: str | None, limit: int) -> Page[ListedSession]:
        if which.words is not None:
            await self._find_words()
        return await self._lane.read(lambda db: listings.sessions(db, which, cursor, limit))

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


async def history_of(lane: Lane, ids: Ids) -> str:
    """The id of the history that the database holds. A new one gets it here."""

    def history(tx: Tx) -> str:
        row = tx.one("meta_get", name="history")
        if row is None:
            # Of hosts that begin on an empty database at the same time, one names it for all.
            tx.do("meta_begin", name="history", value=ids.new("his_"))
            row = tx.one("meta_get", name="history")
        return str(row[0])

    return await lane.write(history, locks.alone("history"))
