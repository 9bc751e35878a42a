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

    def __init__(self, stats: Stats, telemetry: Telemetry) -> None:
        self._stats = stats
        self._telemetry = telemetry

    def collect(self) -> Iterator[Metric]:
        """Every metric of the reading."""
        stats = self._stats
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
        yield _quantiles(
            "commit_seconds", "How long the latest commits took.", stats.commit_p50_ms, stats.commit_p99_ms
        )
        late = "How late the latest recalls were that came on time."
        yield _quantiles("recall_lateness_seconds", late, stats.recall_p50_ms, stats.recall_p99_ms)
        schedules = GaugeMetricFamily("tenure_schedules", "Schedules, by status.", labels=["status"])
        for status, count in stats.schedules.items():
            schedules.add_metric([status], count)
        yield schedules
        yield from self._counters()

    def _counters(self) -> Iterator[Metric]:
        counts = self._telemetry
        for name, text, value in (
            ("commits", "Commits of this host.", self._stats.commits),
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


def exposition(stats: Stats, telemetry: Telemetry) -> bytes:
    """The text that a scrape gets."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures(stats, telemetry))
    return generate_latest(registry)


def _quantiles(name: str, text: str, p50_ms: float, p99_ms: float) -> Metric:
    family = Metric(f"tenure_{name}", text, "gauge")
    for quantile, value in (("0.5", p50_ms), ("0.99", p99_ms)):
        family.samples.append(Sample(f"tenure_{name}", {"quantile": quantile}, value / 1_000))
    return family
