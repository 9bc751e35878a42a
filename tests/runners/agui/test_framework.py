"""A framework that serves AG-UI, hosted: text, both sides' tools, undo, approvals that survive a restart."""

from collections.abc import Generator

import pytest

from tenure.agent_tables import AguiAgent
from tenure.client import Client
from tenure.core.approval import ApprovalState
from tenure.core.event import (
    ApprovalRequested,
    Event,
    MessageCompleted,
    MessageDelta,
    ReasoningCompleted,
    RunFinished,
    RunResumed,
    RunWaiting,
    ToolCallCompleted,
    ToolCallStarted,
    Unknown,
    UsageRecorded,
)
from tests.client.both import events_of, is_finished
from tests.client.hosted import Hosted
from tests.runners.agui.framework import WIPED, framework


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Generator[Hosted, None, None]:
    """A server that hosts the framework's agent, and an endpoint that isn't there."""
    home = tmp_path_factory.mktemp("home")
    home.chmod(0o700)
    with framework() as url:
        table = {"runner": "agui", "url": url, "tools": ["confirm"], "approvals": {"confirm": "never"}}
        careful = {"runner": "agui", "url": url, "tools": ["confirm"]}
        hasty = {"runner": "agui", "url": url, "idle_s": 1.5}
        gone = {"runner": "agui", "url": "http://127.0.0.1:1/agent"}
        tables = {"remote": table, "careful": careful, "hasty": hasty, "gone": gone}
        server = Hosted(home, {name: AguiAgent.model_validate(one) for name, one in tables.items()})
        server.start()
        yield server
        server.stop()


def client_of(hosted: Hosted) -> Client:
    return Client(hosted.url, hosted.key)


def events(client: Client, session: str, after: int = 0) -> list[Event | Unknown]:
    """What happened until the run ended."""
    return [e.event for e in events_of(client.follow(session, after=after, until=is_finished))]


def answer(client: Client, session: str, message: str) -> str:
    """What the agent answers."""
    head = client.session(session).head_seq
    client.send(session, message)
    return said(events(client, session, head))


def said(happened: list[Event | Unknown]) -> str:
    return "".join(e.text for e in happened if isinstance(e, MessageDelta))


def test_text_thoughts_and_usage_are_journaled(hosted: Hosted) -> None:
    with client_of(hosted) as client:
        session = client.open_session("remote").id
        client.send(session, "hello there")
        happened = events(client, session)

    assert [e.content for e in happened if isinstance(e, ReasoningCompleted | MessageCompleted)] == [
        "an echo",
        "hello there ",
    ]
    assert sum(isinstance(e, UsageRecorded) and e.output_tokens > 0 for e in happened) == 1
    assert [(e.status, e.reason) for e in happened if isinstance(e, RunFinished)] == [("completed", "")]


def test_the_agent_knows_what_was_said_and_forgets_what_was_undone(hosted: Hosted) -> None:
    with client_of(hosted) as client:
        session = client.open_session("remote").id
        answer(client, session, "apple")
        answer(client, session, "pear")
        before = answer(client, session, "recall")
        client.undo(session, turns=2)
        after = answer(client, session, "recall")

    assert before == "apple | pear | apple  | pear "
    assert after == "apple | apple "


def test_tools_of_the_host_are_called_through_its_ledger(hosted: Hosted) -> None:
    with client_of(hosted) as client:
        session = client.open_session("remote").id
        client.send(session, 'call confirm {"text": "shall I?"}')
        happened = events(client, session)

    made = [e for e in happened if isinstance(e, ToolCallStarted | ToolCallCompleted)]
    assert [(type(e), e.call_id.startswith("eff_")) for e in made] == [
        (ToolCallStarted, True),
        (ToolCallCompleted, True),
    ]
    assert said(happened).startswith("it said: ")


def test_tools_of_its_own_are_told(hosted: Hosted) -> None:
    with client_of(hosted) as client:
        session = client.open_session("remote").id
        client.send(session, 'call look {"path": "a"}')
        happened = events(client, session)

    assert [e for e in happened if isinstance(e, ToolCallStarted | ToolCallCompleted)] == [
        ToolCallStarted(call_id="call_1", tool="look", arguments={"path": "a"}),
        ToolCallCompleted(call_id="call_1", status="ok", result={"at": "a"}),
    ]


