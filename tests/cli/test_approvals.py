"""`tenure approvals`, `approve` and `deny`: what they print, what they do, and how they end."""

from tenure.client import Client
from tenure.core.event import ApprovalRequested, RunFinished
from tests.cli.conftest import Run


def asked(client: Client) -> tuple[str, str]:
    """A session whose run waits for a person, and the approval's id."""
    session = client.open_session("scripted").id
    client.send(session, "ASK shall I?")
    for _ in client.follow(session, until=lambda event: isinstance(event.event, ApprovalRequested)):
        pass
    return session, next(iter(client.approvals(session_id=session))).id


def last_words(client: Client, session: str) -> object:
    """What the agent said when its run was over."""
    for _ in client.follow(session, until=lambda event: isinstance(event.event, RunFinished)):
        pass
    return client.transcript(session).data[-1].content


def test_approvals_are_listed_and_approved(tenure: Run, client: Client) -> None:
    session, approval = asked(client)
    listed = tenure("approvals", "--status", "pending", "--session", session)

    heading, line = listed.out.splitlines()
    assert heading.split() == ["ID", "STATUS", "TOOL", "ARGUMENTS", "SESSION", "EXPIRES"]
    assert line.split()[:3] == [approval, "pending", "confirm"]
    ran = tenure("approve", approval, "--arguments", '{"text": "do"}', "--note", "so", "--remember")
    assert (ran.code, ran.err) == (0, "")
    assert ["status", "granted"] in [line.split() for line in ran.out.splitlines()]
    assert last_words(client, session) == "approved: do"
    values = tenure("approvals", "--session", session, "--json").values
    assert [(value["id"], value["note"], value["remember"]) for value in values] == [
        (approval, "so", "session")
    ]


def test_a_call_is_denied_once(tenure: Run, client: Client) -> None:
    session, approval = asked(client)

    assert tenure("deny", approval, "--json").values[0]["status"] == "denied"
    assert last_words(client, session) == "denied"
    again = tenure("approve", approval)
    assert (again.code, again.out) == (2, "")
    assert "was denied by admin" in again.err


def test_arguments_that_are_no_object_are_refused_before_anything_is_sent(tenure: Run) -> None:
    ran = tenure("approve", "apr_1", "--arguments", "[1]")

    assert ran.code == 2
    assert "no JSON object" in ran.err
