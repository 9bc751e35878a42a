"""`tenure undo`, `redo`, `compact` and `fork`: what they print, what they do, and how they end."""

from tenure.client import Client
from tests.cli.conftest import Run


def talked(client: Client, *texts: str) -> str:
    """A session in which the agent repeated each of these texts."""
    session = client.open_session("scripted").id
    for text in texts:
        for _ in client.say(session, f"SAY {text}"):
            pass
    return session


def contents(client: Client, session: str) -> list[object]:
    """What the transcript says."""
    return [item.content for item in client.transcript(session).data]


def test_undo_and_redo_print_how_much_went_and_came_back(tenure: Run, client: Client) -> None:
    session = talked(client, "one", "two")

    preview = tenure("undo", session, "--turns", "2", "--dry-run")
    assert (preview.code, preview.err) == (0, "")
    assert preview.out.splitlines()[0].split() == ["would", "go", "4", "messages", "of", "2", "runs"]
    assert len(contents(client, session)) == 4

    assert "2 messages of 1 run" in tenure("undo", session).out
    assert contents(client, session) == ["SAY one", "one"]
    assert tenure("redo", session, "--json").values[0]["seq"] == client.session(session).head_seq
    assert contents(client, session) == ["SAY one", "one", "SAY two", "two"]
    refused = tenure("redo", session)
    assert (refused.code, refused.out) == (2, "")
    assert "nothing to redo" in refused.err


def test_undo_down_to_a_message(tenure: Run, client: Client) -> None:
    session = talked(client, "one", "two", "three")
    message = client.transcript(session).data[2].message_id

    assert tenure("undo", session, "--to", message, "--json").values[0]["pending"] is False
    assert contents(client, session) == ["SAY one", "one"]


def test_compact_prints_the_summary_once_it_is_made(tenure: Run, client: Client) -> None:
    session = talked(client, "one", "two")
    ran = tenure("compact", session, "--wait")

    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[0] == "It began with: SAY one"
    assert client.transcript(session).data[0].content == ran.out.strip()


def test_compact_without_waiting_prints_the_receipt(tenure: Run, client: Client) -> None:
    session = talked(client, "one", "two")
    (receipt,) = tenure("compact", session, "--instructions", "brief", "--json").values

    assert receipt["disposition"] == "started"


def test_fork_prints_the_id_of_the_new_session(tenure: Run, client: Client) -> None:
    session = talked(client, "one")
    ran = tenure("fork", session, "--title", "Branch")
    made = client.session(ran.out.strip())

    assert (made.title, made.status) == ("Branch", "idle")
    assert contents(client, made.id) == ["SAY one", "one"]
    (other,) = tenure("fork", session, "--at", "1", "--json").values
    assert other["message_count"] == 0


def test_deleting_with_its_forks_takes_them_along(tenure: Run, client: Client) -> None:
    session = talked(client, "one")
    branch = client.fork(session).id

    assert tenure("sessions", "delete", session, "--yes", "--cascade").code == 0
    assert branch not in {found.id for found in client.sessions()}
