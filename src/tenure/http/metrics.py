"""The host's figures in the text form that Prometheus reads. A registry per answer; nothing global."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from tenure.core.run import RUN, RunState
from tenure.core.view import Stats
from tenure.host.telemetry import Telemetry

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


class Figures(Collector):
    """One reading of a host."""

    def __init__(self, stats: Stats | None, telemetry: Telemetry) -> None:
        self._stats = stats
        self._telemetry = telemetry

    def collect(self) -> Iterator[Metric]:
        """Every metric of the reading. While the store is away, what the host has counted itself."""
        answers = int(self._stats is not None)
        yield GaugeMetricFamily("tenure_store_up", "1 while the store answers this host.", answers)
        if self._stats is not None:
            yield from self._of(self._stats)
        yield from self._counters()

    def _of(self, stats: Stats) -> Iterator[Metric]:
        about = {"version": stats.version, "history": stats.history}
        yield InfoMetricFamily("tenure", "Version and history of this host.", about)
        for name, text, value in (
            ("sessions", "Sessions that exist.", stats.sessions),
            ("open_sessions", "Sessions that are open.", stats.open_sessions),
            ("live_runs", "Runs that are running or waiting.", stats.live_runs),
            ("queued_runs", "Runs that wait for a slot.", stats.queued_runs),
            ("events", "Events in all journals.", stats.events),
            ("streams", "Clients that follow a session.", stats.streams),
            ("loop_lag_seconds", "How late the event loop is.", stats.loop_lag_ms / 1_000),
            ("uptime_seconds", "Time since the host started.", stats.uptime_s),
            ("draining", "1 while the host goes out of service.", int(stats.draining)),
        ):
            yield GaugeMetricFamily(f"tenure_{name}", text, value)
        for name, text, size in (
            ("database_bytes", "What the database takes on its disk.", stats.database_bytes),
            ("wal_bytes", "What the log before the database takes on its disk.", stats.wal_bytes),
        ):
            if size is not None:
                yield GaugeMetricFamily(f"tenure_{name}", text, size)
        hosts = GaugeMetricFamily("tenure_hosts", "Hosts that stand, by what they do.", labels=["state"])
        draining = sum(host.draining for host in stats.hosts)
        hosts.add_metric(["draining"], draining)
        hosts.add_metric(["serving"], len(stats.hosts) - draining)
        yield hosts
        for host in stats.hosts:
            if host.answers and host.lease_left_s is not None:
                text = "How long the lease of this host lasts if it isn't renewed."
                yield GaugeMetricFamily("tenure_lease_left_seconds", text, host.lease_left_s)
        yield _quantiles(
            "commit_seconds", "How long the latest commits took.", stats.commit_p50_ms, stats.commit_p99_ms
        )
        late = "How late the latest recalls were that came on time."
        yield _quantiles("recall_lateness_seconds", late, stats.recall_p50_ms, stats.recall_p99_ms)
        schedules = GaugeMetricFamily("tenure_schedules", "Schedules, by status.", labels=["status"])
        for status, count in stats.schedules.items():
            schedules.add_metric([status], count)
        yield schedules
        yield CounterMetricFamily("tenure_commits", "Commits of this host.", stats.commits)

    def _counters(self) -> Iterator[Metric]:
        counts = self._telemetry
        for name, text, value in (
            ("recalls", "Occurrences of schedules that were admitted.", counts.recalls),
            ("requests", "HTTP requests that came in.", counts.requests),
            ("runs_started", "Runs that this host began to execute.", counts.started),
            ("runs_requeued", "Runs that were put back into the queue.", counts.requeued),
            ("runs_abandoned", "Runs that heeded no stop and were left behind.", counts.abandoned),
        ):
            yield CounterMetricFamily(f"tenure_{name}", text, value)
        finished = CounterMetricFamily(
            "tenure_runs_finished", "Runs that ended, by status.", labels=["status"]
        )
        for state in RunState:
            if state in RUN.terminal:
                finished.add_metric([state], counts.finished[state])
        yield finished


def exposition(stats: Stats | None, telemetry: Telemetry) -> bytes:
    """The text that a scrape gets; without `stats` while the store is away."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures(stats, telemetry))
    return generate_latest(registry)


def _quantiles(name: str, text: str, p50_ms: float, p99_ms: float) -> Metric:
    family = Metric(f"tenure_{name}", text, "gauge")
    for quantile, value in (("0.5", p50_ms), ("0.99", p99_ms)):
        family.samples.append(Sample(f"tenure_{name}", {"quantile": quantile}, value / 1_000))
    return family
