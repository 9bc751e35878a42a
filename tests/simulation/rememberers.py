"""An agent that has itself reminded. What it asks for is drawn from its message, so attempts are alike."""

import asyncio
import random
from collections.abc import AsyncGenerator

from tenure.core.grant import HISTORY, RECALLS, Descriptor, Policy
from tenure.core.output import Output, Text, completed, failed
from tenure.core.scheduling import Recall
from tenure.errors import Code, TenureError
from tenure.host.catalogue import Agent
from tenure.ports.runner import RunContext
from tests.simulation.almanac import Almanac

POLICY = Policy(deadline_s=60.0, max_attempts=4)


class Rememberer:
    """Makes schedules of its own, and ends some of them."""

    descriptor = Descriptor(runner="rememberer", permissions=(HISTORY, RECALLS))

    def __init__(self, almanac: Almanac) -> None:
        self._almanac = almanac

    async def run(self, context: RunContext) -> AsyncGenerator[Output, None]:
        """One attempt."""
        draw = random.Random(context.message.text)
        for _ in range(0 if "enough" in context.message.text else draw.randint(1, 2)):
            yield Text(await self._step(context, draw))
            await asyncio.sleep(draw.choice((0.0, 0.3, 2.0)))
        yield completed() if draw.random() < 0.8 else failed("drawn", retryable=True)

    async def _step(self, context: RunContext, draw: random.Random) -> str:
        ask = drawn_recall(draw)
        ends = draw.random() < 0.2
        try:
            info = await context.recalls.schedule(ask)
            self._almanac.recalled(context.run_id, ask, info)
            if ends:
                await context.recalls.cancel(info.id)
        except TenureError as refusal:
            if refusal.code is Code.FENCED:
                raise
            return f"{refusal.code} "
        return "remembered "


def drawn_recall(draw: random.Random) -> Recall:
    """Once, or a few times."""
    words = f"{draw.choice(('again', 'enough', 'enough'))} {draw.randint(0, 99)}\n@ of the agent"
    if draw.random() < 0.5:
        return Recall(message=words, in_s=draw.choice((0.5, 3.0, 20.0)))
    return Recall(message=words, every_s=draw.choice((1, 5)), max_runs=draw.choice((1, 2)))


def rememberer(almanac: Almanac) -> Agent:
    """It asks for the right to recall."""
    return Agent(name="remembering", runner=Rememberer(almanac), policy=POLICY)
