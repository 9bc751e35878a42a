"""Every question of the client, asked of a real server by both kinds of client."""

from secrets import token_hex

import pytest

from tenure.client import Client
from tenure.core.command import Waiting
from tenure.core.content import TextPart
from tenure.core.event import MessageAdmitted, MessageDelta, RunFinished, SessionCreated
from tenure.core.message import BusyPolicy
from tenure.core.principal import Role
from tenure.core.view import AgentInfo, KeyInfo, MessageReceipt, WhoAmI
from tenure.errors import Code, TenureError
from tests.client.both import Connect, events_of, is_finished
from tests.client.hosted import Hosted


def test_whoami_names_the_bootstrap_admin(client: Client) -> None:
    me = client.whoami()

    assert me == WhoAmI(
        tenant="default",
        user="admin",
        role="admin",
        key_id=me.key_id,
        root=True,
        history=me.history,
    )
    assert me.key_id.startswith("key_") and me.history


def test_agents_are_those_of_the_catalogue(client: Client) -> None:
    found = client.agents()

    assert all(isinstance(agent, AgentInfo) for agent in found)
    assert sorted(agent.name for agent in found) == ["concierge", "longhaul", "reporter", "scripted"]


def test_stats_count_the_sessions_opened(client: Client) -> None:
    before = client.stats().sessions

    client.open_session("scripted")

    assert client.stats().sessions == before + 1


def test_session_is_opened_with_title_and_labels_and_read_again(client: Client) -> None:
    opened = client.open_session("scripted", title="Trip", labels={"team": "blue"})

    assert (opened.agent, opened.title, opened.labels) == ("scripted", "Trip", {"team": "blue"})
    assert client.session(opened.id) == opened


def test_sessions_iterates_all_pages_of_those_that_match(client: Client) -> None:
    batch = token_hex(8)
    opened = [client.open_session("scripted", labels={"batch": batch}).id for _ in range(205)]

    found = [session.id for session in client.sessions(agent="scripted", labels={"batch": batch})]

    assert sorted(found) == sorted(opened)


def test_update_changes_what_is_given_and_leaves_the_rest(client: Client) -> None:
    session = client.open_session("scripted", title="Old", labels={"a": "b"})

    renamed = client.update_session(session.id, title="New")
    untitled = client.update_session(session.id, title=None, labels={})

    assert (renamed.title, renamed.labels) == ("New", {"a": "b"})
    assert (untitled.title, untitled.labels) == (None, {})


def test_closed_session_refuses_messages_until_reopened(client: Client) -> None:
    session = client.open_session("scripted")

    closed = client.close_session(session.id, reason="done")
    with pytest.raises(TenureError) as refused:
        client.send(session.id, "SAY hi")
    reopened = client.reopen_session(session.id)

    assert closed.status == "closed"
    assert refused.value.code is Code.SESSION_CLOSED
    assert session.id in refused.value.detail
    assert refused.value.facts == {"session_id": session.id}
    assert reopened.status == "idle"


def test_deleted_session_is_gone(client: Client) -> None:
    session = client.open_session("scripted")

    client.delete_session(session.id)

    with pytest.raises(TenureError) as refused:
        client.session(session.id)
    assert refused.value.code is Code.NOT_FOUND


def test_send_gives_a_receipt_and_its_run_can_be_read(client: Client) -> None:
    session = client.open_session("scripted")

    receipt = client.send(session.id, (TextPart("SAY one"), TextPart("SAY two")))
    list(client.follow(session.id, until=is_finished))

    assert receipt == MessageReceipt(
        message_id=receipt.message_id,
        run_id=receipt.run_id,
        disposition="started",
        queue_position=0,
        seq=2,
    )
    assert receipt.run_id is not None
    run = client.run(receipt.run_id)
    assert (run.session_id, run.status, run.message_id) == (
        session.id,
        "completed",
        receipt.message_id,
    )
    assert list(client.runs(session.id)) == [run]
    assert client.message(session.id, receipt.message_id).outcome == "completed"


