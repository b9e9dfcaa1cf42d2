"""How DuckDB reads Parquet: each value as the text that a cell would have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from dropledger.core.errors import DataRefused
from dropledger.core.ports.session import Parameters, RecordLayout, Within
from dropledger.core.sql.text import literal, quoted
from dropledger.infra.readers.kept_rows import keep_rows, show_rows
from dropledger.infra.readers.scratchpad import Scratchpad

_NUMBERED = "file_row_number"
# In what the engine tells when a file cannot be read for another reason than what is in it.
_OF_THE_MACHINE = ("annot open file", "ould not read from file", "ould not write", "ailed to write", "o files found")


@dataclass
class _Source:
    path: Path
    layout: RecordLayout
    drop_id: str


class ParquetFiles:
    """The Parquet files that a session has loaded, each by the name of its source."""

    def __init__(self, pad: Scratchpad) -> None:
        self._pad = pad
        self._sources: dict[str, _Source] = {}

    def load(self, path: Path, layout: RecordLayout, source: str, drop_id: str) -> None:
        """Make the file's values readable as the view `source`.

        Raises:
            DataRefused: the file is damaged.
        """
        self._sources[source] = _Source(path, layout, drop_id)
        rows = f"SELECT {_NUMBERED} + 1 AS _line, {self._cells(path, layout)} FROM {_file(literal(str(path)))}"
        # An error would abort the transaction, so all is read once beside it.
        hashes = ", ".join(f"bit_xor(hash({quoted(name)}))" for name in layout.positions)
        self._beside(f"SELECT {hashes} FROM ({rows})")
        self._pad.view(source, rows)
        self._pad.engine(
            f"CREATE OR REPLACE TEMP TABLE {quoted(f'{source}_malformed')} "
            "(_line BIGINT, rule VARCHAR, reason VARCHAR, raw VARCHAR)"
        )

    def _cells(self, path: Path, layout: RecordLayout) -> str:
        paths = [within for paths in layout.positions.values() for within in paths]
        selected = ", ".join(_value(within) for within in paths)
        types: Mapping[Within, str] = {}
        if paths:
            types = dict(
                zip(paths, self._beside(f"SELECT {selected} FROM {_file(literal(str(path)))} LIMIT 0"), strict=True)
            )
        return ", ".join(
            f"{_cell(layout.types[name], [(within, types[within]) for within in paths])} AS {quoted(name)}"
            for name, paths in layout.positions.items()
        )

    def _beside(self, select: str) -> list[str]:
        """Run a select that may fail; the types of what it gives."""
        try:
            with self._pad.connection.cursor() as beside:
                result = beside.execute(select)
                result.fetchall()
                return [str(column[1]) for column in result.description or ()]
        except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
            if isinstance(error, duckdb.OutOfMemoryException) or any(
                words in str(error).partition("\n")[0] for words in _OF_THE_MACHINE
            ):
                raise
            raise _damaged(error) from error
        except (duckdb.Error, RuntimeError, UnicodeDecodeError) as error:
            raise _damaged(error) from error

    def select(self, source: str, into: str, select: str, parameters: Parameters) -> int:
        """As `DelimitedFiles.select`."""
        del source
        table = quoted(f"{into}_selected")
        with self._pad.in_order_of_the_file():
            rows = self._pad.count(f"CREATE OR REPLACE TEMP TABLE {table} AS\n{select}", parameters)
        self._pad.view(into, f"SELECT * FROM {table}")
        return rows

    def with_lines(self, source: str) -> None:
        """Nothing is left to do: rows have their numbers."""

    def raw(self, source: str, lines: str, into: str) -> None:
        """Put the rows of `source` that `lines` names in scratch `into`, each as a JSON object."""
        path = self._sources[source].path
        with self._pad.in_order_of_the_file():
            self._pad.engine(
                f"""CREATE OR REPLACE TEMP TABLE {quoted(into)} AS
                SELECT _line, CAST(to_json(record) AS VARCHAR) AS raw
                FROM (SELECT row_number() OVER () AS _line, record FROM read_parquet({literal(str(path))}) AS record)
                WHERE _line IN (SELECT _line FROM {quoted(lines)})"""
            )

    def keep(self, source: str, name: str, left_out: str | None, archived: str | None) -> None:
        """As `DelimitedFiles.keep`."""
        loaded = self._sources[source]
        if archived is not None and left_out is None:
            cells = self._cells(loaded.path, loaded.layout)
            rows = f"SELECT {_NUMBERED} + 1 AS _line, {cells} FROM {_file(archived)}"
            show_rows(self._pad, name, loaded.drop_id, rows)
            return
        keep_rows(self._pad, source, name, left_out, loaded.drop_id, [*loaded.layout.positions])


def _file(path: str) -> str:
    return f"read_parquet({path}, {_NUMBERED} = TRUE, hive_partitioning = FALSE)"


def _value(within: Within) -> str:
    return "".join(quoted(name) if place == 0 else f"[{literal(name)}]" for place, name in enumerate(within))


def _cell(wanted: str, values: Sequence[tuple[Within, str]]) -> str:
    """The text of a column's value, or of those that make it together; NULL where the file lacks it."""
    if not values:
        return "CAST(NULL AS VARCHAR)"
    texts = [_text(wanted, _value(within), kind) for within, kind in values]
    return texts[0] if len(texts) == 1 else f"nullif(concat_ws(' ', {', '.join(texts)}), '')"


def _text(wanted: str, value: str, kind: str) -> str:
    if wanted == "json":
        return _json(value, kind)
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"CAST(timezone('UTC', {value}) AS VARCHAR) || 'Z'"
    if kind.startswith("TIMESTAMP") and wanted == "date":  # as pandas writes dates; a time of day is no date
        midnight = f"date_trunc('day', {value}) = {value}"
        return f"CASE WHEN {midnight} THEN CAST(CAST({value} AS DATE) AS VARCHAR) ELSE CAST({value} AS VARCHAR) END"
    return f"CAST({value} AS VARCHAR)"


def _json(value: str, kind: str) -> str:
    """A value as JSON text; a text is taken for that which it holds."""
    if kind == "VARCHAR":
        return value
    if kind.startswith("DECIMAL"):  # of which the engine's JSON may lose zeros at the end
        return f"CAST({value} AS VARCHAR)"
    if kind in {"FLOAT", "DOUBLE"}:  # JSON has no number for infinity
        value = f"CASE WHEN isfinite({value}) THEN to_json({value}) ELSE to_json(CAST({value} AS VARCHAR)) END"
    return f"CAST(to_json({value}) AS VARCHAR)"


def _damaged(error: Exception) -> DataRefused:
    return DataRefused(
        "damaged_file",
        "the Parquet file is damaged",
        hint="transfer or write it again",
        detail=str(error).splitlines()[0][:200] if str(error) else "",
    )
