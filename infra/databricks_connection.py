"""A connection to a SQL warehouse: statements in, rows out, errors by what to do."""

import atexit
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from core.errors import (
    Busy,
    ConfigurationError,
    DataRefused,
    DropledgerError,
    Overtaken,
    PipelineError,
    Unavailable,
)
from core.patience import Waiting, without_a_word

if TYPE_CHECKING:
    import pyarrow as pa
    from databricks.sql.client import Connection, Cursor
    from tenacity import RetryCallState

T = TypeVar("T")

STATEMENT_SECONDS = 600
"""How long a statement may take; the warehouse ends it then."""

_ROWS_AT_ONCE = 100_000
_ATTEMPTS = 8
_ATTEMPTS_WITHOUT_A_WORD = 2
_STARTING_SECONDS = 600.0
_RETRIES = logging.getLogger("databricks.sql.auth.retry")
_STATE = re.compile(r"SQLSTATE:? (\w{5})")
_CONFLICT = re.compile(r"DELTA_CONCURRENT|DELTA_PROTOCOL_CHANGED|Concurrent\w+Exception")
_FENCED = "DELTA_METADATA_CHANGED"  # as whoever undoes a change does before
_LOST = re.compile(
    r"[Ii]nvalid [Ss]ession|SESSION_(?:CLOSED|EXPIRED|NOT_FOUND)|[Ss]ession .*(?:closed|expired|not found)"
)
_DATA = ("22", "23")
_STATEMENT = ("42", "0A", "07")
_GRANTS = re.compile(r"INSUFFICIENT_PERMISSIONS|PERMISSION_DENIED|NO_SUCH_CATALOG|UNAUTHORIZED|SQLSTATE:? 42501")
_TIMED_OUT = "57KD0"
_QUERY = re.compile(r"\?[^\s'\")>]+")


@dataclass(frozen=True)
class Access:
    """Where the SQL warehouse is, and who asks. `host` may begin with http:// for one on this machine."""

    host: str
    http_path: str
    catalog: str
    token: str = field(default="", repr=False)
    client_id: str = ""
    client_secret: str = field(default="", repr=False)


class _Conflict(Exception):
    """A statement met another one on the same table; it changed nothing."""


