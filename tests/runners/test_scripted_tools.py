"""The orders of *scripted* that use tools and steering: ASK, TOOL, ONCE, and SLOW while somebody speaks."""

import asyncio

import pytest

from tenure.core.output import Output, Text, completed
from tenure.errors import Code, TenureError
from tenure.runners.demo.scripted import ScriptedRunner
from tenure.runners.rehearsal import FakeRun, spoken
from tenure.runners.rehearsed_tools import Made
from tests.runners.virtual import in_virtual_time, timeline


def outputs_of(run: FakeRun) -> list[Output]:
    """What *scripted* puts out in a run."""
    return [output for _, output in timeline(ScriptedRunner(), run)]


def confirm(text: str) -> dict[str, str]:
    """A person who says yes to another text than was asked for."""
    return {"text": text.upper()}


def path_of(path: str) -> str:
    """A tool that tells what it was given."""
    return path


def denied(**arguments: object) -> object:
    """A person who says no."""
    raise TenureError(Code.DENIED, "Ben said no.")


def test_ask_says_the_text_as_it_was_approved() -> None:
    run = FakeRun("ASK shall I go on?", tools={"confirm": confirm})

    assert outputs_of(run) == [Text("approved: SHALL I GO ON?"), completed()]
    assert run.tools.made == [Made("confirm", {"text": "shall I go on?"})]


def test_ask_says_denied_when_a_person_denies() -> None:
    assert outputs_of(FakeRun("ASK may I?", tools={"confirm": denied})) == [Text("denied"), completed()]


def test_ask_without_the_tool_says_why() -> None:
    assert spoken(outputs_of(FakeRun("ASK may I?"))).startswith("forbidden: This run may not call")


def test_tool_calls_any_tool_and_says_its_result_as_json() -> None:
    def add(a: int, b: list[int]) -> dict[str, int]:
        return {"sum": a + sum(b)}

    run = FakeRun('TOOL add {"a": 1, "b": [2, 3]}', tools={"add": add})

    assert outputs_of(run) == [Text('{"sum":6}'), completed()]


def test_tool_without_arguments_calls_with_none() -> None:
    run = FakeRun("TOOL now", tools={"now": lambda: None})

    assert outputs_of(run) == [Text("null"), completed()]
    assert run.tools.made == [Made("now", {})]


def test_tool_that_is_refused_says_the_refusal_and_goes_on() -> None:
    run = FakeRun("TOOL pay {}\nSAY on", tools={"pay": denied})

    assert outputs_of(run) == [Text("denied: Ben said no. "), Text("on"), completed()]


def test_once_appends_through_the_tool_once() -> None:
    run = FakeRun("ONCE  notes/a.txt ", tools={"once": path_of})

    assert outputs_of(run) == [Text('"notes/a.txt"'), completed()]


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("ASK", "ASK needs a text"),
        ("ONCE ", "ONCE needs a path"),
        ("TOOL", "TOOL needs a name"),
        ("TOOL add {", "TOOL needs arguments in JSON"),
        ("TOOL add [1]", "TOOL needs arguments in JSON"),
    ],
)
def test_orders_without_what_they_need_say_what(message: str, says: str) -> None:
    assert spoken(outputs_of(FakeRun(message))).startswith(says)


def test_a_run_that_lost_its_host_doesnt_talk_about_it() -> None:
    def fenced() -> object:
        raise TenureError(Code.FENCED, "Another host has this run.")

    with pytest.raises(TenureError, match="Another host"):
        outputs_of(FakeRun("TOOL now", tools={"now": fenced}))


def test_slow_echoes_what_is_sent_to_it_between_words_and_keeps_its_time() -> None:
    async def talk() -> list[tuple[float, str]]:
        loop, run = asyncio.get_running_loop(), FakeRun("SLOW 4 100")
        loop.call_at(0.15, run.steering.send, "left")
        loop.call_at(0.16, run.steering.send, "right")
        return [
            (round(loop.time(), 3), output.text)
            async for output in ScriptedRunner().run(run)
            if isinstance(output, Text)
        ]

    assert in_virtual_time(talk()) == [
        (0.0, "w0 "),
        (0.1, "w1 "),
        (0.2, "steered: left "),
        (0.2, "steered: right "),
        (0.2, "w2 "),
        (0.3, "w3 "),
    ]
