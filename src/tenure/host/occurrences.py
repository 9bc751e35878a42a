"""What becomes of the instants of a schedule that have come: decided here, carried out by an act.

The room of recalls asks it. It reads no clock, and what it decides is bounded, however long nobody looked.
"""

from collections.abc import Iterator
from itertools import accumulate, islice, takewhile
from typing import NamedTuple

import msgspec

from tenure.core.moment import SECOND, Micros
from tenure.core.recall import LATE, Instant, Judged, RecallPolicy, judge, wake_at
from tenure.core.schedule import OccurrenceState
from tenure.core.timing import Cron, Every
from tenure.host import timetable
from tenure.host.scheduling import fresh_ids
from tenure.ports.clock import Ids
from tenure.ports.schedules import Firing, Standing

STEP = 200
"""How many passed instants of one schedule are written down in one transaction."""

STRIDE = 500
"""How many are counted in one transaction where there are too many to be written down."""

MOST_PASSED = 10_000
"""How many passed instants of a schedule are written down each, about; older ones are only counted."""

MOST_MOVED = 3 * 3_600 * SECOND
"""How far new rules move a time zone at most, in microseconds."""


class Decided(NamedTuple):
    """A firing, and when its newest instant wanted to be looked at; None if none has come."""

    firing: Firing
    wanted_at: Micros | None


def decide(standing: Standing, now: Micros, since: Micros, ids: Ids) -> Decided:
    """What becomes of the instants that have come by `now`, of which those up to `since` are late.

    Raises TenureError if nobody can tell what the timing means any more: its zone is gone, say.
    """
    first, unlisted = _leap(standing, now)
    passed = _passed(standing, first, now, STEP)
    if _is_far_behind(standing, passed, now):
        passed = _passed(standing, first, now, STRIDE)
        judged, last, unlisted = _ends_of(passed, standing), passed[-1].due_at, len(passed) - 2
    else:
        judged, last = _judged(standing, passed, _late_until(passed, now, since))
    following = timetable.first_after(standing.timing, standing.policy, last or Micros(first - 1))
    jitter_s = standing.policy.jitter_s
    firing = Firing(
        schedule_id=standing.schedule_id,
        version=standing.version,
        at=now,
        judged=tuple(judged),
        fresh=tuple(fresh_ids(ids) for each in judged if each.state is OccurrenceState.ADMITTED),
        next_at=following,
        wake_at=None if following is None else wake_at(standing.schedule_id, following, jitter_s),
        unlisted=unlisted,
    )
    return Decided(firing, passed[-1].wake_at if passed else None)


def _leap(standing: Standing, now: Micros) -> tuple[Micros, int]:
    """Where to begin: far behind, the oldest instants of an interval are counted and not gone through."""
    first = standing.next_at if standing.next_at is not None else now
    timing = standing.timing
    if not isinstance(timing, Every):
        return first, 0
    over = (_end(standing.policy, now) - first) // timing.every - MOST_PASSED
    return (Micros(first + over * timing.every), over) if over > 0 else (first, 0)


def _end(policy: RecallPolicy, now: Micros) -> Micros:
    return now if policy.ends_at is None else min(now, policy.ends_at)


def _passed(standing: Standing, first: Micros, now: Micros, most: int) -> list[Instant]:
    """The instants that have come and weren't looked at, oldest first."""
    coming = (Instant(at, _wake_of(standing, at)) for at in _coming(standing, first))
    return list(islice(takewhile(lambda each: each.wake_at <= now, accumulate(coming, _behind)), most))


def _wake_of(standing: Standing, at: Micros) -> Micros:
    """When an instant is looked at: the next one as was said when the one before it was, or at an edit."""
    if at == standing.next_at and standing.wake_at is not None:
        return standing.wake_at
    return wake_at(standing.schedule_id, at, standing.policy.jitter_s)


def _behind(before: Instant, each: Instant) -> Instant:
    """An instant isn't looked at before the one before it, which jitter may put off past a skipped hour."""
    return each if each.wake_at >= before.wake_at else each._replace(wake_at=before.wake_at)


def _coming(standing: Standing, first: Micros) -> Iterator[Micros]:
    """The instants from the first on that was promised.

    New rules of a time zone may have moved that one. If they moved it to before, where nobody waited for
    it, it is kept as it was promised, lest it be lost. If they put it off, it comes when they say.
    """
    timing, policy = standing.timing, standing.policy
    instants = timetable.instants(timing, policy, Micros(first - 1))
    nearest = next(instants, None)
    if nearest != first and isinstance(timing, Cron):
        earlier = timetable.first_after(timing, policy, Micros(first - MOST_MOVED))
        if earlier is not None and earlier < first:
            yield first
    if nearest is not None:
        yield nearest
        yield from instants


def _is_far_behind(standing: Standing, passed: list[Instant], now: Micros) -> bool:
    """Whether more instants than are written down follow upon these, going by how close they lie."""
    if len(passed) < STEP or not isinstance(standing.timing, Cron):
        return False
    last = passed[-1].due_at
    return (_end(standing.policy, now) - last) * STEP > MOST_PASSED * (last - passed[0].due_at)


def _ends_of(passed: list[Instant], standing: Standing) -> list[Judged]:
    """The first and the last of many that are missed: what lies between them is only counted."""
    ends = [passed[0], passed[-1]]
    judged = judge(ends, passed[-1].wake_at, standing.policy, paused=standing.paused)
    return [each._replace(state=OccurrenceState.MISSED) for each in judged]


def _late_until(passed: list[Instant], now: Micros, since: Micros) -> Micros:
    """What wanted to be looked at by then is late.

    A host that doesn't get round in a second still takes the newest of each schedule that it saw in time,
    and not all of them: it would fall behind ever further.
    """
    newest = passed[-1].wake_at if passed else now
    return Micros(max(since, min(now - LATE, newest - 1)))


def _judged(standing: Standing, passed: list[Instant], since: Micros) -> tuple[list[Judged], Micros | None]:
    """What becomes of them, and the last one of which something becomes now.

    A full step says nothing of its newest ones: which of them are admitted depends on what comes after.
    """
    policy = _within(standing)
    judged = judge(passed, since, policy, paused=standing.paused)
    if len(passed) == STEP:
        kept = passed[: -policy.missed_max]
        judged = [each._replace(state=OccurrenceState.MISSED) for each in judged[: len(kept)]]
        return judged, kept[-1].due_at
    return judged, passed[-1].due_at if passed else None


def _within(standing: Standing) -> RecallPolicy:
    """The policy, admitting no more than are left of `max_runs`."""
    policy = standing.policy
    if policy.max_runs is None:
        return policy
    left = max(1, policy.max_runs - standing.runs)
    return msgspec.structs.replace(policy, missed_max=min(policy.missed_max, left))
