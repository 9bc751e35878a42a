"""The demo agent that looks after a guest. Try it:

    When does the Aurora open?          looks it up with a tool
    What is the weather tomorrow?
    My name is Ada, and I like quiet tables.   kept across your sessions
    Book a table for 4 at the Old Mill tomorrow at 19:30
                                        asks you to approve, and does what you approved
    make it 5 people                    sent while it works: steers the booking

It is an ordinary `@tenure.agent` that needs no model and no network: what a model would decide, a few
patterns decide here. Everything else is as you would write it.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import NamedTuple

import msgspec

from tenure.errors import Code, TenureError
from tenure.runners.agent import Run, agent

PLACES = ("Aurora", "Old Mill", "Harbour Café", "museum", "pool")
RESTAURANTS = ("Aurora", "Old Mill", "Harbour Café")
STEPS = ("Looking through the book", "Asking for a good table", "Having a word with the kitchen")
STEP_S = 0.8
WORDS_PER_SECOND = 40
NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8}

_NAME = re.compile(r"\b(?:my name is|call me|i am called)\s+([A-ZÀ-Þ][\w'’-]*)", re.IGNORECASE)
_LIKES = re.compile(r"\bi (?:like|love|prefer)\s+([^.!?;]+)", re.IGNORECASE)
_PEOPLE = re.compile(r"\b(?:for|make it|we are|with)\s+(\d{1,2}|" + "|".join(NUMBERS) + r")\b", re.IGNORECASE)
_TIME = re.compile(r"\b(?:at|to)\s+(\d{1,2})(?::(\d\d))?\s*(am|pm)?\b", re.IGNORECASE)
_DAY = re.compile(
    r"\b(today|tonight|tomorrow|monday|tuesday|wednesday|thursday|friday|saturday|sunday)\b", re.IGNORECASE
)


class Table(NamedTuple):
    """The table that a guest asks for, as far as it is known."""

    restaurant: str = "Old Mill"
    people: int = 2
    day: str = "today"
    time: str = "19:00"
    wish: str = ""


@agent(
    "concierge",
    description="Looks things up, books tables with your approval, remembers you. Talk to it while it works.",
    steering=True,
    tools=("opening_hours", "weather", "book_table"),
)
async def concierge(run: Run) -> AsyncIterator[str]:
    """Do what the message asks for, piece by piece, and say so."""
    text = run.message.text
    answers = [skill.answer for skill in SKILLS if skill.asked.search(text)] or [welcome]
    for answer in answers:
        async for sentence in answer(run, text):
            for word in words(sentence):
                yield word
                await asyncio.sleep(1 / WORDS_PER_SECOND)


async def introduce(run: Run, text: str) -> AsyncIterator[str]:
    """Keep what a guest tells of themselves. It lasts across sessions: its scope is the actor."""
    if named := _NAME.search(text):
        await run.state.set("actor", "name", named[1])
        yield f"Pleased to meet you, {named[1]}. "
    if liked := _LIKES.search(text):
        await run.state.set("actor", "likes", liked[1].strip())
        yield f"I'll remember that you like {liked[1].strip()}. "


async def hours(run: Run, text: str) -> AsyncIterator[str]:
    """Look up when places are open."""
    for place in mentioned(text, PLACES) or PLACES:
        found = await use(run, "opening_hours", place=place)
        yield f"{place}: {found['hours']}. "


async def forecast(run: Run, text: str) -> AsyncIterator[str]:
    """Look up the weather."""
    day = day_in(text) or "today"
    found = await use(run, "weather", day=day)
    yield f"{day.capitalize()} will be {found['sky']}, {found['degrees']} degrees. "


async def book(run: Run, text: str) -> AsyncIterator[str]:
    """Prepare a booking, take up what the guest says meanwhile, and book what a person approves."""
    table = changed(Table(wish=str(run.state["actor"].get("likes", ""))), text)
    for step in STEPS:
        yield f"{step}… "
        await asyncio.sleep(STEP_S)
        for note in await run.steering.take():
            table = changed(table, note.text)
            yield f"(noted: {note.text}) "
        if run.stopping:
            yield "I stop here; nothing was booked. "
            return
    yield f"A table for {table.people} at the {table.restaurant}, {table.day} at {table.time}: shall I? "
    try:
        done = await use(run, "book_table", **table._asdict())
    except TenureError as refusal:
        if refusal.code is not Code.DENIED:
            raise
        yield "As you wish: nothing was booked. "
        return
    yield (
        f"Booked: a table for {done['people']} at the {done['restaurant']} on {done['date']} at "
        f"{done['time']}. Your number is {done['booking']}. "
    )


async def welcome(run: Run, text: str) -> AsyncIterator[str]:
    """Say what one can ask for, to somebody one may know."""
    name = run.state["actor"].get("name")
    yield f"Welcome back, {name}! " if name else "Welcome! Tell me your name if you like. "
    yield "I know when places are open, what the weather will be, and I book tables: "
    yield '"Book a table for 4 at the Old Mill tomorrow at 19:30." '


class Skill(NamedTuple):
    """Something it can do, and the words by which it notices that it should."""

    asked: re.Pattern[str]
    answer: Callable[[Run, str], AsyncIterator[str]]


SKILLS = (
    Skill(re.compile(f"{_NAME.pattern}|{_LIKES.pattern}", re.IGNORECASE), introduce),
    Skill(re.compile(r"\b(open|opens|close|closes|hours)\b", re.IGNORECASE), hours),
    Skill(re.compile(r"\b(weather|rain|sun|umbrella)\b", re.IGNORECASE), forecast),
    Skill(re.compile(r"\b(book|table|reserve)\b", re.IGNORECASE), book),
)
"""A message may ask for several things."""


async def use(run: Run, tool: str, **arguments: object) -> dict[str, object]:
    """Call a tool of the host. All of these tools answer with an object."""
    return msgspec.convert(await run.tools.call(tool, **arguments), dict[str, object])


def changed(table: Table, text: str) -> Table:
    """The table as a sentence changes it; what the sentence doesn't speak of stays."""
    places = mentioned(text, RESTAURANTS)
    people, time = _PEOPLE.search(text), _TIME.search(text)
    return Table(
        restaurant=places[0] if places else table.restaurant,
        people=number(people[1]) if people else table.people,
        day=day_in(text) or table.day,
        time=clock(int(time[1]), time[2] or "00", time[3]) if time else table.time,
        wish=table.wish,
    )


def mentioned(text: str, places: tuple[str, ...]) -> list[str]:
    """The places that a text speaks of; an accent may be left out."""
    plain = text.casefold().replace("é", "e")
    return [place for place in places if place.casefold().replace("é", "e") in plain]


def number(word: str) -> int:
    """A number in figures or letters."""
    return NUMBERS.get(word.casefold()) or int(word)


def day_in(text: str) -> str | None:
    """The day that a text names."""
    named = _DAY.search(text)
    return None if named is None else named[1].casefold().replace("tonight", "today")


def clock(hour: int, minutes: str, half: str | None) -> str:
    """A time of day. Without am or pm, an hour up to 11 is one of the evening: it is about dinner."""
    evening = hour < 12 and (half or "pm").casefold() == "pm"
    return f"{(hour + 12 * evening) % 24:02}:{minutes}"


def words(sentence: str) -> Iterator[str]:
    """A sentence in pieces, so that it is seen being said."""
    return (piece[0] for piece in re.finditer(r"\S+\s*", sentence))
