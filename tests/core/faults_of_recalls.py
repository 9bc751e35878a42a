"""Planted faults of schedules and their occurrences."""

from collections.abc import Sequence

import msgspec

from tenure.core.event import (
    Event,
    MessageAdmitted,
    MessageWithdrawn,
    RecallChanged,
    RecallFired,
    RecallMissed,
    RecallScheduled,
    RecallSkipped,
    RunFinished,
    SessionCreated,
)
from tenure.core.evidence import Observed, Stored, StoredOccurrence, StoredRun, StoredSchedule
from tenure.core.invariants import Invariant
from tests.core.book import FINISHED, Book, admitted, started, user
from tests.core.faults import plants

DUE = "2026-11-20T20:10:00.000000Z"
SCHEDULED = RecallScheduled(schedule_id="sch_1", due_at=DUE)
FIRED = RecallFired(schedule_id="sch_1", occurrence="sch_1@1", due_at=DUE)
PASSED = RecallMissed(schedule_id="sch_1", count=1, first=DUE, last=DUE, reason="late")
LEFT = RecallSkipped(schedule_id="sch_1", occurrence="sch_1@3", due_at=DUE, reason="overlap")
CAME = StoredOccurrence("sch_1@1", "sch_1", "admitted", False, "m1", "r1", "completed", 1, False)
MISSED = StoredOccurrence("sch_1@2", "sch_1", "missed", False, None, None, None, 0, False)
SKIPPED = StoredOccurrence("sch_1@3", "sch_1", "skipped", False, None, None, None, 0, False)
ACTIVE = StoredSchedule("sch_1", "active", 0, 0)
FAILED = RunFinished(status="failed", reason="x")


def recalled(*before: Event, message: MessageAdmitted | None = None, last: RunFinished = FINISHED) -> Book:
    """A schedule that fired once: scheduled, `before`, fired, admitted, started and finished."""
    book = Book()
    book.add(SessionCreated(agent="scripted", owner="ada"))
    book.add(SCHEDULED)
    for event in before:
        book.add(event)
    book.add(FIRED)
    book.add(message or admitted("m1"))
    seq = book.add(started("m1"), "r1")
    book.add(last, "r1")
    book.messages = [user("m1", "settled", "r1", seq)]
    book.runs = [StoredRun("r1", last.status, "d1", False)]
    return book


def with_rows(
    book: Book, *occurrences: StoredOccurrence, schedules: Sequence[StoredSchedule] = (ACTIVE,)
) -> tuple[Stored, Observed]:
    """A session with the rows of its schedule."""
    stored = book.stored()
    return msgspec.structs.replace(stored, schedules=tuple(schedules), occurrences=occurrences), Observed()


def whole_recalls() -> list[Stored]:
    """Sessions of which nothing is amiss."""
    waits = Book()
    for event in (SessionCreated(agent="scripted", owner="ada"), SCHEDULED, FIRED, admitted("m1", "queued")):
        waits.add(event)
    waits.messages = [user("m1", "queued", None, None)]
    gone = Book(events=[*waits.events])
    gone.add(MessageWithdrawn(message_id="m1", by="ada"))
    gone.messages = [user("m1", "withdrawn", None, None)]
    rested = recalled()
    rested.add(RecallChanged(schedule_id="sch_1", status="paused", by="ada", reason="asked"))
    fresh = CAME._replace(run_id=None, outcome=None)
    trimmed = ACTIVE._replace(trimmed=1)
    cases = [
        with_rows(recalled(PASSED, LEFT), MISSED, SKIPPED, CAME),
        with_rows(
            recalled(msgspec.structs.replace(PASSED, count=5)),
            MISSED,
            CAME,
            schedules=[ACTIVE._replace(unlisted=4)],
        ),
        with_rows(recalled(last=FAILED), CAME._replace(outcome="failed", retries=True)),
        with_rows(waits, fresh),
        with_rows(gone, fresh._replace(outcome="withdrawn")),
        with_rows(rested, CAME, schedules=[ACTIVE._replace(state="paused")]),
        with_rows(recalled(PASSED, LEFT), schedules=[trimmed]),
    ]
    return [stored for stored, _ in cases]


@plants(Invariant.RECALLS, "The occurrence sch_1@1 fired twice.")
def fired_twice() -> tuple[Stored, Observed]:
    book = recalled(FIRED, admitted("m0"), MessageWithdrawn(message_id="m0", by="ada"))
    book.messages.append(user("m0", "withdrawn", None, None))
    return with_rows(book, CAME._replace(attempts=2))


@plants(Invariant.RECALLS, "The occurrence sch_1@1 fired, but isn't admitted.")
def fired_without_a_row() -> tuple[Stored, Observed]:
    return with_rows(recalled())


@plants(Invariant.RECALLS, "The occurrence sch_1@1 fired, and no message came.")
def fired_without_a_message() -> tuple[Stored, Observed]:
    book = recalled()
    book.events[2], book.events[3] = book.events[3], book.events[2]
    return with_rows(book, CAME)


@plants(Invariant.RECALLS, "The message of sch_1@1 is m9, but fired m1.")
def row_with_another_message() -> tuple[Stored, Observed]:
    return with_rows(recalled(), CAME._replace(message_id="m9"))


@plants(Invariant.RECALLS, "The occurrence sch_1@1 is admitted, but never fired.")
def admitted_and_never_fired() -> tuple[Stored, Observed]:
    book = recalled()
    del book.events[2]
    book.messages = [user("m1", "settled", "r1", 4)]
    return with_rows(book, CAME)


@plants(Invariant.RECALLS, "The occurrence sch_1@3 was skipped, but no row says so.")
def skipped_without_a_row() -> tuple[Stored, Observed]:
    return with_rows(recalled(LEFT), CAME)


@plants(Invariant.RECALLS, "The occurrence sch_1@3 is skipped, and told of 0 times.")
def skipped_in_silence() -> tuple[Stored, Observed]:
    return with_rows(recalled(), CAME, SKIPPED)


@plants(Invariant.RECALLS, "The schedule sch_1 missed 1, but there are 0 rows and 0 without one.")
def missed_without_a_row() -> tuple[Stored, Observed]:
    return with_rows(recalled(PASSED), CAME)


@plants(Invariant.RECALLS, "The outcome of sch_1@1 is failed, but should be completed.")
def another_outcome_than_its_run() -> tuple[Stored, Observed]:
    return with_rows(recalled(), CAME._replace(outcome="failed"))


@plants(Invariant.RECALLS, "The outcome of sch_1@1 is None, but should be that of its run.")
def outcome_forgotten() -> tuple[Stored, Observed]:
    return with_rows(recalled(), CAME._replace(outcome=None, run_id=None))


@plants(Invariant.RECALLS, "The occurrence sch_1@1 is completed, and yet to be tried again.")
def tried_again_though_completed() -> tuple[Stored, Observed]:
    return with_rows(recalled(), CAME._replace(retries=True))


@plants(Invariant.RECALLS, "The schedule sch_1 is paused, but the journal says active.")
def paused_in_silence() -> tuple[Stored, Observed]:
    return with_rows(recalled(), CAME, schedules=[ACTIVE._replace(state="paused")])


@plants(Invariant.RECALLS, "The schedule sch_1 is None, but the journal says active.")
def schedule_without_a_row() -> tuple[Stored, Observed]:
    return with_rows(recalled(), CAME, schedules=[])
