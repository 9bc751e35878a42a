"""The chat, at a terminal and in a pipe."""

import re

from tenure.client import Client
from tests.cli.conftest import Run, Start
from tests.cli.terminal import CTRL_C, CTRL_D
from tests.client.both import events_of, is_finished

SESSION = re.compile(r"ses_[0-9a-f]{32}")


def session_in(text: str) -> str:
    found = SESSION.search(text)
    assert found is not None, text
    return found[0]


def test_chat_streams_the_answer_and_ctrl_d_leaves(at_terminal: Start, client: Client) -> None:
    chat = at_terminal("chat", "--agent", "scripted")
    session = session_in(chat.expect("> "))

    chat.type("SAY hello there\n")
    chat.expect("\nhello there")
    chat.expect("> ")
    chat.type(CTRL_D)

    assert chat.ended() == 0
    assert f"tenure chat --session {session}" in chat.whole
    assert [item.content for item in client.transcript(session).data] == [
        "SAY hello there",
        "hello there",
    ]


def test_what_is_typed_during_a_run_waits_in_line_if_that_is_ordered(
    at_terminal: Start, client: Client
) -> None:
    chat = at_terminal("chat", "--agent", "scripted")
    session = session_in(chat.expect("> "))

    chat.type("SLOW 20 50\n")
    chat.expect("w1 ")
    chat.type("/queue SAY second\n")
    chat.expect("number 1 in line)")
    chat.expect("w19")
    chat.expect("\nsecond")
    chat.type(CTRL_D)

    assert chat.ended() == 0
    contents = [item.content for item in client.transcript(session).data]
    assert contents[::2] == ["SLOW 20 50", "SAY second"]


def test_ctrl_c_stops_the_run_and_the_chat_goes_on(at_terminal: Start, client: Client) -> None:
    chat = at_terminal("chat", "--agent", "scripted")
    session = session_in(chat.expect("> "))

    chat.type("SLOW 1000 50\n")
    chat.expect("w2 ")
    chat.type(CTRL_C)
    chat.expect("cancelled")
    chat.expect("> ")
    chat.type("SAY still here\n")
    chat.expect("\nstill here")
    chat.type(CTRL_D)

    assert chat.ended() == 0
    assert sorted(run.status for run in client.runs(session)) == ["cancelled", "completed"]


def test_second_ctrl_c_leaves_and_says_how_to_come_back(at_terminal: Start, client: Client) -> None:
    chat = at_terminal("chat", "--agent", "scripted")
    session = session_in(chat.expect("> "))

    # It heeds a stop at its next word, which is far off.
    chat.type("SLOW 100 4000\n")
    chat.expect("w0 ")
    chat.type(CTRL_C)
    chat.expect("Ctrl-C once more leaves it")
    chat.type(CTRL_C)

    assert chat.ended() == 130
    assert "the run goes on without you" in chat.whole
    assert f"tenure chat --session {session}" in chat.whole
    assert client.session(session).head_seq > 0


def test_ctrl_c_while_nothing_runs_leaves(at_terminal: Start) -> None:
    chat = at_terminal("chat", "--agent", "scripted")
    chat.expect("> ")

    chat.type(CTRL_C)

    assert chat.ended() == 130
    assert "goes on without you" not in chat.whole


def test_chat_comes_back_to_a_live_run_and_shows_it_to_the_end(at_terminal: Start, client: Client) -> None:
    session = client.open_session("scripted")
    list(client.say(session.id, "SAY before"))
    client.send(session.id, "SLOW 40 50")
    list(client.follow(session.id, until=lambda event: event.seq >= 12))

    chat = at_terminal("chat", "--session", session.id)
    shown = chat.expect("w39")
    chat.type(CTRL_D)

    assert chat.ended() == 0
    assert "before" in shown
    words = [int(number) for number in re.findall(r"w(\d+)", shown)]
    assert words == list(range(39))


