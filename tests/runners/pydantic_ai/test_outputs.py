"""What a run puts out: own calls, results, files; and what its model is given of a message."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, ModelRetry
from pydantic_ai.capabilities import HandleDeferredToolCalls
from pydantic_ai.messages import BinaryImage, FilePart, ModelMessage, ModelResponse
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.tools import DeferredToolRequests, DeferredToolResults

from tenure.core.content import TextPart
from tenure.core.output import (
    Artifact,
    Output,
    Said,
    Spent,
    ToolCompleted,
    ToolStarted,
    Verdict,
    completed,
)
from tenure.core.run import RunState
from tenure.errors import Code, TenureError
from tenure.runners.pydantic_ai.drive import Terms
from tenure.runners.pydantic_ai.keeping import unpacked
from tenure.testing import FakeRun, spoken
from tests.runners.pydantic_ai.acting import (
    Delta,
    Speaks,
    agent,
    call,
    calls,
    prompts,
    results,
    runner,
    script,
)

DRAWS = ModelProfile(supports_image_output=True)

pytestmark = pytest.mark.anyio


async def outputs(
    acting: Agent[Any, Any] | Speaks, run: FakeRun | None = None, terms: Terms | None = None
) -> list[Output]:
    driven = runner(acting) if terms is None else runner(acting, terms)
    async with asyncio.timeout(20):
        return [o async for o in driven.run(run or FakeRun("go")) if not isinstance(o, Spent)]


class City(BaseModel):
    name: str
    people: int


async def test_own_calls_are_told_with_their_results_and_ids_of_their_own() -> None:
    owner = agent(
        script(
            [*calls(("look", {"at": "it"}))], [*calls(("look", {"at": "it"}))], [*calls(("fail", {}))], "done"
        )
    )

    async def look(at: str) -> City:
        return City(name=at, people=3)

    async def fail() -> str:
        raise ModelRetry("not like this")

    owner.tool_plain(look)
    owner.tool_plain(fail)
    said = await outputs(owner)

    assert said[:-2] == [
        ToolStarted(call_id="look_0", tool="look", arguments={"at": "it"}),
        ToolCompleted(call_id="look_0", status="ok", result={"name": "it", "people": 3}),
        ToolStarted(call_id="look_0.2", tool="look", arguments={"at": "it"}),
        ToolCompleted(call_id="look_0.2", status="ok", result={"name": "it", "people": 3}),
        ToolStarted(call_id="fail_0", tool="fail", arguments={}),
        ToolCompleted(call_id="fail_0", status="error", result="not like this"),
    ]
    assert (spoken(said), said[-1]) == ("done", completed())


async def test_calls_of_one_answer_run_at_once() -> None:
    owner = agent(script(calls(("meet", {"who": "a"}), ("meet", {"who": "b"})), "done"))
    both = asyncio.Barrier(2)

    async def meet(who: str) -> str:
        await both.wait()
        return who

    owner.tool_plain(meet)

    assert (await outputs(owner))[-1] == completed()


async def test_a_structured_result_is_said_as_json() -> None:
    owner = agent(
        script(call("final_result", {"name": "Ulm", "people": 128000})),
        output_type=City,
    )

    assert await outputs(owner) == [Said('{"name":"Ulm","people":128000}'), completed()]


async def test_an_agent_that_checks_its_results_is_run_as_it_is() -> None:
    async def speaks(messages: list[ModelMessage]) -> AsyncIterator[Delta]:
        yield "yes" if any(isinstance(message, ModelResponse) for message in messages) else "no"

    owner = agent(speaks)

    @owner.output_validator
    def check(text: str) -> str:
        if text == "no":
            raise ModelRetry("say yes")
        return text

    assert (await outputs(owner))[-1] == completed()


async def test_a_picture_that_a_model_makes_is_an_artifact() -> None:
    picture = BinaryImage(data=b"\x89PNG....", media_type="image/png")

    def draw(_messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[FilePart(content=picture)])

    (made, end) = await outputs(Agent(FunctionModel(draw, profile=DRAWS), output_type=BinaryImage))

    assert isinstance(made, Artifact)
    assert (made.data, made.media_type, made.name.endswith(".png")) == (picture.data, "image/png", True)
    assert end == completed()


async def test_a_tool_of_the_host_that_is_refused_is_read_by_the_model() -> None:
    async def speaks(messages: list[ModelMessage]) -> AsyncIterator[Delta]:
        came_to = results(messages)
        if came_to:
            yield came_to[-1]
        else:
            yield call("mail", {"to": "bob"})

    def refuse(to: str) -> str:
        raise TenureError(Code.DENIED, f"The call of mail to {to} was not approved.")

    said = await outputs(speaks, FakeRun("go", tools={"mail": refuse}))

    assert "was not approved" in spoken(said)
    assert said[-1] == completed()


async def test_arguments_that_dont_fit_a_tool_of_the_host_may_be_corrected() -> None:
    def mail(to: str) -> str:
        if "@" not in to:
            raise TenureError(Code.INVALID, "to: no address")
        return "sent"

    run = FakeRun("go", tools={"mail": mail})
    said = await outputs(script(call("mail", {"to": "bob"}), call("mail", {"to": "b@ob"}), "sent"), run)

    assert [made.arguments for made in run.tools.made] == [{"to": "bob"}, {"to": "b@ob"}]
    assert said[-1] == completed()


async def test_what_a_hosts_tool_came_to_is_kept_before_the_next_one_may_wait() -> None:
    run = FakeRun("go", tools={"first": lambda: "came first", "second": lambda: str(kept_of(run))})
    said = await outputs(script(calls(("first", {}), ("second", {})), "done"), run)

    assert [made.tool for made in run.tools.made] == ["first", "second"]
    assert "came first" in results(kept_of(run))[1]
    assert said[-1] == completed()


def kept_of(run: FakeRun) -> tuple[ModelMessage, ...]:
    """What the runner left of a run."""
    kept = unpacked(run.checkpoints.kept[run.run_id])
    assert kept is not None
    return kept.messages


async def test_a_run_that_the_host_took_away_isnt_gone_on_with() -> None:
    def gone() -> str:
        raise TenureError(Code.FENCED, "The run goes on elsewhere.")

    with pytest.raises(TenureError, match="elsewhere"):
        await outputs(script(call("gone", {}), "still here"), FakeRun("go", tools={"gone": gone}))


async def test_a_tool_that_raises_fails_the_run_with_its_own_error() -> None:
    owner = agent(script(call("crash", {}), "never"))

    async def crash() -> str:
        raise LookupError("lost")

    owner.tool_plain(crash)
    with pytest.raises(LookupError, match="lost"):
        await outputs(owner)


async def test_a_run_that_makes_more_calls_than_configured_fails_and_says_what_to_raise() -> None:
    owner = agent(script(*[call("look", {})] * 5))

    async def look() -> str:
        return "there"

    owner.tool_plain(look)
    end = (await outputs(owner, terms=Terms(name="acting", request_limit=2)))[-1]

    assert isinstance(end, Verdict)
    assert (end.status, "request_limit in [agents.acting]" in end.reason) == (RunState.FAILED, True)


async def test_an_agent_that_approves_its_own_calls_asks_nobody() -> None:
    def approve(_context: Any, requests: DeferredToolRequests) -> DeferredToolResults:
        return requests.build_results(approve_all=True)

    owner = agent(
        script(call("wipe", {}), "done"), capabilities=[HandleDeferredToolCalls[Any](handler=approve)]
    )

    async def wipe() -> str:
        return "wiped"

    owner.tool_plain(requires_approval=True)(wipe)
    run = FakeRun("go")
    said = await outputs(owner, run)

    assert run.own.asked == []
    assert said[:2] == [
        ToolStarted(call_id="wipe_0", tool="wipe", arguments={}),
        ToolCompleted(call_id="wipe_0", status="ok", result="wiped"),
    ]


async def test_what_a_model_cant_take_is_named_in_its_place() -> None:
    async def speaks(messages: list[ModelMessage]) -> AsyncIterator[Delta]:
        yield " | ".join(prompts(messages))

    run = FakeRun((TextPart("see"),), files={"data.bin": b"\0\1"})

    assert spoken(await outputs(speaks, run)) == "see | [file data.bin: application/octet-stream, 2 bytes]"


async def test_what_no_journal_can_hold_is_made_to_fit() -> None:
    owner = agent(script(call("look", {"at": "a\x00b"}), "done"))

    async def look(at: str) -> object:
        return {"text": at, "image": BinaryImage(data=b"12345", media_type="image/png"), "odd": float("nan")}

    owner.tool_plain(look)
    started, ended = (await outputs(owner))[:2]

    assert isinstance(started, ToolStarted)
    assert isinstance(ended, ToolCompleted)
    assert "\x00" not in str(started) + str(ended)