def test_message_id_of_ones_own_is_kept(client: Client) -> None:
    session = client.open_session("scripted")
    mine = "msg_" + "0123456789abcdef" * 2

    first = client.send(session.id, "SAY hi", message_id=mine)
    again = client.send(session.id, "SAY hi", message_id=mine)

    assert first.message_id == mine
    assert again == first


def test_say_yields_the_events_of_its_run_to_the_end(client: Client) -> None:
    session = client.open_session("scripted")

    events = list(client.say(session.id, "SAY hello\nSAY again"))

    assert isinstance(events[0].event, MessageAdmitted)
    said = "".join(e.event.text for e in events if isinstance(e.event, MessageDelta))
    assert "hello" in said and "again" in said
    last = events[-1].event
    assert isinstance(last, RunFinished) and last.status == "completed"


def test_say_waits_its_turn_and_shows_only_its_own_run(client: Client) -> None:
    session = client.open_session("scripted")
    first = client.send(session.id, "SLOW 5 20")

    events = list(client.say(session.id, "SAY second"))

    assert [e.type for e in events][:2] == ["message.admitted", "run.started"]
    assert first.run_id not in {event.run_id for event in events}
    assert events[-1].type == "run.finished"


def test_transcript_holds_what_was_said_by_both(client: Client) -> None:
    session = client.open_session("scripted")
    list(client.say(session.id, "SAY hello"))

    page = client.transcript(session.id)

    assert [(item.role, item.content) for item in page.data] == [
        ("user", "SAY hello"),
        ("assistant", "hello"),
    ]
    assert (page.waiting, page.next_cursor) == ((), None)


def test_transcript_goes_on_at_its_cursor(client: Client) -> None:
    session = client.open_session("scripted")
    for text in ("one", "two"):
        list(client.say(session.id, f"SAY {text}"))

    first = client.transcript(session.id, limit=3)
    second = client.transcript(session.id, cursor=first.next_cursor, limit=3)

    assert [item.content for item in (*first.data, *second.data)] == [
        "SAY one",
        "one",
        "SAY two",
        "two",
    ]


def test_events_are_paged_forwards_and_backwards(client: Client) -> None:
    session = client.open_session("scripted")
    list(client.say(session.id, "BURST 20"))
    head = client.session(session.id).head_seq

    forwards = client.events(session.id, after=2, limit=5)
    backwards = client.events(session.id, before=head + 1, limit=5)

    assert [event.seq for event in forwards.data] == [3, 4, 5, 6, 7]
    assert [event.seq for event in backwards.data] == list(range(head - 4, head + 1))
    assert (forwards.head_seq, forwards.gap) == (head, None)


def test_event_is_read_by_its_number(client: Client) -> None:
    session = client.open_session("scripted")
    list(client.say(session.id, "SAY hi"))

    assert client.event(session.id, 2) == client.events(session.id).data[1]


def test_drained_server_says_that_it_drains(connect: Connect, own_hosted: Hosted) -> None:
    with connect(own_hosted.url, own_hosted.key) as client:
        before = client.stats().draining
        client.drain()

        assert (before, client.stats().draining) == (False, True)


@pytest.mark.sources("D-M6", "D-M7")
def test_follow_begins_with_the_creation_and_has_every_number_once(client: Client) -> None:
    session = client.open_session("scripted")
    client.send(session.id, "BURST 300")

    events = events_of(client.follow(session.id, until=is_finished))

    head = client.session(session.id).head_seq
    assert [event.seq for event in events] == list(range(1, head + 1))
    first = events[0].event
    assert isinstance(first, SessionCreated) and first.agent == "scripted"


def test_follow_ends_when_the_session_is_deleted(client: Client) -> None:
    session = client.open_session("scripted")
    items = client.follow(session.id)
    first = events_of([next(items)])

    client.delete_session(session.id)

    assert [event.type for event in (*first, *events_of(items))] == [
        "session.created",
        "session.deleted",
    ]


