"""What every recipe of examples/ does: stream, remember, call tools of the host, hear steering, stop."""

from tenure.client import JournalEvent
from tenure.core.approval import ApprovalState
from tenure.core.content import Content
from tenure.core.event import (
    ApprovalRequested,
    MessageCompleted,
    MessageDelta,
    RunFinished,
    RunWaiting,
    SteeringConsumed,
    ToolCallCompleted,
)
from tests.docs.pages import DOCS, blocks
from tests.models.server import MODEL
from tests.recipes.conftest import RECIPES, ROOT, Act, Conversation, Recipe

MOST_LINES = 60

LATE = {"google-adk"}
"""The recipes that hear steering only when an answer is complete."""


def deltas(events: list[JournalEvent]) -> list[str]:
    """The pieces in which the agent spoke."""
    return [event.event.text for event in events if isinstance(event.event, MessageDelta)]


def messages(events: list[JournalEvent]) -> list[Content]:
    """The messages that the agent completed."""
    return [event.event.content for event in events if isinstance(event.event, MessageCompleted)]


def outcome(events: list[JournalEvent]) -> tuple[str, str]:
    """How the run ended, and why."""
    end = events[-1].event
    assert isinstance(end, RunFinished)
    return end.status, end.reason


def results(events: list[JournalEvent]) -> list[tuple[str, object]]:
    """What became of the calls of tools."""
    return [
        (event.event.status, event.event.result)
        for event in events
        if isinstance(event.event, ToolCallCompleted)
    ]


def test_every_example_is_a_recipe_of_at_most_60_lines() -> None:
    lines = {path.name: len(path.read_text().splitlines()) for path in (ROOT / "examples").glob("*.py")}

    assert lines.keys() == set(RECIPES.values())
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_the_documentation_shows_the_examples_as_they_are() -> None:
    shown = {
        (block.title or "").removeprefix("examples/"): block.text
        for block in blocks(DOCS / "how-to" / "recipes.md")
        if (block.title or "").startswith("examples/")
    }

    assert shown == {path.name: path.read_text() for path in (ROOT / "examples").glob("*.py")}


def test_text_streams_and_its_tokens_are_counted(conversation: Conversation) -> None:
    events = conversation.say("SAY hello over there\nUSAGE 70 9")

    assert deltas(events) == ["hello", " over", " there"]
    assert messages(events) == ["hello over there"]
    end = events[-1].event
    assert isinstance(end, RunFinished) and end.status == "completed"
    assert [(used.model[-len(MODEL) :], used.input_tokens, used.output_tokens) for used in end.usage] == [
        (MODEL, 70, 9)
    ]


def test_the_model_is_told_what_was_said_before(conversation: Conversation, recipe: Recipe) -> None:
    first = f"SAY first of {conversation.session}"
    second = f"SAY second of {conversation.session}"
    conversation.say(first)
    conversation.say(second)

    (request,) = recipe.asked(second)
    assert request.said == [
        ("user", first),
        ("assistant", first.removeprefix("SAY ")),
        ("user", second),
    ]


def test_what_was_undone_the_model_isnt_told(conversation: Conversation, recipe: Recipe) -> None:
    conversation.say("SAY something wrong")
    conversation.client.undo(conversation.session)
    text = f"SAY after the undo of {conversation.session}"
    conversation.say(text)

    assert [request.said for request in recipe.asked(text)] == [[("user", text)]]


def test_a_tool_of_the_host_waits_for_a_person_and_the_model_gets_its_result(
    conversation: Conversation,
) -> None:
    def approve(event: JournalEvent) -> None:
        if isinstance(event.event, RunWaiting):
            (approval_id,) = event.event.approval_ids
            conversation.client.approve(approval_id, arguments={"to": "Cleo"})

    events = conversation.say('SAY one moment\nTOOL send_mail {"to": "Ben"}', approve)

    assert [str(said).replace('"', "") for said in messages(events)] == ["one moment", "done: sent to Cleo"]
    assert results(events) == [("ok", "sent to Cleo")]
    assert outcome(events) == ("completed", "")


