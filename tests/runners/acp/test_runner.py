"""Turns of an ACP agent: how its session is found, what it is prompted with, how a turn ends."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tenure.core.output import (
    Output,
    Reasoning,
    Spent,
    Text,
    ToolCompleted,
    Usage,
    Verdict,
    completed,
    failed,
)
from tenure.core.run import RunState
from tenure.core.view import TranscriptItem
from tenure.ports.runner import GatewayAccess
from tenure.runners.acp.launch import Launch
from tenure.runners.acp.memory import Setup
from tenure.runners.acp.pool import Pool
from tenure.runners.acp.runner import AcpRunner
from tenure.runners.acp.turn import STOPPED
from tenure.runners.rehearsal import FakeMessage, FakeRun, spoken
from tests.runners.acp.scene import Scene, scripted, tool, until, update, verdict

pytestmark = pytest.mark.anyio


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncGenerator[Scene]:
    async with scripted(tmp_path) as made:
        yield made


def earlier(*texts: str) -> list[TranscriptItem]:
    """A transcript: a user and the agent in turn."""
    return [
        TranscriptItem(
            message_id=f"msg_{n:032x}",
            role=("user", "assistant")[n % 2],
            content=text,
            run_id=f"run_{n // 2 + 99:032x}",
            status="completed",
            seq=n + 1,
            actor=("ada", None)[n % 2],
        )
        for n, text in enumerate(texts, 100)
    ]


async def session_of(scene: Scene, run: FakeRun) -> dict[str, Any]:
    """What the agent says of its session. The run's message is SESSION."""
    return json.loads(spoken(await scene.play(run)))


async def until_said(outputs: AsyncGenerator[Output, None]) -> None:
    """Read up to the first text."""
    async for output in outputs:
        if isinstance(output, Text):
            return


# how a turn ends


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (
            "max_tokens",
            "The agent ran into its model's limit of tokens (max_tokens). Ask for less at a time.",
        ),
        (
            "max_turn_requests",
            "The agent asked its model as often as one turn may (max_turn_requests). Tell it to go on.",
        ),
        ("refusal", "The agent refused to go on (refusal). Put it in other words."),
        ("unheard_of", "its answer doesn't fit the protocol (1 faults)"),
    ],
)
async def test_a_turn_that_stops_short_fails_with_the_reason(scene: Scene, reason: str, said: str) -> None:
    outputs = await scene.play(f"SAY well\nSTOP {reason}")

    assert outputs == [Text("well"), failed(said)]


async def test_an_error_of_the_agent_is_the_reason_of_the_failure(scene: Scene) -> None:
    assert await scene.play("ERROR -32603 out of credit") == [failed("out of credit")]


async def test_an_agent_that_wants_to_be_signed_in_says_how(scene: Scene) -> None:
    [ended] = await scene.play("ERROR -32000 Authentication required")

    assert isinstance(ended, Verdict)
    assert ended.reason.startswith(
        "The agent scripted isn't signed in. Give it its key in agents.scripted.env"
    )


async def test_an_agent_that_wants_to_be_signed_in_before_a_session_says_how(tmp_path: Path) -> None:
    async with scripted(tmp_path, "--auth") as scene:
        [ended] = await scene.play("SAY hi")

    assert isinstance(ended, Verdict) and ended.status is RunState.FAILED
    assert "'scripted-key'" in ended.reason


async def test_a_program_that_dies_fails_the_run_and_is_started_anew(scene: Scene) -> None:
    dead = await scene.play("SAY well\nDIE 3")
    alive = await scene.play("SAY back")

    ended = verdict(dead)
    assert (dead[0], ended.status, ended.retryable) == (Text("well"), RunState.FAILED, True)
    assert ended.reason.startswith("The program of the agent scripted ended. Send the message again")
    assert "the agent fell over" in ended.reason
    assert alive == [Text("back"), completed()]


async def test_an_agent_that_cant_be_started_fails_the_run_with_the_way_out(tmp_path: Path) -> None:
    pool = Pool(Launch(name="lost", command=("no-such-agent",), homes=tmp_path))
    runner = AcpRunner(pool, Setup(name="lost", program="lost", way_out="Is it installed?"))

    [ended] = [output async for output in runner.run(FakeRun("hi"))]

    assert isinstance(ended, Verdict) and (ended.status, ended.retryable) == (RunState.FAILED, True)
    assert "no-such-agent" in ended.reason
    assert ended.reason.endswith("Is it installed?")


