"""Metrics of a root in the format of Prometheus: what the ledger has, and how long this process took for it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from dropledger.core import __version__
from dropledger.core.contracts.freshness import FreshnessState
from dropledger.core.errors import NoLedger
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.ports.meter import Meter
from dropledger.core.views.freshness import standings
from dropledger.core.views.metrics import Counts, Metrics, nothing_counted, read_metrics

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900)


@dataclass(frozen=True, slots=True)
class Found:
    """What there is to tell of a root: which feeds are `late`, of those whose contract says when that is, `files` that
    lie in inbox, work and quarantine, the size of the warehouse where it is a file, and the name and version of the
    engine.
    """

    metrics: Metrics
    late: Mapping[str, bool]
    files: Mapping[str, int]
    warehouse_bytes: int | None
    engine: str


def found(runtime: Runtime, metrics: Metrics, files: Mapping[str, int]) -> Found:
    """What there is to tell of a root whose ledger and files were looked at already."""
    engine = " ".join(f"{name} {version}" for name, version in runtime.warehouse.versions())
    fresh = standings(runtime.pipeline, metrics.newest, runtime.clock)
    late = {feed: standing.state == FreshnessState.LATE for feed, standing in fresh.items()}
    return Found(metrics, late, files, runtime.warehouse.size_bytes(), engine)


def metrics_of(runtime: Runtime) -> Metrics:
    """The counts of now; none where nothing was dropped yet.

    Raises:
        Busy: the warehouse is in other hands.
        Unavailable: it cannot be reached.
    """
    try:
        with runtime.reading() as session:
            return read_metrics(session, runtime.pipeline)
    except NoLedger:
        return nothing_counted(runtime.pipeline)


class FoundCollector(Collector):
    """What was found, as a registry collects it."""

    def __init__(self, found: Found) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        """Every metric with all of its labels."""
        metrics = self._found.metrics
        yield _counter("drops", "Deliveries by what became of them.", "outcome", metrics.drops)
        yield _counter("rows", "Rows of drops by what became of them.", "fate", metrics.rows)
        yield _counter("versions", "Versions that drops opened and closed.", "change", metrics.versions)
        yield _counter("checks_failed", "Checks of drops that did not pass.", "severity", metrics.checks_failed)
        yield _moments("feed_as_of", "The newest as_of of a feed in history.", metrics.newest.as_of)
        yield _moments("feed_received", "When the newest drop of a feed in history came.", metrics.newest.received_at)
        yield _gauge("feed_late", "Whether a feed is late by its contract: 1 if it is.", "feed", self._found.late)
        yield _gauge("history_versions", "Versions in the history of a feed.", "feed", metrics.history_versions)
        yield _gauge("history_keys", "Keys in the history of a feed.", "feed", metrics.history_keys)
        yield _gauge("files", "Files that lie in a folder of the root.", "folder", self._found.files)
        if self._found.warehouse_bytes is not None:
            size = GaugeMetricFamily("dropledger_warehouse_bytes", "The size of the warehouse file.")
            size.add_metric([], self._found.warehouse_bytes)
            yield size
        yield InfoMetricFamily("dropledger_build", "What runs.", {"version": __version__, "engine": self._found.engine})


class Timings(Meter):
    """A `Meter` that Prometheus can ask: what this process took, since it began. `drops` is how many it took."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.drops = 0
        self.registry = CollectorRegistry()
        self._drops = Histogram(
            "dropledger_drop_seconds",
            "From the first look at a drop's rows until its file was in its place; of drops that were taken together, "
            "each has an equal share.",
            ["feed"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._publications = Histogram(
            "dropledger_publish_seconds", "To write artifacts, once.", buckets=_SECONDS, registry=self.registry
        )
        self._busy = Counter(
            "dropledger_busy_seconds",
            "For which a root or a warehouse in other hands was waited for; waits of less than half a second left out.",
            registry=self.registry,
        )

    def took(self, feeds: Sequence[str], seconds: float) -> None:
        """Count each drop, with its share of the seconds."""
        self.drops += len(feeds)
        for feed in feeds:
            self._drops.labels(feed).observe(seconds / len(feeds))

    def published(self, seconds: float) -> None:
        """Count a publication."""
        self._publications.observe(seconds)

    def waited(self, seconds: float) -> None:
        """Add to what was waited."""
        self._busy.inc(seconds)


def metrics_text(found: Found, timings: Timings | None = None) -> str:
    """The text that Prometheus scrapes."""
    registry = CollectorRegistry()
    registry.register(FoundCollector(found))
    if timings is not None:
        registry.register(timings.registry)
    return generate_latest(registry).decode()


def _counter(name: str, says: str, label: str, counts: Counts) -> Metric:
    family = CounterMetricFamily(f"dropledger_{name}", says, labels=["feed", label])
    for labels, number in sorted(counts.items()):
        family.add_metric(labels, number)
    return family


def _moments(name: str, says: str, moments: Mapping[str, datetime]) -> Metric:
    return _gauge(
        f"{name}_timestamp_seconds", says, "feed", {feed: moment.timestamp() for feed, moment in moments.items()}
    )


def _gauge(name: str, says: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"dropledger_{name}", says, labels=[label])
    for value, number in sorted(values.items()):
        family.add_metric([value], number)
    return family
