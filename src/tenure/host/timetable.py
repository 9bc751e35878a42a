"""Timetables: what people write about when, made a timing; and the instants that a timing names.

The scheduling room asks it for everything about calendars. It reads no clock: now is given to it.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import assert_never

from tenure.core.moment import SECOND, Micros, timestamp
from tenure.core.recall import RecallPolicy
from tenure.core.scheduling import Policies, UpdateSchedule, When
from tenure.core.timing import LATEST, Cron, Every, Once, Timing, after_every, after_once
from tenure.errors import Code, TenureError
from tenure.host import cron
from tenure.host.zones import zone

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)
_MOST_IN_S, _MOST_EVERY_S = 31_536_000, 31_536_000_000
"""A year, a thousand years."""

_EXAMPLE = "Write it like 2027-01-31T12:00:00Z or 2027-01-31T13:00:00+01:00."


def timing_of(when: When | UpdateSchedule, now: Micros) -> Timing:
    """The timing that was asked for. Raises TenureError `invalid` that names the field and the way out."""
    given = [name for name in _KINDS if _field(when, name) is not None]
    if len(given) != 1:
        said = " and ".join(given) or "none of them; null counts as left out"
        raise invalid(
            given[1] if given else "at",
            f"A schedule needs exactly one of at, in_s, every_s and cron, but got {said}.",
        )
    _check_companions(when, given[0])
    if when.cron is not None:
        return cron.check(when.cron, when.timezone if when.timezone is not None else "UTC")
    if when.every_s is not None:
        every = _span(when.every_s, "every_s", 1, _MOST_EVERY_S)
        return Every(every=every, anchor=now if when.anchor is None else instant(when.anchor, "anchor"))
    if when.in_s is not None:
        return Once(at=Micros(now + _span(when.in_s, "in_s", 1 / SECOND, _MOST_IN_S)))
    at = instant(when.at or "", "at")
    if at <= now:
        raise invalid(
            "at", f"at is {when.at}, which is past: it is {timestamp(now)} now. Give a later instant."
        )
    return Once(at=at)


_KINDS = ("at", "in_s", "every_s", "cron")


def _field(when: When | UpdateSchedule, name: str) -> object:
    return {"at": when.at, "in_s": when.in_s, "every_s": when.every_s, "cron": when.cron}[name]


def _check_companions(when: When | UpdateSchedule, given: str) -> None:
    for name, value, of in (("anchor", when.anchor, "every_s"), ("timezone", when.timezone, "cron")):
        if value is not None and given != of:
            raise invalid(name, f"{name} goes with {of} alone, not with {given}. Leave it out.")


def _span(seconds: float, field: str, least: float, most: int) -> int:
    """Seconds as microseconds. Raises TenureError `invalid`."""
    # Whoever asks from Python may say anything; no comparison holds for what isn't a number.
    if not least <= seconds <= most:
        raise invalid(field, f"{field} is {seconds:g}. Give {least:g} to {most} seconds.")
    return round(seconds * SECOND)


def invalid(field: str, detail: str) -> TenureError:
    """What is wrong with what was asked, and in which field."""
    return TenureError(Code.INVALID, detail, field=field)


def instant(text: str, field: str) -> Micros:
    """The instant that a text names. Raises TenureError `invalid`."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise invalid(field, f"{field} is {text[:100]!r}, which is no date and time. {_EXAMPLE}") from None
    if parsed.tzinfo is None:
        raise invalid(field, f"{field} is {text[:100]!r}, which has no offset from UTC. {_EXAMPLE}")
    at = (parsed - _EPOCH) // _MICRO
    if not 0 <= at < LATEST:
        raise invalid(field, f"{field} is {text[:100]!r}. Give a year from 1970 to 9998.")
    return Micros(at)


def policy_of(asked: Policies, timing: Timing) -> RecallPolicy:
    """How occurrences are treated. Raises TenureError `invalid`."""
    policy = RecallPolicy(
        missed=asked.missed,
        missed_max=asked.missed_max,
        overlap=asked.overlap,
        jitter_s=float(asked.jitter_s),
        max_runs=asked.max_runs,
        ends_at=None if asked.ends_at is None else instant(asked.ends_at, "ends_at"),
        retries=asked.retries,
        backoff_s=float(asked.backoff_s),
        pause_after_failures=asked.pause_after_failures,
    )
    check_policy(policy, timing)
    return policy


def check_policy(policy: RecallPolicy, timing: Timing) -> None:
    """Refuse what can't hold together. Raises TenureError `invalid`."""
    between = _least_between(timing)
    if between is not None and policy.jitter_s * SECOND > between:
        raise invalid(
            "jitter_s",
            f"jitter_s is {policy.jitter_s:g}, but two occurrences may be only {between / SECOND:g} s apart, "
            "and one may not come after the next. Give at most that.",
        )


