"""Outputs that a runner gets wrong: each is warned of, and costs the run nothing else."""

from collections.abc import AsyncIterator

import pytest

from tenure.core.event import RunnerWarning
from tenure.core.output import (
    Output,
    Reasoning,
    Said,
    Spent,
    Text,
    ToolCompleted,
    ToolStarted,
    Usage,
    Verdict,
    completed,
)
from tenure.core.run import RunState
from tenure.ports.runner import RunContext
from tests.host.rooms import Rooms, end, in_virtual_time, said, talk_with, warnings


class Rude:
    """An object that can't be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("Don't look at me.")


class Garbled:
    """An object whose text can't be stored."""

    def __repr__(self) -> str:
        return "\ud800"


class Shouted(str):
    """A text that isn't plain."""

    __slots__ = ()


def _deep(depth: int) -> list[object]:
    inner: list[object] = []
    for _ in range(depth):
        inner = [inner]
    return inner


def _endless() -> dict[str, object]:
    ring: dict[str, object] = {}
    ring["again"] = ring
    return ring


ODD: dict[str, object] = {
    "nothing": None,
    "bytes": b"bytes",
    "class": Text,
    "rude": Rude(),
    "garbled": Garbled(),
    "str subclass": Text(Shouted("LOUD")),
    "text surrogate": Text("\udfff"),
    "reasoning int": Reasoning(3),  # pyright: ignore[reportArgumentType]
    "reasoning surrogate": Reasoning("\udfff"),
    "parts": Said([{"type": "text"}]),  # pyright: ignore[reportArgumentType]
    "said surrogate": Said("\udfff"),
    "object argument": ToolStarted(call_id="c", tool="t", arguments={"at": object()}),
    "endless argument": ToolStarted(call_id="c", tool="t", arguments=_endless()),
    "tool surrogate": ToolStarted(call_id="c", tool="\udfff"),
    "int id": ToolStarted(call_id=5, tool="t"),  # pyright: ignore[reportArgumentType]
    "deep": ToolCompleted(call_id="c", status="ok", result=_deep(100_000)),
    "usage text": Spent(Usage(model="m", input_tokens="many")),  # pyright: ignore[reportArgumentType]
    "no usage": Spent(None),  # pyright: ignore[reportArgumentType]
    "unknown verdict": Verdict(status="fine"),  # pyright: ignore[reportArgumentType]
    "lost verdict": Verdict(status=RunState.LOST),
    "reason surrogate": Verdict(status=RunState.FAILED, reason="\udfff"),
    "reason int": Verdict(status=RunState.FAILED, reason=7),  # pyright: ignore[reportArgumentType]
}


@pytest.mark.sources("O13", "D-O11")
@pytest.mark.parametrize("name", ODD)
@in_virtual_time
async def test_output_that_can_not_be_taken_is_warned_of_and_costs_nothing_else(
    rooms: Rooms, name: str
) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Text("before ")
        yield ODD[name]  # pyright: ignore[reportReturnType] - that is the point
        yield Text("after")
        yield completed()

    talk = await talk_with(rooms, work)
    events = await talk.say()

    assert (said(events), warnings(events), end(events)) == (
        "before after",
        ["payload_invalid"],
        ("completed", ""),
    )
    assert (await talk.lines())[-1] == ("assistant", "before after", "completed")


@in_virtual_time
async def test_warning_of_an_output_that_can_not_be_taken_is_short(rooms: Rooms) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        thing: object = "x" * 1_000_000
        yield thing  # pyright: ignore[reportReturnType] - that is the point
        yield ToolStarted(call_id="c", tool="t", arguments={"x" * 100_000: object()})
        yield completed()

    events = await (await talk_with(rooms, work)).say()
    details = [e.event.detail for e in events if isinstance(e.event, RunnerWarning)]

    assert len(details) == 2
    assert max(map(len, details)) < 1_000


@pytest.mark.parametrize(
    "number",
    ["x" * 1_000_000, Rude(), Garbled(), True, 1.0, -1, None],
    ids=lambda number: type(number).__name__,
)
@in_virtual_time
async def test_output_with_an_odd_number_is_delivered_with_a_short_warning(
    rooms: Rooms, number: object
) -> None:
    async def work(run: RunContext) -> AsyncIterator[Output]:
        yield Text("still here", sequence=number)
        yield completed()

    events = await (await talk_with(rooms, work)).say()

    assert (said(events), end(events)) == ("still here", ("completed", ""))
    assert warnings(events) == ([] if number is None else ["sequence_invalid"])
    assert all(len(e.event.detail) < 300 for e in events if isinstance(e.event, RunnerWarning))
