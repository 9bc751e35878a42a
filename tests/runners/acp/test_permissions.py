"""What people are asked when an ACP agent asks for permission, and what the agent is told."""

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest
from acp.schema import AllowedOutcome, PermissionOption, RequestPermissionResponse

from tenure.core.effect import CallStatus
from tenure.core.output import Output, Text, ToolStarted, completed
from tenure.core.run import RunState
from tenure.ports.runner import GatewayAccess
from tenure.runners.acp.permissions import CANCELLED, answer, can_grant, tool_name
from tenure.runners.acp.turn import STOPPED
from tenure.runners.rehearsal import FakeRun, spoken
from tests.runners.acp.scene import Scene, scripted, tool, verdict

pytestmark = pytest.mark.anyio

ALL = ["allow_always", "allow_once", "reject_once", "reject_always"]
ARGUMENTS = {"title": "echo hi", "command": "echo hi"}


def options(*kinds: str) -> list[PermissionOption]:
    """Options of these kinds, each with its place as its id."""
    return [
        PermissionOption.model_validate({"optionId": str(place), "name": kind, "kind": kind})
        for place, kind in enumerate(kinds)
    ]


def chosen(place: int | None) -> RequestPermissionResponse:
    """The answer that chooses the option at a place; None for the one that chooses none."""
    if place is None:
        return CANCELLED
    return RequestPermissionResponse(outcome=AllowedOutcome(outcome="selected", option_id=str(place)))


@pytest.mark.parametrize(
    ("kinds", "granted", "denied"),
    [
        (ALL, 1, 2),
        (["allow_once", "allow_once", "reject_once", "reject_once"], 0, 2),
        (["allow_always", "reject_always"], 0, 1),
        (["allow_always", "allow_once"], 1, None),
        (["allow_once"], 0, None),
        (["reject_once"], None, 0),
        ([], None, None),
    ],
)
def test_an_answer_says_what_was_decided_and_nothing_beyond(
    kinds: list[str], granted: int | None, denied: int | None
) -> None:
    offered = options(*kinds)

    assert answer(offered, granted=True) == chosen(granted)
    assert answer(offered, granted=False) == chosen(denied)
    assert can_grant(offered) is (granted is not None)


@pytest.mark.parametrize(
    ("kind", "title", "meta", "name"),
    [
        ("execute", "rm -r build", None, "execute"),
        ("other", "mcp__tenure__note", None, "mcp__tenure__note"),
        ("other", "Keep a note", {"claudeCode": {"toolName": "mcp__tenure__note"}}, "mcp__tenure__note"),
        ("other", "{}", {"toolName": "mcp__tenure__note"}, "mcp__tenure__note"),
        (None, "effect", {"tool_name": "bash"}, "bash"),
        (None, "  Keep a note ", {}, "Keep a note"),
        (None, "", None, "other"),
        ("other", " execute", None, "other"),
    ],
)
def test_a_tool_has_a_name_that_stays(
    kind: str | None, title: str, meta: dict[str, object] | None, name: str
) -> None:
    assert tool_name(kind, title, meta) == name


# with an agent


async def test_a_permitted_call_is_made_and_settled(tmp_path: Path) -> None:
    run = FakeRun(tool(ask=ALL))

    async with scripted(tmp_path) as scene:
        outputs = await scene.play(run)

    assert outputs == [Text("[allow_once-1]"), completed()]
    assert run.own.asked == [("execute", ARGUMENTS)]
    assert [*run.own.settled.values()] == [(CallStatus.OK, "hi\n")]


@pytest.mark.parametrize(
    ("flags", "gateway", "asked"),
    [
        (("--http",), GatewayAccess("http://127.0.0.1:9/mcp/run", "token"), 0),
        (("--http",), None, 1),
        ((), GatewayAccess("http://127.0.0.1:9/mcp/run", "token"), 1),
    ],
)
async def test_only_an_agent_that_was_handed_the_gateway_asks_nobody_about_a_tool_of_the_host(
    tmp_path: Path, flags: tuple[str, ...], gateway: GatewayAccess | None, asked: int
) -> None:
    run = FakeRun(tool(ask=ALL, kind="other", meta={"toolName": "mcp__tenure__confirm"}))
    run.gateway = gateway

    async with scripted(tmp_path, *flags) as scene:
        await scene.play(run)

    assert len(run.own.asked) == asked