class Statements:
    """Runs statements on one connection, which is made when the first one comes, and again when it was lost.

    `waiting` is told when a statement has to be tried again, or the warehouse asks to be asked again.
    """

    def __init__(self, access: Access, local: Path, waiting: Waiting = without_a_word) -> None:
        self._access = access
        self._local = local
        self._waiting = waiting
        self._connection: Connection | None = None

    def run(self, sql: str, parameters: Mapping[str, Any] | None = None) -> int:
        """Run a statement; the number of rows that it changed, 0 where it changes none."""
        return self._asked(sql, parameters, lambda cursor: max(cursor.rowcount, 0))

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

    def close(self) -> None:
        """Let go of the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):  # the warehouse ends sessions by itself, so none is worth waiting for
                backend: Any = connection.session.backend
                backend.retry_policy.total = 0
                connection.close()

    def _asked(self, sql: str, parameters: Mapping[str, Any] | None, answer: "Callable[[Cursor], T]") -> T:
        from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

        def attempt() -> T:
            with self._open().cursor() as cursor, self._told(sql):
                cursor.execute(sql, parameters=[_parameter(*given) for given in (parameters or {}).items()] or None)
                return answer(cursor)

        def tell(state: "RetryCallState") -> None:
            if state.attempt_number == _ATTEMPTS_WITHOUT_A_WORD:
                self._waiting(Busy("other statements write to the same tables of the warehouse"))

        attempts = Retrying(
            retry=retry_if_exception_type(_Conflict),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.1, max=5),
            before_sleep=tell,
            reraise=True,
        )
        try:
            return attempts(attempt)
        except _Conflict as conflict:
            raise Busy(
                "other statements keep writing to the same tables of the warehouse",
                hint="let nothing but dropledger write to its schema, and try again",
            ) from conflict.__cause__
        except Overtaken:
            self.close()  # what it had of its own is gone
            raise

    def _told(self, sql: str) -> "_told":
        return _told(sql, self._waiting)

    def _open(self) -> "Connection":
        if self._connection is None:
            self._connection = self._connected()
            atexit.register(self.close)  # later, the connector's own closing no longer works, and says so
        return self._connection

    def _connected(self) -> "Connection":
        try:
            from databricks import sql
        except ImportError as error:
            raise ConfigurationError(
                "the warehouse databricks cannot be reached without its connector",
                hint="install it: pip install 'dropledger[databricks]'",
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

    def __init__(self, waiting: Waiting) -> None:
        super().__init__()
        self._waiting = waiting

    def filter(self, record: logging.LogRecord) -> bool:
        if str(record.msg).startswith("Retrying after"):
            self._waiting(Busy("the SQL warehouse takes nothing yet, as one does that starts or has too much to do"))
            self._waiting = without_a_word
        return record.levelno >= logging.WARNING


class _told:  # noqa: N801 - used as a statement
    """Lets what the connector raises leave the block as an error that says what to do, and tells of its waiting."""

    def __init__(self, sql: str, waiting: Waiting) -> None:
        self._sql = sql
        self._retrying = _Retrying(waiting)
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
            raise by_what_to_do(error, self._sql) from error


@contextmanager
def _signing_in() -> Iterator[None]:
    try:
        yield
    except ValueError as error:  # as the SDK tells that a client id and secret came to nothing
        raise ConfigurationError(
            "Databricks does not let this client in",
            why=_without_queries(str(error)),
            hint="check DATABRICKS_HOST, DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET",
        ) from error


def _without_queries(text: str) -> str:
    """A text without what addresses have behind a question mark: in that of an upload it is a signature."""
    return _QUERY.sub("?...", text)


def by_what_to_do(error: Exception, sql: str) -> Exception:
    """The connector's error as one of ours, or the error itself if there is nothing that anybody could do."""
    from databricks.sql import exc

    text = _without_queries(str(error).partition("\n")[0])
    code = getattr(error, "context", {}).get("http-code")
    if _CONFLICT.search(str(error)):
        return _Conflict(text)
    if _FENCED in text or _LOST.search(text) or isinstance(error, exc.SessionAlreadyClosedError):
        what = "another process has become the writer" if _FENCED in text else "the warehouse has ended the session"
        return Overtaken(what, hint="try again; nothing was committed")
    if code in {401, 403} or "403" in text.partition(":")[0]:
        return ConfigurationError(
            "the warehouse databricks cannot be used", why=text, hint="check the token or client, and its permissions"
        )
    if isinstance(error, exc.RequestError | exc.OperationalError) or not isinstance(error, exc.Error):
        return Unavailable("the warehouse databricks does not answer", why=text, hint="try again later")
    state = _STATE.search(str(error))
    if state or isinstance(error, exc.ServerOperationError):
        return _refused(text, state[1] if state else "", sql)
    return error


def _refused(text: str, state: str, sql: str) -> DropledgerError:
    """What the warehouse says of a statement, by its SQLSTATE."""
    if state == _TIMED_OUT:
        return Unavailable(
            f"a statement took longer than {STATEMENT_SECONDS // 60} minutes, and the warehouse ended it",
            why=text,
            hint="use a larger SQL warehouse, or bring the file in parts",
        )
    if _GRANTS.search(text):
        return ConfigurationError(
            "the warehouse databricks does not allow a statement, or has no such catalog",
            why=text,
            hint="check DATABRICKS_CATALOG and the grants in docs/databricks.md",
        )
    if state.startswith(_STATEMENT):
        return PipelineError(
            f"a statement of the pipeline does not work: {' '.join(text.split())[:300]}",
            hint="correct the pipeline's SQL or YAML; the statement begins with: " + " ".join(sql.split())[:120],
        )
    if state.startswith(_DATA):
        return DataRefused(
            "not_computable",
            f"the engine cannot work with this file or its values ({state})",
            hint="look for values at the limits of their types",
            detail=text,
        )
    return Unavailable("the warehouse databricks cannot go on", why=text, hint="try again later")
