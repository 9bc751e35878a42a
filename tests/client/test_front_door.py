"""The front door as both kinds of client see it."""

import pytest

from tenure.client import Client
from tenure.core.envelope import EventActor, EventEnvelope, EventInput
from tenure.core.event import Actor, MessageAdmitted
from tenure.errors import Code, TenureError


def event(event_id: str, event_type: str = "message.received") -> EventEnvelope:
    """Ann says something in a conversation."""
    return EventEnvelope(
        event_id=event_id,
        event_type=event_type,
        conversation_id=f"of {event_id}",
        actor=EventActor(id="7", name="Ann"),
        input=EventInput(text="SAY x"),
    )


def test_event_is_posted_once_and_answered_the_same_again(client: Client) -> None:
    receipt = client.post_event(event("client-1"))
    again = client.post_event(event("client-1"))

    admitted = client.event(receipt.session_id, receipt.seq).event
    assert again == receipt
    assert (receipt.event_id, receipt.binding_id) == ("client-1", "all")
    assert isinstance(admitted, MessageAdmitted)
    assert admitted.actor == Actor(user="7", role="admin", type="user", id="7", name="Ann")


def test_refused_event_is_raised_with_what_was_looked_for(client: Client) -> None:
    with pytest.raises(TenureError) as refused:
        client.post_event(event("client-2", event_type="group.joined"))

    assert refused.value.code is Code.NO_BINDING
    assert refused.value.facts["event_type"] == "group.joined"


def test_bindings_are_listed(client: Client) -> None:
    (binding,) = client.bindings()

    assert (binding.id, binding.agent, binding.scope) == ("all", "scripted", {"type": "global", "id": None})
