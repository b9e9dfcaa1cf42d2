"""A connection to a SQL warehouse: statements in, rows out, errors by what to do."""

import atexit
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dropledger.core.errors import Busy, ConfigurationError, Conflict, NotInstalled, Unavailable
from dropledger.core.retry import OnWait, silently
from dropledger.infra.databricks.errors import (
    STATEMENT_SECONDS,
    StatementConflict,
    classify_error,
    no_thrift,
    without_queries,
)

if TYPE_CHECKING:
    import pyarrow as pa
    from databricks.sql.client import Connection, Cursor
    from tenacity import RetryCallState

T = TypeVar("T")

_ANSWER_SECONDS = 60
"""How long an answer may take; statements that run for longer are asked for again and again."""

_STALE_SECONDS = 120
"""By when it is known that a connection is gone; whoever fails later has waited for a warehouse that does not start."""

_UPLOAD_SECONDS = 600
"""How long an upload may take; so long may a session take to open too."""

_ROWS_AT_ONCE = 100_000
_ATTEMPTS = 8
_ATTEMPTS_WITHOUT_A_WORD = 2
_STARTING_SECONDS = 600.0
_RETRIES = logging.getLogger("databricks.sql.auth.retry")
_CHANGES_ROWS = re.compile(r"\s*(?:--[^\n]*\n\s*)*(?:INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Access:
    """Where the SQL warehouse is, and who asks. `host` may begin with http:// for one on this machine.

    With `cloud_fetch` large results are fetched from the cloud's storage, by addresses that the warehouse gives out.
    """

    host: str
    http_path: str
    catalog: str
    token: str = field(default="", repr=False)
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    cloud_fetch: bool = True


class Statements:
    """Runs statements on one connection, which is made when the first one comes, and again when it was lost.

    `on_wait` is told when a statement has to be tried again, or the warehouse asks to be asked again.
    """

    def __init__(self, access: Access, local: Path, on_wait: OnWait = silently) -> None:
        self._access = access
        self._local = local
        self._on_wait = on_wait
        self._connection: Connection | None = None
        self._rested = False
        self._using = ""

    def use(self, schema: str) -> None:
        """Let bare names be those of a schema, on the connection at hand and on one that takes its place."""
        if self._connection is None or self._using != schema:
            self.run(f"USE {schema}")
            self._using = schema

    def run(self, sql: str, parameters: Mapping[str, Any] | None = None) -> int:
        """Run a statement; the number of rows that it changed, 0 for one that is no INSERT, UPDATE, DELETE or MERGE.

        Raises:
            ConfigurationError: the warehouse does not say how many rows changed.
        """
        return self._asked(sql, parameters, _changed_rows if _CHANGES_ROWS.match(sql) else lambda _: 0)

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """The rows of a small result."""

        def fetched(cursor: "Cursor") -> list[dict[str, Any]]:
            rows: list[dict[str, Any]] = cursor.fetchall_arrow().to_pylist()
            return rows

        return self._asked(sql, parameters, fetched)

    def batches(self, sql: str) -> "tuple[pa.Schema, Iterator[pa.RecordBatch]]":
        """The rows of a result of any size: their columns, and the rows as they come."""
        cursor = self._open().cursor()
        with self._told(sql):
            cursor.execute(sql)
            first = cursor.fetchmany_arrow(_ROWS_AT_ONCE)

        def remaining() -> "Iterator[pa.RecordBatch]":
            with cursor:
                table = first
                while table.num_rows:
                    yield from table.to_batches()
                    with self._told(sql):
                        table = cursor.fetchmany_arrow(_ROWS_AT_ONCE)

        return first.schema, remaining()

    def put(self, path: Path, target: str) -> None:
        """Upload a local file to a path in a volume."""
        connection = self._open()
        with self._told(target), path.open("rb") as stream, connection.cursor() as cursor:
            cursor.execute(f"PUT '__input_stream__' INTO '{target}' OVERWRITE", input_stream=stream)

    def rest(self) -> None:
        """Say that the next statement may come much later: over a connection that is gone by then, it is sent again.

        That one must be a query, or do nothing when it runs twice.
        """
        self._rested = self._connection is not None

    def close(self) -> None:
        """Let go of the connection."""
        connection, self._connection, self._using = self._connection, None, ""
        if connection is not None:
            with suppress(Exception):  # the warehouse ends sessions by itself, so none is worth waiting for
                backend: Any = connection.session.backend
                backend.retry_policy.total = 0
                connection.close()

    def _asked(self, sql: str, parameters: Mapping[str, Any] | None, answer: "Callable[[Cursor], T]") -> T:
        rested, self._rested = self._rested, False
        began = time.monotonic()
        try:
            return self._tried(sql, parameters, answer)
        except Unavailable:
            if not rested or time.monotonic() - began > _STALE_SECONDS:
                raise
            using = self._using
            self.close()
            if using:
                self.use(using)
            return self._tried(sql, parameters, answer)

    def _tried(self, sql: str, parameters: Mapping[str, Any] | None, answer: "Callable[[Cursor], T]") -> T:
        from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

        def attempt() -> T:
            with self._open().cursor() as cursor, self._told(sql):
                cursor.execute(sql, parameters=[_parameter(*given) for given in (parameters or {}).items()] or None)
                return answer(cursor)

        def tell(state: "RetryCallState") -> None:
            if state.attempt_number == _ATTEMPTS_WITHOUT_A_WORD:
                self._on_wait(Busy("other statements write to the same tables of the warehouse"), 0.0)

        attempts = Retrying(
            retry=retry_if_exception_type(StatementConflict),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.1, max=5),
            before_sleep=tell,
            reraise=True,
        )
        try:
            return attempts(attempt)
        except StatementConflict as conflict:
            raise Busy(
                "other statements keep writing to the same tables of the warehouse",
                hint="let nothing but dropledger write to its schema, and try again",
            ) from conflict.__cause__
        except Conflict:
            self.close()  # what it had of its own is gone
            raise

    def _told(self, sql: str) -> "_told":
        return _told(sql, self._on_wait)

    def _open(self) -> "Connection":
        if self._connection is None:
            self._connection = self._connected()
            atexit.register(self.close)  # later, the connector's own closing no longer works, and says so
        return self._connection

    def _connected(self) -> "Connection":
        try:
            from databricks import sql
        except ImportError as error:
            raise NotInstalled(
                "the warehouse databricks cannot be reached without its connector", "databricks"
            ) from error
        # What it logs of errors, they say too; addresses of uploads stand there whole, and whoever has one may write.
        logging.getLogger("databricks").setLevel(logging.CRITICAL)
        access = self._access
        plain = access.host.startswith("http://")
        with self._told("connecting"), _signing_in():
            connection: Connection = sql.connect(
                server_hostname=access.host.removeprefix("http://").removeprefix("https://").rstrip("/"),
                http_path=access.http_path,
                session_configuration={
                    "ANSI_MODE": "true",
                    "TIMEZONE": "UTC",
                    "STATEMENT_TIMEOUT": str(STATEMENT_SECONDS),
                },
                staging_allowed_local_path=str(self._local),
                enable_telemetry=False,
                use_cloud_fetch=access.cloud_fetch,
                _socket_timeout=_UPLOAD_SECONDS,
                # What answers 429 or 503, as a warehouse that starts does, is asked again after at least `delay_max`.
                _retry_delay_max=5.0,
                _retry_stop_after_attempts_duration=_STARTING_SECONDS,
                _disable_pandas=True,  # the package for Lambda has none, and uploads read a row that is no Arrow
                user_agent_entry="dropledger",
                **({"_connection_uri": f"{access.host.rstrip('/')}{access.http_path}"} if plain else {}),
                **self._credentials(),
            )
            # A statement whose answer is lost has run or not: asked again, the connector would let it run twice.
            backend: Any = connection.session.backend
            backend.retry_policy.read = False
            backend._transport.setTimeout(_ANSWER_SECONDS * 1000)  # noqa: SLF001 - there is one option for both
        return connection

    def _credentials(self) -> dict[str, Any]:
        access = self._access
        if access.token:
            return {"access_token": access.token}
        from databricks.sdk.core import Config, oauth_service_principal

        config = Config(
            host=access.host if "://" in access.host else f"https://{access.host}",
            client_id=access.client_id,
            client_secret=access.client_secret,
        )
        return {"credentials_provider": lambda: oauth_service_principal(config)}


