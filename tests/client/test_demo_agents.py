"""The demo agents that use tools, on a real server: what they are granted, ask for, and leave behind."""

from collections.abc import Callable

import pytest

from tenure.client import Client, JournalEvent
from tenure.core.event import (
    ApprovalRequested,
    Event,
    MessageDelta,
    RunWaiting,
    SteeringConsumed,
    Unknown,
)
from tenure.core.schedule import ScheduleState
from tests.client.both import events_of, is_finished
from tests.client.hosted import Hosted

BOOKING = "Book a table for 2 at the Aurora on Friday at 8"


def spoken(events: list[Event | Unknown]) -> str:
    """What the agent said."""
    return "".join(event.text for event in events if isinstance(event, MessageDelta))


def facts(client: Client, session: str) -> list[Event | Unknown]:
    """All that happened until the run ended."""
    return [event.event for event in events_of(client.follow(session, until=is_finished))]


def test_concierge_takes_up_what_is_said_and_books_what_was_approved(client: Client) -> None:
    session = client.open_session("concierge").id
    client.send(session, BOOKING)
    events_of(client.follow(session, until=lambda event: isinstance(event.event, MessageDelta)))
    client.steer(session, "make it 5")
    waited = events_of(client.follow(session, until=lambda event: isinstance(event.event, RunWaiting)))
    (question,) = [event.event for event in waited if isinstance(event.event, ApprovalRequested)]
    client.approve(question.approval_id, arguments=question.arguments | {"people": 6})
    events = facts(client, session)

    assert any(isinstance(event, SteeringConsumed) for event in events)
    assert question.arguments == {
        "restaurant": "Aurora",
        "people": 5,
        "day": "friday",
        "time": "20:00",
        "wish": "",
    }
    assert "(noted: make it 5" in spoken(events)
    assert "Booked: a table for 6 at the Aurora" in spoken(events)


def test_concierge_knows_its_guest_in_another_session(client: Client) -> None:
    first, second = (client.open_session("concierge").id for _ in range(2))
    client.send(first, "My name is Grace")
    facts(client, first)
    client.send(second, "hello")

    assert "Welcome back, Grace!" in spoken(facts(client, second))


def test_once_leaves_one_line_in_the_sessions_folder(client: Client, hosted: Hosted) -> None:
    session = client.open_session("scripted").id
    client.send(session, "ONCE traces/once.txt")
    facts(client, session)
    (trace,) = (hosted.home / "sessions").glob(f"**/{session}/**/once.txt")

    assert len(trace.read_text().splitlines()) == 1


def test_the_catalogue_and_each_run_show_what_is_granted(client: Client) -> None:
    listed = next(agent for agent in client.agents() if agent.name == "concierge")
    session = client.open_session("concierge").id
    client.send(session, "When is the pool open?")
    facts(client, session)
    (run,) = client.runs(session)

    assert [tool.name for tool in listed.tools] == ["book_table", "opening_hours", "weather"]
    assert run.grant.tools == listed.tools
    assert listed.state_scopes == run.grant.state.scopes == ("conversation", "actor")


@pytest.mark.sources("N14", "N16", "P10")
def test_reporter_recalls_itself_as_often_as_it_was_told(client: Client) -> None:
    session = client.open_session("reporter").id
    client.send(session, "Report every second, 2 times")
    told = [event.event for event in events_of(client.follow(session, until=after(runs=3)))]
    (schedule,) = client.schedules(session_id=session)

    assert "Report 1 of " in spoken(told)
    assert "Report 2 of " in spoken(told)
    assert (schedule.status, schedule.runs, schedule.made_by is not None) == ("done", 2, True)


def test_reporter_stops_when_it_is_told_to(client: Client) -> None:
    session = client.open_session("reporter").id
    list(client.say(session, "every hour"))
    told = [event.event for event in events_of(client.say(session, "stop"))]

    assert spoken(told) == "I stopped: 1 ended. "
    assert [one.status for one in client.schedules(session_id=session, status=ScheduleState.CANCELLED)] == [
        "cancelled"
    ]


def after(runs: int) -> Callable[[JournalEvent], bool]:
    """Whether so many runs have ended."""
    left = runs

    def over(event: JournalEvent) -> bool:
        nonlocal left
        left -= is_finished(event)
        return left == 0

    return over
