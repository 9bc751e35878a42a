"""Agents that do everything a run may do: call tools, take steering, keep state, wait, and crash.

What one does is drawn from its run's message alone, so that every attempt asks for the same; the fickle
one changes its mind with each attempt.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import NamedTuple

import msgspec

from tenure.core.effect import CallStatus
from tenure.core.grant import Budget, BudgetScope, Capabilities, Descriptor, Policy, StatePolicy
from tenure.core.output import Output, Reasoning, Said, Spent, Text, Usage, completed, failed
from tenure.core.tool import Arguments
from tenure.errors import Code, TenureError
from tenure.host.catalogue import Agent
from tenure.ports.runner import RunContext
from tests.simulation.outside import OWN, TOOLS, Counted, Outside, Taken, Told, Wish

COUNTER = "count"
PATIENCE = 50
STATE = StatePolicy(scopes=("conversation", "actor", "runner"))
WORK = Policy(deadline_s=60.0, idle_s=40.0, max_attempts=3, tools=("*",), state=STATE)
LEAN = Policy(
    deadline_s=60.0,
    max_attempts=4,
    tools=("*",),
    state=STATE,
    budget=Budget(tool_calls=3, tokens=200, scope=BudgetScope.SESSION, ask_at=0.7),
)
SPARE = Policy(deadline_s=60.0, tools=("*",), budget=Budget(tool_calls=2, scope=BudgetScope.RUN))
BUDGETS = {"lean": LEAN.budget, "spare": SPARE.budget}


class Worker:
    """Works through a few steps that its message draws."""

    def __init__(self, outside: Outside, *, fickle: bool = False, resumes: bool = False) -> None:
        capabilities = Capabilities(tools=True, steering=True, approvals=True, resume=resumes)
        self.descriptor = Descriptor(runner="worker", capabilities=capabilities)
        self._outside = outside
        self._fickle = fickle

    async def run(self, context: RunContext) -> AsyncGenerator[Output, None]:
        """One attempt."""
        seed = f"{context.message.text} {context.attempt if self._fickle else ''}"
        draw = random.Random(seed)
        steps, since = draw.randint(1, 6), context.attempt
        if context.resumed:
            left = await _left(context)
            steps, since = left.steps, left.since
            draw.setstate((left.state[0], tuple(left.state[1]), left.state[2]))
        job = Job(context, self._outside, draw, since)
        for step in range(steps, 0, -1):
            self._outside.working(context.run_id)
            if self.descriptor.capabilities.resume:
                await context.checkpoints.save(msgspec.json.encode(Left(step, since, draw.getstate())))
            if context.stopping and draw.random() < 0.7:
                return
            (step,) = draw.choices(STEPS, weights=[weight for _, weight in STEPS])
            for output in await step[0](job):
                yield output
        await job.take_the_rest()
        ending = draw.random()
        if ending < 0.1:
            yield failed("drawn", retryable=True)
        elif ending < 0.15:
            raise RuntimeError("This was drawn.")
        elif ending < 0.95:
            yield completed()


class Left(NamedTuple):
    """What a worker that resumes finds again: steps to take, where it began anew, and what it will draw."""

    steps: int
    since: int
    state: tuple[int, Sequence[int], float | None]


async def _left(context: RunContext) -> Left:
    """The checkpoint of a run that goes on. There is one, else the run wouldn't have been resumed."""
    data = await context.checkpoints.load()
    assert data is not None, "a run goes on without a checkpoint"
    return msgspec.json.decode(data, type=Left)


class Job(NamedTuple):
    """One attempt at work. `since` is the attempt that began it anew."""

    context: RunContext
    outside: Outside
    draw: random.Random
    since: int

    async def call(self, tool: str, arguments: Arguments, key: str | None = None) -> list[Output]:
        """Call a tool, and note what was asked and answered."""
        wish = Wish(self.context.run_id, self.since, tool, dict(arguments), key)
        self.outside.wishes.append(wish)
        try:
            result = await self.context.tools.call(tool, arguments, key=key)
        except TenureError as refusal:
            self.outside.told.append(Told(wish, refusal.code, None))
            if refusal.code is Code.FENCED:
                raise
            return [Text(f"{tool}: {refusal.code} ")]
        self.outside.told.append(Told(wish, None, result))
        return [Text(f"{tool}: done ")]

    async def take(self, mode: str, limit: int | None = None) -> list[Output]:
        """Take steering."""
        taken = await self.context.steering.take(mode, limit)
        about = self.context.run_id, self.context.attempt
        self.outside.taken += [Taken(*about, message.id, message.redelivered) for message in taken]
        return [Text(f"steered by {message.id[-4:]} ") for message in taken]

    async def take_the_rest(self) -> None:
        """Take what waits at the end. A run that still waits for a decision gets nothing until it goes on."""
        for _ in range(PATIENCE):
            if not self.context.steering.pending or self.context.stopping:
                return
            if not await self.take("all"):
                await asyncio.sleep(0.2)


def drawn_call(draw: random.Random) -> tuple[str, Arguments]:
    """A tool, and arguments that say how it behaves."""
    does = draw.choice(("it", "it", "it", "it", "it", "fail", "refuse", "shrug", "hang"))
    wanted: Arguments = {
        "n": draw.randint(1, 9),
        "does": does,
        "before_s": draw.choice((0, 0, 0.05, 0.5, 3)),
        "after_s": draw.choice((0, 0, 0.01, 0.5, 2)),
    }
    if draw.random() < 0.2:
        wanted["forgets"] = True
    if draw.random() < 0.05:
        wanted["wrong"] = True
    return draw.choice(TOOLS), wanted


