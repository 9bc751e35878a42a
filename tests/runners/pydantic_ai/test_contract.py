"""The contract suite over the runner of pydantic-ai agents."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, ClassVar

from pydantic_ai import Agent, RunContext
from pydantic_ai.exceptions import UnexpectedModelBehavior
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage

import tenure
from tenure.core.tool import Arguments
from tenure.runners.contract import (
    AFTER,
    ARGUMENTS,
    BEFORE,
    BULK,
    FLOOD,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    OWN_ARGUMENTS,
    OWN_TOOL,
    PIECES,
    REASON,
    RECALL_S,
    RECALLED,
    STEERED,
    THOUGHT,
    TOOL,
    Act,
    RunnerContract,
    Stage,
)
from tests.runners.pydantic_ai.acting import (
    Delta,
    Speaks,
    agent,
    answered,
    call,
    files,
    prompts,
    results,
    runner,
    script,
    spoken,
    thought,
)


async def fail(_messages: list[ModelMessage]) -> AsyncIterator[Delta]:
    raise UnexpectedModelBehavior(REASON)
    yield ""


async def crash(_messages: list[ModelMessage]) -> AsyncIterator[Delta]:
    yield "on the way "
    raise LookupError("lost")


async def talk(_messages: list[ModelMessage]) -> AsyncIterator[Delta]:
    while True:
        yield "and "
        await asyncio.sleep(0)


async def flood(_messages: list[ModelMessage]) -> AsyncIterator[Delta]:
    for number in range(FLOOD):
        yield str(number)


async def read(messages: list[ModelMessage]) -> AsyncIterator[Delta]:
    yield f"{len(spoken(messages)) - 1} messages"


async def recite(messages: list[ModelMessage]) -> AsyncIterator[Delta]:
    yield " ".join(prompts(messages))


async def look(messages: list[ModelMessage]) -> AsyncIterator[Delta]:
    for file in files(messages):
        yield f"{len(file.data)} bytes " if file.is_image else file.data.decode()


async def use(messages: list[ModelMessage]) -> AsyncIterator[Delta]:
    if answered(messages) == 0:
        yield call(TOOL, ARGUMENTS)
    else:
        yield f"it came to: {results(messages)[-1]}"


async def steer(messages: list[ModelMessage]) -> AsyncIterator[Delta]:
    if not results(messages):
        yield "which way? "
        yield call("listen", {})
    else:
        for text in prompts(messages)[-len(STEERED) :]:
            yield f"{text} "


SPEAKS: dict[Act, Speaks] = {
    Act.SPEAK: script(PIECES),
    Act.THINK: script([thought(THOUGHT), "done"]),
    Act.FAIL: fail,
    Act.CRASH: crash,
    Act.TALK: talk,
    Act.FLOOD: flood,
    Act.BULK: script("x" * BULK),
    Act.READ: read,
    Act.ECHO: recite,
    Act.UNDO: recite,
    Act.ATTACH: look,
    Act.SEE: look,
    Act.USE: use,
    Act.STEER: steer,
    Act.ASK: script(call(OWN_TOOL, OWN_ARGUMENTS), "done"),
    Act.EDIT: script(call(OWN_TOOL, OWN_ARGUMENTS), "done"),
    Act.RESUME: script([BEFORE, call(OWN_TOOL, OWN_ARGUMENTS, index=1)], AFTER),
}


def waiting(tidied: Callable[[], None]) -> Speaks:
    """A model that waits, and tells when it tidied up."""

    async def wait(_messages: list[ModelMessage]) -> AsyncIterator[Delta]:
        try:
            yield "waiting"
            await asyncio.Event().wait()
        finally:
            tidied()

    return wait


def owning(act: Act, made: list[Arguments]) -> Agent[Any, Any]:
    """An agent with a tool of its own that needs a person's approval."""
    owner = agent(SPEAKS[act])

    async def wipe(path: str) -> str:
        made.append({"path": path})
        return "wiped"

    owner.tool_plain(name=OWN_TOOL, requires_approval=True)(wipe)
    return owner


def listening() -> Agent[Any, Any]:
    """An agent that waits in a tool until somebody steers it."""
    listener = agent(steer, deps_type=tenure.Run)

    async def listen(context: RunContext[tenure.Run]) -> str:
        await context.deps.steering.wait()
        return "heard"

    listener.tool(listen)
    return listener


def recalling() -> Agent[Any, Any]:
    """An agent with a tool that has something said later."""

    async def speaks(messages: list[ModelMessage]) -> AsyncIterator[Delta]:
        if answered(messages) == 0:
            yield call("remind", {"text": RECALLED, "seconds": RECALL_S})
        else:
            yield f"it is {results(messages)[-1]}"

    recaller = agent(speaks, deps_type=tenure.Run)

    async def remind(context: RunContext[tenure.Run], text: str, seconds: float) -> str:
        return (await context.deps.recalls.schedule(text, in_s=seconds)).id

    recaller.tool(remind)
    return recaller


def spending() -> Agent[Any, Any]:
    """An agent whose model can't be listened to, and tells what an answer costs."""

    def answer(_messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
        usage = RequestUsage(input_tokens=INPUT_TOKENS, output_tokens=OUTPUT_TOKENS)
        return ModelResponse(parts=[TextPart("done")], usage=usage)

    return Agent(FunctionModel(answer))


class TestPydanticAI(RunnerContract):
    lacks: ClassVar[Mapping[Act, str]] = {
        Act.VANISH: "a run of pydantic-ai ends with a result or an error",
        Act.NUMBER: "a model doesn't number what it says",
        Act.STRAY: "everything that an agent says is of pydantic-ai's own kinds",
        Act.REMEMBER: "what it keeps of a run counts only while that run is in the transcript",
        Act.CLOSE: "it keeps nothing between runs",
    }

    def stage(self, act: Act) -> Stage:
        match act:
            case Act.WAIT | Act.TIDY:
                tidied: list[bool] = []
                speaks = waiting(lambda: tidied.append(True))
                return Stage(runner(speaks), tidied=lambda: tidied == [True])
            case Act.ASK | Act.EDIT | Act.RESUME:
                made: list[Arguments] = []
                return Stage(runner(owning(act, made)), made=lambda: made)
            case Act.STEER:
                return Stage(runner(listening(), deps=lambda run: run))
            case Act.RECALL:
                return Stage(runner(recalling(), deps=lambda run: run))
            case Act.SPEND:
                return Stage(runner(spending()))
            case _:
                return Stage(runner(SPEAKS[act]))
