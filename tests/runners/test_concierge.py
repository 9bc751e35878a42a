"""The demo agent *concierge*: what it looks up, books, remembers, and how it can be steered and stopped."""

import asyncio
from collections.abc import Callable
from datetime import date

import pytest

from tenure.core.output import Text, completed
from tenure.core.tool import Arguments
from tenure.errors import Code, TenureError
from tenure.runners.demo.concierge import Table, changed, concierge
from tenure.runners.inprocess import InProcessRunner
from tenure.runners.rehearsal import FakeRun
from tenure.tools import town
from tenure.tools.calling import FunctionTool
from tests.runners.virtual import in_virtual_time
from tests.tools.calls import a_call

Booked = dict[str, object]


def hours_of(place: str) -> Booked:
    return {"place": place, "hours": town.HOURS[place]}


def weather_of(day: str) -> Booked:
    return {"date": "2026-11-02", "sky": "foggy until noon", "degrees": 7}


def table_of(**table: object) -> Booked:
    """A booking as it was approved."""
    return {"booking": "A1B2C3", "date": "2026-11-02", **table}


TOOLS: dict[str, Callable[..., object]] = {
    "opening_hours": hours_of,
    "weather": weather_of,
    "book_table": table_of,
}


def answer(run: FakeRun, *later: tuple[float, Callable[[], None]]) -> str:
    """All that *concierge* says, while these things happen at these seconds."""

    async def listen() -> list[object]:
        for at, act in later:
            asyncio.get_running_loop().call_at(at, act)
        return [output async for output in InProcessRunner(concierge).run(run)]

    outputs = in_virtual_time(listen())
    assert outputs[-1] == completed() or run.stopping
    return "".join(output.text for output in outputs if isinstance(output, Text))


def booked(run: FakeRun) -> list[Arguments]:
    """The bookings that were asked for."""
    return [made.arguments for made in run.tools.made if made.tool == "book_table"]


def test_it_asks_for_three_tools_and_for_steering() -> None:
    assert concierge.descriptor.tools == ("opening_hours", "weather", "book_table")
    assert concierge.policy.tools == concierge.descriptor.tools
    assert concierge.descriptor.capabilities.steering


def test_it_looks_up_hours_and_weather_of_one_message() -> None:
    run = FakeRun("When does the harbour cafe open, and will it rain tomorrow?", tools=TOOLS)

    assert answer(run) == (
        "Harbour Café: Monday to Saturday, 8:00 to 18:00. Tomorrow will be foggy until noon, 7 degrees. "
    )


def test_it_remembers_a_guest() -> None:
    run = FakeRun("My name is Ada, and I like quiet tables.", tools=TOOLS)
    said = answer(run)
    again = FakeRun("Hello", tools=TOOLS, state={"actor": {"name": "Ada", "likes": "quiet tables"}})

    assert said == "Pleased to meet you, Ada. I'll remember that you like quiet tables. "
    assert in_virtual_time(value(run, "name")) == "Ada"
    assert in_virtual_time(value(run, "likes")) == "quiet tables"
    assert answer(again).startswith("Welcome back, Ada! ")


async def value(run: FakeRun, key: str) -> object:
    """What it keeps of the guest."""
    found = await run.state.get("actor", key)
    return None if found is None else found.value


def test_it_books_what_was_approved_not_what_it_asked_for() -> None:
    def fewer(**table: object) -> Booked:
        return table_of(**table | {"people": 3})

    run = FakeRun("Book a table for four at the Aurora on Friday at 8", tools=TOOLS | {"book_table": fewer})
    said = answer(run)

    assert booked(run) == [
        {"restaurant": "Aurora", "people": 4, "day": "friday", "time": "20:00", "wish": ""}
    ]
    assert "A table for 4 at the Aurora, friday at 20:00: shall I? " in said
    assert said.endswith(
        "Booked: a table for 3 at the Aurora on 2026-11-02 at 20:00. Your number is A1B2C3. "
    )


def test_what_is_said_while_it_works_changes_the_booking() -> None:
    run = FakeRun("Book a table for 2", tools=TOOLS, state={"actor": {"likes": "candles"}})
    said = answer(run, (1.0, lambda: run.steering.send("make it 5, at 21:15 please")))

    assert "(noted: make it 5, at 21:15 please) " in said
    assert booked(run) == [
        {"restaurant": "Old Mill", "people": 5, "day": "today", "time": "21:15", "wish": "candles"}
    ]


def test_a_denied_booking_is_taken_well() -> None:
    def no(**table: object) -> Booked:
        raise TenureError(Code.DENIED, "Ben said no.")

    run = FakeRun("Reserve the Aurora", tools=TOOLS | {"book_table": no})

    assert answer(run).endswith("As you wish: nothing was booked. ")


def test_stopped_before_it_asked_it_books_nothing() -> None:
    run = FakeRun("Book a table", tools=TOOLS)

    assert answer(run, (0.5, run.stop)).endswith("I stop here; nothing was booked. ")
    assert booked(run) == []


def test_other_talk_gets_a_welcome_that_says_what_it_can() -> None:
    assert "I book tables" in answer(FakeRun("hm", tools=TOOLS))


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("for 4 at the aurora", Table("Aurora", 4)),
        ("tonight at 7pm for two", Table(people=2, day="today", time="19:00")),
        ("tomorrow at 12:30", Table(day="tomorrow", time="12:30")),
        ("at 11 am", Table(time="11:00")),
        ("we are six, harbour cafe", Table("Harbour Café", 6)),
        ("thank you", Table()),
    ],
)
def test_what_a_sentence_doesnt_speak_of_stays(text: str, table: Table) -> None:
    assert changed(Table(), text) == table


# its tools


def called(tool: FunctionTool, **arguments: object) -> object:
    """What one call of a tool comes to."""
    tool.check(arguments)
    return in_virtual_time(tool.call(a_call(arguments)))


def test_the_weather_follows_from_the_date_alone() -> None:
    weather = FunctionTool(town.weather)

    assert called(weather, day="today") == called(weather)


@pytest.mark.parametrize(
    ("day", "meant"),
    [
        ("today", date(2026, 11, 4)),
        ("tomorrow", date(2026, 11, 5)),
        ("wednesday", date(2026, 11, 11)),
        ("thursday", date(2026, 11, 5)),
        ("tuesday", date(2026, 11, 10)),
    ],
)
def test_a_weekday_is_the_next_one(day: str, meant: date) -> None:
    assert town.day_of(day, date(2026, 11, 4)) == meant


def test_a_booking_made_twice_has_one_number() -> None:
    booking = FunctionTool(town.book_table)
    order = {"restaurant": "Aurora", "people": 2, "day": "friday", "time": "19:00"}

    assert called(booking, **order) == called(booking, **order)


def test_no_table_is_booked_for_a_crowd() -> None:
    order = {"restaurant": "Aurora", "people": 13, "day": "friday", "time": "19:00"}

    with pytest.raises(TenureError, match="Aurora has no table for 13"):
        called(FunctionTool(town.book_table), **order)


def test_every_place_of_the_agent_has_hours() -> None:
    assert [called(FunctionTool(town.opening_hours), place=place) for place in town.HOURS] == [
        hours_of(place) for place in town.HOURS
    ]
