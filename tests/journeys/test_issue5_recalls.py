"""What people were promised of schedules, by the real client over HTTP: made, seen to, looked up later."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenure.client import Client, JournalEvent
from tenure.core.command import Waiting
from tenure.core.event import RunStarted
from tenure.core.moment import SECOND, micros
from tenure.core.recall import Missed, RecallKind
from tenure.core.scheduling import OccurrenceInfo, ScheduleInfo
from tests.client.hosted import Hosted

SOON_S = 0.2
FAR_S = 9_000


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    """A server with the demo agents."""
    server = Hosted(tmp_path_factory.mktemp("journeys") / "home").start()
    yield server
    server.stop()


@pytest.fixture
def client(hosted: Hosted) -> Iterator[Client]:
    """The admin's client."""
    with Client(hosted.url, hosted.key) as client:
        yield client


def await_event(client: Client, session_id: str, kind: str) -> JournalEvent:
    """The first event of a kind."""
    for event in client.follow(session_id):
        if isinstance(event, JournalEvent) and event.type == kind:
            return event
    raise AssertionError("the session was deleted")


def came(client: Client, made: ScheduleInfo) -> OccurrenceInfo:
    """The newest occurrence of a schedule, once the first run that it made has ended."""
    run_id: str | None = None
    for event in client.follow(made.session_id or ""):
        if not isinstance(event, JournalEvent):
            continue
        if isinstance(event.event, RunStarted) and event.event.trigger.id == made.id:
            run_id = event.run_id
        if event.type == "run.finished" and event.run_id == run_id:
            break
    return next(each for each in client.occurrences(made.id) if each.outcome is not None)


def said(client: Client, session_id: str) -> list[object]:
    """What the transcript shows, oldest first."""
    return [item.content for item in client.transcript(session_id).data]


def told(client: Client, session_id: str) -> list[str]:
    """The journal's words about recalls."""
    return [e.type for e in client.events(session_id, limit=100).data if e.type.startswith("recall.")]


@pytest.mark.sources("N14", "N16")
def test_a_person_has_something_said_later_and_finds_it_in_the_same_history(client: Client) -> None:
    session = client.open_session("scripted").id

    made = client.create_schedule("SAY good morning", session_id=session, in_s=SOON_S, name="morning")
    occurrence = came(client, made)

    assert said(client, session) == ["SAY good morning", "good morning"]
    assert (occurrence.state, occurrence.outcome, occurrence.attempts) == ("admitted", "completed", 1)
    assert occurrence.id == f"{made.id}@{made.next_at}"
    assert client.schedule(made.id).status == "done"


@pytest.mark.sources("N14")
def test_an_agent_has_itself_reminded(client: Client) -> None:
    session = client.open_session("scripted").id

    list(client.say(session, "RECALL 1 SAY I came back"))
    (made,) = client.schedules(session_id=session)
    came(client, made)

    assert said(client, session)[-2:] == ["SAY I came back", "I came back"]
    assert made.made_by is not None


def test_a_reminder_is_said_as_it_stands(client: Client) -> None:
    session = client.open_session("scripted").id

    made = client.create_schedule("FAIL no agent", session_id=session, in_s=SOON_S, kind=RecallKind.REMINDER)
    occurrence = came(client, made)

    assert occurrence.outcome == "completed"
    assert said(client, session)[-1] == "FAIL no agent"


@pytest.mark.sources("N20")
def test_one_that_rests_comes_when_asked_for_and_is_over_when_deleted(client: Client) -> None:
    session = client.open_session("scripted").id
    made = client.create_schedule("SAY x", session_id=session, every_s=FAR_S)

    rested = client.pause_schedule(made.id)
    asked = client.trigger_schedule(made.id)
    occurrence = came(client, made)
    resumed = client.resume_schedule(made.id)
    client.delete_schedule(made.id)

    assert (rested.status, rested.next_at, resumed.next_at) == ("paused", None, made.next_at)
    assert (occurrence.id, occurrence.manual, occurrence.reason) == (asked.id, True, "asked")
    assert client.schedule(made.id).status == "cancelled"
    assert list(client.schedules(session_id=session)) == []
    assert [each.id for each in client.occurrences(made.id)] == [asked.id]


@pytest.mark.sources("N15", "A20", "D-N12", "D-N13")
def test_one_that_finds_its_session_busy_waits_its_turn_and_the_journal_says_so(client: Client) -> None:
    session = client.open_session("scripted").id
    client.send(session, "SLOW 100000 20")

    made = client.create_schedule("SAY after you", session_id=session, in_s=SOON_S)
    await_event(client, session, "recall.changed")
    deferred = told(client, session)
    client.interrupt(session, waiting=Waiting.RUN)
    occurrence = came(client, made)

    assert deferred == ["recall.scheduled", "recall.fired", "recall.deferred", "recall.changed"]
    assert occurrence.outcome == "completed"
    assert said(client, session)[-2:] == ["SAY after you", "after you"]


@pytest.mark.sources("D-N3", "A19")
def test_a_recall_is_stopped_like_any_run(client: Client) -> None:
    session = client.open_session("scripted").id
    made = client.create_schedule("SLOW 100000 20", session_id=session, in_s=SOON_S)
    await_event(client, session, "message.delta")

    client.interrupt(session)
    occurrence = came(client, made)

    assert (occurrence.outcome, occurrence.retry_at) == ("cancelled", None)
    assert "recall.retrying" not in told(client, session)


@pytest.mark.sources("P10", "D-N16")
def test_what_a_server_slept_through_is_made_up_for_once_after_its_restart(tmp_path: Path) -> None:
    server = Hosted(tmp_path / "home").start()
    with Client(server.url, server.key) as client:
        session = client.open_session("scripted").id
        made = client.create_schedule("SAY late", session_id=session, in_s=1, missed=Missed.ONCE)
    server.stop()
    # Real time must pass: nobody is up whose facts could be waited for.
    time.sleep(max(0.0, micros(made.next_at or "") / SECOND + 2.2 - time.time()))
    server.start()
    try:
        with Client(server.url, server.key) as client:
            occurrence = came(client, made)
            seen = list(client.occurrences(made.id))
            journal = told(client, session)
            history = said(client, session)
    finally:
        server.stop()
    assert (occurrence.state, occurrence.reason, occurrence.outcome) == ("admitted", "late", "completed")
    assert [(each.id, each.due_at) for each in seen] == [(occurrence.id, made.next_at)]
    assert journal == ["recall.scheduled", "recall.fired", "recall.changed"]
    assert history == ["SAY late", "late"]
