"""The metrics of a `watch`, for Prometheus to scrape.

The ledger is read by the thread that takes the drops, between two of them: to open the warehouse in another one would
let go of the lock that the first has on it. Who scrapes in the midst of a drop gets what was read last.
"""

import io
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, TextIO
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import structlog
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from dropledger.core.errors import Busy, ConfigurationError, DropledgerError
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.views.metrics import Metrics
from dropledger.handlers.excepthook import frames_of
from dropledger.handlers.logs import failure_entries
from dropledger.handlers.metrics import FoundCollector, Timings, found, metrics_of

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

WAIT_SECONDS = 2.0
"""How long a scrape waits for the ledger to be read."""

_SILENT_SECONDS = 10.0

log = structlog.get_logger("dropledger.watch")


class MetricsEndpoint(Collector):
    """What a `watch` tells of its root and of itself.

    `runtime` must not wait for others, as drops wait meanwhile. `wake` lets the loop begin its next round.
    """

    def __init__(self, runtime: Runtime, timings: Timings, wake: Callable[[], object]) -> None:
        self.timings = timings
        self._runtime = runtime
        self._wake = wake
        self._metrics: Metrics | None = None
        self._files: Mapping[str, int] = {}
        self._read_at: tuple[str | None, int] | None = None
        self._wanted = threading.Event()
        self._read = threading.Condition()
        self._last = ""

    def read_if_wanted(self) -> None:
        """Read the ledger if a scrape waits for it and something changed; to be called by the loop."""
        if not self._wanted.is_set():
            return
        self._wanted.clear()
        try:
            self._look()
        finally:
            with self._read:
                self._read.notify_all()

    def _look(self) -> None:
        # Where no stamp tells of changes, to look would cost a query, and those of this process are known.
        at = self._runtime.warehouse.stamp(), self.timings.drops
        try:
            if at != self._read_at:
                self._metrics, self._read_at = metrics_of(self._runtime), at
            self._last = ""
        except Busy:
            return  # what was read last is told again
        except DropledgerError as failure:
            if failure.what != self._last:
                self._last = failure.what
                log.warning("metrics_not_read", **failure_entries(failure))

    def collect(self) -> Iterator[Metric]:
        """What a scrape gets."""
        with self._read:
            self._wanted.set()
            self._wake()
            self._read.wait(WAIT_SECONDS)
        with suppress(OSError, DropledgerError):  # of a folder that cannot be listed `watch` tells itself
            self._files = self._runtime.store.backlog()
        if self._metrics is not None:  # counters that begin at 0 again would be taken for new ones
            yield from FoundCollector(found(self._runtime, self._metrics, self._files)).collect()
        yield from self.timings.registry.collect()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of who asks nothing or goes away: by itself the server would print a traceback into the log."""


class _ServerV6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = _SILENT_SECONDS  # who connects and asks nothing keeps no thread

    def get_stderr(self) -> TextIO:
        """Where the library would print tracebacks: bugs are logged by `_answering`."""
        return io.StringIO()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the library has
        """Say nothing of a scrape."""


def _answering(app: "WSGIApplication") -> "WSGIApplication":
    """The app, with a bug in it logged."""

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        try:
            return app(environ, start_response)
        except Exception as bug:  # noqa: BLE001 - a scrape that fails keeps no drop
            log.error("bug", frames=frames_of(bug))  # noqa: TRY400 - its message may quote rows
            start_response("500 Internal Server Error", [])
            return []

    return answer


@contextmanager
def serving(endpoint: MetricsEndpoint, address: str, port: int) -> Iterator[None]:
    """Serve the metrics until the block ends; 0 is any port that is free.

    Raises:
        ConfigurationError: nothing can listen there.
    """
    registry = CollectorRegistry()
    registry.register(endpoint)
    kind = _ServerV6 if ":" in address else _Server
    try:
        server = kind((address, port), _Handler)
    except OSError as error:
        raise ConfigurationError(
            f"metrics cannot be served on {address}, port {port}",
            why=error.strerror or str(error),
            hint="choose another --metrics-port, or an address of this machine with --metrics-listen",
        ) from error
    server.set_app(_answering(make_wsgi_app(registry)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    shown = f"[{address}]" if ":" in address else address
    log.info("serving_metrics", url=f"http://{shown}:{server.server_port}/metrics")
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