async def test_what_is_told_after_the_answer_belongs_to_the_turn(tmp_path: Path) -> None:
    async with scripted(tmp_path, quiet_s=0.6) as scene:
        outputs = await scene.play("LATE 50 late\nLATE 100  later")

    assert outputs == [Text("late"), Text(" later"), completed()]


async def test_what_an_agent_tells_of_no_turn_is_let_go_by(scene: Scene) -> None:
    first = await scene.play("LATE 600 too late")
    second = await scene.play(FakeRun("SLOW 4 200", session=2, number=2))

    assert (first, spoken(second)) == ([completed()], "w0 w1 w2 w3 ")


async def test_odd_messages_break_nothing(scene: Scene) -> None:
    lines = [
        "ECHO said before",
        'NOTIFY some/news {"a": 1}',
        'NOTIFY _vendor/news {"a": 1}',
        "LINE this is no JSON",
        update("compaction_update", message="hm"),
        update("available_commands_update", availableCommands=[]),
        "SAY fine",
    ]

    assert await scene.play("\n".join(lines)) == [Text("fine"), completed()]


async def test_a_plan_and_what_a_turn_cost_are_told(scene: Scene) -> None:
    entries = [{"content": "look", "priority": "high", "status": "pending"}]
    lines = [
        update("plan", entries=entries),
        update("usage_update", used=1, size=9, cost={"amount": 0.5, "currency": "USD"}),
        'USAGE {"totalTokens": 10, "inputTokens": 7, "outputTokens": 3}',
    ]

    assert await scene.play("\n".join(lines)) == [
        Reasoning("Plan:\n- [ ] look\n"),
        Spent(Usage(model="scripted", cost=0.5)),
        Spent(Usage(model="scripted", input_tokens=7, output_tokens=3, cost=0.0)),
        completed(),
    ]


# stops


async def test_a_stop_is_told_to_the_agent_and_keeps_what_was_said(scene: Scene) -> None:
    run = FakeRun("SLOW 1000 20")
    async with aclosing(scene.runner.run(run)) as outputs:
        await until_said(outputs)
        run.stop()
        rest = [output async for output in outputs]

    assert rest[-1] == STOPPED
    assert (await session_of(scene, FakeRun("SESSION")))["prompts"] == 1


