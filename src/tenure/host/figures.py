"""The room of figures: what a host shows of itself and of its store. Stats, metrics and sampling read here.

What is asked for is read anew. What is sampled all the time is read again only where it can have changed.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from tenure.core.moment import SECOND, Micros, timestamp
from tenure.core.view import HostInfo, Stats
from tenure.host.fanout import Fanout
from tenure.host.leases import Leases
from tenure.host.telemetry import Telemetry, percentile
from tenure.ports.clock import Clock
from tenure.ports.hosts import HostRow
from tenure.ports.operations import Sizes
from tenure.ports.store import Figures, Store

SIZES_S = 30.0
"""How long the size of the database is taken for granted, in seconds: a server measures it file by file."""

SHARE = 1_000
"""Sampling waits so many times as long as its latest look at the store took: a huge store isn't counted
over and over.
"""


class Own(NamedTuple):
    """What the host knows by itself. Times are in milliseconds."""

    streams: int
    recalls: int
    recall_p50_ms: float
    recall_p99_ms: float
    commits: int
    commit_p50_ms: float
    commit_p99_ms: float
    loop_lag_ms: float


class Stored(NamedTuple):
    """What the store tells."""

    counts: Figures
    schedules: dict[str, int]
    hosts: tuple[HostRow, ...]
    sizes: Sizes


class FiguresRoom:
    """The figures of one host."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        telemetry: Telemetry,
        fanout: Fanout,
        leases: Leases,
        version: str,
        draining: Callable[[], bool],
    ) -> None:
        self._store = store
        self._clock = clock
        self._telemetry = telemetry
        self._fanout = fanout
        self._leases = leases
        self._version = version
        self._draining = draining
        self._began = clock.monotonic()
        self._stored: Stored | None = None
        self._commits_then = -1
        self._rests_until = 0.0
        self._measured: tuple[float, Sizes] | None = None

    async def stats(self) -> Stats:
        """Live figures. Raises TenureError `store_unavailable`."""
        stored, own = await self._read(), await self.own()
        return Stats(
            sessions=stored.counts.sessions,
            open_sessions=stored.counts.open_sessions,
            live_runs=stored.counts.live_runs,
            queued_runs=stored.counts.queued_runs,
            events=stored.counts.events,
            schedules=stored.schedules,
            **own._asdict(),
            uptime_s=self._clock.monotonic() - self._began,
            version=self._version,
            history=self._store.history,
            draining=self._draining(),
            hosts=self._hosts(stored.hosts),
            database_bytes=stored.sizes.database_bytes,
            wal_bytes=stored.sizes.wal_bytes,
        )

    async def own(self) -> Own:
        """What needs no store."""
        commits, lateness = self._store.commits(), tuple(self._telemetry.lateness)
        return Own(
            streams=self._fanout.streams,
            recalls=self._telemetry.recalls,
            recall_p50_ms=percentile(lateness, 0.5) * 1e3,
            recall_p99_ms=percentile(lateness, 0.99) * 1e3,
            commits=commits.made,
            commit_p50_ms=percentile(commits.recent, 0.5) * 1e3,
            commit_p99_ms=percentile(commits.recent, 0.99) * 1e3,
            loop_lag_ms=await self._lag() * 1e3,
        )

    async def recent(self) -> Stored:
        """What the store told last, if nothing was written since or it was asked a moment ago; else anew."""
        if self._stored is None or self._is_old():
            return await self._read()
        return self._stored

    def _is_old(self) -> bool:
        same = self._store.alone and self._store.commits().made == self._commits_then
        return not same and self._clock.monotonic() >= self._rests_until

    async def _read(self) -> Stored:
        commits, began = self._store.commits().made, self._clock.monotonic()
        stored = Stored(
            counts=await self._store.figures(),
            schedules=await self._store.schedules.figures(),
            hosts=await self._store.hosts.all(),
            sizes=await self._sizes(),
        )
        now = self._clock.monotonic()
        self._stored, self._commits_then = stored, commits
        self._rests_until = now + SHARE * (now - began)
        return stored

    async def _sizes(self) -> Sizes:
        now = self._clock.monotonic()
        if self._measured is None or now - self._measured[0] >= SIZES_S:
            self._measured = now, await self._store.operations.sizes()
        return self._measured[1]

    def _hosts(self, rows: tuple[HostRow, ...]) -> tuple[HostInfo, ...]:
        """Every host there is. This one knows better how it fares itself."""
        own, now = self._leases.lease, self._leases.store_now()
        return tuple(
            self._host(row, now, is_own=own is not None and row.incarnation == own.incarnation)
            for row in rows
        )

    def _host(self, row: HostRow, now: Micros, *, is_own: bool) -> HostInfo:
        left_s = max(0.0, (row.expires_at - now) / SECOND)
        return HostInfo(
            id=row.incarnation,
            name=row.name,
            version=row.version,
            slots=row.slots,
            live_runs=row.live_runs,
            draining=row.draining or (is_own and self._draining()),
            joined_at=timestamp(row.joined_at),
            renewed_at=timestamp(row.renewed_at),
            lease_left_s=None if self._store.alone else round(left_s, 3),
            answers=is_own,
        )

    async def _lag(self) -> float:
        """How long the loop takes to come round, in seconds."""
        # Not the loop's clock: uvloop's is read once a round, in whole milliseconds.
        before = self._clock.monotonic()
        await asyncio.sleep(0)
        return self._clock.monotonic() - before