def test_several_calls_of_one_answer_are_each_approved_and_each_made(
    conversation: Conversation, recipe: Recipe
) -> None:
    def approve(event: JournalEvent) -> None:
        if isinstance(event.event, ApprovalRequested):
            conversation.client.approve(event.event.approval_id)

    script = f'TOOL send_mail {{"to": "Ben"}}\nTOOL send_mail {{"to": "Cleo {conversation.session}"}}'
    events = conversation.say(f"{script}\nTHEN\nSAY both are told", approve)

    assert (
        sorted(results(events))
        == [("ok", f"sent to Cleo {conversation.session}"), ("ok", "sent to Ben")][::-1]
    )
    assert messages(events) == ["both are told"]
    assert [role for role, _ in recipe.asked(script)[-1].said[-2:]] == ["tool", "tool"]


def test_a_refusal_reaches_the_model_as_the_tools_answer(conversation: Conversation) -> None:
    def deny(event: JournalEvent) -> None:
        if isinstance(event.event, RunWaiting):
            (approval,) = conversation.client.approvals(
                status=ApprovalState.PENDING, session_id=conversation.session
            )
            conversation.client.deny(approval.id, note="not today")

    events = conversation.say('TOOL send_mail {"to": "Ben"}', deny)

    (answer,) = messages(events)
    assert "denied" in str(answer) and "not today" in str(answer)
    assert [status for status, _ in results(events)] == ["denied"]
    assert outcome(events) == ("completed", "")


def test_arguments_that_dont_fit_reach_the_model_as_the_tools_answer(conversation: Conversation) -> None:
    events = conversation.say('TOOL send_mail {"whom": "Ben"}')

    (answer,) = messages(events)
    assert "invalid" in str(answer) and "'whom'" in str(answer)
    assert outcome(events) == ("completed", "")


def steering(conversation: Conversation, steered: list[str]) -> Act:
    """Steers a run when it begins to speak, and approves what it asks for."""

    def steer(event: JournalEvent) -> None:
        if isinstance(event.event, MessageDelta) and not steered:
            steered.append(conversation.client.steer(conversation.session, "SAY but shorter").message_id)
        if isinstance(event.event, RunWaiting):
            conversation.client.approve(event.event.approval_ids[0])

    return steer


def consumed(events: list[JournalEvent]) -> list[str]:
    """The messages that the run took up."""
    taken = (event.event.message_ids for event in events if isinstance(event.event, SteeringConsumed))
    return [message_id for ids in taken for message_id in ids]


def test_steering_in_the_midst_of_work_is_heard_by_the_next_turn(
    conversation: Conversation, agent: str
) -> None:
    steered: list[str] = []
    script = 'SLOW 6 30\nTOOL send_mail {"to": "Ben"}\nTHEN\nSAY the script goes on'

    events = conversation.say(script, steering(conversation, steered))

    assert consumed(events) == steered
    assert results(events) == [("ok", "sent to Ben")]
    goes_on = "the script goes on" if agent in LATE else ""
    assert "".join(deltas(events)) == f"w0 w1 w2 w3 w4 w5 {goes_on}but shorter"
    assert outcome(events) == ("completed", "")


def test_steering_at_the_end_of_an_answer_is_heard_by_the_same_run(conversation: Conversation) -> None:
    steered: list[str] = []

    events = conversation.say("SLOW 6 30", steering(conversation, steered))

    assert consumed(events) == steered
    assert "".join(deltas(events)) == "w0 w1 w2 w3 w4 w5 but shorter"
    assert outcome(events) == ("completed", "")


def test_a_stop_ends_the_run_and_its_request_to_the_model(conversation: Conversation, recipe: Recipe) -> None:
    asked: list[str] = []

    def stop(event: JournalEvent) -> None:
        if isinstance(event.event, MessageDelta) and not asked:
            asked.append(event.event.text)
            conversation.client.interrupt(conversation.session)

    dropped = recipe.models.dropped
    events = conversation.say("SLOW 1000 30", stop)

    assert outcome(events) == ("cancelled", "interrupted")
    assert len(deltas(events)) < 100
    assert recipe.models.wait_dropped(dropped + 1)


def test_a_model_that_fails_fails_the_run_and_the_session_goes_on(conversation: Conversation) -> None:
    events = conversation.say("FAIL 400")
    status, reason = outcome(events)
    assert (status, "The script says so" in reason) == ("failed", True)

    assert messages(conversation.say("SAY well again")) == ["well again"]
