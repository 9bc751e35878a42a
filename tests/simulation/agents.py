"""Agents for the simulation: the scripted demo agent, and one that misbehaves at the runner port."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable

from tenure.core.grant import Descriptor, Policy
from tenure.core.output import (
    Output,
    Reasoning,
    Said,
    Spent,
    Text,
    ToolCompleted,
    ToolStarted,
    Usage,
    completed,
    failed,
)
from tenure.host.catalogue import Agent, Catalogue
from tenure.ports.runner import RunContext
from tenure.runners.demo.scripted import ScriptedRunner
from tests.simulation.almanac import Almanac
from tests.simulation.outside import Outside
from tests.simulation.rememberers import rememberer
from tests.simulation.workers import workers

POLICY = Policy(deadline_s=40.0, idle_s=25.0, max_attempts=3, max_output_bytes=200_000)


class QuirkyRunner:
    """Says, thinks, calls tools and spends in a drawn order; now and then it breaks the port's rules.

    What it does is drawn from the run's message alone, so that every attempt is alike.
    """

    descriptor = Descriptor(runner="quirky")

    async def run(self, context: RunContext) -> AsyncGenerator[Output, None]:
        draw = random.Random(context.message.text)
        for step in range(draw.randint(0, 12)):
            if context.stopping and draw.random() < 0.7:
                return
            yield draw.choice(_QUIRKS)(draw, step)
            if draw.random() < 0.5:
                await _pause(draw)
        ending = draw.random()
        if ending < 0.15:
            yield failed("drawn", retryable=True)
        elif ending < 0.9:
            yield completed()
        if ending > 0.7:
            yield Text("too late")


async def _pause(draw: random.Random) -> None:
    try:
        await asyncio.sleep(draw.choice((0.0, 0.01, 0.3, 2.0)))
    except asyncio.CancelledError:
        if draw.random() < 0.5:
            raise


def _garbage(_: random.Random, step: int) -> Output:
    nonsense: object = {"step": step}
    return nonsense  # pyright: ignore[reportReturnType] - that is the point


_QUIRKS: tuple[Callable[[random.Random, int], Output], ...] = (
    lambda _, step: Text(f"t{step} "),
    lambda _, step: Text(f"u{step} "),
    lambda draw, step: Text(f"n{step} ", sequence=draw.choice((step, 1, 5, "x", -3))),
    lambda _, step: Reasoning(f"r{step} "),
    lambda _, step: Said(f"whole {step}"),
    lambda _, step: ToolStarted(call_id=f"call_{step}", tool="look", arguments={"at": step}),
    lambda _, step: ToolCompleted(call_id=f"call_{step - 1}", status="ok", result=step),
    lambda _, step: Spent(Usage(model="m", input_tokens=step, output_tokens=1, cost=0.5)),
    _garbage,
)


def catalogue(outside: Outside, almanac: Almanac) -> Catalogue:
    """All agents, on terms that end every run in good time."""
    return Catalogue(
        [
            Agent(name="scripted", runner=ScriptedRunner(), policy=POLICY),
            Agent(name="quirky", runner=QuirkyRunner(), policy=POLICY),
            *workers(outside),
            rememberer(almanac),
        ]
    )


def script(draw: random.Random) -> str:
    """A message for either agent: a few orders, most of them quick."""
    return "\n".join(draw.choice(_ORDERS)(draw) for _ in range(draw.randint(1, 3)))


_ORDERS: tuple[Callable[[random.Random], str], ...] = (
    lambda draw: f"SAY hello {draw.randint(0, 9)}",
    lambda draw: f"SLOW {draw.randint(1, 12)} {draw.choice((1, 50, 100, 700))}",
    lambda draw: f"SLOW {draw.randint(1, 6)} 20",
    lambda draw: f"BURST {draw.randint(1, 80)} 30",
    lambda draw: f"REASON let me see {draw.randint(0, 9)}",
    lambda _: "SEQ 0,1,1,x,5",
    lambda _: "FAIL drawn",
    lambda _: "CRASH",
    lambda _: "VANISH",
    lambda draw: "HANG" if draw.random() < 0.5 else "SAY no",
    lambda draw: f"just words {draw.randint(0, 9)}",
)
