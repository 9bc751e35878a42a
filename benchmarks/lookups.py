"""Lookups: does a command cost the same among a hundred live runs and among a hundred thousand?

Asked of the store itself, without the network: what a network would add hides what a look-up costs.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, NoReturn

from benchmarks.figures import Figure, Target, quantile
from tenure.core.command import Answering, CreateKey, DecideApproval, InterruptRun, OpenSession, SendMessage
from tenure.core.grant import Capabilities, Descriptor, Policy, Terms
from tenure.core.ids import APPROVAL, EFFECT, KEY, MESSAGE, RUN, SESSION
from tenure.core.ledger import digest_of
from tenure.core.limits import Limits
from tenure.core.message import BusyPolicy
from tenure.core.moment import SECOND, Micros
from tenure.core.principal import Principal, Role
from tenure.core.rules import Rules
from tenure.core.tool import ALWAYS, Replay, ToolTerms
from tenure.host.clock import RandomIds
from tenure.ports.acts import Lease, Stamp
from tenure.ports.effects import Caller, Intent
from tenure.ports.landmarks import NoLandmarks
from tenure.ports.store import Admission
from tenure.stores.sqlite.lane import ThreadLane
from tenure.stores.sqlite.store import SqliteStore

AGENT = "greeter"
ADA = Principal(tenant="acme", user="ada", role=Role.OPERATOR, key_id="key_ada")
PAY = ToolTerms(name="pay", source="python:shop:pay", approval=ALWAYS)
TERMS = Terms(
    agent=AGENT,
    descriptor=Descriptor(runner="python", capabilities=Capabilities(steering=True, tools=True)),
    policy=Policy(tools=("pay",)),
    tools=(PAY,),
)
STEERED = SendMessage(content="faster", when_busy=BusyPolicy.STEER)
TOGETHER = 512


class Size(NamedTuple):
    """How many runs live while the commands are timed, and how many commands of each kind."""

    few: int = 1_000
    many: int = 100_000
    commands: int = 200


USUAL = Size()


class Live(NamedTuple):
    """One live run and where it is."""

    session_id: str
    run_id: str


class Bench:
    """A store full of live runs of one host."""

    def __init__(self, store: SqliteStore, lease: Lease) -> None:
        self.store = store
        self.lease = lease
        self.ids = RandomIds()
        self.live: list[Live] = []
        self._asked = ""
        self._now = 1_795_205_400 * SECOND

    def at(self) -> Micros:
        """The next moment."""
        self._now += 1_000
        return Micros(self._now)

    async def grow(self, runs: int) -> None:
        """Bring runs to life until there are so many."""
        while len(self.live) < runs:
            count = min(TOGETHER, runs - len(self.live))
            self.live += await asyncio.gather(*(self._begin() for _ in range(count)))

    async def _begin(self) -> Live:
        session_id = self.ids.new(SESSION)
        await self.store.open_session(Stamp(self.at(), ADA), OpenSession(agent=AGENT), session_id)
        run_id = await self.send(session_id, SendMessage(content="go"))
        assert run_id is not None
        return Live(session_id, run_id)

    async def send(self, session_id: str, ask: SendMessage) -> str | None:
        """Send a message; the run that it starts or steers."""
        admission = Admission(
            Stamp(self.at(), ADA), session_id, ask, self.ids.new(MESSAGE), self.ids.new(RUN), self.lease
        )
        answer, _ = await self.store.admit(admission)
        return answer.value.run_id

    # --- what is timed

    async def steer(self, live: Live) -> None:
        """Send a message to a live run."""
        assert await self.send(live.session_id, STEERED) == live.run_id

    async def take(self, live: Live) -> None:
        """Let the run take it."""
        taken = await self.store.take_steering(self.lease, live.run_id, 1, 100, self.at())
        assert [message.text for message in taken] == ["faster"]

    async def grant(self, live: Live) -> None:
        """Look up what the run was granted, as a use of it does."""
        info = await self.store.run(live.run_id)
        assert info is not None
        assert info.grant.tool("pay") == PAY

    async def ask(self, live: Live) -> None:
        """Ask for an approval."""
        intent = Intent(
            caller=Caller(live.run_id, 1, self.at()),
            call_id=self.ids.new(EFFECT),
            approval_id=self.ids.new(APPROVAL),
            tool="pay",
            arguments={"amount": 7},
            digest=digest_of({"amount": 7}),
            nth=1,
            key=None,
            replay=Replay.NEVER,
            asks=True,
        )
        intended = await self.store.effects.intend(self.lease, intent)
        assert intended.approval_id == intent.approval_id
        self._asked = intent.approval_id

    async def decide(self, live: Live) -> None:
        """Approve it."""
        ask = DecideApproval(decision=Answering.APPROVE)
        answer, _ = await self.store.approvals.decide(Stamp(self.at(), ADA), self._asked, ask)
        assert answer.value.run_id == live.run_id

    async def stop(self, live: Live) -> None:
        """Interrupt the run."""
        stamp = Stamp(self.at(), ADA)
        await self.store.interrupt(stamp, live.session_id, InterruptRun(), self.lease, self.ids.new(RUN))

    async def timed(self, chosen: Sequence[Live]) -> dict[str, float]:
        """The median of each command over the chosen runs, in milliseconds."""
        took: dict[str, list[float]] = {}
        for live in chosen:
            for name, step in self._steps().items():
                began = time.perf_counter()
                await step(live)
                took.setdefault(name, []).append((time.perf_counter() - began) * 1e3)
        return {name: quantile(values, 0.5) for name, values in took.items()}

    def _steps(self) -> dict[str, Callable[[Live], Awaitable[None]]]:
        return {
            "steering admitted": self.steer,
            "steering taken": self.take,
            "grant looked up": self.grant,
            "approval asked for": self.ask,
            "approval decided": self.decide,
            "interrupt written": self.stop,
        }


async def run(folder: Path, rounds: int, size: Size = USUAL) -> list[Figure]:
    """Time the commands among few live runs and among many, each command on a run of its own."""
    with TemporaryDirectory(dir=folder) as home:
        bench = await _opened(Path(home))
        try:
            few = [await _round(bench, size.few, size.commands) for _ in range(rounds)]
            many = [await _round(bench, size.many, size.commands) for _ in range(rounds)]
        finally:
            bench.store.close()
    return [_figure(size, name, few, many) for name in few[0]]


async def _round(bench: Bench, runs: int, commands: int) -> dict[str, float]:
    """Fill up, then take the commands' runs from all over the crowd. They are used up by that."""
    await bench.grow(runs)
    step = max(1, len(bench.live) // commands)
    chosen = bench.live[::step][:commands]
    used = set(chosen)
    bench.live = [live for live in bench.live if live not in used]
    return await bench.timed(chosen)


async def _opened(folder: Path) -> Bench:
    most = 1 << 30
    limits = Limits(open_sessions=most, open_sessions_per_user=most, live_runs=most, live_runs_per_user=most)
    rules = Rules(limits=limits, terms={AGENT: TERMS})
    lane = ThreadLane(str(folder / "lookups.db"), NoLandmarks(), _broken)
    store = await SqliteStore.opened(lane, rules, RandomIds())
    bench = Bench(store, await store.join(Micros(0)))
    ask = CreateKey(user=ADA.user, role=ADA.role, tenant=ADA.tenant)
    await store.create_key(Stamp(bench.at(), ADA), ask, bench.ids.new(KEY), b"secret")
    return bench


def _broken(reason: str) -> NoReturn:
    raise RuntimeError(reason)


def _figure(size: Size, name: str, few: list[dict[str, float]], many: list[dict[str, float]]) -> Figure:
    """A command among many live runs, with the same among few as its floor."""
    return Figure(
        work="look-ups",
        name=f"{name} p50, {size.many:,} live runs",
        unit="ms",
        values=tuple(each[name] for each in many),
        floor_of=f"{size.few:,} live runs",
        floors=tuple(each[name] for each in few),
        bar=Target(most=1.5),
    )
