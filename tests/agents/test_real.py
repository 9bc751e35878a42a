"""Real agents, as their makers ship them, behind a real server: held to approvals, stopped, and restarted.

Which are tested: `tests.agents.install.chosen`. What they say comes from the scripted model server.
"""

from collections.abc import Iterator

import pytest

from tenure.client import Client, JournalEvent
from tenure.core.event import (
    ApprovalRequested,
    Event,
    MessageDelta,
    RunFinished,
    RunWaiting,
    SteeringConsumed,
    ToolCallCompleted,
    Unknown,
)
from tenure.runners.acp.known import KNOWN
from tests.agents.agents import KEY
from tests.agents.served import Served, left_of
from tests.client.both import events_of, is_finished

# The first test of an agent may have to install it.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def opened(client: Client, served: Served) -> str:
    """A session with the agent."""
    return client.open_session(served.agent).id


def asked(client: Client, session: str, text: str) -> ApprovalRequested:
    """Send a message whose run asks a person; the question."""
    after = client.session(session).head_seq
    client.send(session, text)
    events = follow(client, session, after, RunWaiting)
    (question,) = [event for event in events if isinstance(event, ApprovalRequested)]
    return question


def follow(
    client: Client, session: str, after: int, last: type[Event] = RunFinished, count: int = 1
) -> list[Event | Unknown]:
    """The events behind `after` up to the first of a kind, or to the end of so many runs."""
    ends = 0

    def until(event: JournalEvent) -> bool:
        nonlocal ends
        ends += is_finished(event)
        return ends == count or (isinstance(event.event, last) and last is not RunFinished)

    events = [event.event for event in events_of(client.follow(session, after=after, until=until))]
    assert isinstance(events[-1], last), events
    return events


def told(client: Client, session: str, text: str) -> list[Event | Unknown]:
    """Send a message, and all that happens until its run ends."""
    after = client.session(session).head_seq
    client.send(session, text)
    return follow(client, session, after)


def spoken(events: list[Event | Unknown]) -> str:
    """What the agent said."""
    return "".join(event.text for event in events if isinstance(event, MessageDelta))


def status(events: list[Event | Unknown]) -> str:
    """How the run ended."""
    (end,) = [event for event in events if isinstance(event, RunFinished)]
    return end.status


def test_what_the_agent_says_is_the_answer(served: Served) -> None:
    with served.client as client:
        session = opened(client, served)
        events = told(client, session, "SAY good morning to you")

    assert "good morning to you" in spoken(events)
    assert status(events) == "completed"


def test_approved_command_is_carried_out_in_the_sessions_folder(served: Served) -> None:
    with served.client as client:
        session = opened(client, served)
        question = asked(client, session, "SHELL touch made")
        folder = served.folder(session)
        assert not (folder / "made").exists()
        client.approve(question.approval_id)
        events = follow(client, session, 0)

    assert "touch made" in str(question.arguments)
    assert (question.own, (folder / "made").exists(), status(events)) == (True, True, "completed")
    assert calls(events)[question.call_id] == "ok"


def test_approved_file_is_written(served: Served) -> None:
    with served.client as client:
        session = opened(client, served)
        file = served.folder(session) / "note.txt"
        question = asked(client, session, f"WRITE {file} good morning")
        assert not file.exists()
        client.approve(question.approval_id)
        events = follow(client, session, 0)

    assert "note.txt" in str(question.arguments)
    assert (file.read_text().strip(), status(events)) == ("good morning", "completed")
    assert calls(events)[question.call_id] == "ok"


def test_denied_command_is_not_carried_out(served: Served) -> None:
    with served.client as client:
        session = opened(client, served)
        question = asked(client, session, "SHELL touch made")
        after = client.session(session).head_seq
        client.deny(question.approval_id, note="not here")
        events = follow(client, session, after)

        assert not (served.folder(session) / "made").exists()
    assert (calls(events)[question.call_id], status(events)) == ("denied", "completed")


def test_stopped_run_keeps_what_was_said_and_the_session_goes_on(served: Served) -> None:
    with served.client as client:
        session = opened(client, served)
        client.send(session, "SLOW 400 50")
        before = follow(client, session, 0, MessageDelta)
        client.interrupt(session)
        events = follow(client, session, client.session(session).head_seq - 1)
        again = told(client, session, "SAY and on it goes")

    assert spoken(before)
    assert status(events) == "cancelled"
    assert ("and on it goes" in spoken(again), status(again)) == (True, "completed")


def test_killed_server_leaves_no_process_and_goes_on_with_what_was_said(served: Served) -> None:
    with served.client as client:
        session = opened(client, served)
        told(client, session, "SAY the word is heliotrope")
    programs = served.programs()
    served.kill()
    assert programs
    assert left_of(programs) == []
    with served.client as client:
        events = told(client, session, "SAY back again")

    assert ("back again" in spoken(events), status(events)) == (True, "completed")
    remembered = [one for one in served.models.requests if "back again" in one.said[-1][1]]
    assert any("heliotrope" in str(one.said) for one in remembered)


def test_message_to_a_busy_agent_joins_its_turn_or_waits_for_its_end(served: Served) -> None:
    steers = KNOWN[served.agent].abilities.steers
    with served.client as client:
        session = opened(client, served)
        client.send(session, "SLOW 30 50")
        follow(client, session, 0, MessageDelta)
        receipt = client.steer(session, "SAY as you wish")
        events = follow(client, session, 0, count=1 if steers else 2)

    assert receipt.disposition == ("steered" if steers else "queued")
    assert [type(event) for event in events].count(SteeringConsumed) == steers
    assert "as you wish" in spoken(events)


def test_tool_of_the_host_is_reached_through_the_gateway_and_asks(served: Served) -> None:
    if served.confirm is None:
        pytest.skip(f"the scripted model can't call tools of an MCP server through {served.agent}")
    with served.client as client:
        session = opened(client, served)
        # Some agents look at their MCP servers only while they answer for the first time.
        told(client, session, "SAY hello")
        after = client.session(session).head_seq
        client.send(session, served.confirm)
        questions = [*answered(client, session, after)]
        events = follow(client, session, after)

    (question,) = questions
    assert (question.tool, question.arguments, question.own) == ("confirm", {"text": "shall I?"}, False)
    assert (calls(events)[question.call_id], status(events)) == ("ok", "completed")
    assert "shall I?" in spoken(events)


def answered(client: Client, session: str, after: int) -> Iterator[ApprovalRequested]:
    """The questions of a run, each approved, until it ends."""
    for item in client.follow(session, after=after, until=is_finished):
        if isinstance(item, JournalEvent) and isinstance(item.event, ApprovalRequested):
            client.approve(item.event.approval_id)
            yield item.event


def test_the_key_stands_in_no_journal_and_no_log(served: Served) -> None:
    with served.client as client:
        pages = [client.events(session.id, limit=1000) for session in client.sessions()]

    assert pages
    assert KEY not in str(pages)
    assert KEY not in served.log


def calls(events: list[Event | Unknown]) -> dict[str, str]:
    """How calls ended, by their ids."""
    return {event.call_id: event.status for event in events if isinstance(event, ToolCallCompleted)}