async def test_an_agent_that_ignores_a_stop_is_ended_with_its_program(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenure.runners.acp.turn.LEAVE_S", 0.05)
    hanging = asyncio.create_task(scene.play("HANG"))
    beside = scene.runner.run(FakeRun("SLOW 1000 20", session=2, number=2))
    await until_said(beside)

    hanging.cancel()
    await asyncio.wait([hanging])
    [*_, ended] = [output async for output in beside]
    again = await scene.play(FakeRun("SAY back", session=2, number=3))

    assert isinstance(ended, Verdict) and ended.retryable
    assert again == [Text("back"), completed()]


async def test_an_agent_that_opens_no_session_can_be_stopped(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    async with scripted(tmp_path, "--mute", "--log", str(log)) as scene:
        run = FakeRun("SAY hi")
        task = asyncio.create_task(scene.play(run))
        await until(lambda: "session/new" in log.read_text())
        run.stop()

        assert await asyncio.wait_for(task, 5) == [STOPPED]


# floods


async def test_a_huge_line_arrives_whole(scene: Scene) -> None:
    assert len(spoken(await scene.play(f"HUGE {20 << 20}"))) == 20 << 20


async def test_a_flood_that_nobody_reads_is_cut_and_the_program_lives(tmp_path: Path) -> None:
    run, log = FakeRun("SAY on\nFLOOD 10000"), tmp_path / "log"
    run.grant = msgspec.structs.replace(run.grant, max_output_bytes=10_000)
    async with scripted(tmp_path, "--log", str(log)) as scene:
        async with aclosing(scene.runner.run(run)) as outputs:
            await until_said(outputs)
            await until(lambda: "session/cancel" in log.read_text())
            rest = [output async for output in outputs]
        again = await scene.play(FakeRun("SAY back", number=2))

    assert rest[-1] == failed("output_limit")
    assert len(rest) < 200
    assert again == [Text("back"), completed()]


async def test_a_flood_of_an_agent_that_does_not_stop_ends_the_run_and_the_program(tmp_path: Path) -> None:
    pending = update("tool_call", toolCallId="c1", title="t", status="pending", rawInput={"a": "x" * 20_000})
    run = FakeRun(f"{pending}\nHANG")
    run.grant = msgspec.structs.replace(run.grant, max_output_bytes=10_000)
    async with scripted(tmp_path) as scene:
        outputs = await scene.play(run)
        await until(lambda: scene.pool.programs == 0)

    assert outputs == [failed("output_limit")]


async def test_a_token_of_the_gateway_is_left_out_of_what_an_agent_says(scene: Scene) -> None:
    token = f"tnr_run_{'0a' * 16}.{'x-_' * 14}"
    call = tool(input={"header": f"Bearer {token}"}, output=f"sent {token}.")

    assert token not in str(await scene.play(f"SAY it is {token}\n{call}"))


async def test_a_warning_holds_no_character_that_a_journal_cannot_hold(scene: Scene) -> None:
    run = FakeRun(update("usage_update", used=1, size=2, cost={"amount": 1, "currency": "A\0B"}))
    await scene.play(run)

    told = "The agent tells what it costs in A\ufffdB; only USD is booked."
    assert run.warnings == [("cost_currency", told)]


# the agent's session


async def test_a_session_goes_on_with_the_agents_own_one(scene: Scene) -> None:
    first = FakeRun("SESSION")
    one = await session_of(scene, first)

    two = await session_of(scene, FakeRun("SESSION", number=2, earlier=first, said=earlier("a", "b")))

    assert (two["id"], two["prompts"]) == (one["id"], 2)


async def test_sessions_share_a_program_and_nothing_else(scene: Scene) -> None:
    one = await session_of(scene, FakeRun("SESSION"))
    two = await session_of(scene, FakeRun("SESSION", session=2))
    other = await session_of(scene, FakeRun("SESSION", session=3, user="bob"))

    assert one["pid"] == two["pid"] != other["pid"]
    assert len({one["id"], two["id"], other["id"]}) == 3
    assert one["cwd"] != two["cwd"]


async def test_a_program_that_is_started_anew_loads_the_session_again(tmp_path: Path) -> None:
    first = FakeRun("SESSION")
    async with scripted(tmp_path, "--store", str(tmp_path)) as scene:
        one = await session_of(scene, first)
    second = FakeRun("SESSION", number=2, earlier=first, said=earlier("a", "b"))

    async with scripted(tmp_path, "--store", str(tmp_path)) as scene:
        two = await session_of(scene, second)

    assert (two["id"], two["prompts"], two["pid"] == one["pid"]) == (one["id"], 2, False)
    assert second.warnings == []


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ((), "it can't load earlier ones"),
        (("--lie",), "loading it failed: No previous sessions found for this project"),
    ],
)
async def test_an_agent_that_doesnt_load_is_told_what_was_said(
    tmp_path: Path, flags: tuple[str, ...], why: str
) -> None:
    first = FakeRun("SESSION")
    async with scripted(tmp_path, *flags) as scene:
        await scene.play(first)
    second = FakeRun("PROMPT", number=2, earlier=first, said=earlier("hello", "hi"))

    async with scripted(tmp_path, *flags) as scene:
        outputs = await scene.play(second)

    assert second.warnings == [("context_rebuilt", f"The agent was told the transcript anew: {why}.")]
    assert "\n---\nuser ada: hello\nassistant: hi\n--- | PROMPT" in spoken(outputs)


