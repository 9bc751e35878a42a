"""What users test their agents with: a rehearsal without a host, a small host, a clock that tests move.

`rehearse` is enough for what an agent says. `hosting` runs it on a real host, with journal, grant,
interrupts and deadlines. For runners of your own there is a contract suite, which needs pytest:
`tenure.testing.runners`.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

import msgspec

from tenure.core.command import CreateKey, InterruptRun, OpenSession, SendMessage
from tenure.core.content import Content
from tenure.core.entry import Recorded, lines_of, record
from tenure.core.event import RunFinished, RunStarted
from tenure.core.limits import Limits
from tenure.core.moment import SECOND, Micros
from tenure.core.output import Output
from tenure.core.principal import DEFAULT_TENANT, Principal, Role
from tenure.core.rules import Rules
from tenure.core.scheduling import CreateSchedule, Recall, ScheduleInfo
from tenure.core.view import InterruptReceipt, MessageReceipt, TranscriptItem
from tenure.host.admission import secret_hash
from tenure.host.catalogue import Agent, Catalogue
from tenure.host.clock import RandomIds, SystemClock
from tenure.host.fanout import Delivery, Ended
from tenure.host.host import Host, Parts
from tenure.ports.landmarks import NoLandmarks
from tenure.runners.agent import AnyAgent
from tenure.runners.demo.scripted import ScriptedRunner
from tenure.runners.inprocess import InProcessRunner
from tenure.runners.rehearsal import FakeMessage, FakeRun, spoken
from tenure.stores.folders import DiskFolders
from tenure.stores.sqlite.lane import ThreadLane
from tenure.stores.sqlite.store import SqliteStore
from tenure.tools.calling import FunctionTool
from tenure.tools.function import AnyTool
from tenure.tools.registry import Registry

__all__ = [
    "Agent",
    "FakeMessage",
    "FakeRun",
    "HostedSession",
    "ManualClock",
    "ScriptedRunner",
    "SmallHost",
    "hosting",
    "rehearse",
    "spoken",
]

PATIENCE_S = 30.0
"""How long `HostedSession` waits for a run, in seconds."""

_NOVEMBER_2026 = Micros(1_793_491_200 * SECOND)
_GENEROUS = Limits()
_SECRET = "tnr_" + "0" * 43


class ManualClock:
    """A `Clock` that stands still until a test moves it. It begins at the given instant."""

    def __init__(self, now: Micros = _NOVEMBER_2026) -> None:
        self._now = int(now)
        self._monotonic = 0.0

    def now(self) -> Micros:
        """Wall time in microseconds since 1970 UTC."""
        return Micros(self._now)

    def monotonic(self) -> float:
        """Seconds that `advance` has let pass."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass, on both clocks. Raises ValueError if it should go backwards."""
        if seconds < 0:
            raise ValueError(f"Time can't pass by {seconds} s. To set the wall clock, use `jump`.")
        self._monotonic += seconds
        self._now += round(seconds * SECOND)

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back, as an operator or a time server may."""
        self._now += round(seconds * SECOND)


async def rehearse(agent: AnyAgent, message: Content | FakeRun = "") -> list[Output]:
    """Everything that `agent` puts out for a message, its verdict included.

    Give a `FakeRun` instead of the message to choose what the run may use, or to stop it. What the
    agent raises is raised here.
    """
    run = message if isinstance(message, FakeRun) else FakeRun(message)
    return [output async for output in InProcessRunner(agent).run(run)]


class HostedSession:
    """One session of a `SmallHost`, and the user who talks in it."""

    def __init__(self, host: Host, by: Principal, session_id: str) -> None:
        self._host = host
        self._by = by
        self.session_id = session_id

    async def say(self, content: Content) -> list[Recorded]:
        """Send a message and wait until a run has answered it; returns that run's events.

        Raises TimeoutError if that takes longer than PATIENCE_S.
        """
        receipt = await self.send(content)
        return await self.answer(receipt)

    async def send(self, content: Content) -> MessageReceipt:
        """Send a message and don't wait for its run."""
        ask = SendMessage(content=content)
        return (await self._host.commands.send(self._by, self.session_id, ask, None)).value

    async def schedule(self, recall: Recall) -> ScheduleInfo:
        """Have something said later in this session. Raises TenureError `invalid`, `capacity`."""
        ask = CreateSchedule(**msgspec.structs.asdict(recall), session_id=self.session_id)
        return (await self._host.scheduling.create(self._by, ask, None)).value

    async def stop(self, *, force: bool = False) -> InterruptReceipt:
        """Interrupt the live run. Raises TenureError `not_running` if there is none."""
        ask = InterruptRun(force=force)
        return (await self._host.commands.interrupt(self._by, self.session_id, ask, None)).value

    async def answer(self, receipt: MessageReceipt) -> list[Recorded]:
        """The events of the run that took the message, once it has ended."""
        events: list[Recorded] = []
        run_id = receipt.run_id
        async with contextlib.aclosing(self.events(after=receipt.seq - 1)) as journal:
            async for event in journal:
                if isinstance(event.event, RunStarted) and event.event.trigger.message == receipt.message_id:
                    run_id = event.run_id
                if run_id is not None and event.run_id == run_id:
                    events.append(event)
                    if isinstance(event.event, RunFinished):
                        break
        return events

    async def events(self, after: int = 0) -> AsyncGenerator[Recorded, None]:
        """The session's events after `after`, as they come. Raises TimeoutError after a long silence."""
        with await self._host.fanout.follow(self.session_id, after) as follower:
            while True:
                async with asyncio.timeout(PATIENCE_S):
                    step = await follower.next()
                if isinstance(step, Ended):
                    return
                if isinstance(step, Delivery):
                    for seq, line in enumerate(lines_of(step.body), step.first):
                        yield record(seq, b"{" + line)

    async def transcript(self) -> tuple[TranscriptItem, ...]:
        """What was said so far, oldest first: the first thousand messages."""
        return (await self._host.store.transcript(self.session_id, None, 1_000)).data


