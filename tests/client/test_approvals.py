"""Both clients ask for approvals and answer them."""

import pytest

from tenure.client import Client
from tenure.core.approval import ApprovalState
from tenure.core.command import Remember
from tenure.core.event import ApprovalRequested, MessageDelta, RunWaiting
from tenure.errors import Code, TenureError
from tests.client.both import events_of, is_finished


def asked(client: Client) -> tuple[str, str]:
    """A session whose run waits for a person, and the approval's id."""
    session = client.open_session("scripted").id
    client.send(session, "ASK shall I?")
    events = events_of(client.follow(session, until=lambda e: isinstance(e.event, RunWaiting)))
    (question,) = [e.event for e in events if isinstance(e.event, ApprovalRequested)]
    return session, question.approval_id


def answer_in(client: Client, session: str) -> str:
    """What the agent says until its run ends."""
    events = events_of(client.follow(session, until=is_finished))
    return "".join(e.event.text for e in events if isinstance(e.event, MessageDelta))


def test_an_approval_is_found_and_approved_with_other_arguments(client: Client) -> None:
    session, approval = asked(client)
    (pending,) = client.approvals(status=ApprovalState.PENDING, session_id=session)

    assert (pending.id, pending.tool, pending.arguments) == (approval, "confirm", {"text": "shall I?"})
    made = client.approve(
        approval, arguments={"text": "do"}, note="so", remember=Remember.SESSION, idempotency_key=session
    )
    assert (made.status, made.note, made.remember) == ("granted", "so", "session")
    assert answer_in(client, session) == "approved: do"
    assert client.approval(approval) == made
    client.revoke_approval(approval)
    assert client.approval(approval).remember is None


def test_a_denied_approval_refuses_a_second_answer(client: Client) -> None:
    session, approval = asked(client)
    client.deny(approval, note="no")
    assert answer_in(client, session) == "denied"
    with pytest.raises(TenureError) as caught:
        client.approve(approval)

    assert (caught.value.code, caught.value.facts["decision"]) == (Code.ALREADY_RESOLVED, "denied")
