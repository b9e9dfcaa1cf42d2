"""A query that somebody wrote, answered by the warehouse: one that reads, and no more of its rows than are wanted."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dropledger.core.errors import ConfigurationError, DataRefused, PipelineError
from dropledger.core.ports.session import Confinable, Session
from dropledger.core.sql.text import quoted

_ASKED = "_dl_asked"
_FIRST_WORD = re.compile(r"(?:\s|\(|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*(\w*)", re.DOTALL)
_QUERIES = ("SELECT", "WITH", "FROM", "TABLE", "VALUES")
# What both engines know and no view can be made of; neither writes.
_ABOUT_TABLES = re.compile(
    r"""\s*(?:SHOW\s+TABLES|DESC(?:RIBE)?\s+(?:TABLE\s+)?(?:\w+|"(?:[^"]|"")+"))\s*""", re.IGNORECASE
)
_PLACE = re.compile(r"\s+LINE \d+: .*", re.DOTALL)  # which counts lines that somebody else has not written
_HINT = "give one query that reads, such as SELECT * FROM account_summary; SHOW TABLES lists what there is"


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows of a query by the names of its `columns`, and whether there are `more`."""

    columns: tuple[str, ...]
    rows: list[dict[str, Any]]
    more: bool


def ask(session: Session, query: str, limit: int) -> Answer:
    """Run one query in a session that reads; at most `limit` rows of it, or all if that is 0.

    It is made a view first, which just a query can be, whatever it holds. An engine that could reach for files is kept
    to the warehouse from here on, and to the archived files that its views read.

    Raises:
        ConfigurationError: it is no query, or does not work; the engine's words say why.
    """
    text = query.rstrip("; \t\r\n")
    if isinstance(session, Confinable):
        session.confine()
    with _told():
        if _ABOUT_TABLES.fullmatch(text):
            rows = session.query(text)
            columns = tuple(rows[0]) if rows else ()
        else:
            _refuse_what_is_no_query(text)
            session.view(_ASKED, text)
            columns = tuple(session.columns(_ASKED))
            one_more = f"\nLIMIT {limit + 1}" if limit else ""
            rows = session.query(f"SELECT * FROM {quoted(_ASKED)}{one_more}")
    return Answer(columns, rows[:limit] if limit else rows, more=0 < limit < len(rows))


def _refuse_what_is_no_query(text: str) -> None:
    found = _FIRST_WORD.match(text)
    word = found[1].upper() if found else ""
    if word not in _QUERIES:
        raise ConfigurationError(
            f"this is no query: it begins with {word}" if word else "there is no query",
            why=f"sql only reads, by what begins with {', '.join(_QUERIES)}, SHOW TABLES or DESCRIBE",
            hint=_HINT,
        )


@contextmanager
def _told() -> Iterator[None]:
    """Tell as the asker's what else would be the fault of a pipeline or of a file."""
    try:
        yield
    except (PipelineError, DataRefused) as error:
        words = error.detail if isinstance(error, DataRefused) else error.why
        raise ConfigurationError("the query does not work", why=_PLACE.sub("", words), hint=_HINT) from error
