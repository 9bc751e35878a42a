"""What `@tenure.agent` makes of a function, what it refuses, and the `Run` that an agent is given."""

import asyncio
import functools
import math
import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import tenure
from tenure.core.grant import HISTORY, Capabilities, Descriptor
from tenure.core.view import TranscriptItem
from tenure.errors import Code, ConfigError, TenureError
from tenure.runners.rehearsal import FakeRun

pytestmark = pytest.mark.anyio


async def talk(_run: tenure.Run) -> AsyncIterator[str]:
    """Say hello.

    At length.
    """
    yield "hello"


async def answer(_run: tenure.Run) -> str:
    return "hello"


async def test_definition_is_still_called_like_its_generator_function() -> None:
    definition = tenure.agent("greeter")(talk)

    assert [piece async for piece in definition(tenure.Run(FakeRun()))] == ["hello"]


async def test_definition_is_still_called_like_its_coroutine_function() -> None:
    definition = tenure.agent("greeter")(answer)

    assert await definition(tenure.Run(FakeRun())) == "hello"


def test_definition_says_what_the_agent_is_and_asks_for() -> None:
    definition = tenure.agent("greeter", deadline_s=60, steering=True, permissions=())(talk)

    assert definition.name == "greeter"
    assert definition.deadline_s == 60
    assert definition.descriptor == Descriptor(
        runner="python",
        capabilities=Capabilities(steering=True, tools=True, approvals=True),
        permissions=(),
        description="Say hello.",
    )


def test_definition_asks_by_default_for_the_transcript_and_for_no_deadline() -> None:
    definition = tenure.agent("greeter", description="Greets.")(answer)

    assert definition.deadline_s is None
    assert definition.descriptor == Descriptor(
        runner="python",
        capabilities=Capabilities(tools=True, approvals=True),
        permissions=(HISTORY,),
        description="Greets.",
    )


def test_definition_knows_where_its_function_stands() -> None:
    place = tenure.agent("greeter")(talk).place

    assert place == f"{__file__}:{talk.__code__.co_firstlineno}"


@pytest.mark.parametrize("name", ["a", "A1", "my-agent", "my_agent.v2", "x" * 64])
def test_names_may_hold_letters_digits_dots_dashes_and_underscores(name: str) -> None:
    assert tenure.agent(name)(talk).name == name


@pytest.mark.parametrize("name", ["", " ", "-a", ".a", "a b", "a/b", "ä", "a\n", "../x", "x" * 65])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(repr(name))} can't be the name of an agent"):
        tenure.agent(name)


def test_decorator_without_its_name_is_refused_and_shown_how() -> None:
    bare: Callable[[object], object] = tenure.agent  # pyright: ignore[reportAssignmentType]

    with pytest.raises(ConfigError, match=r'Write @tenure\.agent\("greeter"\) above the function'):
        bare(talk)


@pytest.mark.parametrize("deadline_s", [0, -1, math.nan, math.inf])
def test_deadline_that_is_no_span_is_refused(deadline_s: float) -> None:
    with pytest.raises(ConfigError, match=f"deadline_s of {deadline_s}. Give a number of seconds"):
        tenure.agent("greeter", deadline_s=deadline_s)


def plain(_run: tenure.Run) -> str:
    return "hello"


def generator(_run: tenure.Run) -> Iterator[str]:
    yield "hello"


class Greeter:
    def __init__(self, run: tenure.Run) -> None: ...


@pytest.mark.parametrize(
    ("thing", "kind"),
    [
        (plain, "a function without `async`"),
        (generator, "a generator function without `async`"),
        (Greeter, "a class"),
        ("greeter", "'greeter'"),
        (None, "None"),
        (talk(tenure.Run(FakeRun())), "<async_generator object talk at "),
    ],
)
def test_anything_but_an_async_function_is_refused(thing: Any, kind: str) -> None:
    with pytest.raises(ConfigError, match=f"^The agent greeter is {re.escape(kind)}.*Make it an `async def`"):
        tenure.agent("greeter")(thing)


async def no_argument() -> str:
    return ""


async def two_arguments(_run: tenure.Run, _more: str) -> str:
    return ""


async def named_argument(*, run: tenure.Run) -> str:
    return run.id


@pytest.mark.parametrize("function", [no_argument, two_arguments, named_argument])
def test_function_that_cant_take_a_run_is_refused_with_its_place(function: Any) -> None:
    with pytest.raises(ConfigError, match=r"test_agent\.py:\d+\) can't be called with a run: "):
        tenure.agent("greeter")(function)


async def test_function_with_bound_or_default_arguments_is_taken() -> None:
    definition = tenure.agent("greeter")(functools.partial(greet, "good morning"))

    assert await definition(tenure.Run(FakeRun("ada"))) == "good morning, ada!"


async def greet(how: str, run: tenure.Run, mark: str = "!") -> str:
    return f"{how}, {run.message.text}{mark}"


def test_run_shows_what_the_host_offers() -> None:
    context = FakeRun("hello", user="bob", attempt=2, seconds_left=4.5)

    run = tenure.Run(context)

    assert (run.id, run.session_id, run.attempt) == (context.run_id, context.session_id, 2)
    assert (run.message.id, run.message.user) == (context.message.id, "bob")
    assert (run.message.text, run.message.content) == ("hello", "hello")
    assert (run.grant, run.seconds_left) == (context.grant, 4.5)


async def test_run_tells_when_it_was_asked_to_stop() -> None:
    context = FakeRun()
    run = tenure.Run(context)
    waiting = asyncio.create_task(run.stopped())
    await asyncio.sleep(0)
    assert (run.stopping, waiting.done()) == (False, False)

    context.stop()

    await asyncio.wait_for(waiting, 5)
    assert run.stopping


async def test_run_reads_the_transcript_page_by_page() -> None:
    said = tuple(line(n) for n in range(1, 6))
    run = tenure.Run(FakeRun(said=said))

    first = await run.transcript(limit=3)
    second = await run.transcript(first.next_cursor, limit=3)

    assert (first.data, second.data, second.next_cursor) == (said[:3], said[3:], None)


async def test_run_refuses_the_transcript_without_the_right_to_it() -> None:
    run = tenure.Run(FakeRun(apis=(), said=[line(1)]))

    with pytest.raises(TenureError) as refusal:
        await run.transcript()

    assert refusal.value.code == Code.FORBIDDEN


def line(n: int) -> TranscriptItem:
    """The n-th message of a transcript."""
    return TranscriptItem(
        message_id=f"msg_{n:032x}",
        role="user",
        content=f"line {n}",
        run_id=None,
        status="settled",
        seq=n,
    )