def _least_between(timing: Timing) -> int | None:
    """How far two instants are apart at least, in microseconds; None if there is but one."""
    match timing:
        case Once():
            return None
        case Every():
            return timing.every
        case Cron():
            return cron.fields(timing).spacing // _MICRO
        case _:
            assert_never(timing)


def first(timing: Timing, policy: RecallPolicy, now: Micros) -> Micros:
    """The first nominal instant from now on. Raises TenureError `invalid` if there is none."""
    found = _after(timing, now)
    if found is None or found >= LATEST:
        raise invalid(_NAMED[type(timing)], f"This never fires: {_when(timing)}. Give a time that comes.")
    if policy.ends_at is not None and found > policy.ends_at:
        raise _ends_before(policy.ends_at, found, timing, "first")
    return found


def check_end(timing: Timing, policy: RecallPolicy, next_at: Micros | None, now: Micros) -> None:
    """Refuse an end behind which everything to come would lie. Raises TenureError `invalid`."""
    end = policy.ends_at
    if end is None or next_at is None:
        return
    if next_at > end:
        raise _ends_before(end, next_at, timing, "next")
    if end < now:
        raise invalid(
            "ends_at",
            f"ends_at is {written(end, timing)}, which is past: it is {timestamp(now)} now. Give a later "
            "instant, or delete the schedule.",
        )


def _ends_before(end: Micros, at: Micros, timing: Timing, which: str) -> TenureError:
    return invalid(
        "ends_at",
        f"ends_at is {written(end, timing)}, but the {which} instant would be {written(at, timing)}. "
        "Give an end that isn't before it.",
    )


_NAMED: dict[type[Timing], str] = {Once: "at", Every: "every_s", Cron: "cron"}


def first_after(timing: Timing, policy: RecallPolicy, after: Micros) -> Micros | None:
    """The next nominal instant after `after`, None if there is none any more.

    Raises TenureError `invalid` if its time zone isn't known here any more.
    """
    found = _after(timing, after)
    if found is None or found >= LATEST or (policy.ends_at is not None and found > policy.ends_at):
        return None
    return found


def _after(timing: Timing, after: Micros) -> Micros | None:
    match timing:
        case Once():
            return after_once(timing, after)
        case Every():
            return after_every(timing, after)
        case Cron():
            return cron.after(timing, after)
        case _:
            assert_never(timing)


def instants(timing: Timing, policy: RecallPolicy, after: Micros) -> Iterator[Micros]:
    """The nominal instants after `after`, one after the other."""
    found = first_after(timing, policy, after)
    while found is not None:
        yield found
        found = first_after(timing, policy, found)


def written(at: Micros, timing: Timing) -> str:
    """An instant as people of the schedule's zone read it, with its offset."""
    return _local(at, timing).isoformat()


def _local(at: Micros, timing: Timing) -> datetime:
    where = zone(timing.timezone) if isinstance(timing, Cron) else UTC
    return (_EPOCH + at * _MICRO).astimezone(where)


def explain(timing: Timing, policy: RecallPolicy) -> str:
    """A schedule in words: when, how often, and until when."""
    said = [_when(timing)]
    if policy.max_runs is not None and not isinstance(timing, Once):
        said.append("once" if policy.max_runs == 1 else f"{policy.max_runs} times at most")
    if policy.ends_at is not None and not isinstance(timing, Once):
        said.append(f"until {_plain(policy.ends_at, timing)}")
    if policy.jitter_s:
        said.append(f"up to {_long(round(policy.jitter_s * SECOND))} later")
    return ", ".join(said)


def _when(timing: Timing) -> str:
    match timing:
        case Once():
            return f"Once at {_plain(timing.at, timing)}"
        case Every():
            each = _long(timing.every)
            return f"Every {each.removeprefix('1 ')} from {_plain(timing.anchor, timing)}"
        case Cron():
            return f"{cron.explain(timing)} ({timing.timezone})"
        case _:
            assert_never(timing)


def _plain(at: Micros, timing: Timing) -> str:
    """An instant in words: seconds only if there are any, and nothing finer."""
    local = _local(at, timing)
    shown = local.strftime("%Y-%m-%d %H:%M:%S").removesuffix(":00")
    return f"{shown} UTC" if not local.utcoffset() else f"{shown} {local.isoformat()[-6:]}"


def _long(micros: int) -> str:
    """A time span in the largest unit that measures it exactly."""
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        count, rest = divmod(micros, size * SECOND)
        if count and not rest:
            return f"1 {unit}" if count == 1 else f"{count} {unit}s"
    seconds = f"{micros / SECOND:.6f}".rstrip("0").rstrip(".")
    return "1 second" if seconds == "1" else f"{seconds} seconds"
