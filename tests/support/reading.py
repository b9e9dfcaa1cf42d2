"""Reads texts as files of a feed, the way the pipeline does: through intake, by the session, in a transaction."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dropledger.core.contracts.contract import Contract
from dropledger.core.drop import AsOf, AsOfSource
from dropledger.core.errors import DataRefused
from dropledger.core.formats.extract import Extract
from dropledger.core.ports.session import Session
from dropledger.core.steps.intake import read_again

AS_OF = AsOf(datetime(2025, 10, 31, tzinfo=UTC), AsOfSource.OPTION)


@dataclass(frozen=True)
class Row:
    """A row that was read: its first line, its cells (None where they are empty) and its text as received."""

    line: int
    cells: tuple[str | None, ...]
    raw: str


@dataclass(frozen=True)
class Malformed:
    """A row that has not the shape of the header."""

    line: int
    rule: str
    raw: str


@dataclass(frozen=True)
class Loaded:
    """What came of a file: its rows, in order of line, and how many were read in all."""

    read: int
    rows: list[Row]
    malformed: list[Malformed]


class RolledBack(Exception):
    """Undoes what an example did."""


class Reader:
    """Reads texts as files of one feed; each in a transaction, as the pipeline does, that is rolled back."""

    def __init__(self, session: Session, contract: Contract, path: Path) -> None:
        self._session = session
        self._contract = contract
        self._path = path

    def extract(self, text: str | bytes, *, carefully: bool = False) -> Extract:
        self._path.write_bytes(text if isinstance(text, bytes) else text.encode())
        extract, _ = read_again(self._path, self._contract, AS_OF)
        return replace(extract, layout=replace(extract.layout, lines_end_alike=False)) if carefully else extract

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        try:
            with self._session.transaction():
                yield self._session
                raise RolledBack  # noqa: TRY301
        except RolledBack:
            pass

    def load(self, extract: Extract) -> int:
        """Read a file; its rows are then in `loaded_row`."""
        self._session.load(extract.path, extract.layout, "loaded", drop_id=extract.drop_id)
        return self._session.select_rows("loaded", "loaded_row", "SELECT * FROM loaded")

    def read(self, text: str | bytes, *, carefully: bool = False) -> Loaded:
        extract = self.extract(text, carefully=carefully)
        names = [column.name for column in self._contract.columns]
        with self.transaction() as session:
            read = self.load(extract)
            rows = session.query("SELECT * FROM loaded_row ORDER BY _line")
            malformed = session.query("SELECT * FROM loaded_malformed ORDER BY _line")
            session.keep_loaded("loaded", "src_loaded", None)
            assert session.query("SELECT * EXCLUDE (_drop_id, _accepted) FROM src_loaded ORDER BY _line") == rows
            session.scratch("wanted", "SELECT _line FROM loaded_row")
            session.raw_rows("loaded", "wanted", "raw_row")
            raw = {row["_line"]: row["raw"] for row in session.query("SELECT _line, raw FROM raw_row")}
        return Loaded(
            read,
            [Row(row["_line"], tuple(row[name] for name in names), raw[row["_line"]]) for row in rows],
            [Malformed(row["_line"], row["rule"], row["raw"]) for row in malformed],
        )


def attempt(step: Callable[[], Any]) -> Any:
    """What a step gives, or the rule by which the file was refused."""
    try:
        return step()
    except DataRefused as refusal:
        return refusal.rule
