"""What users test their agents with."""

from collections.abc import AsyncIterator

import pytest

import tenure
from tenure.core.content import TextPart
from tenure.core.moment import Micros, timestamp
from tenure.ports.clock import Clock
from tenure.ports.runner import RunContext
from tenure.testing import FakeRun, ManualClock, rehearse, spoken

pytestmark = pytest.mark.anyio


@tenure.agent("parrot")
async def parrot(run: tenure.Run) -> AsyncIterator[str]:
    for word in run.message.text.split():
        yield f"{word}! "


async def test_rehearsal_gives_everything_that_an_agent_puts_out() -> None:
    outputs = await rehearse(parrot, "good morning")

    assert outputs == [tenure.Text("good! "), tenure.Text("morning! "), tenure.completed()]
    assert spoken(outputs) == "good! morning! "


async def test_rehearsal_takes_a_message_of_parts() -> None:
    assert spoken(await rehearse(parrot, (TextPart("good"), TextPart("morning")))) == ("good! morning! ")


async def test_rehearsal_takes_a_run_that_was_set_up_and_raises_what_the_agent_raises() -> None:
    @tenure.agent("reader")
    async def reader(run: tenure.Run) -> str:
        return str(len((await run.transcript()).data))

    assert spoken(await rehearse(reader, FakeRun("go"))) == "0"
    with pytest.raises(tenure.TenureError):
        await rehearse(reader, FakeRun("go", apis=()))


def test_fake_run_is_a_run_context() -> None:
    context: RunContext = FakeRun("hello")

    assert context.message.text == "hello"


def test_manual_clock_stands_still_until_it_is_moved() -> None:
    clock: Clock = ManualClock(Micros(5))

    assert [clock.now(), clock.now()] == [5, 5]
    assert clock.monotonic() == 0


def test_manual_clock_lets_time_pass_on_both_clocks() -> None:
    clock = ManualClock()
    begun = clock.now()

    clock.advance(1.5)

    assert (clock.now() - begun, clock.monotonic()) == (1_500_000, 1.5)


def test_manual_clock_jumps_without_letting_time_pass() -> None:
    clock = ManualClock()
    begun = clock.now()

    clock.jump(-3_600)

    assert (clock.now() - begun, clock.monotonic()) == (-3_600_000_000, 0)


def test_manual_clock_lets_no_time_pass_backwards() -> None:
    with pytest.raises(ValueError, match="Time can't pass by -1 s"):
        ManualClock().advance(-1)


def test_manual_clock_begins_at_a_known_instant() -> None:
    assert timestamp(ManualClock().now()) == "2026-11-01T00:00:00.000000Z"
