"""`run.recalls` as agent code sees it: what it hands on, and what it refuses before it asks anybody."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

import tenure
from tenure.core.grant import HISTORY, RECALLS
from tenure.core.recall import Missed, Overlap, RecallKind
from tenure.core.scheduling import Recall, ScheduleInfo
from tenure.errors import Code, TenureError
from tenure.runners.agent import Run
from tenure.runners.rehearsal import FakeRun

pytestmark = pytest.mark.anyio


def a_run() -> tuple[Run, FakeRun]:
    """A run with the right, and what a test knows of it."""
    fake = FakeRun(apis=(HISTORY, RECALLS))
    return Run(fake), fake


async def test_what_is_said_in_plain_words_is_handed_on_as_it_is_meant() -> None:
    run, fake = a_run()
    noon = datetime(2027, 1, 31, 12, tzinfo=timezone(timedelta(hours=1)))

    made = await run.recalls.schedule(
        "Look again",
        name="look",
        kind="reminder",
        every_s=60,
        anchor=noon,
        ends_at=noon.astimezone(UTC),
        missed="all",
        missed_max=3,
        overlap=Overlap.SKIP,
        jitter_s=5,
        max_runs=7,
        retries=2,
        backoff_s=10,
        pause_after_failures=1,
    )

    assert isinstance(made, tenure.ScheduleInfo)
    assert fake.recalls.made == {
        made.id: Recall(
            message="Look again",
            name="look",
            kind=RecallKind.REMINDER,
            every_s=60,
            anchor="2027-01-31T12:00:00+01:00",
            ends_at="2027-01-31T11:00:00+00:00",
            missed=Missed.ALL,
            missed_max=3,
            overlap=Overlap.SKIP,
            jitter_s=5,
            max_runs=7,
            retries=2,
            backoff_s=10,
            pause_after_failures=1,
        )
    }


async def schedule(run: Run, given: dict[str, Any]) -> ScheduleInfo:
    """Schedule what no type checker would let pass."""
    return await run.recalls.schedule(**given)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"every_s": 0}, "every_s"),
        ({"in_s": float("inf")}, "in_s"),
        ({"at": datetime(2027, 1, 1)}, "without a zone"),  # noqa: DTZ001
        ({"in_s": 1, "overlap": "wait"}, "overlap"),
        ({"in_s": 1, "kind": "party"}, "kind"),
        ({"in_s": 1, "message": 7}, "message"),
        ({"in_s": 1, "message": object()}, "object"),
        ({}, "but got nothing"),
        ({"in_s": 1, "cron": "* * * * *"}, "but got in_s and cron"),
    ],
)
async def test_what_makes_no_sense_is_refused_and_named(given: dict[str, Any], says: str) -> None:
    run, fake = a_run()

    with pytest.raises(TenureError) as caught:
        await schedule(run, {"message": "x", **given})

    assert caught.value.code is Code.INVALID
    assert says in caught.value.detail
    assert fake.recalls.made == {}


async def test_a_preview_makes_nothing() -> None:
    run, fake = a_run()

    assert (await run.recalls.preview(in_s=5)).explanation == "rehearsed"
    assert fake.recalls.made == {}


async def test_what_was_made_is_listed_rests_goes_on_and_ends() -> None:
    run, fake = a_run()
    one = await run.recalls.schedule("x", in_s=5)
    theirs = of_a_person(one, "sch_theirs")
    fake.recalls.add(theirs)

    assert (await run.recalls.pause(one.id)).status == "paused"
    assert (await run.recalls.resume(one.id)).status == "active"
    assert [each.id for each in await run.recalls.entries()] == [theirs.id, one.id]
    assert (await run.recalls.cancel(one.id)).status == "cancelled"
    assert [each.id for each in await run.recalls.entries()] == [theirs.id]
    for wrong, code in ((theirs.id, Code.FORBIDDEN), ("sch_none", Code.NOT_FOUND)):
        with pytest.raises(TenureError) as caught:
            await run.recalls.cancel(wrong)
        assert caught.value.code is code


def of_a_person(info: ScheduleInfo, schedule_id: str) -> ScheduleInfo:
    """A schedule like another, that a person made."""
    return msgspec.structs.replace(info, id=schedule_id, made_by=None)