def test_only_granted_tools_of_the_host_are_offered(hosted: Hosted) -> None:
    with client_of(hosted) as client:
        assert answer(client, client.open_session("remote").id, "tools") == "wipe, look, confirm"


@pytest.mark.sources("P7")
@pytest.mark.parametrize(
    ("approve", "told"), [(True, "it said: wiped b"), (False, "it said: denied by admin: not today")]
)
def test_an_approval_survives_a_restart(hosted: Hosted, approve: bool, told: str) -> None:
    WIPED.clear()
    with client_of(hosted) as client:
        session = client.open_session("remote").id
        client.send(session, 'call wipe {"path": "b"}')
        seen = events_of(client.follow(session, until=lambda e: isinstance(e.event, RunWaiting)))
        [question] = [e.event for e in seen if isinstance(e.event, ApprovalRequested)]
    assert (question.tool, question.arguments, question.own) == ("wipe", {"path": "b"}, True)
    assert WIPED == []

    hosted.stop()
    hosted.start()
    with client_of(hosted) as client:
        [pending] = client.approvals(status=ApprovalState.PENDING, session_id=session)
        decide = client.approve if approve else client.deny
        decide(pending.id, note="not today")
        happened = events(client, session)

    assert (["b"] if approve else []) == WIPED
    assert [e.mode for e in happened if isinstance(e, RunResumed)] == ["resume"]
    assert said(happened) == told
    assert {e.call_id for e in happened if isinstance(e, ToolCallStarted)} == {question.call_id}
    ends = {(e.call_id, e.status) for e in happened if isinstance(e, ToolCallCompleted)}
    assert ends == {(question.call_id, "ok" if approve else "denied")}


def test_an_approved_call_of_a_host_tool_survives_a_restart(hosted: Hosted) -> None:
    with client_of(hosted) as client:
        session = client.open_session("careful").id
        client.send(session, 'call confirm {"text": "shall I?"}')
        list(client.follow(session, until=lambda e: isinstance(e.event, RunWaiting)))
    hosted.stop()
    hosted.start()
    with client_of(hosted) as client:
        [pending] = client.approvals(status=ApprovalState.PENDING, session_id=session)
        client.approve(pending.id)
        happened = events(client, session)

    assert [e.mode for e in happened if isinstance(e, RunResumed)] == ["resume"]
    ends = [(e.call_id, e.status) for e in happened if isinstance(e, ToolCallCompleted)]
    assert ends == [(pending.call_id, "ok")]
    assert said(happened).startswith("it said: ")


def test_a_stop_ends_the_run_and_keeps_what_was_said(hosted: Hosted) -> None:
    with client_of(hosted) as client:
        session = client.open_session("remote").id
        client.send(session, "hang")
        list(client.follow(session, until=lambda e: isinstance(e.event, MessageDelta)))
        client.interrupt(session)
        happened = events(client, session)

    assert [(e.content, e.partial) for e in happened if isinstance(e, MessageCompleted)] == [("wait ", True)]
    assert [(e.status, e.reason) for e in happened if isinstance(e, RunFinished)] == [
        ("cancelled", "interrupted")
    ]


def test_an_endpoint_that_falls_silent_is_timed_out(hosted: Hosted) -> None:
    with client_of(hosted) as client:
        session = client.open_session("hasty").id
        client.send(session, "hang")
        happened = events(client, session)

    assert said(happened) == "wait "
    assert [(e.status, e.reason) for e in happened if isinstance(e, RunFinished)] == [
        ("timed_out", "idle_timeout")
    ]


def test_an_endpoint_that_isnt_there_fails_the_run_and_shows_in_the_catalogue(hosted: Hosted) -> None:
    with client_of(hosted) as client:
        session = client.open_session("gone").id
        client.send(session, "hello?")
        [end] = [e for e in events(client, session) if isinstance(e, RunFinished)]
        [gone] = [agent for agent in client.agents() if agent.name == "gone"]

    assert (end.status, end.retryable) == ("failed", True)
    assert "can't be reached" in end.reason
    assert (gone.healthy, gone.fault) == (False, end.reason)
