"""Schedules in which agents call tools and people decide: what a ledger must never let happen.

The tools keep count outside the simulated hosts, as the world outside does: a host that dies forgets what
it did, the world doesn't.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from functools import partial

from tenure.core.approval import ApprovalState
from tenure.core.command import Answering, DecideApproval, Remember
from tenure.core.entry import Recorded, lines_of, record
from tenure.core.event import ApprovalRequested, ApprovalResolved, ToolCallCompleted, ToolCallStarted
from tenure.core.grant import Descriptor, Policy
from tenure.core.ledger import digest_of
from tenure.core.limits import Limits
from tenure.core.output import Output, Text, completed
from tenure.core.principal import Role
from tenure.core.rules import Rules
from tenure.core.run import RunState
from tenure.core.tool import ALWAYS, NEVER, ApprovalRule, Arguments, Replay, ToolInfo
from tenure.errors import TenureError
from tenure.host.catalogue import Agent, Catalogue
from tenure.host.host import Host, Parts
from tenure.ports.approvals import ApprovalFilter
from tenure.ports.runner import RunContext
from tenure.ports.tool import Outcome, Tool, ToolCall, Verified
from tenure.stores.sqlite.store import SqliteStore
from tests.simulation.chaos import chaos
from tests.simulation.judge import judge
from tests.simulation.lane import SimLane
from tests.simulation.loop import SimLoop
from tests.simulation.people import Client
from tests.simulation.schedule import USERS, catch_up, settle_down
from tests.simulation.schedule import Outcome as Told
from tests.simulation.world import DAY, ROOT, Life, SimClock, SimLandmarks, Unreachable, World

POLICY = Policy(deadline_s=60.0, max_attempts=20, tools=("*",))
PATIENCE_S = 3_600
OPEN = ApprovalFilter(None, None, ApprovalState.PENDING)
"""Every approval that waits for somebody."""


class Ledgers:
    """What the tools did, as the world outside remembers it."""

    def __init__(self) -> None:
        self.made: list[tuple[str, str, Arguments]] = []
        """Tool, call and arguments of every call, in order."""

    def counts(self) -> Counter[tuple[str, str]]:
        """How often each call of each tool was made."""
        return Counter((tool, call_id) for tool, call_id, _ in self.made)


class WorldlyTool:
    """A tool whose effects outlive the host that called it."""

    def __init__(
        self, ledgers: Ledgers, name: str, approval: ApprovalRule, replay: Replay, draw: random.Random
    ) -> None:
        self.info = ToolInfo(name=name, description="", parameters={"type": "object"})
        self.source = "python:simulation"
        self.approval = approval
        self.replay = replay
        self.role = Role.VIEWER
        self._ledgers = ledgers
        self._draw = draw

    def check(self, arguments: Arguments) -> None:
        """Anything fits."""

    async def call(self, call: ToolCall) -> object:
        """Do it at once or a little later, and answer later still; now and then it fails."""
        await asyncio.sleep(self._draw.choice((0.0, 0.01, 0.5)))
        self._ledgers.made.append((self.info.name, call.idempotency_key, call.arguments))
        await asyncio.sleep(self._draw.choice((0.0, 0.01, 2.0)))
        if self._draw.random() < 0.1:
            raise ValueError("it broke afterwards")
        return call.arguments

    async def verify(self, call: ToolCall) -> Verified:
        """It knows what it did."""
        done = (self.info.name, call.idempotency_key) in self._ledgers.counts()
        return Verified(outcome=Outcome.DONE if done else Outcome.NOT_DONE, result="verified")


class Bench:
    """All tools of a simulated host."""

    def __init__(self, ledgers: Ledgers, draw: random.Random) -> None:
        kinds = (
            ("look", NEVER, Replay.SAFE),
            ("pay", NEVER, Replay.NEVER),
            ("ship", NEVER, Replay.VERIFY),
            ("ask", ALWAYS, Replay.SAFE),
            ("mail", ALWAYS, Replay.NEVER),
        )
        self._tools = {kind[0]: WorldlyTool(ledgers, *kind, draw) for kind in kinds}

    def get(self, name: str) -> Tool | None:
        """One of them."""
        return self._tools.get(name)

    def all(self) -> tuple[Tool, ...]:
        """All of them."""
        return tuple(self._tools.values())

    def on_change(self, listener: Callable[[], None]) -> None:
        """They never change."""


TOOLS = ("look", "pay", "ship", "ask", "mail")


class CallingRunner:
    """Calls tools, one after the other or several at once, as its message draws it."""

    descriptor = Descriptor(runner="calling")

    async def run(self, context: RunContext) -> AsyncGenerator[Output, None]:
        draw = random.Random(context.message.text)
        for step in range(draw.randint(1, 4)):
            yield Text(f"s{step} ")
            calls = [self._call(context, draw, step) for _ in range(draw.choice((1, 1, 1, 3)))]
            results = await asyncio.gather(*calls)
            yield Text(" ".join(results))
        yield completed()

    def _call(self, context: RunContext, draw: random.Random, step: int) -> Awaitable[str]:
        name, again = draw.choice(TOOLS), draw.randint(0, 1)
        # Now and then an attempt says it in other words, as a model would.
        words = min(context.attempt, 3) if draw.random() < 0.15 else 0
        key = f"k{step}" if draw.random() < 0.1 else None
        patience = 0.7 if draw.random() < 0.1 else None
        return _told(context, name, {"step": step if again else 0, "words": words}, key, patience)


async def _told(
    context: RunContext, name: str, arguments: Arguments, key: str | None, patience: float | None
) -> str:
    try:
        async with asyncio.timeout(patience):
            await context.tools.call(name, arguments, key=key)
    except TimeoutError:
        return "left"
    except TenureError as refusal:
        return refusal.code
    return "ok"


class CallingWorld(World):
    """A world whose agents call tools."""

    def __init__(self, loop: SimLoop, seed: int, limits: Limits) -> None:
        super().__init__(loop, seed, limits)
        self.ledgers = Ledgers()
        self._tool_draw = random.Random(f"tools {seed}")

    async def _start(self, node: str, over: "asyncio.Future[None]") -> Life:
        landmarks = SimLandmarks(self, node)
        agents = Catalogue(
            [Agent(name=name, runner=CallingRunner(), policy=POLICY) for name in ("scripted", "quirky")]
        )
        lane = SimLane(self.loop, self.disk, landmarks)
        rules = Rules(limits=self.limits, terms=agents.terms())
        store = await SqliteStore.opened(lane, rules, self.ids)
        clock = SimClock(self.loop, self.draw.randint(-DAY // 100, DAY // 100))
        host = Host(
            Parts(
                store=store,
                clock=clock,
                ids=self.ids,
                catalogue=agents,
                tools=Bench(self.ledgers, self._tool_draw),
                limits=self.limits,
                landmarks=landmarks,
                folders=self.disk.folders,
                version="calling",
            )
        )
        await host.start()
        return Life(node, host, store, lane, over, clock)


class Decider(Client):
    """A client that also answers what runs ask."""

    async def decide(self) -> None:
        """Answer one of the open questions, rightfully or not."""
        try:
            page = await self.world.ask(lambda life: life.store.approvals.page(OPEN, None, 100))
        except (TenureError, Unreachable):
            return
        if not page.data:
            return
        info = self.draw.choice(page.data)
        draw = self.draw.random()
        wish = DecideApproval(
            decision=Answering.APPROVE if draw < 0.7 else Answering.DENY,
            arguments={"edited": self.asked} if draw < 0.15 else None,
            remember=Remember.SESSION if 0.2 < draw < 0.3 else None,
        )
        answer = await self.command(
            f"decide {info.id[-4:]} {wish.decision}",
            lambda life, idem: life.host.approvals.decide(self.user, info.id, wish, idem),
        )
        if answer is not None:
            self.note(info.session_id, None, "approval.resolved", info.id)

    async def act(self, steps: int) -> None:
        """What any client does, and answers in between."""
        for _ in range(steps):
            await super().act(1)
            if self.draw.random() < 0.7:
                await self.decide()


def run(seed: int) -> Told:
    """Run the schedule of `seed`."""
    loop = SimLoop(seed, shuffle=seed % 4 != 0)
    draw = random.Random(f"calling {seed}")
    limits = Limits(
        live_runs=draw.choice((1, 2, 100)),
        approval_ttl_s=draw.choice((3, 86_400)),
        hold_s=draw.choice((0.5, 900)),
        held_runs=draw.choice((0, 1, 1_000)),
    )
    world = CallingWorld(loop, seed, limits)
    try:
        loop.run(_live(world, seed, draw))
    except (AssertionError, RuntimeError) as error:
        world.fault(f"{type(error).__name__}: {error}")
    finally:
        world.faults += [f"a callback raised {fault.get('exception')!r}" for fault in loop.faults]
        told = Told(world.faults, world.log, loop.trace, loop.steps, world.disk.journals())
        loop.close()
        world.close()
    return told


async def _live(world: CallingWorld, seed: int, draw: random.Random) -> None:
    await world.boot()
    await world.welcome(USERS)
    clients = [Decider(world, draw.choice(USERS), n, seed) for n in range(draw.randint(1, 3))]
    acting = [world.loop.spawn(c.name, c.act(draw.randint(6, 16))) for c in clients]
    trouble = world.loop.spawn("chaos", chaos(world, draw))
    await asyncio.gather(*acting)
    trouble.cancel()
    await _answer_all(world)
    await settle_down(world)
    await catch_up(world, [reader for client in clients for reader in client.readers])
    await judge(world)
    await judge_calls(world)


async def _answer_all(world: CallingWorld) -> None:
    """Every question is answered, until there is none and nothing runs that could ask another."""
    world.trap.landmark = None
    if world.life is None or world.life.host.draining:
        world.kill("in the middle of its start or stop")
    await world.boot()
    life = await world.living()
    quiet = 0
    while quiet < 10:
        await asyncio.sleep(0.5)
        page = await life.store.approvals.page(OPEN, None, 100)
        for info in page.data:
            with suppress(TenureError, Unreachable):
                await world.ask(partial(_approve, approval_id=info.id))
        figures = await life.store.figures()
        quiet = 0 if page.data or figures.live_runs or figures.queued_runs else quiet + 1
        if world.loop.time() > PATIENCE_S:
            world.fault(f"no quiet: {figures}, {len(page.data)} questions")
            return


async def _approve(life: Life, approval_id: str) -> None:
    ask = DecideApproval(decision=Answering.APPROVE)
    await life.host.approvals.decide(ROOT, approval_id, ask, None)


# --- the judgement


async def judge_calls(world: CallingWorld) -> None:
    """What was done, against what was asked, approved and told."""
    life = await world.living()
    if await life.store.approvals.next_at() is not None:
        world.fault("an approval is pending although nothing runs")
    unsafe = {"pay", "mail", "ship"}
    for (tool, call_id), count in world.ledgers.counts().items():
        if tool in unsafe and count > 1:
            world.fault(f"the call {call_id} of {tool} was made {count} times")
    for session_id in await life.store.session_ids("", 1_000):
        stored = await life.store.audit(session_id)
        waiting = [run.run_id for run in stored.runs if run.state == RunState.WAITING] if stored else []
        if waiting:
            world.fault(f"{waiting} of {session_id} wait for nobody")
    journals = [await _journal(life, each) for each in await life.store.session_ids("", 1_000)]
    calls: dict[str, Call] = {}
    for journal in journals:
        for recorded in journal:
            _take(calls, recorded)
    for tool, call_id, arguments in world.ledgers.made:
        call = calls.get(call_id)
        if call is None:
            continue  # its session was deleted
        for fault in call.faults_of(tool, arguments):
            world.fault(f"the call {call_id} of {tool} {fault}")
    for call_id, call in calls.items():
        if not call.ends:
            world.fault(f"the call {call_id} was never closed")
        if call.ends.count("ok") > 1 or (call.ends and "denied" in call.ends and "ok" in call.ends):
            world.fault(f"the call {call_id} ended as {call.ends}")


class Call:
    """What a journal says of one call."""

    def __init__(self) -> None:
        self.tool = ""
        self.arguments: Arguments = {}
        self.decisions: list[str] = []
        self.asked = False
        self.ends: list[str] = []

    def faults_of(self, tool: str, arguments: Arguments) -> list[str]:
        """What is wrong with its having been made so."""
        faults: list[str] = []
        if self.asked and self.decisions != ["granted"]:
            faults.append(f"was made although it was {self.decisions}")
        if tool in ("ask", "mail") and not self.asked:
            faults.append("was made although nobody was asked")
        if digest_of(arguments) != digest_of(self.arguments):
            faults.append(f"was made with {arguments} instead of {self.arguments}")
        return faults


def _take(calls: dict[str, Call], recorded: Recorded) -> None:
    match recorded.event:
        case ToolCallStarted(call_id=call_id, tool=tool, arguments=arguments):
            call = calls.setdefault(call_id, Call())
            if not call.tool:
                call.tool, call.arguments = tool, arguments
        case ToolCallCompleted(call_id=call_id, status=status, replayed=False):
            calls.setdefault(call_id, Call()).ends.append(status)
        case ApprovalRequested(call_id=call_id, approval_id=approval_id):
            calls.setdefault(call_id, Call()).asked = True
            calls[approval_id] = calls[call_id]
        case ApprovalResolved(approval_id=approval_id, decision=decision, arguments=edited):
            calls[approval_id].decisions.append(decision)
            if edited is not None:
                calls[approval_id].arguments = edited
        case _:
            pass


async def _journal(life: Life, session_id: str) -> list[Recorded]:
    stored = await life.store.audit(session_id)
    if stored is None or stored.state == "deleted":
        return []
    return [
        record(seq, b"{" + rest)
        for span in stored.spans
        for seq, rest in enumerate(lines_of(span.body), span.first)
    ]
