"""The stage on which the cases play: one store, one life of a host, a clock that only they move.

Each act of a case is one line here, so that a case shows what it is about and nothing else.
"""

import hashlib
from collections.abc import AsyncIterator, Sequence
from enum import StrEnum
from itertools import count, pairwise
from typing import Protocol

import pytest

from tenure.core.command import CreateKey, InterruptRun, OpenSession, SendMessage, Waiting
from tenure.core.entry import Entry, Recorded, entry, lines_of, record
from tenure.core.event import TYPE_OF, Event, MessageDelta, Unknown
from tenure.core.grant import Descriptor, Policy, Terms
from tenure.core.ids import KEY, MESSAGE, RUN, SESSION
from tenure.core.invariants import check
from tenure.core.limits import Limits
from tenure.core.moment import Micros
from tenure.core.output import Usage
from tenure.core.principal import Principal, Role
from tenure.core.rules import Rules
from tenure.core.run import RunState
from tenure.core.view import InterruptReceipt, MessageReceipt, RunInfo, SessionInfo
from tenure.errors import Code, TenureError
from tenure.ports.clock import Ids
from tenure.ports.store import (
    Admission,
    Answer,
    Append,
    Block,
    Idempotency,
    Lease,
    Settled,
    Settlement,
    Stamp,
    Start,
    Store,
    Wake,
)

EPOCH = Micros(1_795_205_400_000_000)
TICK = 1_000
DIGEST = "0" * 64


class Ability(StrEnum):
    """What not every store can do. A store that can't leaves it out of its backend's `abilities`."""

    RESTART = "restart"
    """What was committed is there again after the store was closed and opened."""

    MANY_HOSTS = "many_hosts"
    """Several hosts hold runs at the same time; a new one doesn't end the lives of the others."""


class Backend(Protocol):
    """What a store brings to the suite: one place for data, opened as often as a case asks for."""

    @property
    def abilities(self) -> frozenset[Ability]:
        """What the store can do."""
        ...

    async def open(self, rules: Rules, ids: Ids) -> Store:
        """Open the store over the data that is there, or empty the first time."""
        ...

    async def close(self, store: Store) -> None:
        """Close a store that `open` gave."""
        ...

    async def lapse(self, store: Store, lease: Lease) -> None:
        """Make the host of `lease` dead in the eyes of hosts that join later."""
        ...


