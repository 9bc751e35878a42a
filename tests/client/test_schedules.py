"""Both clients make schedules, look at them, and see what became of them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tenure.client import Client
from tenure.core.recall import Missed, Overlap, RecallKind
from tenure.core.schedule import ScheduleState
from tenure.errors import Code, TenureError
from tests.client.both import is_finished


def test_a_schedule_is_made_with_every_term_and_read_back(client: Client) -> None:
    session = client.open_session("scripted").id
    when = datetime(2031, 1, 31, 13, tzinfo=timezone(timedelta(hours=1)))

    info = client.create_schedule(
        "SAY hello",
        session_id=session,
        name="daily",
        kind=RecallKind.REMINDER,
        every_s=86_400,
        anchor=when,
        missed=Missed.ALL,
        missed_max=3,
        overlap=Overlap.SKIP,
        jitter_s=60,
        max_runs=7,
        ends_at="2032-01-01T00:00:00Z",
        retries=1,
        backoff_s=5,
        pause_after_failures=2,
    )

    assert client.schedule(info.id) == info
    assert list(client.schedules(session_id=session)) == [info]
    assert (info.session_id, info.name, info.kind, info.message) == (
        session,
        "daily",
        "reminder",
        "SAY hello",
    )
    assert (info.every_s, info.anchor) == (86_400, "2031-01-31T12:00:00.000000Z")
    assert (info.missed, info.missed_max, info.overlap, info.jitter_s) == ("all", 3, "skip", 60)
    assert (info.max_runs, info.ends_at) == (7, "2032-01-01T00:00:00.000000Z")
    assert (info.retries, info.backoff_s, info.pause_after_failures) == (1, 5, 2)


def test_a_schedule_is_changed_rested_resumed_and_ended(client: Client) -> None:
    info = client.create_schedule("SAY x", agent="scripted", every_s=600, name="n", max_runs=3)

    changed = client.update_schedule(info.id, message="SAY y", name=None, max_runs=None, missed=Missed.SKIP)
    assert (changed.message, changed.name, changed.max_runs, changed.missed) == ("SAY y", None, None, "skip")
    moved = client.update_schedule(info.id, at=datetime(2031, 1, 1, tzinfo=UTC))
    assert (moved.next_at, moved.every_s) == ("2031-01-01T00:00:00.000000Z", None)
    assert client.pause_schedule(info.id).status == "paused"
    assert info.id in [each.id for each in client.schedules(status=ScheduleState.PAUSED, agent="scripted")]
    assert client.resume_schedule(info.id).next_at == moved.next_at
    client.delete_schedule(info.id)
    assert client.schedule(info.id).status == "cancelled"
    with pytest.raises(TenureError) as caught:
        client.trigger_schedule(info.id)
    assert caught.value.code is Code.CONFLICT


def test_an_occurrence_that_was_asked_for_runs_and_is_recorded(client: Client) -> None:
    session = client.open_session("scripted").id
    info = client.create_schedule("SAY hello", session_id=session, at="2031-01-31T12:00:00Z")

    fired = client.trigger_schedule(info.id, idempotency_key=session)
    again = client.trigger_schedule(info.id, idempotency_key=session)
    for _ in client.follow(session, until=is_finished):
        pass

    assert fired == again
    coming, done = client.occurrences(info.id)
    assert (coming.state, coming.due_at) == ("due", "2031-01-31T12:00:00.000000Z")
    assert (done.id, done.state, done.outcome, done.manual) == (fired.id, "admitted", "completed", True)
    assert client.run(done.run_id or "").status == "completed"


def test_a_preview_tells_what_comes_and_refuses_what_making_would(client: Client) -> None:
    told = client.preview_schedule(cron="30 9 1 1 *", timezone="Asia/Tokyo", count=2)

    assert [instant[4:] for instant in told.next] == ["-01-01T09:30:00+09:00"] * 2
    with pytest.raises(TenureError) as caught:
        client.preview_schedule(cron="0 0 30 2 *")
    assert (caught.value.code, caught.value.facts["field"]) == (Code.INVALID, "cron")
    with pytest.raises(TenureError) as caught:
        client.create_schedule("x", agent="scripted", at=datetime(2031, 1, 1))  # noqa: DTZ001 (no offset)
    assert (caught.value.code, caught.value.facts["field"]) == (Code.INVALID, "at")