@pytest.mark.sources("P5")
async def test_an_agent_whose_history_is_on_another_host_is_told_what_was_said(tmp_path: Path) -> None:
    """Also if a session there has the same name: it is another one. Neither host then trusts its own."""
    first = FakeRun("SESSION")
    second = FakeRun("PROMPT", number=2, earlier=first, said=earlier("hello", "hi"))
    third = FakeRun("PROMPT", number=3, earlier=second, said=earlier("hello", "hi", "and", "so on"))
    fourth = FakeRun("SESSION", number=4, earlier=third, said=earlier("hello", "hi", "and", "so on"))
    store = ("--store", str(tmp_path))
    async with (
        scripted(tmp_path / "a", *store) as a,
        scripted(tmp_path / "b", *store) as b,
    ):
        await a.play(first)
        moved = await b.play(second)
        back = await a.play(third)
        stayed = await session_of(a, fourth)

    warning = "The agent was told the transcript anew: its own history is on another host."
    assert second.warnings == third.warnings == [("context_rebuilt", warning)]
    assert "\n---\nuser ada: hello\nassistant: hi\n--- | PROMPT" in spoken(moved)
    assert "\nuser ada: and\nassistant: so on\n--- | PROMPT" in spoken(back)
    assert (stayed["prompts"], fourth.warnings) == (2, [])


async def test_a_fork_begins_with_what_was_said(scene: Scene) -> None:
    run = FakeRun("PROMPT", said=earlier("hello", "hi"))

    outputs = await scene.play(run)

    assert [code for code, _ in run.warnings] == ["context_rebuilt"]
    assert "user ada: hello\nassistant: hi\n" in spoken(outputs)


async def test_a_long_transcript_is_told_from_its_end(scene: Scene) -> None:
    run = FakeRun("PROMPT", said=earlier("first", "x" * 60_000, "y" * 60_000, "last"))

    said = spoken(await scene.play(run))

    assert "(What was said earlier is left out.)" in said
    assert ("ada: first" in said, "assistant: last" in said) == (False, True)


async def test_the_first_message_is_told_alone(scene: Scene) -> None:
    run = FakeRun("PROMPT")

    outputs = await scene.play(run)

    assert (spoken(outputs), run.warnings) == ("PROMPT", [])


async def test_another_person_is_told_what_was_said(tmp_path: Path) -> None:
    async with scripted(tmp_path, "--store", str(tmp_path)) as scene:
        first = FakeRun("SESSION")
        one = await session_of(scene, first)
        second = FakeRun("SESSION", number=2, user="bob", earlier=first)
        two = await session_of(scene, second)
        third = FakeRun("SESSION", number=3, earlier=second)
        three = await session_of(scene, third)

    assert (two["pid"] == one["pid"], three["pid"] == one["pid"]) == (False, True)
    assert (two["prompts"], three["prompts"]) == (2, 3)


async def test_an_attempt_that_starts_over_says_so(scene: Scene) -> None:
    first = FakeRun("SAY half")
    await scene.play(first)

    outputs = await scene.play(FakeRun("PROMPT", attempt=2, earlier=first))

    assert spoken(outputs).startswith("(Your earlier answer to the following message was cut off")
    assert spoken(outputs).endswith(" | PROMPT")


async def test_what_a_session_cost_before_isnt_booked_again(tmp_path: Path) -> None:
    def told(amount: float) -> str:
        return update("usage_update", used=1, size=9, cost={"amount": amount, "currency": "USD"})

    first = FakeRun(told(0.5))
    async with scripted(tmp_path, "--store", str(tmp_path)) as scene:
        await scene.play(first)
    async with scripted(tmp_path, "--store", str(tmp_path)) as scene:
        outputs = await scene.play(FakeRun(told(0.75), number=2, earlier=first))

    assert outputs == [Spent(Usage(model="scripted", cost=0.25)), completed()]


async def test_mode_and_options_are_set(tmp_path: Path) -> None:
    async with scripted(tmp_path, mode="ask", options={"model": "small"}) as scene:
        session = await session_of(scene, FakeRun("SESSION"))

    assert session["settings"] == {"model": "small", "mode": "ask"}


async def test_a_mode_that_the_agent_doesnt_know_fails_the_run(tmp_path: Path) -> None:
    async with scripted(tmp_path, mode="nonsense") as scene:
        [ended] = await scene.play("SAY hi")

    assert isinstance(ended, Verdict)
    assert ended.reason == (
        "The agent scripted doesn't take mode = 'nonsense': Invalid mode. Change or remove it in "
        "agents.scripted."
    )


# what it has the host do


async def test_what_a_terminal_put_out_is_the_result_of_the_call(scene: Scene) -> None:
    outputs = await scene.play('TERMINAL ["echo", "hi there"]')

    [ended] = [output for output in outputs if isinstance(output, ToolCompleted)]
    assert (ended.call_id, ended.status, ended.result) == ("run", "ok", "hi there\n")


