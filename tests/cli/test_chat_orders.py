"""The chat while a run is live: steering it, answering what it asks, and what can be ordered with a slash."""

import re

import pytest

from tenure.client import Client
from tenure.core.command import Remember
from tenure.core.view import ApprovalInfo
from tests.cli.conftest import Began, Run, Start
from tests.cli.terminal import CTRL_C, CTRL_D, Terminal

SESSION = re.compile(r"ses_[0-9a-f]{32}")


def opened(at_terminal: Start, agent: str = "scripted") -> tuple[Terminal, str]:
    """A chat that waits for its first line, and its session."""
    chat = at_terminal("chat", "--agent", agent)
    found = SESSION.search(chat.expect("> "))
    assert found is not None
    return chat, found[0]


def left(chat: Terminal) -> str:
    """Leave the chat; all that it showed."""
    chat.type(CTRL_D)
    assert chat.ended() == 0
    return chat.whole


def said(client: Client, session: str) -> list[object]:
    """What the transcript says."""
    return [item.content for item in client.transcript(session).data]


@pytest.mark.sources("P6")
def test_a_line_typed_while_the_agent_works_steers_it_and_is_seen_being_taken_up(
    at_terminal: Start, client: Client
) -> None:
    chat, session = opened(at_terminal)

    chat.type("SLOW 30 50\n")
    chat.expect("w1 ")
    chat.type("faster, please\n")
    chat.expect("(the run gets this at its next safe point)")
    chat.expect("(taken up: faster, please)")
    chat.expect("steered: faster, please")
    chat.expect("w29")
    chat.expect("> ")

    left(chat)
    assert [run.status for run in client.runs(session)] == ["completed"]


@pytest.mark.sources("P6")
def test_a_line_for_an_agent_that_cannot_be_steered_waits_in_line_and_says_why(at_terminal: Start) -> None:
    chat, _ = opened(at_terminal, "longhaul")

    chat.type("a story\n")
    chat.expect("Harbour")
    chat.type("shorter\n")
    chat.expect("(number 1 in line: this agent can't be steered)")
    chat.type("/stop\n")
    chat.expect("cancelled")

    left(chat)


@pytest.mark.sources("P6")
def test_what_the_run_did_not_take_up_is_told_to_be_the_next_message(at_terminal: Start) -> None:
    chat, _ = opened(at_terminal)

    chat.type("ASK first?\n")
    chat.expect("says more.")
    chat.type("SAY second\n")
    chat.expect("(the run gets this when it goes on)")
    chat.type("/approve\n")
    chat.expect("approved: first?")
    chat.expect("(the run ended first; the next message is: SAY second)")
    chat.expect("\nsecond")

    left(chat)


@pytest.mark.sources("P7")
def test_an_approval_shows_the_whole_call_and_is_given_by_its_number(
    at_terminal: Start, client: Client
) -> None:
    chat, session = opened(at_terminal)

    chat.type("ASK shall I?\n")
    chat.expect("confirm waits for your approval, until ")
    assert chat.expect("/approve 1 lets it be made").splitlines()[1:] == ['  text  "shall I?"']
    chat.expect("> ")
    chat.type("/approve 1\n")
    chat.expect("(approved by admin)")
    chat.expect("approved: shall I?")

    left(chat)
    assert [approval.status for approval in client.approvals(session_id=session)] == ["granted"]


@pytest.mark.sources("P7")
def test_what_hides_in_the_arguments_is_seen_before_it_is_approved(
    at_terminal: Start, client: Client
) -> None:
    session = client.open_session("scripted").id
    long = "x" * 500
    client.send(session, f"ASK pay \u202e5 \u200b\x1b[2K\x7f{long}")
    waiting(client, session)

    chat = at_terminal("chat", "--session", session)
    chat.expect("confirm waits")
    shown = chat.expect("/approve 1")
    chat.type("/deny\n")
    chat.expect("denied by admin")

    left(chat)
    plain = shown.replace("\r", "").replace("\n", "")
    assert rf'"pay \u202e5 \u200b\u001b[2K\u007f{long}"' in plain
    assert "\x1b" not in shown
    assert "\u202e" not in shown