async def test_a_permitted_call_that_fails_is_settled_as_an_error(tmp_path: Path) -> None:
    run = FakeRun(tool(ask=ALL, fail=True, output="exit 1"))

    async with scripted(tmp_path) as scene:
        await scene.play(run)

    assert [*run.own.settled.values()] == [(CallStatus.ERROR, "exit 1")]


async def test_a_denied_call_isnt_made(tmp_path: Path) -> None:
    run = FakeRun(tool(ask=ALL, append=str(tmp_path / "made")) + "\nSAY never mind")
    run.own.judge = lambda tool, arguments: False

    async with scripted(tmp_path) as scene:
        outputs = await scene.play(run)

    assert spoken(outputs) == "[reject_once-2]never mind"
    assert outputs[-1] == completed()
    assert not (tmp_path / "made").exists()
    assert run.own.settled == {}


async def test_a_turn_that_ends_with_a_refusal_completes(tmp_path: Path) -> None:
    run = FakeRun("SAY well\n" + tool(ask=ALL) + "\nSTOP cancelled")
    run.own.judge = lambda tool, arguments: False

    async with scripted(tmp_path) as scene:
        outputs = await scene.play(run)

    assert outputs[-1] == completed()


async def test_a_person_is_shown_that_an_agent_takes_leave_only_for_good(tmp_path: Path) -> None:
    run = FakeRun(tool(ask=["allow_always", "reject_once"]))

    async with scripted(tmp_path) as scene:
        outputs = await scene.play(run)

    assert outputs == [Text("[allow_always-0]"), completed()]
    assert run.own.asked == [("execute", {**ARGUMENTS, "lasting_permission": True})]
    assert [*run.own.settled.values()] == [(CallStatus.OK, "hi\n")]


@pytest.mark.parametrize("offered", [["reject_once"], ["reject_always"], []])
async def test_nobody_is_asked_what_cant_be_answered(tmp_path: Path, offered: list[str]) -> None:
    run = FakeRun(tool(ask=offered))

    async with scripted(tmp_path) as scene:
        outputs = await scene.play(run)

    assert run.own.asked == []
    assert [code for code, _ in run.warnings] == ["permission_unanswerable"]
    assert spoken(outputs) in ("[reject_once-0]", "[reject_always-0]", "[cancelled]")


async def test_several_questions_at_once_are_answered_each(tmp_path: Path) -> None:
    calls = ", ".join(tool(id=name, input={"command": name}, ask=ALL)[5:] for name in ("one", "two", "three"))
    run = FakeRun(f"TOOLS [{calls}]")
    run.own.judge = lambda tool, arguments: arguments["command"] != "two"

    async with scripted(tmp_path) as scene:
        outputs = await scene.play(run)

    assert sorted(str(arguments["command"]) for _, arguments in run.own.asked) == ["one", "three", "two"]
    assert sorted(spoken(outputs)) == sorted("[allow_once-1][allow_once-1][reject_once-2]")
    assert len(run.own.settled) == 2


async def test_a_call_is_asked_about_though_it_was_never_announced(tmp_path: Path) -> None:
    run = FakeRun(tool(ask=ALL, announce=False))

    async with scripted(tmp_path) as scene:
        outputs = await scene.play(run)

    assert run.own.asked == [("execute", ARGUMENTS)]
    assert outputs == [Text("[allow_once-1]"), completed()]


async def test_a_permitted_call_that_never_ends_is_left_unsettled(tmp_path: Path) -> None:
    run = FakeRun(tool(ask=ALL, ends=False))

    async with scripted(tmp_path) as scene:
        outputs = await scene.play(run)

    assert (outputs[-1], run.own.settled) == (completed(), {})


