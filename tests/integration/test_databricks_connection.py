"""What is said while a SQL warehouse is waited for, and of what it refuses."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from dropledger.core.errors import Busy, ConfigurationError, Conflict, DropledgerError, Unavailable
from dropledger.infra.databricks.connection import Access, Statements
from dropledger.infra.databricks.errors import classify_error

pytest.importorskip("databricks.sql", reason="databricks-sql-connector is missing: make .venv/dev")
from databricks.sql import exc

pytestmark = pytest.mark.slow


@contextmanager
def warehouse(*answers: int) -> Iterator[Access]:
    """One that gives these answers, by their status, and then no more."""
    left = list(answers)

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(left.pop(0))
            self.send_header("Retry-After", "1")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815

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
def test_a_word_is_said_once_while_a_warehouse_starts_or_is_full(tmp_path: Path):
    told: list[tuple[Busy, float]] = []
    with warehouse(503, 429, 403) as access, pytest.raises(ConfigurationError):
        Statements(access, tmp_path, lambda *given: told.append(given)).rows("SELECT 1")
    assert [str(busy) for busy, _ in told] == [
        "the SQL warehouse takes nothing yet, as one does that starts or has too much to do"
    ]


def test_nothing_is_said_where_nothing_is_waited_for(tmp_path: Path):
    told: list[tuple[Busy, float]] = []
    with warehouse(403) as access, pytest.raises(ConfigurationError):
        Statements(access, tmp_path, lambda *given: told.append(given)).rows("SELECT 1")
    assert told == []


def test_client_that_is_not_let_in_is_told_what_to_check(tmp_path: Path):
    with warehouse(404) as access:
        client = replace(access, token="", client_id="some", client_secret="word")
        with pytest.raises(ConfigurationError, match="does not let this client in") as refused:
            Statements(client, tmp_path).rows("SELECT 1")
    assert "DATABRICKS_CLIENT_SECRET" in refused.value.hint
    assert "word" not in f"{refused.value} {refused.value.why}"


@pytest.mark.parametrize(
    ("told", "kind", "hint"),
    [
        ("[INSUFFICIENT_PERMISSIONS] You may not. SQLSTATE: 42501", ConfigurationError, "grants"),
        ("[NO_SUCH_CATALOG_EXCEPTION] Catalog 'mian' was not found. SQLSTATE: 42704", ConfigurationError, "CATALOG"),
        ("[PARSE_SYNTAX_ERROR] Syntax error at 'x'. SQLSTATE: 42601", ConfigurationError, "SQL or YAML"),
        ("[DELTA_METADATA_CHANGED] MetadataChangedException: changed. SQLSTATE: 2D521", Conflict, "try again"),
        ("Statement took too long. SQLSTATE: 57KD0", Unavailable, "larger SQL warehouse"),
        ("[INTERNAL_ERROR] Something. SQLSTATE: XX000", Unavailable, "later"),
    ],
)
def test_what_a_warehouse_says_of_a_statement_leads_to_what_to_do(told: str, kind: type[DropledgerError], hint: str):
    error = classify_error(exc.ServerOperationError(told), "SELECT x")
    assert isinstance(error, kind)
    assert hint in error.hint


def test_signed_addresses_are_not_told():
    told = "HTTP request failed: Max retries exceeded with url: /volumes/rows.parquet?X-Amz-Signature=abc (Caused by x)"
    error = classify_error(exc.RequestError(told), "PUT")
    assert isinstance(error, Unavailable)
    assert error.why.endswith("url: /volumes/rows.parquet?... (Caused by x)")