async def call_one(job: Job) -> list[Output]:
    return await job.call(*drawn_call(job.draw))


async def call_keyed(job: Job) -> list[Output]:
    """Two calls of a tool under one key, perhaps with other arguments."""
    tool, first = drawn_call(job.draw)
    _, other = drawn_call(job.draw)
    again = job.draw.choice((first, other))
    return [*await job.call(tool, first, key="a"), *await job.call(tool, again, key="a")]


async def call_again(job: Job) -> list[Output]:
    """Exactly the same twice: two calls."""
    tool, wanted = drawn_call(job.draw)
    return [*await job.call(tool, wanted), *await job.call(tool, wanted)]


async def call_several(job: Job) -> list[Output]:
    """All at once, some of them perhaps waiting for people."""
    calls = [drawn_call(job.draw) for _ in range(job.draw.randint(2, 4))]
    # A group, so that none of them outlives the others' cancellation.
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(job.call(tool, wanted)) for tool, wanted in calls]
    return [output for each in asked for output in each.result()]


async def call_and_leave(job: Job) -> list[Output]:
    """Wait for the answer for a while only."""
    call = drawn_call(job.draw)
    try:
        async with asyncio.timeout(job.draw.choice((0.0, 0.001, 0.3, 5.0))):
            return await job.call(*call)
    except TimeoutError:
        return [Text("I left. ")]


async def take_some(job: Job) -> list[Output]:
    mode = job.draw.choice(("one", "all", "all"))
    return await job.take(mode, job.draw.choice((None, 1, 2)) if mode == "all" else None)


async def wait_for_word(job: Job) -> list[Output]:
    """Wait for steering, and take it the moment it comes."""
    try:
        async with asyncio.timeout(job.draw.choice((0.1, 3.0, 8.0))):
            await job.context.steering.wait()
    except TimeoutError:
        return []
    return await job.take("all")


async def count_up(job: Job) -> list[Output]:
    """A step of a counter, by compare and set."""
    state, scope = job.context.state, job.draw.choice(STATE.scopes)
    for _ in range(6):
        try:
            found = await state.get(scope, COUNTER)
            value = int(str(found.value)) + 1 if found is not None else 1
            version = await state.set(
                scope, COUNTER, value, if_version=found.version if found is not None else 0
            )
        except TenureError as refusal:
            if refusal.code is Code.STALE:
                continue
            if refusal.code is Code.FENCED:
                raise
            return [Text(f"state: {refusal.code} ")]
        job.outside.counted.append(Counted(job.context.session_id, scope, version, value))
        return []
    return []


async def forget_count(job: Job) -> list[Output]:
    """Let the counter begin anew."""
    try:
        await job.context.state.delete(job.draw.choice(STATE.scopes), COUNTER)
    except TenureError as refusal:
        if refusal.code is Code.FENCED:
            raise
    return []


async def speak(job: Job) -> list[Output]:
    draw, n = job.draw, job.draw.randint(0, 99)
    await asyncio.sleep(draw.choice((0.0, 0.01, 0.3, 2.0)))
    return [draw.choice((Text(f"t{n} "), Reasoning(f"r{n} "), Said(f"whole {n}")))]


async def spend(job: Job) -> list[Output]:
    return [Spent(Usage(model="m", input_tokens=30, output_tokens=5, cost=0.5))]


async def save(job: Job) -> list[Output]:
    try:
        await job.context.files.save("note.txt", job.draw.randbytes(8))
    except TenureError as refusal:
        if refusal.code is Code.FENCED:
            raise
    return []


async def do_it_myself(job: Job) -> list[Output]:
    """An own call, perhaps named like a tool of the host's: ask, do it, perhaps say what came of it."""
    context, draw = job.context, job.draw
    tool, n = draw.choice(OWN), draw.randint(1, 3)
    settles, before_s = draw.random() < 0.8, draw.choice((0, 0.05, 1))
    permit = await context.own.ask(tool, {"n": n})
    if not permit.granted:
        return [Text(f"{tool}: not permitted ")]
    job.outside.do_by_itself(tool, permit.call_id, context.run_id, context.session_id, permit.arguments)
    await asyncio.sleep(before_s)
    if settles:
        await context.own.settle(permit.call_id, CallStatus.OK, {"call": permit.call_id})
    return [Text(f"{tool}: did it myself ")]


STEPS: tuple[tuple[Callable[[Job], Awaitable[list[Output]]], int], ...] = (
    (call_one, 30),
    (call_several, 12),
    (call_again, 8),
    (call_keyed, 8),
    (call_and_leave, 8),
    (do_it_myself, 14),
    (take_some, 12),
    (wait_for_word, 12),
    (count_up, 14),
    (forget_count, 2),
    (speak, 16),
    (spend, 4),
    (save, 3),
)


def workers(outside: Outside) -> list[Agent]:
    """All of them, on their terms."""
    return [
        Agent(name="diligent", runner=Worker(outside), policy=WORK),
        Agent(name="fickle", runner=Worker(outside, fickle=True), policy=WORK),
        Agent(name="resuming", runner=Worker(outside, resumes=True), policy=WORK),
        Agent(name="lean", runner=Worker(outside), policy=LEAN),
        Agent(name="spare", runner=Worker(outside), policy=SPARE),
    ]


WORKERS = ("diligent", "diligent", "fickle", "resuming", "lean", "spare")
