"""Many more deaths of servers with agents than the tests have, by hand.

python -m tests.crash FIRST LAST [AGENT …]   a home for each seed, over six lives
python -m tests.crash sweep AGENT FIRST LAST     one piece of work, a death before and after each commit
"""

import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from tenure.ports.landmarks import Landmark
from tests.crash.agents import SCRIPTS, AgentLoad, House
from tests.crash.test_agents import die_after, die_at, judged
from tests.models.server import models_aside

LIVES = 6
OFTEN = 120
"""At which passing of a landmark a server dies at the latest."""
SELDOM = {
    Landmark.CALL_BEFORE: 4,
    Landmark.CALL_AFTER: 4,
    Landmark.REAP_BEFORE: 1,
    Landmark.REAP_AFTER: 1,
    Landmark.RUN_SPAWNING: 8,
    Landmark.RUN_SPAWNED: 8,
    Landmark.RUN_SETTLING: 8,
    Landmark.RUN_SETTLED: 8,
}


@asynccontextmanager
async def a_house(models: str, agents: Sequence[str]) -> AsyncGenerator[House]:
    """A home, and nothing left of it afterwards."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        house = House(Path(folder), models, agents)
        try:
            yield house
        finally:
            house.close()


async def seed(number: int, models: str, agents: Sequence[str]) -> list[str]:
    """One home over several lives: what is wrong in the end."""
    async with a_house(models, agents) as house:
        load = AgentLoad(number, (*agents,) * (4 // len(agents)))
        for _ in range(LIVES):
            if load.draw.random() < 0.3:
                await die_after(house, load, load.draw.randint(5, 200))
            else:
                landmark = load.draw.choice(list(Landmark))
                await die_at(house, load, landmark, load.draw.randint(1, SELDOM.get(landmark, OFTEN)))
        return await judged(house, load)


class OnePiece(AgentLoad):
    """One session in which the same piece of work is done again and again."""

    def script(self, agent: str) -> str:
        """Its own call, a call of the host's, another one of its own."""
        return SCRIPTS[agent](f"c{next(self._numbers)}")[1]


async def commit(nth: int, landmark: Landmark, models: str, agent: str) -> list[str]:
    """A death at one commit: what is wrong in the end."""
    async with a_house(models, [agent]) as house:
        load = OnePiece(nth, [agent])
        await die_at(house, load, landmark, nth)
        return await judged(house, load)


def tell(what: str, began: float, found: Sequence[str]) -> int:
    """Print what came of one home; 1 if anything is wrong."""
    print(f"{what}: {time.monotonic() - began:.0f} s", *found, sep="\n  ", flush=True)  # noqa: T201
    return 1 if found else 0


def main(arguments: Sequence[str]) -> int:
    broken = 0
    with models_aside() as models:
        match arguments:
            case ["sweep", agent, first, last]:
                for nth in range(int(first), int(last) + 1):
                    for landmark in (Landmark.COMMIT_BEFORE, Landmark.COMMIT_AFTER):
                        began = time.monotonic()
                        found = anyio.run(commit, nth, landmark, models.v1, agent)
                        broken += tell(f"{agent} at {landmark}:{nth}", began, found)
            case [first, last, *agents]:
                for number in range(int(first), int(last) + 1):
                    began = time.monotonic()
                    found = anyio.run(seed, number, models.v1, agents or ["acp", "desk"])
                    broken += tell(f"seed {number}", began, found)
            case _:
                sys.stderr.write(f"{__doc__}\n")
                return 2
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
