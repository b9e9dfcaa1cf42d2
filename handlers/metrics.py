"""Metrics of a root in the format of Prometheus."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from dropledger.core import __version__
from dropledger.core.views.metrics import Counts, Metrics


class _Found(Collector):
    """What was counted, as a registry collects it."""

    def __init__(
        self,
        metrics: Metrics,
        late: Mapping[str, bool],
        files: Mapping[str, int],
        warehouse_bytes: int | None,
        engine: str,
    ) -> None:
        self._metrics = metrics
        self._late = late
        self._files = files
        self._warehouse_bytes = warehouse_bytes
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        """Every metric with all of its labels."""
        found = self._metrics
        yield _counter("drops", "Deliveries by what became of them.", "outcome", found.drops)
        yield _counter("rows", "Rows of drops by what became of them.", "fate", found.rows)
        yield _counter("versions", "Versions that drops opened and closed.", "change", found.versions)
        yield _counter("checks_failed", "Checks of drops that did not pass.", "severity", found.checks_failed)
        yield _moments("feed_as_of", "The newest as_of of a feed in history.", found.newest.as_of)
        yield _moments("feed_received", "When the newest drop of a feed in history came.", found.newest.received_at)
        yield _gauge("feed_late", "Whether a feed is late by its contract: 1 if it is.", "feed", self._late)
        yield _gauge("history_versions", "Versions in the history of a feed.", "feed", found.history_versions)
        yield _gauge("history_keys", "Keys in the history of a feed.", "feed", found.history_keys)
        yield _gauge("files", "Files that lie in a folder of the root.", "folder", self._files)
        if self._warehouse_bytes is not None:
            size = GaugeMetricFamily("dropledger_warehouse_bytes", "The size of the warehouse file.")
            size.add_metric([], self._warehouse_bytes)
            yield size
        yield InfoMetricFamily("dropledger_build", "What runs.", {"version": __version__, "engine": self._engine})


def metrics_text(
    metrics: Metrics, late: Mapping[str, bool], files: Mapping[str, int], warehouse_bytes: int | None, engine: str
) -> str:
    """The text that Prometheus scrapes.

    Args:
        late: whether each feed is late whose contract says when it is.
        files: how many files lie in inbox, work and quarantine.
        warehouse_bytes: the size of the warehouse, None where it is no file.
        engine: the name and version of the engine.
    """
    registry = CollectorRegistry()
    registry.register(_Found(metrics, late, files, warehouse_bytes, engine))
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
