"""The contract suite over the runners that Tenure brings."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import ClassVar

import tenure
from tenure.core.output import Output
from tenure.runners.agent import AnyAgent, agent
from tenure.runners.contract import (
    ARGUMENTS,
    BULK,
    FLOOD,
    INPUT_TOKENS,
    NUMBERS,
    OUTPUT_TOKENS,
    PIECES,
    REASON,
    RECALL_S,
    RECALLED,
    STEERED,
    STRAY,
    THOUGHT,
    TOOL,
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


@agent("echo")
async def echo(run: tenure.Run) -> str:
    return run.message.text


@agent("reciter")
async def reciter(run: tenure.Run) -> str:
    return " ".join(str(item.content) for item in (await run.transcript()).data)


@agent("spender")
async def spender(_run: tenure.Run) -> tenure.Spent:
    usage = tenure.Usage(model="tiny-1", input_tokens=INPUT_TOKENS, output_tokens=OUTPUT_TOKENS)
    return tenure.Spent(usage)


@agent("steered", steering=True)
async def steered(run: tenure.Run) -> AsyncIterator[str]:
    yield "which way? "
    for _ in STEERED:
        await run.steering.wait()
        for message in await run.steering.take("one"):
            yield f"{message.text} "


@agent("recaller", permissions=("history", "recalls"))
async def recaller(run: tenure.Run) -> str:
    return (await run.recalls.schedule(RECALLED, in_s=RECALL_S)).id


@agent("caller")
async def caller(run: tenure.Run) -> str:
    return str(await run.tools.call_with(TOOL, ARGUMENTS))


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
        Act.VANISH: "returning from an @tenure.agent is the verdict completed",
        Act.REMEMBER: "an @tenure.agent keeps state, not checkpoints",
        Act.ATTACH: "an @tenure.agent doesn't say whether it looks at files",
        Act.SEE: "an @tenure.agent doesn't say whether it looks at pictures",
        Act.ASK: "an @tenure.agent calls the host's tools, and those are what people are asked about",
        Act.EDIT: "the same",
        Act.RESUME: "a new attempt of an @tenure.agent starts over",
        Act.CLOSE: "it keeps nothing between runs",
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
        Act.REMEMBER: "no line of a message makes it keep a checkpoint",
        Act.SPEND: "no line of a message makes it report usage",
        Act.ATTACH: "no line of a message makes it read a file",
        Act.SEE: "no line of a message makes it read a file",
        Act.ASK: "all its tools are the host's",
        Act.EDIT: "all its tools are the host's",
        Act.RESUME: "a new attempt starts over",
        Act.CLOSE: "it keeps nothing between runs",
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
    Act.ECHO: echo,
    Act.UNDO: reciter,
    Act.SPEND: spender,
    Act.STEER: steered,
    Act.USE: caller,
    Act.RECALL: recaller,
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
    Act.ECHO: "SAY ",
    Act.UNDO: "SAY I keep nothing.",
    Act.STEER: "SAY which way?\nSLOW 20 5",
    Act.USE: f"TOOL {TOOL} {json.dumps(ARGUMENTS)}",
    Act.RECALL: f"RECALL {RECALL_S} {RECALLED}",
}