async def test_files_are_read_and_written_in_the_sessions_folder_alone(scene: Scene) -> None:
    run = FakeRun()
    path = run.files.folder / "a.txt"
    run.message = FakeMessage(f"WRITE {path} hello\nREAD {path}\nREAD /etc/passwd")

    outputs = await scene.play(run)

    [written, read, refused] = [json.loads(output.text) for output in outputs if isinstance(output, Text)]
    assert (written, read, path.read_text()) == ({}, {"content": "hello"}, "hello")
    assert "code" in refused


# what it is prompted with


async def test_an_agent_that_sees_gets_files_as_themselves(tmp_path: Path) -> None:
    files = {"dot.png": b"\x89PNG", "note.txt": b"the key", "data.bin": b"\xff\xfe"}

    async with scripted(tmp_path, "--sees") as scene:
        outputs = await scene.play(FakeRun("BLOCKS", files=files))

    assert spoken(outputs) == "text image:image/png:4 text:the key link:data.bin"


async def test_an_agent_that_doesnt_see_gets_links_into_its_folder(scene: Scene) -> None:
    outputs = await scene.play(FakeRun("BLOCKS", files={"dot.png": b"\x89PNG", "note.txt": b"the key"}))

    assert spoken(outputs) == "text link:dot.png link:note.txt"


async def test_the_gateway_is_given_to_an_agent_that_can_reach_it(tmp_path: Path) -> None:
    run = FakeRun("SERVERS")
    run.gateway = GatewayAccess("http://127.0.0.1:8321/mcp/run", "secret")

    async with scripted(tmp_path, "--http") as scene:
        [server] = json.loads(spoken(await scene.play(run)))

    assert server == {
        "type": "http",
        "name": "tenure",
        "url": "http://127.0.0.1:8321/mcp/run",
        "headers": [{"name": "Authorization", "value": "Bearer secret"}],
    }


async def test_an_agent_that_cant_reach_the_gateway_does_without(scene: Scene) -> None:
    run = FakeRun("SERVERS", tools={"note": lambda: None})
    run.gateway = GatewayAccess("http://127.0.0.1:8321/mcp/run", "secret")

    outputs = await scene.play(run)

    assert spoken(outputs) == "[]"
    detail = "The agent speaks no MCP over HTTP; it can't reach: note."
    assert run.warnings == [("gateway_unavailable", detail)]


# steering


async def test_a_message_joins_the_turn(tmp_path: Path) -> None:
    run = FakeRun("SAY ready\nAWAIT 1")
    async with scripted(tmp_path, "--steering", steering=True) as scene:
        async with aclosing(scene.runner.run(run)) as outputs:
            await until_said(outputs)
            run.steering.send("left")
            rest = [output async for output in outputs]

    assert rest == [Text("steered: left "), completed()]


async def test_a_message_that_doesnt_join_is_prompted_with_after_the_turn(tmp_path: Path) -> None:
    used = 'USAGE {"totalTokens": 10, "inputTokens": 7, "outputTokens": 3}'
    run = FakeRun(f"DEAF\n{used}\nSAY ready\nSLOW 2 100")
    async with scripted(tmp_path, "--steering", steering=True) as scene:
        async with aclosing(scene.runner.run(run)) as outputs:
            await until_said(outputs)
            run.steering.send(f"SAY and left\n{used}")
            rest = [output async for output in outputs]

    spent = Spent(Usage(model="scripted", input_tokens=7, output_tokens=3))
    assert rest == [Text("w0 "), Text("w1 "), spent, Text("and left"), spent, completed()]


@pytest.mark.parametrize(("flags", "steering"), [(("--steering",), False), ((), True)])
async def test_steering_waits_where_it_isnt_both_set_and_offered(
    tmp_path: Path, flags: tuple[str, ...], steering: bool
) -> None:
    run = FakeRun("SAY ready\nSLOW 2 50")
    run.steering.send("left")

    async with scripted(tmp_path, *flags, steering=steering) as scene:
        outputs = await scene.play(run)

    assert (spoken(outputs), run.steering.pending) == ("readyw0 w1 ", 1)
    assert scene.runner.descriptor.capabilities.steering is steering