class SmallHost:
    """A host with a few agents, and one user, `ada`, who may talk to them."""

    def __init__(self, host: Host, by: Principal, clock: ManualClock | None = None) -> None:
        self.host = host
        self._by = by
        self._clock = clock

    async def advance(self, seconds: float) -> None:
        """Let time pass by the host's `ManualClock`, and admit each scheduled run when its instant comes.

        The runs go on by themselves; wait for their events. Raises ValueError for a host that has no such
        clock, TimeoutError if something is due and can't be admitted for longer than PATIENCE_S.
        """
        if self._clock is None:
            raise ValueError("This host goes by the machine's clock. Give `hosting` a ManualClock.")
        until = Micros(self._clock.now() + round(seconds * SECOND))
        async with asyncio.timeout(PATIENCE_S):
            while (at := await self.host.store.schedules.next_at()) is not None and at <= until:
                self._clock.advance(max(0, at - self._clock.now()) / SECOND)
                await self.host.recalls.see_to_it()
                await asyncio.sleep(0)
        self._clock.advance((until - self._clock.now()) / SECOND)

    async def open(self, agent: str) -> HostedSession:
        """Open a session. Raises TenureError `unknown_agent` if the host hasn't that agent."""
        opened = await self.host.commands.open_session(self._by, OpenSession(agent=agent), None)
        return HostedSession(self.host, self._by, opened.value.id)


@asynccontextmanager
async def hosting(
    *agents: AnyAgent | Agent,
    limits: Limits = _GENEROUS,
    tools: Iterable[AnyTool] = (),
    clock: ManualClock | None = None,
) -> AsyncGenerator[SmallHost, None]:
    """A real host with these agents and tools, on a store in a folder that is gone afterwards.

    Give an `Agent` to bring a runner or a policy of your own:
    `Agent(name="scripted", runner=ScriptedRunner())`. With a `ManualClock` nothing that is scheduled falls
    due before `advance` lets time pass.
    """
    catalogue = Catalogue(a if isinstance(a, Agent) else _in_process(a) for a in agents)
    rules = Rules(limits=limits, terms=catalogue.terms())
    with TemporaryDirectory(prefix="tenure-") as folder:
        lane = ThreadLane(str(Path(folder, "tenure.db")), NoLandmarks(), _broken)
        store = await SqliteStore.opened(lane, rules, RandomIds())
        parts = _parts(store, catalogue, limits, Path(folder, "sessions"))
        registry = Registry(FunctionTool(tool) for tool in tools)
        host = Host(msgspec.structs.replace(parts, tools=registry, clock=clock or parts.clock))
        try:
            await host.start()
            yield SmallHost(host, await _ada(host), clock)
        finally:
            await host.stop()
            store.close()


def _in_process(agent: AnyAgent) -> Agent:
    runner = InProcessRunner(agent)
    return Agent(name=agent.name, runner=runner, policy=agent.policy, summarize=agent.summarize)


def _parts(store: SqliteStore, catalogue: Catalogue, limits: Limits, sessions: Path) -> Parts:
    return Parts(
        store=store,
        clock=SystemClock(),
        ids=RandomIds(),
        catalogue=catalogue,
        limits=limits,
        landmarks=NoLandmarks(),
        folders=DiskFolders(sessions),
        version="testing",
    )


async def _ada(host: Host) -> Principal:
    root = Principal(tenant=DEFAULT_TENANT, user="root", role=Role.ADMIN, key_id="", root=True)
    await host.commands.create_key(root, CreateKey(user="ada", role=Role.MEMBER), None, _SECRET)
    ada = await host.store.principal(secret_hash(_SECRET), host.clock.now())
    assert ada is not None
    return ada


def _broken(reason: str) -> NoReturn:
    raise RuntimeError(reason)
