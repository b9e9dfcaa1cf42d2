"""A connection to a SQL warehouse: statements in, rows out, errors by what to do."""

import atexit
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from core.errors import Busy, ConfigurationError, DataRefused, DropledgerError, Overtaken, Unavailable
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
_CONFLICT = re.compile(r"DELTA_CONCURRENT|DELTA_METADATA_CHANGED|DELTA_PROTOCOL_CHANGED|Concurrent\w+Exception")
_LOST = re.compile(
    r"[Ii]nvalid [Ss]ession|SESSION_(?:CLOSED|EXPIRED|NOT_FOUND)|[Ss]ession .*(?:closed|expired|not found)"
)
_DATA = ("22", "23")
_STATEMENT = ("42", "0A", "07")


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
            with suppress(Exception):  # the warehouse ends sessions by itself
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
        access = self._access
        plain = access.host.startswith("http://")
        with self._told("connecting"):
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
        return connection

    def _credentials(self) -> dict[str, Any]:
        access = self._access
        if access.token:
            return {"access_token": access.token}
        from databricks.sdk.core import Config, oauth_service_principal

        config = Config(
            host=f"https://{access.host.removeprefix('https://')}",
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


def by_what_to_do(error: Exception, sql: str) -> Exception:
    """The connector's error as one of ours, or the error itself if there is nothing that anybody could do."""
    from databricks.sql import exc

    text = str(error).partition("\n")[0]
    state = _STATE.search(str(error))
    code = getattr(error, "context", {}).get("http-code")
    ours: DropledgerError | None = None
    if _CONFLICT.search(str(error)):
        return _Conflict(text)
    if _LOST.search(text) or isinstance(error, exc.SessionAlreadyClosedError):
        ours = Overtaken("the warehouse has ended the session", hint="try again; nothing was committed")
    elif code in {401, 403} or "403" in text.partition(":")[0]:
        ours = ConfigurationError(
            "the warehouse databricks cannot be used", why=text, hint="check the token or client, and its permissions"
        )
    elif isinstance(error, exc.RequestError | exc.OperationalError) or not isinstance(error, exc.Error):
        ours = Unavailable("the warehouse databricks does not answer", why=text, hint="try again later")
    elif state and state[1].startswith(_STATEMENT):
        ours = ConfigurationError(
            f"a statement of the pipeline does not work: {' '.join(text.split())[:300]}",
            hint="correct the pipeline's SQL or YAML; the statement begins with: " + " ".join(sql.split())[:120],
        )
    elif state and state[1].startswith(_DATA):
        ours = DataRefused(
            "not_computable",
            f"the engine cannot work with this file or its values ({state[1]})",
            hint="look for values at the limits of their types",
            detail=text,
        )
    elif isinstance(error, exc.ServerOperationError):
        ours = Unavailable("the warehouse databricks cannot go on", why=text, hint="try again later")
    return ours or error