@pytest.mark.sources("P7")
def test_an_edited_call_is_made_as_it_was_edited(at_terminal: Start, client: Client) -> None:
    chat, session = opened(at_terminal)

    chat.type("ASK 500 chairs\n")
    chat.expect("says more.")
    chat.type("/approve text='50 chairs'\n")
    chat.expect('approved by admin, as {"text":"50 chairs"}')
    chat.expect("approved: 50 chairs")

    left(chat)
    assert said(client, session)[-1] == "approved: 50 chairs"


@pytest.mark.sources("P7")
def test_an_edit_that_does_not_fit_is_explained_and_the_question_stays(
    at_terminal: Start, client: Client
) -> None:
    chat, session = opened(at_terminal)

    chat.type("ASK so?\n")
    chat.expect("says more.")
    chat.type("/approve colour=red\n")
    chat.expect("colour")
    chat.expect("> ")
    chat.type("/approve red\n")
    chat.expect("'red' is no change. Write name=value")
    assert [one.status for one in client.approvals(session_id=session)] == ["pending"]
    chat.type("/deny 1 not in red\n")
    chat.expect("(denied by admin: not in red)")
    chat.expect("\ndenied")

    left(chat)


@pytest.mark.sources("P7")
def test_no_plain_line_answers_a_question(at_terminal: Start, client: Client) -> None:
    chat, session = opened(at_terminal)

    chat.type("ASK so?\n")
    chat.expect("says more.")
    for line in ("yes", "y", "approve", "//approve"):
        chat.type(f"{line}\n")
        chat.expect("when it goes on")
    assert [one.status for one in client.approvals(session_id=session)] == ["pending"]
    chat.type(CTRL_C)
    chat.expect("the question is withdrawn")

    left(chat)


@pytest.mark.sources("P7")
def test_an_answer_without_a_number_never_meets_a_question_that_took_the_place_of_another(
    at_terminal: Start, client: Client
) -> None:
    chat, session = opened(at_terminal)
    # Not typed: under load a second line may be taken only after the first question was settled.
    client.send(session, "ASK one\nASK two")
    chat.expect("/approve 1")

    # Somebody else answers the first; the second comes while the person may be typing.
    first = next(iter(client.approvals(session_id=session)))
    client.deny(first.id)
    chat.expect("/approve 2")
    chat.type("/approve\n")
    chat.expect("Say which one by its number: 2.")
    chat.type("/approve 1\n")
    chat.expect("Question 1 doesn't wait for an answer.")
    chat.type("/approve 2\n")
    chat.expect("approved: two")

    left(chat)


@pytest.mark.sources("P7")
def test_always_lets_later_calls_of_the_tool_be_made_without_asking(
    at_terminal: Start, client: Client
) -> None:
    chat, session = opened(at_terminal)

    chat.type("ASK one\n")
    chat.expect("says more.")
    chat.type("/always\n")
    chat.expect("needs no answer any more in this session")
    chat.expect("approved: one")
    chat.expect("> ")
    chat.type("ASK two\n")
    chat.expect("(allowed, as you said before)")
    assert "waits for your approval" not in chat.expect("approved: two")

    left(chat)
    assert {one.remember for one in client.approvals(session_id=session)} == {None, Remember.SESSION}


def test_stop_ends_the_run_and_says_so_when_nothing_runs(at_terminal: Start, client: Client) -> None:
    chat, session = opened(at_terminal)

    chat.type("SLOW 1000 50\n")
    chat.expect("w2 ")
    chat.type("/stop\n")
    chat.expect("cancelled")
    chat.expect("> ")
    chat.type("/stop\n")
    chat.expect("(Nothing runs.)")

    left(chat)
    assert [run.status for run in client.runs(session)] == ["cancelled"]