class CountedIds:
    """Ids that count up, so that a failing case reads the same every time."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def new(self, prefix: str) -> str:
        """The next id."""
        return f"{prefix}{next(self._numbers):032x}"

    def secret(self) -> str:
        """The next secret."""
        return f"{next(self._numbers):043d}"


def person(user: str, role: Role = Role.MEMBER, tenant: str = "acme") -> Principal:
    """Somebody who acts in a case."""
    return Principal(tenant=tenant, user=user, role=role, key_id=f"key_of_{user}")


ADA, BOB, EVE = person("ada"), person("bob"), person("eve")
ADMIN = person("root", Role.ADMIN)
STRANGER = person("ada", tenant="globex")
PEOPLE = (ADA, BOB, EVE, STRANGER)

GREETER = Terms(
    agent="greeter",
    descriptor=Descriptor(runner="python", permissions=("history", "state")),
    policy=Policy(apis=("history", "tools"), deadline_s=600.0, max_attempts=3),
)


class Sent:
    """What an admission answered."""

    def __init__(self, answer: Answer[MessageReceipt], wake: Wake) -> None:
        self.receipt = answer.value
        self.replayed = answer.replayed
        self.wake = wake

    @property
    def start(self) -> Start:
        """The one run that this admission started."""
        (start,) = self.wake.starts
        return start


class Stage:
    """One store at work. Blocks that it hands on are kept, by session, in the order of delivery."""

    def __init__(self, store: Store, ids: Ids, lease: Lease, rules: Rules) -> None:
        self.store = store
        self.ids = ids
        self.lease = lease
        self.rules = rules
        self.blocks: list[Block] = []
        self.sessions: list[str] = []
        self.shares = False
        """Whether other hosts write to its sessions, so that it sees some of their blocks only."""
        self.in_order = True
        """Whether blocks of one session are handed on in the order of their numbers, whoever wrote them."""
        self._now = EPOCH
        store.on_commit(self.blocks.append)

    # --- time and identity

    def at(self) -> Micros:
        """The next moment: a millisecond after the last one."""
        self._now = Micros(self._now + TICK)
        return self._now

    def pass_time(self, seconds: float) -> None:
        """Move the clock."""
        self._now = Micros(self._now + round(seconds * 1_000_000))

    def stamp(self, by: Principal = ADA, key: str | None = None, digest: str = DIGEST) -> Stamp:
        """Who asks, now, under which idempotency key."""
        return Stamp(self.at(), by, None if key is None else Idempotency(key, digest))

    # --- commands

    async def open(self, by: Principal = ADA, ask: OpenSession | None = None, key: str | None = None) -> str:
        """Open a session with the greeter. Its id."""
        return (await self.opened(by, ask, key)).value.id

    async def opened(
        self, by: Principal = ADA, ask: OpenSession | None = None, key: str | None = None
    ) -> Answer[SessionInfo]:
        """Open a session with the greeter. The whole answer."""
        wish = ask or OpenSession(agent="greeter")
        session_id = self.ids.new(SESSION)
        answer = await self.store.open_session(self.stamp(by, key), wish, session_id)
        if not answer.replayed:
            self.sessions.append(answer.value.id)
        return answer

    async def send(
        self,
        session_id: str,
        ask: SendMessage | str = "Hello",
        *,
        by: Principal = ADA,
        key: str | None = None,
        digest: str = DIGEST,
        here: bool = True,
    ) -> Sent:
        """Send a message; with `here` false, from a host that takes no runs."""
        wish = SendMessage(content=ask) if isinstance(ask, str) else ask
        admission = Admission(
            self.stamp(by, key, digest),
            session_id,
            wish,
            wish.message_id or self.ids.new(MESSAGE),
            self.ids.new(RUN),
            self.lease if here else None,
        )
        return Sent(*await self.store.admit(admission))

    async def begin(self, text: str = "Hello", *, by: Principal = ADA) -> Start:
        """A fresh session whose first message runs here."""
        return (await self.send(await self.open(by), text, by=by)).start

    async def interrupt(
        self,
        session_id: str,
        ask: InterruptRun | None = None,
        *,
        by: Principal = ADA,
        key: str | None = None,
        digest: str = DIGEST,
    ) -> tuple[Answer[InterruptReceipt], Wake]:
        """Stop what runs."""
        stamp, run_id = self.stamp(by, key, digest), self.ids.new(RUN)
        return await self.store.interrupt(stamp, session_id, ask or InterruptRun(), self.lease, run_id)

    async def hold(self, session_id: str) -> None:
        """Stop what runs, keep what waits, and let the run end."""
        answer, _ = await self.interrupt(session_id, InterruptRun(waiting=Waiting.HOLD))
        assert answer.value.run_id is not None
        await self.settle(answer.value.run_id, RunState.CANCELLED)

    async def key(self, who: Principal, secret: str | None = None) -> str:
        """Give somebody a key. Its id."""
        ask = CreateKey(user=who.user, role=who.role, tenant=who.tenant)
        hashed = hashed_secret(secret or self.ids.secret())
        made = await self.store.create_key(self.stamp(ADMIN), ask, self.ids.new(KEY), hashed)
        return made.value.id

    # --- the owner of a run

    def entries(self, run_id: str, *events: Event) -> list[Entry]:
        """Events of a run, encoded now."""
        return [entry(self.at(), event, run_id) for event in events]

    async def append(self, run_id: str, *events: Event) -> None:
        """Record output of a run that is held here."""
        await self.store.append(self.lease, Append(run_id, self.entries(run_id, *events)))

    async def say(self, run_id: str, *texts: str, message_id: str | None = None) -> str:
        """Stream a message that isn't closed yet. Its id."""
        said = message_id or self.ids.new(MESSAGE)
        deltas = [
            entry(self.at(), MessageDelta(said, text), run_id, opens=not message_id and n == 0)
            for n, text in enumerate(texts)
        ]
        await self.store.append(self.lease, Append(run_id, deltas))
        return said

    async def settle(
        self,
        run_id: str,
        verdict: RunState = RunState.COMPLETED,
        reason: str = "",
        *,
        final: Sequence[Event] = (),
        usage: tuple[Usage, ...] = (),
        retryable: bool = False,
        takes_next: bool = True,
    ) -> Settled:
        """End a run that is held here."""
        last = self.entries(run_id, *final)

        def closing(status: RunState) -> Sequence[Entry]:
            return last

        settlement = Settlement(
            run_id,
            self.at(),
            verdict,
            reason,
            retryable,
            usage,
            closing,
            self.ids.new(RUN),
            takes_next,
        )
        return await self.store.settle(self.lease, settlement)

    async def claim(self, room: int = 1_000) -> Wake:
        """Start runs that wait for a slot."""
        return await self.store.claim(self.lease, room, self.at())

    # --- what can be seen

    async def journal(self, session_id: str) -> list[Recorded]:
        """The whole journal of a session."""
        entries: list[Recorded] = []
        while True:
            page = await self.store.page(session_id, len(entries), 1_000)
            for span in page.spans:
                lines = enumerate(lines_of(span.body), span.first)
                entries += [record(n, b"{" + line) for n, line in lines if n > len(entries)]
            if len(entries) == page.head:
                return entries

    async def events(self, session_id: str, after: int = 0) -> list[Event | Unknown]:
        """What happened in a session behind a cursor."""
        return [recorded.event for recorded in await self.journal(session_id)][after:]

    async def types(self, session_id: str, after: int = 0) -> list[str]:
        """The types of what happened in a session behind a cursor."""
        return [type_of(event) for event in await self.events(session_id, after)]

    def delivered(self, session_id: str) -> list[Block]:
        """The blocks of a session that were handed on."""
        return [block for block in self.blocks if block.session_id == session_id]

    async def info(self, session_id: str) -> SessionInfo:
        """A session that exists."""
        info = await self.store.session(session_id)
        assert info is not None
        return info

    async def run(self, run_id: str) -> RunInfo:
        """A run that exists."""
        info = await self.store.run(run_id)
        assert info is not None
        return info

    async def check(self) -> None:
        """Fail if any session breaks an invariant, or a counter differs from its recount."""
        assert await self.store.counter_faults() == []
        for session_id in self.sessions:
            stored = await self.store.audit(session_id)
            assert stored is None or check(stored) == []
            for before, after in pairwise(self._to_check(session_id)):
                assert after.first == before.last + 1

    def _to_check(self, session_id: str) -> list[Block]:
        """The blocks of a session that must follow each other, as they came or by their numbers."""
        if self.shares:
            return []
        delivered = self.delivered(session_id)
        return delivered if self.in_order else sorted(delivered, key=lambda block: block.first)


