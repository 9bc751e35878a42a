"""Either client reads a journal briefly, lists sessions by owner, and asks for runs over sessions."""

from datetime import UTC, datetime

import pytest

from tenure.client import Client, JournalEvent
from tenure.core.event import MessageCompleted, MessageDelta
from tenure.core.view import Facet, LastLine
from tests.client.both import is_finished

LATER = datetime(2099, 1, 1, tzinfo=UTC)


def told(client: Client, text: str, title: str | None = None) -> str:
    """A session in which this was said and answered. Its id."""
    session = client.open_session("scripted", title=title)
    assert any(is_finished(event) for event in client.say(session.id, text))
    return session.id


@pytest.mark.parametrize("limit", [2, 100])
def test_a_journal_is_read_briefly_from_either_end(client: Client, limit: int) -> None:
    session = told(client, "BURST 30 40")
    head = client.session(session).head_seq

    before, backwards = head + 1, list[JournalEvent]()
    while before > 1:
        page = client.events(session, before=before, limit=limit, brief=True)
        assert page.scanned is not None and page.scanned.last == before - 1
        backwards = [*page.data, *backwards]
        before = page.scanned.first
    after, forwards = 0, list[JournalEvent]()
    while after < head:
        page = client.events(session, after=after, limit=limit, brief=True)
        assert page.scanned is not None and page.scanned.first == after + 1
        forwards += page.data
        after = page.scanned.last

    assert forwards == backwards
    assert sum(isinstance(event.event, MessageDelta) for event in forwards) == 1
    assert sum(isinstance(event.event, MessageCompleted) for event in forwards) == 1
    assert client.events(session, limit=1).scanned is None


def test_sessions_are_listed_by_owner_and_by_how_their_last_run_fared(client: Client) -> None:
    bad = told(client, "FAIL no luck")

    (found,) = [s for s in client.sessions(owner="admin", last_run="failed") if s.id == bad]

    assert found.last_run is not None
    assert (found.last_run.status, found.last_run.reason) == ("failed", "no luck")
    assert found.last_line == LastLine(role="user", text="FAIL no luck")
    assert list(client.sessions(owner="nobody")) == []


def test_the_outline_of_a_journal_is_read(client: Client) -> None:
    session = told(client, "SAY x")

    outline = client.outline(session)
    earlier = client.outline(session, before=outline.data[-1].seq, limit=1)

    assert [mark.kind for mark in outline.data] == ["user", "run", "assistant"]
    assert (outline.head_seq, outline.next_before) == (client.session(session).head_seq, None)
    assert [client.event(session, mark.seq).type for mark in outline.data] == [
        "run.started",
        "run.started",
        "message.delta",
    ]
    assert earlier.data == outline.data[:2]


def test_facets_are_read(client: Client) -> None:
    told(client, "SAY x")

    facets = client.session_facets()

    assert "scripted" in [facet.name for facet in facets.agents]
    assert facets.owners == (Facet(name="admin", count=facets.owners[0].count),)


def test_runs_of_all_sessions_and_what_went_wrong_are_read(client: Client) -> None:
    bad = told(client, "FAIL with a reason of its own", title="Trip")

    (run,) = [run for run in client.latest_runs(status="failed", agent="scripted") if run.session_id == bad]
    (fault,) = [fault for fault in client.run_faults() if fault.reason == "with a reason of its own"]
    later = client.run_faults(since=LATER)

    assert (run.session_title, run.session_owner, run.reason) == ("Trip", "admin", fault.reason)
    assert (fault.latest_run_id, fault.latest_session_id) == (run.id, bad)
    assert later == ()
    assert list(client.latest_runs(older_than_s=86_400)) == []
    assert list(client.latest_runs(owner="nobody")) == []
    assert list(client.latest_runs(since=LATER)) == []