def _parameter(name: str, value: Any) -> Any:
    from databricks.sql.parameters import native

    match value:
        case None:
            return native.VoidParameter(value=None, name=name)
        case bool():
            return native.BooleanParameter(value=value, name=name)
        case int():
            return native.BigIntegerParameter(value=value, name=name)
        case datetime():
            return native.TimestampNTZParameter(value=value, name=name)
        case Decimal():  # the connector would guess precision and scale, and guess wrong
            raise TypeError("bind a decimal as text, and cast it")
        case _:
            return native.StringParameter(value=str(value), name=name)


class _Retrying(logging.Filter):
    """Says a word, once, when the connector waits to ask again: it does so without one, but for its log."""

    def __init__(self, on_wait: OnWait) -> None:
        super().__init__()
        self._on_wait = on_wait

    def filter(self, record: logging.LogRecord) -> bool:
        if str(record.msg).startswith("Retrying after"):
            what = "the SQL warehouse takes nothing yet, as one does that starts or has too much to do"
            self._on_wait(Busy(what), 0.0)
            self._on_wait = silently
        return record.levelno >= logging.WARNING


class _told:  # noqa: N801 - used as a statement
    """Lets what the connector raises leave the block as an error that says what to do, and tells of its on_wait."""

    def __init__(self, sql: str, on_wait: OnWait) -> None:
        self._sql = sql
        self._retrying = _Retrying(on_wait)
        self._level = _RETRIES.level

    def __enter__(self) -> None:
        _RETRIES.addFilter(self._retrying)
        _RETRIES.setLevel(logging.DEBUG)

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        _RETRIES.setLevel(self._level)
        _RETRIES.removeFilter(self._retrying)
        from databricks.sql import exc
        from urllib3.exceptions import HTTPError

        if isinstance(error, exc.Error | HTTPError):
            raise classify_error(error, self._sql) from error


def _changed_rows(cursor: "Cursor") -> int:
    """How many rows a statement changed: by its result, or else by what the server says beside that."""
    result = cursor.fetchall_arrow()
    if "num_affected_rows" in result.column_names and result.num_rows:
        count = result["num_affected_rows"][0].as_py()
        if count is not None and count >= 0:  # Delta says -1 of what it deletes by whole files
            return int(count)
    if cursor.rowcount >= 0:
        return cursor.rowcount
    raise ConfigurationError(
        "the warehouse databricks does not say how many rows a statement changed",
        why="its result has no num_affected_rows",
        hint="use a SQL warehouse of the current channel; no drop is folded without these counts",
    )


@contextmanager
def _signing_in() -> Iterator[None]:
    """Let what is no error of the connector, but comes of how it signs in or opens a session, say what to do."""
    try:
        yield
    except ImportError as error:  # of what the connector takes instead, where a warehouse refuses Thrift
        raise no_thrift(error) from error
    except ValueError as error:  # as the SDK tells that a client id and secret came to nothing
        raise ConfigurationError(
            "Databricks does not let this client in",
            why=without_queries(str(error)),
            hint="check DATABRICKS_HOST, DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET",
        ) from error
