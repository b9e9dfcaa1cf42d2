"""What the connector of Databricks raises, as errors by what to do."""

import re

from dropledger.core.errors import (
    ConfigurationError,
    Conflict,
    DataRefused,
    DropledgerError,
    PipelineError,
    Unavailable,
)

STATEMENT_SECONDS = 600
"""How long a statement may take; the warehouse ends it then."""

_LINE = re.compile(r"; line (\d+),? pos")
_STATE = re.compile(r"SQLSTATE:? (\w{5})")
_CONFLICT = re.compile(r"DELTA_CONCURRENT|DELTA_PROTOCOL_CHANGED|Concurrent\w+Exception")
_FENCED = "DELTA_METADATA_CHANGED"  # as whoever undoes a change does before
_LOST = re.compile(
    r"[Ii]nvalid [Ss]ession|SESSION_(?:CLOSED|EXPIRED|NOT_FOUND)|[Ss]ession .*(?:closed|expired|not found)"
)
_OF_THE_STORAGE = re.compile(r"HTTP request (?:failed|error)|CloudFetch|Staging operation over HTTP")
_NO_THRIFT = re.compile(r"not supported for Thrift", re.IGNORECASE)
_DATA = ("22", "23")
_STATEMENT = ("42", "0A", "07")
_GRANTS = re.compile(r"INSUFFICIENT_PERMISSIONS|PERMISSION_DENIED|NO_SUCH_CATALOG|UNAUTHORIZED|SQLSTATE:? 42501")
_TIMED_OUT = "57KD0"
_QUERY = re.compile(r"\?[^\s'\")>]+")


class StatementConflict(Exception):
    """A statement met another one on the same table; it changed nothing."""


def without_queries(text: str) -> str:
    """A text without what addresses have behind a question mark: in that of an upload it is a signature."""
    return _QUERY.sub("?...", text)


def classify_error(error: Exception, sql: str) -> Exception:
    """The connector's error as one of ours, or the error itself if there is nothing that anybody could do."""
    from databricks.sql import exc

    text = without_queries(str(error).partition("\n")[0])
    if known := _by_words(error, text):
        return known
    if isinstance(error, exc.SessionAlreadyClosedError):
        return _overtaken("the session has been closed")
    if getattr(error, "context", {}).get("http-code") in {401, 403} or "403" in text.partition(":")[0]:
        return ConfigurationError(
            "the warehouse databricks cannot be used", why=text, hint="check the token or client, and its permissions"
        )
    if isinstance(error, exc.RequestError | exc.OperationalError) or not isinstance(error, exc.Error):
        return Unavailable("the warehouse databricks does not answer", why=text, hint="try again later")
    state = _STATE.search(str(error))
    if state or isinstance(error, exc.ServerOperationError):
        return _refused(text, state[1] if state else "", sql)
    return error


def _by_words(error: Exception, text: str) -> Exception | None:
    """An error that is known by what it says; None for others."""
    if _CONFLICT.search(str(error)):
        return StatementConflict(text)
    if _NO_THRIFT.search(text):
        return no_thrift(error)
    if _FENCED in text:
        return _overtaken("another process has become the writer")
    if _LOST.search(text):
        return _overtaken("the warehouse has ended the session")
    if _OF_THE_STORAGE.match(text):
        return Unavailable(
            "files do not pass between this machine and the storage of the warehouse databricks",
            why=text,
            hint="allow egress to the storage host of the workspace, and try again; with DATABRICKS_CLOUD_FETCH=no "
            "results come from the warehouse itself",
        )
    return None


def no_thrift(error: Exception) -> ConfigurationError:
    """What to tell of a warehouse that is asked in another way than Thrift."""
    return ConfigurationError(
        "this SQL warehouse does not speak Thrift, by which databricks-sql-connector asks",
        why=without_queries(str(error.__cause__ or error)),
        hint="name another SQL warehouse in DATABRICKS_HTTP_PATH, one that is not real-time (Lakehouse/RT)",
    )


def _overtaken(what: str) -> Conflict:
    return Conflict(what, hint="try again; nothing was committed")


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
        pointed_at = _LINE.search(text)
        lines = sql.splitlines()
        return PipelineError(
            "a statement of the pipeline does not work",
            why=" ".join(text.split())[:300],
            hint="correct the pipeline's SQL or YAML; the statement begins with: " + " ".join(sql.split())[:120],
            line=lines[int(pointed_at[1]) - 1] if pointed_at and int(pointed_at[1]) <= len(lines) else "",
        )
    if state.startswith(_DATA):
        return DataRefused(
            "not_computable",
            f"the engine cannot work with this file or its values ({state})",
            hint="look for values at the limits of their types",
            detail=text,
        )
    return Unavailable("the warehouse databricks cannot go on", why=text, hint="try again later")
