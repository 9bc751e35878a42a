"""Sampling: looks at the host's figures every few seconds, and keeps them over time. The host opens it.

One timer per host, whatever the number of sessions. It writes nothing: a new life of the host begins anew.
"""

import asyncio
from math import isnan
from typing import NamedTuple

from tenure.core.figures import ENDED, Sample, StatsSeries
from tenure.core.moment import SECOND, Micros, timestamp
from tenure.errors import Code, TenureError
from tenure.host.figures import FiguresRoom, Own, Stored
from tenure.host.leases import Leases
from tenure.host.series import STEP_S, Series
from tenure.host.tasks import Tasks
from tenure.host.telemetry import Telemetry
from tenure.ports.clock import Clock
from tenure.ports.store import Store

HOUR = 3_600 * SECOND
_STEP = STEP_S * SECOND


class _Counted(NamedTuple):
    """Counters at one moment."""

    at_s: float
    counts: dict[str, int]


class Sampling:
    """Keeps the figures of one host over time."""

    def __init__(
        self,
        *,
        figures: FiguresRoom,
        store: Store,
        clock: Clock,
        tasks: Tasks,
        telemetry: Telemetry,
        leases: Leases,
    ) -> None:
        self._figures = figures
        self._store = store
        self._clock = clock
        self._tasks = tasks
        self._telemetry = telemetry
        self._leases = leases
        self._series = Series()
        self._before = self._counted()
        self._timer: asyncio.TimerHandle | None = None
        self._going: asyncio.Task[None] | None = None

    @property
    def size_bytes(self) -> int:
        """How much memory the figures take."""
        return self._series.size_bytes

    def open(self) -> None:
        """Sample from now on."""
        self._before = self._counted()
        self._arm(self._clock.now())

    def close(self) -> None:
        """Sample no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def read(self, since: Micros | None, step_s: int | None) -> StatsSeries:
        """The figures from `since`, or of the last hour, in steps of `step_s` seconds or what suits."""
        now = self._clock.now()
        step, found = self._series.between(Micros(now - HOUR) if since is None else since, now, step_s)
        lease = self._leases.lease
        return StatsSeries(
            host=None if lease is None else lease.incarnation,
            step_s=step,
            at=tuple(timestamp(Micros(at)) for at in found.at),
            series={name: tuple(map(_known, column)) for name, column in found.values.items()},
        )

    # --- the timer

    def _arm(self, now: Micros) -> None:
        """Wait for the next instant; a timer that rings a little early doesn't ring twice for it."""
        coming = _nearest(now) + _STEP
        self._timer = asyncio.get_running_loop().call_later((coming - now) / SECOND, self._look)

    def _look(self) -> None:
        now = self._clock.now()
        self._arm(now)
        if self._going is None or self._going.done():
            self._going = self._tasks.spawn(self._sample(_nearest(now)), "sampling of figures")

    async def _sample(self, at: Micros) -> None:
        own, stored = await self._figures.own(), await self._recent()
        before, self._before = self._before, self._counted()
        values = {**_rates(before, self._before), **_levels(own)}
        self._series.add(Sample(at, values if stored is None else {**values, **_counts(stored)}))

    async def _recent(self) -> Stored | None:
        """What the store tells; None while it is away."""
        try:
            return await self._figures.recent()
        except TenureError as error:
            if error.code is not Code.STORE_UNAVAILABLE:
                raise
        return None

    def _counted(self) -> _Counted:
        commits, told = self._store.commits(), self._telemetry
        counts = {
            "requests_per_s": told.requests,
            "commits_per_s": commits.made,
            "events_per_s": commits.events,
            "recalls_per_s": told.recalls,
            "runs_started_per_s": told.started,
            **{name: told.finished[state] for state, name in ENDED.items()},
        }
        return _Counted(self._clock.monotonic(), counts)


def _nearest(now: Micros) -> Micros:
    return Micros((now + _STEP // 2) // _STEP * _STEP)


def _rates(before: _Counted, now: _Counted) -> dict[str, float]:
    """How fast counters went between two moments; unknown if no time passed."""
    seconds = now.at_s - before.at_s
    if seconds <= 0:
        return {}
    return {name: (count - before.counts[name]) / seconds for name, count in now.counts.items()}


def _levels(own: Own) -> dict[str, float]:
    return {
        "streams": own.streams,
        "commit_p50_ms": own.commit_p50_ms,
        "commit_p99_ms": own.commit_p99_ms,
        "recall_p50_ms": own.recall_p50_ms,
        "recall_p99_ms": own.recall_p99_ms,
        "loop_lag_ms": own.loop_lag_ms,
    }


def _counts(stored: Stored) -> dict[str, float]:
    counts, sizes = stored.counts, stored.sizes
    known = {
        "sessions": counts.sessions,
        "open_sessions": counts.open_sessions,
        "live_runs": counts.live_runs,
        "queued_runs": counts.queued_runs,
        "events": counts.events,
        "hosts": len(stored.hosts),
        "schedules_active": stored.schedules.get("active"),
        "schedules_paused": stored.schedules.get("paused"),
        "database_bytes": sizes.database_bytes,
        "wal_bytes": sizes.wal_bytes,
    }
    return {name: value for name, value in known.items() if value is not None}


def _known(value: float) -> float | None:
    return None if isnan(value) else value
