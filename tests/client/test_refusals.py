"""What the client makes of answers that no good server gives, or gives only seldom."""

import time

import pytest

from tenure.client import Client, Gap, JournalEvent, ServerUnreachable
from tenure.core.event import Unknown
from tenure.errors import Code, TenureError
from tests.client.both import Connect, events_of
from tests.client.canned import PROBLEM, STREAM, Canned, Said, control, event

WHO = (
    '{"tenant":"t","user":"u","role":"member","key_id":"key_1","root":false,"history":"h",'
    '"of_a_newer_server":[1]}'
)
ME = Said(200, WHO)


def sse(*events: str, history: str = "h1") -> Said:
    body = "".join(f"id: {at}\ndata: {text}\n\n" for at, text in enumerate(events))
    return Said(200, body, {**STREAM, "Tenure-History": history})


def problem(status: int, code: str, **headers: str) -> Said:
    body = (
        f'{{"type":"/docs#{code}","title":"t","status":{status},"code":"{code}",'
        f'"detail":"It is so. Do this.","limit":3,"scope":"per_user"}}'
    )
    return Said(status, body, {**PROBLEM, **headers})


def test_fields_of_newer_servers_are_passed_over(connect: Connect, canned: Canned) -> None:
    canned.says(ME)

    with connect(canned.url, "k") as client:
        assert client.whoami().user == "u"

    assert canned.heard[0].headers["Authorization"] == "Bearer k"


def test_refusal_has_the_servers_code_detail_and_facts(connect: Connect, canned: Canned) -> None:
    canned.says(problem(429, "capacity"))

    with connect(canned.url, "k") as client, pytest.raises(TenureError) as refused:
        client.open_session("a")

    assert refused.value.code is Code.CAPACITY
    assert refused.value.detail == "It is so. Do this."
    assert refused.value.facts == {"limit": 3, "scope": "per_user"}
    assert len(canned.heard) == 1


@pytest.mark.parametrize(("status", "code"), [(418, Code.BAD_REQUEST), (500, Code.INTERNAL)])
def test_code_of_a_newer_server_becomes_a_general_one(
    connect: Connect, canned: Canned, status: int, code: Code
) -> None:
    canned.says(problem(status, "teapot"))

    with connect(canned.url, "k") as client, pytest.raises(TenureError) as refused:
        client.whoami()

    assert (refused.value.code, refused.value.detail) == (code, "It is so. Do this.")


def test_answer_of_something_else_than_tenure_is_named_as_such(connect: Connect, canned: Canned) -> None:
    canned.says(Said(404, "<html>nothing</html>"), Said(200, "<html>hello</html>"))

    with connect(canned.url, "k") as client:
        with pytest.raises(TenureError, match=f"{canned.url} answered 404"):
            client.whoami()
        with pytest.raises(TenureError, match="can't read"):
            client.whoami()


def test_wait_that_the_server_asks_for_is_kept(connect: Connect, canned: Canned) -> None:
    canned.says(problem(429, "rate_limited", **{"Retry-After": "1"}), ME)
    began = time.monotonic()

    with connect(canned.url, "k") as client:
        client.whoami()

    assert time.monotonic() - began >= 1.0


def test_wait_beyond_the_clients_patience_is_refused_at_once(connect: Connect, canned: Canned) -> None:
    canned.says(problem(503, "draining", **{"Retry-After": "60"}))

    with connect(canned.url, "k") as client, pytest.raises(TenureError) as refused:
        client.whoami()

    assert refused.value.code is Code.DRAINING


def test_post_is_repeated_under_the_same_key_and_body(connect: Connect, canned: Canned) -> None:
    receipt = '{"message_id":"m","run_id":null,"disposition":"queued","queue_position":1,"seq":2}'
    canned.says(Said(502, "proxy"), Said(503, "proxy"), Said(202, receipt))

    with connect(canned.url, "k") as client:
        assert client.send("ses_1", "hi").seq == 2

    assert len({heard.headers["Idempotency-Key"] for heard in canned.heard}) == 1
    assert {heard.body for heard in canned.heard} == {'{"content":"hi"}'}