def test_chat_shows_what_is_said_from_another_screen(at_terminal: Start, client: Client) -> None:
    chat = at_terminal("chat", "--agent", "scripted")
    session = session_in(chat.expect("> "))

    client.send(session, "SAY from elsewhere")

    chat.expect("admin: SAY from elsewhere")
    chat.expect("\nfrom elsewhere")
    chat.type(CTRL_D)
    assert chat.ended() == 0


def test_refused_message_is_explained_and_the_chat_goes_on(at_terminal: Start, client: Client) -> None:
    chat = at_terminal("chat", "--agent", "scripted")
    session = session_in(chat.expect("> "))
    client.close_session(session)

    chat.type("SAY hi\n")

    chat.expect(f"Session {session} is closed")
    client.reopen_session(session)
    chat.type("SAY hi again\n")
    chat.expect("\nhi again")
    chat.type(CTRL_D)
    assert chat.ended() == 0


def test_chat_ends_when_its_session_is_deleted(at_terminal: Start, client: Client) -> None:
    chat = at_terminal("chat", "--agent", "scripted")
    session = session_in(chat.expect("> "))
    chat.type("SAY hi\n")
    chat.expect("\nhi")

    client.delete_session(session)

    assert chat.ended() == 3
    assert "the session was deleted" in chat.whole


def test_control_characters_of_an_agent_do_not_reach_the_terminal(at_terminal: Start) -> None:
    chat = at_terminal("chat", "--agent", "scripted")
    chat.expect("> ")

    # Typed as a bell and an escape sequence, behind ^V where the terminal would obey them itself.
    chat.type("SAY a\x16\x1b[2Jb\x16\x07c\n")
    chat.expect("\na\ufffd[2Jb\ufffdc")
    chat.type(CTRL_D)

    assert chat.ended() == 0


def test_lines_of_a_pipe_are_answered_one_after_the_other_on_stdout(piped: Run) -> None:
    ran = piped("chat", "--agent", "scripted", given="SAY one\n\nSLOW 3 10\nSAY three")

    assert (ran.code, ran.out) == (0, "one\nw0 w1 w2 \nthree\n")
    assert "with scripted" in ran.err


def test_pipe_exits_with_1_if_a_run_failed(piped: Run) -> None:
    ran = piped("chat", "--agent", "scripted", given="FAIL no luck\nSAY done\n")

    assert (ran.code, ran.out) == (1, "done\n")
    assert "(failed: no luck)" in ran.err


def test_pipe_with_json_prints_the_events(piped: Run) -> None:
    ran = piped("chat", "--agent", "scripted", "--json", given="SAY one\n")

    assert ran.code == 0
    assert [value["type"] for value in ran.values] == [
        "message.admitted",
        "run.started",
        "message.delta",
        "message.completed",
        "run.finished",
    ]


def test_last_goes_on_with_the_latest_open_session(piped: Run, client: Client) -> None:
    session = client.open_session("scripted")
    closed = client.open_session("scripted")
    client.close_session(closed.id)

    ran = piped("chat", "--last", given="SAY again\n")

    assert ran.code == 0
    assert session.id in ran.err
    events = events_of(client.follow(session.id, until=is_finished))
    assert "message.completed" in {event.type for event in events}


def test_last_without_a_session_is_not_found(piped: Run, client: Client) -> None:
    ran = piped("chat", "--last", "--agent", "concierge")

    assert ran.code == 3
    assert "no open session" in ran.err
    del client


def test_chat_without_an_agent_names_the_choice(piped: Run) -> None:
    ran = piped("chat")

    assert ran.code == 2
    names = "concierge, longhaul, reporter, scripted"
    assert ran.err == f"The server hosts several agents: {names}. Choose one with --agent.\n"


def test_session_and_agent_together_are_refused(piped: Run) -> None:
    ran = piped("chat", "--session", "ses_1", "--agent", "scripted")

    assert ran.code == 2
    assert "--session names the session" in ran.err
