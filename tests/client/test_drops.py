"""What the client makes of connections that break: nothing is lost, nothing comes or happens twice."""

import random
import time

import pytest

from tenure.client import Client, JournalEvent, ServerUnreachable
from tenure.core.event import RunFinished
from tenure.core.principal import Role
from tests.client.both import Connect, events_of, is_finished
from tests.client.hosted import Hosted
from tests.client.proxy import Proxy

SEED = 20_261_121
CUTS = 40


def test_follow_cut_at_random_places_yields_every_event_once_in_order(
    client: Client, connect: Connect, hosted: Hosted, proxy: Proxy
) -> None:
    session = client.open_session("scripted")
    client.send(session.id, "BURST 3000 50")
    whole = events_of(client.follow(session.id, until=is_finished))
    draw = random.Random(SEED)
    proxy.allow_each(lambda: draw.randrange(0, 20_000), CUTS)

    with connect(proxy.url, hosted.key) as cut_off:
        resumed = events_of(cut_off.follow(session.id, until=is_finished))

    assert resumed == whole
    assert proxy.cuts >= CUTS // 2


def test_follow_of_a_live_run_survives_cuts(
    client: Client, connect: Connect, hosted: Hosted, proxy: Proxy
) -> None:
    session = client.open_session("scripted")
    draw = random.Random(SEED)
    proxy.allow_each(lambda: draw.randrange(400, 1_500), 10)

    with connect(proxy.url, hosted.key) as cut_off:
        client.send(session.id, "SLOW 60 10")
        live = events_of(cut_off.follow(session.id, until=is_finished))

    assert live == events_of(client.follow(session.id, until=is_finished))
    assert proxy.cuts >= 3


def test_follow_from_the_middle_goes_on_at_the_next_event_after_a_cut(
    client: Client, connect: Connect, hosted: Hosted, proxy: Proxy
) -> None:
    session = client.open_session("scripted")
    list(client.say(session.id, "BURST 200"))
    proxy.allow(2_000, 5_000)

    with connect(proxy.url, hosted.key) as cut_off:
        events = events_of(cut_off.follow(session.id, after=100, until=is_finished))

    head = client.session(session.id).head_seq
    assert [event.seq for event in events] == list(range(101, head + 1))


def test_say_cut_in_the_middle_yields_its_whole_answer_and_speaks_once(
    client: Client, connect: Connect, hosted: Hosted, proxy: Proxy
) -> None:
    session = client.open_session("scripted")
    proxy.allow(0, 900, 1_500, 3_000, 3_000)

    with connect(proxy.url, hosted.key) as cut_off:
        events = list(cut_off.say(session.id, "BURST 100"))

    whole = events_of(client.follow(session.id, until=is_finished))
    assert events == whole[1:]
    assert proxy.cuts == 5


def test_message_whose_receipt_was_lost_is_sent_once_and_gets_the_same_receipt(
    client: Client, connect: Connect, hosted: Hosted, proxy: Proxy
) -> None:
    session = client.open_session("scripted")
    proxy.allow(0, 0, 40)

    with connect(proxy.url, hosted.key) as cut_off:
        receipt = cut_off.send(session.id, "SAY once")

    events = events_of(client.follow(session.id, until=is_finished))
    admitted = [event for event in events if event.type == "message.admitted"]
    assert [event.seq for event in admitted] == [receipt.seq]
    assert receipt.disposition == "started"
    assert proxy.cuts == 3


def test_session_whose_answer_was_lost_is_opened_once(
    client: Client, connect: Connect, hosted: Hosted, proxy: Proxy
) -> None:
    before = client.stats().sessions
    proxy.allow(0, 0)

    with connect(proxy.url, hosted.key) as cut_off:
        session = cut_off.open_session("scripted")

    assert client.stats().sessions == before + 1
    assert client.session(session.id) == session


def test_key_whose_answer_was_lost_is_made_once_and_works(
    client: Client, connect: Connect, hosted: Hosted, proxy: Proxy
) -> None:
    proxy.allow(0)

    with connect(proxy.url, hosted.key) as cut_off:
        made = cut_off.create_key("bob", Role.MEMBER, tenant="drops")

    assert [key.id for key in client.keys() if key.user == "bob"].count(made.id) == 1  # noqa: SIM118
    with connect(hosted.url, made.key) as bob:
        assert bob.whoami().user == "bob"


def test_deletion_whose_answer_was_lost_is_a_success(
    client: Client, connect: Connect, hosted: Hosted, proxy: Proxy
) -> None:
    session = client.open_session("scripted")
    proxy.allow(0)

    with connect(proxy.url, hosted.key) as cut_off:
        cut_off.delete_session(session.id)

    assert session.id not in {found.id for found in client.sessions()}


def test_follow_goes_on_across_a_restart_of_the_server(connect: Connect, own_hosted: Hosted) -> None:
    with connect(own_hosted.url, own_hosted.key) as client:
        session = client.open_session("scripted")
        items = client.follow(session.id, until=is_finished)
        seen: list[JournalEvent] = events_of([next(items)])

        own_hosted.stop()
        own_hosted.start()
        client.send(session.id, "SAY back again")
        seen += events_of(items)

        assert seen == events_of(client.follow(session.id, until=is_finished))
        last = seen[-1].event
        assert isinstance(last, RunFinished) and last.status == "completed"


def test_server_that_goes_and_stays_away_is_reported_once_patience_ends(
    connect: Connect, own_hosted: Hosted
) -> None:
    with connect(own_hosted.url, own_hosted.key, patience_s=0.5) as client:
        client.whoami()

        own_hosted.stop()

        with pytest.raises(ServerUnreachable) as unreachable:
            client.whoami()
    assert unreachable.value.address == own_hosted.url
    assert "tenure serve" in str(unreachable.value)


def test_follow_left_early_gives_its_stream_up(connect: Connect, own_hosted: Hosted) -> None:
    with connect(own_hosted.url, own_hosted.key) as client:
        session = client.open_session("scripted")
        items = client.follow(session.id)
        next(items)
        while_following = client.stats().streams

        items.close()

        assert while_following == 1
        deadline = time.monotonic() + 10
        while client.stats().streams:
            assert time.monotonic() < deadline, "the server still counts the stream"