def test_each_post_has_a_key_of_its_own_unless_one_is_given(connect: Connect, canned: Canned) -> None:
    receipt = Said(202, '{"run_id":null,"status":"running","seq":2}')
    canned.says(receipt, receipt, receipt)

    with connect(canned.url, "k") as client:
        client.interrupt("ses_1")
        client.interrupt("ses_1")
        client.interrupt("ses_1", idempotency_key="mine")

    keys = [heard.headers["Idempotency-Key"] for heard in canned.heard]
    assert len(set(keys)) == 3
    assert keys[2] == "mine"


def test_resumed_stream_asks_from_its_last_event_within_its_history(connect: Connect, canned: Canned) -> None:
    canned.says(sse(event(8), event(9)), sse(event(9), event(10)))

    with connect(canned.url, "k") as client:
        items = client.follow("ses_1", after=7, until=lambda event: event.seq == 10)
        seqs = [found.seq for found in events_of(items)]

    assert seqs == [8, 9, 10]
    places = [(h.headers["Last-Event-ID"], h.headers.get("Tenure-History")) for h in canned.heard]
    assert places == [("7", None), ("9", "h1")]


def test_retired_part_is_surfaced_as_a_value(connect: Connect, canned: Canned) -> None:
    gap = control("gap", '{"after":3,"min_available":50}')
    body = sse(event(50)).body
    canned.says(Said(200, gap + body, STREAM))

    with connect(canned.url, "k") as client:
        items = list(client.follow("ses_1", after=3, until=lambda event: True))

    assert items[0] == Gap(after=3, min_available=50)
    assert isinstance(items[1], JournalEvent) and items[1].seq == 50


def test_silence_between_two_events_is_no_event(connect: Connect, canned: Canned) -> None:
    silence = ": \n\n"
    canned.says(Said(200, sse(event(1)).body + silence * 3 + sse(event(2)).body + silence, STREAM))

    with connect(canned.url, "k") as client:
        items = client.follow("ses_1", until=lambda event: event.seq == 2)

        assert [item.seq for item in events_of(items)] == [1, 2]


def test_hole_that_nobody_announced_is_an_error(connect: Connect, canned: Canned) -> None:
    canned.says(sse(event(1), event(3)))

    with connect(canned.url, "k") as client:
        items = client.follow("ses_1")
        assert events_of([next(items)])[0].seq == 1
        with pytest.raises(TenureError) as refused:
            next(items)

    assert refused.value.facts == {"after": 1, "seq": 3}


def test_event_of_a_newer_server_passes_through(connect: Connect, canned: Canned) -> None:
    newer = event(1, "run.levitated", '{"height":[3]}')
    canned.says(sse(newer))

    with connect(canned.url, "k") as client:
        (found,) = events_of(client.follow("ses_1", until=lambda event: True))

    assert (found.type, found.raw) == ("run.levitated", newer)
    assert isinstance(found.event, Unknown) and bytes(found.event.data) == b'{"height":[3]}'


def test_stream_ended_by_the_server_is_opened_again(connect: Connect, canned: Canned) -> None:
    closed = control("closed", '{"reason":"draining"}')
    first, second = sse(event(1)), sse(event(2))
    canned.says(first._replace(body=first.body + closed), second)

    with connect(canned.url, "k") as client:
        items = client.follow("ses_1", until=lambda event: event.seq == 2)
        assert [found.seq for found in events_of(items)] == [1, 2]


def test_stream_that_is_none_is_an_error(connect: Connect, canned: Canned) -> None:
    canned.says(Said(200, "{}", {"Content-Type": "application/json"}))

    with connect(canned.url, "k") as client, pytest.raises(TenureError, match="instead of a stream"):
        next(client.follow("ses_1"))


def test_address_without_a_server_is_reported_at_once(connect: Connect, canned: Canned) -> None:
    url = canned.url
    canned.close()
    began = time.monotonic()

    with connect(url, "k") as client, pytest.raises(ServerUnreachable) as unreachable:
        client.whoami()

    assert (unreachable.value.address, unreachable.value.way_out) == (
        url,
        "Start the server with `tenure serve`, or name another with --server or TENURE_SERVER.",
    )
    assert time.monotonic() - began < 5.0


def test_unreachable_server_is_a_connection_error(canned: Canned) -> None:
    url = canned.url
    canned.close()

    with Client(url, "k") as client, pytest.raises(ConnectionError, match="can't be reached"):
        client.whoami()