async def test_an_agent_that_makes_a_denied_call_is_caught_at_it(tmp_path: Path) -> None:
    run = FakeRun(tool(ask=ALL, heeds=False))
    run.own.judge = lambda tool, arguments: False

    async with scripted(tmp_path) as scene:
        outputs = await scene.play(run)

    assert [code for code, _ in run.warnings] == ["not_permitted"]
    assert [output.tool for output in outputs if isinstance(output, ToolStarted)] == ["execute"]


async def test_an_agent_that_doesnt_wait_for_the_answer_is_caught_at_it(tmp_path: Path) -> None:
    run = FakeRun(tool(ask=ALL, waits=False))
    run.own.answering.clear()

    async with scripted(tmp_path) as scene:
        outputs = await scene.play(run)

    assert [code for code, _ in run.warnings] == ["not_permitted"]
    assert run.own.withdrawn == [("execute", ARGUMENTS)]
    assert outputs[-1] == completed()


async def test_an_agent_that_changes_what_was_approved_is_caught_at_it(tmp_path: Path) -> None:
    run = FakeRun(tool(ask=ALL, runs={"command": "rm -r /"}))

    async with scripted(tmp_path) as scene:
        await scene.play(run)

    assert [code for code, _ in run.warnings] == ["changed_after_approval"]


async def test_what_is_too_large_to_be_shown_to_people_is_refused(tmp_path: Path) -> None:
    run = FakeRun(tool(ask=ALL, input={"text": "x" * 300_000}))

    async with scripted(tmp_path) as scene:
        outputs = await scene.play(run)

    assert [code for code, _ in run.warnings] == ["permission_refused"]
    assert spoken(outputs) == "[reject_once-2]"


async def test_a_stop_while_people_are_asked_cancels_the_question(tmp_path: Path) -> None:
    run = FakeRun("SAY well\n" + tool(ask=ALL))
    run.own.answering.clear()

    async with scripted(tmp_path) as scene:
        task = await until_asked(scene, run)
        run.stop()
        outputs = await asyncio.wait_for(task, 20)

    assert outputs == [Text("well"), Text("[cancelled]"), STOPPED]
    assert run.own.withdrawn == [("execute", ARGUMENTS)]


async def test_an_agent_that_dies_while_people_are_asked_fails_the_run(tmp_path: Path) -> None:
    run = FakeRun(tool(ask=ALL, waits=False, ends=False) + "\nDIE 9")
    run.own.answering.clear()

    async with scripted(tmp_path) as scene:
        outputs = await scene.play(run)

    assert verdict(outputs).status is RunState.FAILED
    assert run.own.withdrawn == [("execute", ARGUMENTS)]


async def test_a_call_that_is_asked_about_anew_is_answered_once_more(tmp_path: Path) -> None:
    call = tool(ask=ALL, ends=False)
    run = FakeRun(f"{call}\n{tool(ask=ALL, announce=False)}")
    run.own.judge = lambda tool, arguments: len(run.own.asked) == 2

    async with scripted(tmp_path) as scene:
        outputs = await scene.play(run)

    assert spoken(outputs) == "[reject_once-2][allow_once-1]"
    assert len(run.own.asked) == 2
    assert [*run.own.settled.values()] == [(CallStatus.OK, "hi\n")]


async def test_a_run_that_is_closed_with_a_question_unread_leaves_the_agent_idle(tmp_path: Path) -> None:
    run = FakeRun("SAY one\nSAY two\n" + tool(ask=ALL))
    async with scripted(tmp_path, "--log", str(tmp_path / "log")) as scene:
        async with aclosing(scene.runner.run(run)) as outputs:
            await anext(outputs)
        again = await scene.play(FakeRun("SAY back", number=2))

    assert (run.own.asked, again) == ([], [Text("back"), completed()])


async def until_asked(scene: Scene, run: FakeRun) -> "asyncio.Task[list[Output]]":
    """Play until a person is asked."""
    task = asyncio.create_task(scene.play(run))
    async with asyncio.timeout(20):
        await run.own.questioned.wait()
    return task
