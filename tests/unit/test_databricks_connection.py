"""What is said while a SQL warehouse is waited for."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from core.errors import Busy, ConfigurationError
from infra.databricks_connection import Access, Statements

pytest.importorskip("databricks.sql", reason="databricks-sql-connector is missing: make .venv/dev")


@contextmanager
def warehouse(*answers: int) -> Iterator[Access]:
    """One that gives these answers, by their status, and then no more."""
    left = list(answers)

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(left.pop(0))
            self.send_header("Retry-After", "1")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing: what was answered is known."""

    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Access(f"http://127.0.0.1:{server.server_port}", "/sql/1.0/warehouses/1", "main", "some token")
        server.shutdown()
        thread.join()
    assert left == []


@pytest.mark.slow  # the connector waits at least five seconds before it asks again
@pytest.mark.parametrize("status", [429, 503])
def test_a_word_is_said_once_while_a_warehouse_starts_or_is_full(status: int, tmp_path: Path):
    told: list[Busy] = []
    with warehouse(status, status, 403) as access, pytest.raises(ConfigurationError):
        Statements(access, tmp_path, told.append).rows("SELECT 1")
    assert [str(busy) for busy in told] == [
        "the SQL warehouse takes nothing yet, as one does that starts or has too much to do"
    ]


def test_nothing_is_said_where_nothing_is_waited_for(tmp_path: Path):
    told: list[Busy] = []
    with warehouse(403) as access, pytest.raises(ConfigurationError):
        Statements(access, tmp_path, told.append).rows("SELECT 1")
    assert told == []
