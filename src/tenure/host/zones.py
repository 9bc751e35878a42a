"""Time zones by their IANA names: what their clocks show at an instant, and when they are changed.

Cron expressions and what is told of them rest on it.
"""

from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tenure.errors import Code, TenureError

STEADY = timedelta(days=6)
"""Nowhere are the clocks changed there and back within this time: Gaza will do so within a week in 2040."""

_NOWHERE = "Factory"
"""Stands among the zones, and means that nobody chose one."""


def known_zone(name: str) -> ZoneInfo:
    """The zone that somebody names. Raises TenureError `invalid` that knows what was meant."""
    if name not in _zone_names():
        meant = _written_right().get(name.strip().replace(" ", "_").lower())
        raise _unknown(name, f"Did you mean {meant}?" if meant is not None else _GIVE)
    return zone(name)


def zone(name: str) -> ZoneInfo:
    """The zone of a name. Raises TenureError `invalid` if it isn't known here."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _unknown(name, _GIVE) from None


_GIVE = "Give an IANA name, such as Europe/Berlin or UTC."


def _unknown(name: str, way_out: str) -> TenureError:
    return TenureError(Code.INVALID, f"There is no time zone {name[:100]!r}. {way_out}", field="timezone")


@cache
def _zone_names() -> frozenset[str]:
    # A machine's own folder of zones also holds what isn't one of them, such as localtime or right/UTC.
    listed = files("tzdata").joinpath("zones").read_text(encoding="utf-8")
    return frozenset(listed.split()) - {_NOWHERE}


@cache
def _written_right() -> dict[str, str]:
    return {name.lower(): name for name in _zone_names()}


def wall(instant: datetime, where: ZoneInfo) -> datetime:
    """What the clocks of a zone show at an instant, without the zone."""
    return instant.astimezone(where).replace(tzinfo=None)


def offset(instant: datetime, where: ZoneInfo) -> timedelta:
    """How far the clocks of a zone are ahead of UTC at an instant."""
    found = instant.astimezone(where).utcoffset()
    assert found is not None, "a zone always has one"
    return found


def edge(low: datetime, high: datetime, where: ZoneInfo) -> datetime:
    """The first whole second in (low, high] with another offset than at `low`. `high` has another one."""
    before = offset(low, where)
    first, last = int(low.timestamp()), int(high.timestamp())
    while last - first > 1:
        middle = (first + last) // 2
        if offset(datetime.fromtimestamp(middle, UTC), where) == before:
            first = middle
        else:
            last = middle
    return datetime.fromtimestamp(last, UTC)
