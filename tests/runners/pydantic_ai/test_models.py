"""Agents on models behind the four wire formats, as their tables configure them; the server is a script."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable

import pytest
from pydantic import SecretStr

from tenure.agent_tables import PydanticAIAgent
from tenure.core.history import Summarizing
from tenure.core.output import (
    Output,
    Reasoning,
    Spent,
    ToolStarted,
    Usage,
    Verdict,
    completed,
)
from tenure.core.run import RunState
from tenure.errors import Code, TenureError
from tenure.ports.made import Made
from tenure.runners.contract import SAID
from tenure.runners.pydantic_ai.assembly import pydantic_ai_agent
from tenure.runners.rehearsed_tools import Made as Called
from tenure.testing import FakeRun, spoken
from tests.models.server import Models, model_server

pytestmark = pytest.mark.anyio

SECRET = "sk-not-to-be-seen"
FORMATS = ("openai-chat", "openai", "anthropic", "google")


@pytest.fixture
async def models() -> AsyncIterator[Models]:
    async with model_server(key=SECRET) as server:
        yield server


def table(
    models: Models, provider: str = "openai-chat", *, retries: int = 3, key: str = SECRET
) -> PydanticAIAgent:
    return PydanticAIAgent(
        runner="pydantic-ai",
        model=f"{provider}:scripted",
        base_url=models.v1 if provider.startswith("openai") else models.url,
        api_key=SecretStr(key),
        instructions="Be kind.",
        retries=retries,
    )


Makes = Callable[..., Made]


@pytest.fixture
async def made(models: Models) -> AsyncIterator[Makes]:
    """Makes agents on the server, and closes what they keep."""
    all_made: list[Made] = []

    def make(provider: str = "openai-chat", *, retries: int = 3, key: str = SECRET, **more: object) -> Made:
        settings = table(models, provider, retries=retries, key=key).model_copy(update=more)
        all_made.append(pydantic_ai_agent("support", settings))
        return all_made[-1]

    yield make
    for one in all_made:
        assert one.residence is not None
        await one.residence.close()


async def outputs(made: Made, run: FakeRun) -> list[Output]:
    async with asyncio.timeout(20):
        return [output async for output in made.runner.run(run)]


def verdict(said: list[Output]) -> Verdict:
    (only,) = [output for output in said if isinstance(output, Verdict)]
    return only


def add(a: int, b: int) -> int:
    return a + b


@pytest.mark.parametrize("provider", FORMATS)
async def test_every_format_streams_text_and_calls_the_hosts_tools_at_once(
    models: Models, made: Makes, provider: str
) -> None:
    run = FakeRun(
        'SAY let me see\nUSAGE 7 3\nTOOL mcp_sums_add {"a": 1, "b": 2}\nTOOL mcp_sums_add {"a": 3, "b": 4}',
        tools={"mcp:sums/add": add},
    )
    said = await outputs(made(provider), run)

    assert spoken(said).startswith("let me see")
    assert "done: " in spoken(said)
    assert sorted(run.tools.made, key=str) == [
        Called("mcp:sums/add", {"a": 1, "b": 2}),
        Called("mcp:sums/add", {"a": 3, "b": 4}),
    ]
    spent = [output.usage for output in said if isinstance(output, Spent)]
    assert spent[0] == Usage(model="scripted", input_tokens=7, output_tokens=3)
    assert said[-1] == completed()
    assert models.requests[0].system.endswith("Be kind.")
    assert models.requests[0].stream


@pytest.mark.parametrize("provider", FORMATS)
async def test_every_format_carries_the_files_of_a_message(
    models: Models, made: Makes, provider: str
) -> None:
    picture = b"\x89PNG\r\n\x1a\n" + bytes(16)
    run = FakeRun("SAY seen", files={"dot.png": picture, "note.txt": b"behind the clock"})
    said = await outputs(made(provider), run)

    assert (spoken(said), said[-1]) == ("seen", completed())
    body = models.requests[0].body
    assert base64.b64encode(picture) in body
    assert b"behind the clock" in body or base64.b64encode(b"behind the clock") in body


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_thoughts_of_a_model_are_reasoning(models: Models, made: Makes, provider: str) -> None:
    said = await outputs(made(provider), FakeRun("THINK let me think\nSAY done"))

    assert "".join(output.text for output in said if isinstance(output, Reasoning)) == "let me think"
    assert spoken(said) == "done"


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_failure_that_passes_is_waited_for_and_counted(
    models: Models, made: Makes, status: int
) -> None:
    run = FakeRun(f"FAIL {status} 2\nSAY at last")
    said = await outputs(made(), run)

    assert (spoken(said), said[-1]) == ("at last", completed())
    assert len(models.requests) == 3
    assert run.warnings == [
        ("model_retried", f"scripted answered {status}; asked again after 0.0 s (1 of 3)."),
        ("model_retried", f"scripted answered {status}; asked again after 0.0 s (2 of 3)."),
    ]


async def test_a_failure_that_stays_ends_the_run_after_as_many_retries_as_configured(
    models: Models, made: Makes
) -> None:
    run = FakeRun("FAIL 503 9\nSAY never")
    end = verdict(await outputs(made(retries=1), run))

    assert (end.status, end.retryable, len(models.requests)) == (RunState.FAILED, True, 2)
    assert "503" in end.reason
    assert len(run.warnings) == 1


async def test_a_refusal_is_not_repeated(models: Models, made: Makes) -> None:
    end = verdict(await outputs(made(), FakeRun("FAIL 422 9\nSAY never")))

    assert (end.status, end.retryable, len(models.requests)) == (RunState.FAILED, False, 1)


async def test_a_wrong_key_says_where_it_belongs_and_is_never_shown(models: Models, made: Makes) -> None:
    end = verdict(await outputs(made(key="sk-a-wrong-one"), FakeRun("hi")))

    assert (end.status, end.retryable) == (RunState.FAILED, False)
    assert "api_key in [agents.support]" in end.reason
    assert "sk-a-wrong-one" not in end.reason


@pytest.mark.parametrize("provider", ["openai-chat", "anthropic"])
async def test_a_model_that_is_not_there_says_which_setting_names_its_address(
    made: Makes, provider: str
) -> None:
    nowhere = made(provider, retries=0, base_url="http://127.0.0.1:9/v1")
    end = verdict(await outputs(nowhere, FakeRun("hi")))

    assert (end.status, end.retryable) == (RunState.FAILED, True)
    assert "can't be reached" in end.reason
    assert "Check base_url in [agents.support]" in end.reason


async def test_a_connection_that_breaks_in_the_middle_doubles_no_text(models: Models, made: Makes) -> None:
    end = verdict(said := await outputs(made(), FakeRun("SAY half of it\nCUT 1")))

    assert spoken(said) == "half of it"
    assert (end.status, end.retryable, len(models.requests)) == (RunState.FAILED, True, 1)


async def test_a_model_that_cant_be_reached_is_asked_again_and_then_given_up(
    models: Models, made: Makes
) -> None:
    run = FakeRun("hi")
    end = verdict(await outputs(made(retries=1, base_url="http://127.0.0.1:9/v1"), run))

    assert (end.status, end.retryable, len(run.warnings)) == (RunState.FAILED, True, 1)


async def test_a_stop_ends_the_wait_for_a_model_that_failed(models: Models, made: Makes) -> None:
    run = FakeRun("FAIL 503 9 60")
    answering = asyncio.create_task(outputs(made(), run))
    await models.asked()
    run.stop()

    assert await answering == [Verdict(status=RunState.CANCELLED, reason="interrupted")]
    assert len(models.requests) == 1


async def test_a_provider_that_asks_for_too_long_a_wait_isnt_waited_for(made: Makes) -> None:
    end = verdict(await outputs(made(), FakeRun("FAIL 429 9 3600")))

    assert (end.status, end.retryable) == (RunState.FAILED, True)


async def test_a_stop_breaks_off_the_answer_and_what_was_said_stays(made: Makes) -> None:
    run = FakeRun("SAY well\nHANG")
    said: list[Output] = []
    async with asyncio.timeout(20):
        async for output in made().runner.run(run):
            said.append(output)
            run.stop()

    assert spoken(said) == "well"
    assert said[-1] == Verdict(status=RunState.CANCELLED, reason="interrupted")


async def test_runs_of_one_agent_at_once_dont_mix(models: Models, made: Makes) -> None:
    shared = made()
    runs = [FakeRun(f"SAY number {n} here", session=n, number=n) for n in range(1, 9)]
    said = await asyncio.gather(*(outputs(shared, run) for run in runs))

    assert [spoken(each) for each in said] == [f"number {n} here" for n in range(1, 9)]


async def test_a_compaction_is_summarised_by_the_same_model(models: Models, made: Makes) -> None:
    summarize = made().summarize
    assert summarize is not None
    summary = await summarize(Summarizing(said=SAID, instructions="SAY all in short"))

    assert summary == "all in short" or summary.startswith("heard: ")
    lost = made(key="sk-a-wrong-one").summarize
    assert lost is not None
    with pytest.raises(TenureError) as caught:
        await lost(Summarizing(said=SAID, instructions=""))
    assert caught.value.code is Code.RUNNER_UNAVAILABLE


async def test_tools_of_the_host_are_not_told_as_the_agents_own(models: Models, made: Makes) -> None:
    run = FakeRun('TOOL add {"a": 1, "b": 2}', tools={"add": add})

    assert not [o for o in await outputs(made(), run) if isinstance(o, ToolStarted)]