class Stages:
    """Opens stages over one backend, one after the other, and checks each when it is closed."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._ids = CountedIds()
        self._open: list[Stage] = []
        self._known: list[str] = []

    async def open(self, limits: Limits | None = None, *, agents: Sequence[Terms] = (GREETER,)) -> Stage:
        """A stage over the data that is there. The people of the cases have a key each."""
        rules = Rules(limits=limits or Limits(), terms={terms.agent: terms for terms in agents})
        store = await self._backend.open(rules, self._ids)
        stage = Stage(store, self._ids, await store.join(EPOCH), rules)
        stage.in_order = Ability.MANY_HOSTS not in self._backend.abilities
        if not self._known:
            for who in PEOPLE:
                await stage.key(who)
        stage.sessions += self._known
        self._open.append(stage)
        return stage

    async def beside(self, stage: Stage) -> Stage:
        """Another host on the same data, at the same time. What either opens is checked once."""
        self._known = ["none"]
        other = await self.open(stage.rules.limits, agents=[*stage.rules.terms.values()])
        other.sessions = stage.sessions
        stage.shares = other.shares = True
        return other

    async def restart(
        self, stage: Stage, *, limits: Limits | None = None, agents: Sequence[Terms] | None = None
    ) -> Stage:
        """The host dies, and a new life of it begins over the same data. Nothing is reaped yet."""
        if Ability.RESTART not in self._backend.abilities:
            pytest.skip("This store declares that it doesn't outlive its process.")
        self._known = [*stage.sessions] or ["none"]
        await self._backend.lapse(stage.store, stage.lease)
        await self._close(stage)
        hosted = [*stage.rules.terms.values()] if agents is None else agents
        again = await self.open(limits or stage.rules.limits, agents=hosted)
        again.pass_time(3_600)
        return again

    async def lapse(self, stage: Stage) -> Lease:
        """Another life of a host begins on the same store, and the one before it is dead. Its lease."""
        await self._backend.lapse(stage.store, stage.lease)
        return await stage.store.join(stage.at())

    async def close(self) -> None:
        """Check and close what is still open."""
        for stage in [*self._open]:
            await stage.store.reap(stage.lease, stage.at())
            await stage.check()
            await self._close(stage)

    async def _close(self, stage: Stage) -> None:
        self._open.remove(stage)
        await self._backend.close(stage.store)


class Cases:
    """The base of all cases: what they are given."""

    pytestmark = pytest.mark.anyio

    @pytest.fixture
    def anyio_backend(self) -> str:
        """Stores run on asyncio."""
        return "asyncio"

    @pytest.fixture
    def backend(self) -> Backend:
        """The store under test. Every store overrides this."""
        raise NotImplementedError("Give the class a fixture `backend` that returns your Backend.")

    @pytest.fixture
    async def stages(self, backend: Backend) -> AsyncIterator[Stages]:
        """Opens stages with limits of the case's own, and restarts them."""
        stages = Stages(backend)
        yield stages
        await stages.close()

    @pytest.fixture
    async def stage(self, stages: Stages) -> Stage:
        """A stage with the default limits."""
        return await stages.open()


def type_of(event: Event | Unknown) -> str:
    """The wire name of an event."""
    return event.type if isinstance(event, Unknown) else TYPE_OF[type(event)]


def hashed_secret(secret: str) -> bytes:
    """What a store keeps of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def refusal(caught: pytest.ExceptionInfo[TenureError]) -> tuple[Code, dict[str, object]]:
    """The code and the facts of a refusal."""
    return caught.value.code, dict(caught.value.facts)