def test_undo_and_redo_say_what_went_what_stays_and_what_came_back(
    at_terminal: Start, client: Client
) -> None:
    chat, session = opened(at_terminal)
    for text in ("SAY one", 'SET conversation mood "good"'):
        chat.type(f"{text}\n")
        chat.expect("\n> ")

    before = said(client, session)
    chat.type("/undo\n")
    chat.expect("what stays: state conversation/mood")
    assert said(client, session) == ["SAY one", "one"]
    chat.type("/redo\n")
    chat.expect("(redone, ")
    assert said(client, session) == before
    chat.type("/undo many\n")
    chat.expect("'many' is no number of turns")

    left(chat)


def test_undo_in_the_middle_of_a_run_stops_it_first(at_terminal: Start, client: Client) -> None:
    chat, session = opened(at_terminal)

    chat.type("SLOW 1000 50\n")
    chat.expect("w2 ")
    chat.type("/undo\n")
    chat.expect("(stopping the run; then it is undone)")
    chat.expect("(undone, ")

    left(chat)
    assert said(client, session) == []


def test_fork_goes_on_in_the_branch_and_leaves_the_other_as_it_is(at_terminal: Start, client: Client) -> None:
    chat, session = opened(at_terminal)
    chat.type("SAY one\n")
    chat.expect("\none")
    chat.expect("> ")

    # The second line is typed ahead, and is for the branch.
    chat.type("/fork What if\nSAY two\n")
    chat.expect(f"(branched off; {session} stays as it is)")
    found = SESSION.search(chat.expect("with scripted"))
    assert found is not None
    chat.expect("two\r\n> ")

    assert f"tenure chat --session {found[0]}" in left(chat)
    assert client.session(found[0]).title == "What if"
    assert said(client, found[0]) == ["SAY one", "one", "SAY two", "two"]
    assert said(client, session) == ["SAY one", "one"]


def test_compact_shows_what_stands_for_the_older_part(at_terminal: Start) -> None:
    chat, _ = opened(at_terminal)
    for number in range(3):
        chat.type(f"SAY {number}\n")
        chat.expect("\n> ")

    chat.type("/compact\n")
    chat.expect("from here on, this stands for what was said before:")
    chat.expect("SAY 0")

    left(chat)


def test_help_lists_every_order_and_an_unknown_one_is_not_said(at_terminal: Start, client: Client) -> None:
    chat, session = opened(at_terminal)

    chat.type("/help\n")
    shown = chat.expect("what runs goes on.")
    chat.type("/aprove\n")
    chat.expect("There is no /aprove; /help lists what there is. To say it, begin with //.")

    left(chat)
    for order in ("approve", "always", "deny", "queue", "stop", "undo", "redo", "fork", "compact", "help"):
        assert f"/{order}" in shown
    assert said(client, session) == []


def waiting(client: Client, session: str) -> ApprovalInfo:
    """The question of a run that waits."""
    for _ in client.follow(session, until=lambda event: event.type == "run.waiting"):
        pass
    return next(iter(client.approvals(session_id=session)))


@pytest.mark.sources("P7")
def test_in_a_pipe_a_question_says_which_command_answers_it(piped: Run, client: Client) -> None:
    session = client.open_session("scripted").id
    client.send(session, "ASK so?")
    question = waiting(client, session)

    ran = piped("chat", "--session", session, given="")

    assert (ran.code, ran.out) == (0, "")
    assert f"tenure approve {question.id} lets it be made" in ran.err


def test_send_and_wait_says_which_command_answers_a_question(started: Began, client: Client) -> None:
    session = client.open_session("scripted").id
    sending = started("send", session, "ASK so?", "--wait")
    question = waiting(client, session)
    client.approve(question.id)

    ran = sending.ended()

    assert (ran.code, ran.out) == (0, "approved: so?\n")
    assert f"tenure approve {question.id} lets it be made" in ran.err
    assert '  text  "so?"' in ran.err


def test_slashes_in_a_pipe_are_said(piped: Run, client: Client) -> None:
    session = client.open_session("scripted").id

    ran = piped("chat", "--session", session, given="/help\n")

    assert (ran.code, ran.out) == (0, "ok\n")
    assert said(client, session) == ["/help", "ok"]
