"""The host's figures over time, for charts. They are those of its stats and metrics."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from starlette.types import ASGIApp

from tenure.core.moment import Micros
from tenure.http.call import Call, NoBody
from tenure.http.wire import json_response

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""An RFC 3339 time with its offset, as a query names one."""


class SeriesQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From when on, an hour ago unless it is given; and the step in seconds, by default one that suits.

    A step may come out longer: what is older than an hour is kept in steps of five minutes, for a week.
    """

    since: Instant | None = None
    step: Annotated[int, msgspec.Meta(ge=1, le=86_400)] | None = None


async def read_series(call: Call[NoBody, SeriesQuery]) -> ASGIApp:
    """Figures of this host over time, in columns. A host keeps them in memory, from its start on."""
    since = None if call.query.since is None else instant(call.query.since)
    return json_response(call.site.host.sampling.read(since, call.query.step))


def instant(when: datetime) -> Micros:
    """A time of a query as an instant."""
    return Micros((when - _BEGINNING) // _MICROSECOND)
