"""The demo tools of the concierge: a small town that needs no network. Its hours never change, its weather
follows from the date, and its restaurants take every booking."""

import hashlib
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from tenure.errors import Code, TenureError
from tenure.ports.tool import ToolCall
from tenure.tools.function import AnyTool, tool

HOURS = {
    "Aurora": "Tuesday to Sunday, 17:00 to 23:00",
    "Old Mill": "every day, 12:00 to 22:00",
    "Harbour Café": "Monday to Saturday, 8:00 to 18:00",
    "museum": "Tuesday to Sunday, 10:00 to 17:00",
    "pool": "every day, 7:00 to 21:00",
}
RESTAURANTS = ("Aurora", "Old Mill", "Harbour Café")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SKIES = ("sunny", "bright with a few clouds", "cloudy", "windy", "rainy", "foggy until noon")

Place = Literal["Aurora", "Old Mill", "Harbour Café", "museum", "pool"]
Restaurant = Literal["Aurora", "Old Mill", "Harbour Café"]
Day = Literal[
    "today",
    "tomorrow",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
]


@tool(replay="safe")
async def opening_hours(place: Place) -> dict[str, str]:
    """Say when a place in town is open."""
    return {"place": place, "hours": HOURS[place]}


@tool(replay="safe")
async def weather(day: Day = "today") -> dict[str, object]:
    """Say what the weather will be on a day."""
    when = day_of(day, datetime.now(UTC).date())
    drawn = hashlib.sha256(when.isoformat().encode()).digest()
    return {"date": when.isoformat(), "sky": SKIES[drawn[0] % len(SKIES)], "degrees": 5 + drawn[1] % 22}


@tool(approval="always", replay="safe")
async def book_table(
    call: ToolCall, restaurant: Restaurant, people: int, day: Day, time: str, wish: str = ""
) -> dict[str, object]:
    """Book a table. A person approves it first."""
    if not 1 <= people <= 12:
        raise TenureError(
            Code.INVALID, f"{restaurant} has no table for {people}. Book for 1 to 12 people.", field="people"
        )
    # The number follows from the key of the call, so that a repeated one books no second table.
    number = hashlib.sha256(call.idempotency_key.encode()).hexdigest()[:6].upper()
    return {
        "booking": number,
        "restaurant": restaurant,
        "people": people,
        "date": day_of(day, datetime.now(UTC).date()).isoformat(),
        "time": time,
        "wish": wish,
    }


def day_of(day: str, today: date) -> date:
    """The date that is meant: of a weekday the next one."""
    if day in DAYS:
        return today + timedelta(days=(DAYS.index(day) - today.weekday() - 1) % 7 + 1)
    return today + timedelta(days=1 if day == "tomorrow" else 0)


TOOLS: tuple[AnyTool, ...] = (opening_hours, weather, book_table)