def test_interrupt_ends_the_run_and_holds_what_waits(client: Client) -> None:
    session = client.open_session("scripted")
    run = client.send(session.id, "SLOW 1000 20")
    waits = client.send(session.id, "SAY later")

    taken = client.interrupt(session.id, run_id=run.run_id)
    events = events_of(client.follow(session.id, until=is_finished))

    assert taken.run_id == run.run_id
    last = events[-1].event
    assert isinstance(last, RunFinished) and last.status == "cancelled"
    page = client.transcript(session.id)
    assert page.queue_held
    assert [item.message_id for item in page.waiting] == [waits.message_id]


def test_interrupt_can_withdraw_what_waits(client: Client) -> None:
    session = client.open_session("scripted")
    client.send(session.id, "SLOW 1000 20")
    waits = client.send(session.id, "SAY later")

    client.interrupt(session.id, waiting=Waiting.WITHDRAW)
    list(client.follow(session.id, until=is_finished))

    assert client.message(session.id, waits.message_id).status == "withdrawn"


def test_interrupt_of_an_idle_session_is_refused_with_its_code(client: Client) -> None:
    session = client.open_session("scripted")

    with pytest.raises(TenureError) as refused:
        client.interrupt(session.id)

    assert refused.value.code is Code.NOT_RUNNING


def test_busy_session_refuses_a_message_that_asks_for_it(client: Client) -> None:
    session = client.open_session("scripted")
    client.send(session.id, "SLOW 1000 20")

    with pytest.raises(TenureError) as refused:
        client.send(session.id, "SAY hi", when_busy=BusyPolicy.REJECT)
    client.interrupt(session.id)

    assert refused.value.code is Code.BUSY


def test_unknown_agent_is_refused_with_the_servers_detail(client: Client) -> None:
    with pytest.raises(TenureError) as refused:
        client.open_session("nobody")

    assert refused.value.code is Code.UNKNOWN_AGENT
    assert "nobody" in refused.value.detail and "scripted" in refused.value.detail


def test_cursor_beyond_the_head_is_refused_with_the_head(client: Client) -> None:
    session = client.open_session("scripted")

    with pytest.raises(TenureError) as refused:
        next(client.follow(session.id, after=99))

    assert refused.value.code is Code.CURSOR_AHEAD
    assert refused.value.facts == {"head_seq": 1}


def test_cursor_of_another_history_is_refused(client: Client) -> None:
    session = client.open_session("scripted")

    with pytest.raises(TenureError) as refused:
        next(client.follow(session.id, after=1, history="another"))

    assert refused.value.code is Code.HISTORY_CHANGED


def test_key_is_made_listed_used_and_revoked(client: Client, connect: Connect, hosted: Hosted) -> None:
    made = client.create_key("ann", Role.MEMBER, name="laptop", tenant="acme")

    with connect(hosted.url, made.key) as ann:
        assert ann.whoami() == WhoAmI(
            tenant="acme",
            user="ann",
            role="member",
            key_id=made.id,
            root=False,
            history=client.whoami().history,
        )
        listed = [key for key in client.keys() if key.id == made.id]  # noqa: SIM118 (a method)
        client.revoke_key(made.id)
        with pytest.raises(TenureError) as refused:
            ann.whoami()

    assert listed == [
        KeyInfo(
            id=made.id,
            tenant="acme",
            user="ann",
            role="member",
            name="laptop",
            created_at=made.created_at,
            expires_at=None,
            revoked_at=None,
        )
    ]
    assert client.key(made.id).revoked_at is not None
    assert refused.value.code is Code.UNAUTHENTICATED


def test_ids_of_callers_lead_to_no_other_route(client: Client) -> None:
    for name in ("../whoami", "a/b", "?x=1", "%2e%2e/agents", "ü"):
        with pytest.raises(TenureError) as refused:
            client.session(name)
        assert refused.value.code is Code.NOT_FOUND
