"""A scripted agent behind a real pool, for the tests of the runner, alone or on a small host."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tenure.core.grant import Policy
from tenure.core.output import Output, Verdict
from tenure.host.catalogue import Agent
from tenure.runners.acp.launch import Launch
from tenure.runners.acp.memory import Setup
from tenure.runners.acp.pool import Pool
from tenure.runners.acp.runner import AcpRunner
from tenure.runners.rehearsal import FakeRun

PROGRAM = str(Path(__file__).parent / "agent.py")


class Scene(NamedTuple):
    """A runner of the scripted agent, and where its programs are."""

    runner: AcpRunner
    pool: Pool

    async def play(self, content: str | FakeRun) -> list[Output]:
        """All outputs of one run."""
        run = FakeRun(content) if isinstance(content, str) else content
        async with asyncio.timeout(20):
            return [output async for output in self.runner.run(run)]

    def agent(self, **policy: Any) -> Agent:
        """It, for a host."""
        return Agent(name="scripted", runner=self.runner, residence=self.pool, policy=Policy(**policy))


def made(homes: Path, *flags: str, multimodal: bool = False, **setup: Any) -> Scene:
    """A scene whose programs are started with these flags. They are gone once its pool was closed."""
    command = (sys.executable, "-S", PROGRAM, *flags)
    pool = Pool(Launch(name="scripted", command=command, homes=homes / "homes"))
    setup = {"quiet_s": 0.02, **setup}
    said = Setup(name="scripted", program="scripted", homes=homes / "homes", **setup)
    runner = AcpRunner(pool, said, multimodal=multimodal)
    return Scene(runner, pool)


@asynccontextmanager
async def scripted(homes: Path, *flags: str, **setup: Any) -> AsyncGenerator[Scene]:
    """A scene that is cleared away afterwards."""
    scene = made(homes, *flags, **setup)
    try:
        yield scene
    finally:
        await scene.pool.close()


async def until(fact: Callable[[], bool]) -> None:
    """Wait until something outside of this process is so."""
    async with asyncio.timeout(20):
        while not fact():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def tool(**call: Any) -> str:
    """The line that has the agent make a call of a tool of its own."""
    return f"TOOL {json.dumps(call)}"


def update(kind: str, **more: Any) -> str:
    """The line that has the agent send an update."""
    return f"UPDATE {json.dumps({'sessionUpdate': kind, **more})}"


def verdict(outputs: list[Output]) -> Verdict:
    """How a run ended."""
    assert isinstance(outputs[-1], Verdict)
    return outputs[-1]
