"""The contract suite over the runners that Tenure brings."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import ClassVar

import tenure
from tenure.core.output import Output
from tenure.runners.agent import AnyAgent, agent
from tenure.runners.contract import (
    BULK,
    FLOOD,
    NUMBERS,
    PIECES,
    REASON,
    STRAY,
    THOUGHT,
    Act,
    RunnerContract,
    Stage,
)
from tenure.runners.demo.scripted import ScriptedRunner
from tenure.runners.inprocess import InProcessRunner


@agent("speaker")
async def speaker(_run: tenure.Run) -> AsyncIterator[str]:
    for piece in PIECES:
        yield piece


@agent("thinker")
async def thinker(_run: tenure.Run) -> AsyncIterator[Output]:
    yield tenure.Reasoning(THOUGHT)
    yield tenure.Said("done")


@agent("loser")
async def loser(_run: tenure.Run) -> tenure.Verdict:
    return tenure.failed(REASON)


@agent("crasher")
async def crasher(_run: tenure.Run) -> AsyncIterator[str]:
    yield "on the way "
    raise LookupError("lost")


@agent("talker")
async def talker(run: tenure.Run) -> AsyncIterator[str]:
    while not run.stopping:
        yield "and "
        await asyncio.sleep(0)


@agent("counter")
async def counter(_run: tenure.Run) -> AsyncIterator[Output]:
    for number in NUMBERS:
        yield tenure.Text("x", sequence=number)


@agent("stray")
async def stray(_run: tenure.Run) -> AsyncIterator[str]:
    yield "before "
    yield STRAY  # pyright: ignore[reportReturnType]
    yield "after"


@agent("flooder")
async def flooder(_run: tenure.Run) -> AsyncIterator[str]:
    for number in range(FLOOD):
        yield str(number)


@agent("bulk")
async def bulk(_run: tenure.Run) -> str:
    return "x" * BULK


@agent("reader")
async def reader(run: tenure.Run) -> str:
    return f"{len((await run.transcript()).data)} messages"


def waiter(tidied: Callable[[], None]) -> AnyAgent:
    """An agent that waits, and tells when it tidied up."""

    @agent("waiter")
    async def wait(run: tenure.Run) -> AsyncIterator[str]:
        try:
            yield "waiting"
            await run.stopped()
        finally:
            tidied()

    return wait


class TestInProcess(RunnerContract):
    lacks: ClassVar[Mapping[Act, str]] = {
        Act.VANISH: "returning from an @tenure.agent is the verdict completed"
    }

    def stage(self, act: Act) -> Stage:
        if act in (Act.WAIT, Act.TIDY):
            tidied: list[bool] = []
            definition = waiter(lambda: tidied.append(True))
            return Stage(InProcessRunner(definition), tidied=lambda: tidied == [True])
        return Stage(InProcessRunner(AGENTS[act]))


class TestScripted(RunnerContract):
    lacks: ClassVar[Mapping[Act, str]] = {
        Act.TIDY: "it has nothing to tidy up",
        Act.STRAY: "no line of a message makes it yield anything but outputs",
        Act.READ: "no line of a message makes it read the transcript",
    }

    def stage(self, act: Act) -> Stage:
        return Stage(ScriptedRunner(), MESSAGES[act])


AGENTS: dict[Act, AnyAgent] = {
    Act.SPEAK: speaker,
    Act.THINK: thinker,
    Act.FAIL: loser,
    Act.CRASH: crasher,
    Act.TALK: talker,
    Act.NUMBER: counter,
    Act.STRAY: stray,
    Act.FLOOD: flooder,
    Act.BULK: bulk,
    Act.READ: reader,
}

MESSAGES: dict[Act, str] = {
    Act.SPEAK: "\n".join(f"SAY {piece}" for piece in PIECES),
    Act.THINK: f"REASON {THOUGHT}\nSAY done",
    Act.FAIL: f"SAY hm\nFAIL {REASON}",
    Act.CRASH: "CRASH",
    Act.VANISH: "SAY hm\nVANISH",
    Act.TALK: "SLOW 1000000 10",
    Act.WAIT: "SAY waiting\nSLOW 2 1000000\n",
    Act.NUMBER: f"SEQ {','.join(NUMBERS)}",
    Act.FLOOD: f"BURST {FLOOD}",
    Act.BULK: f"BURST 1 {BULK}",
}
