"""How DuckDB reads JSON: an object a line, or an array of them, of which each element becomes a line first.

The engine takes numbers for doubles, the last of two equal names, and more than is JSON. So what it might change is
read to the letter by `dropledger.core.formats.json_records`, line by line.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dropledger.core.errors import DataRefused
from dropledger.core.formats.json_records import NoRecord, cells_of, elements, parsed
from dropledger.core.formats.text_part import text_in
from dropledger.core.formats.text_scan import MAX_LINE_BYTES
from dropledger.core.ports.session import Parameters, RecordLayout, Within
from dropledger.core.sql.text import literal, quoted
from dropledger.infra.readers.delimited import with_line_feeds
from dropledger.infra.readers.json_spellings import usual_spelling
from dropledger.infra.readers.kept_rows import keep_rows, show_rows
from dropledger.infra.readers.scratchpad import Scratchpad, text_of

# Among values: numbers that a double might not keep or would be written otherwise, words that are none in JSON, the
# letter NUL, objects and arrays. In a line: a number with an exponent, a zero with a sign, and a comma where JSON has
# none, as the engine lets it be.
_CHANGES = r"[0-9.]{17}|(^|\x1f)(-0|-?(?i:nan|inf(inity)?)(\x1f|$)|[{\[])|\x00"
_OF_LINES = r",\s*[}\]]|[:,\[]\s*(-0|-?[0-9.]+[eE])"
_FRACTION = r"^-?[0-9]+[.]"
_AT_ONCE = 20_000
_LOOKED_AT = 100
_SMALLEST_ROOM = 1 << 24
_FEED, _RETURN = "\x1e", "\x1d"


@dataclass
class _Source:
    """A file that was loaded: as it was `received`, and the one that is read, which may be a rewritten one.

    `lines_are_told` is whether that one has the line of each record, and no two share theirs.
    """

    received: Path
    path: Path
    layout: RecordLayout
    drop_id: str
    lines_are_told: bool = False


class JsonFiles:
    """The JSON files that a session has loaded, each by the name of its source."""

    def __init__(self, pad: Scratchpad) -> None:
        self._pad = pad
        self._sources: dict[str, _Source] = {}

    def load(self, path: Path, layout: RecordLayout, source: str, drop_id: str) -> None:
        """Make the file's values readable as the view `source`.

        Raises:
            DataRefused: it is no array of the format `json`, or no record has some column.
        """
        loaded = _Source(path, path, layout, drop_id)
        loaded.path = self._plain(loaded, source)
        self._sources[source] = loaded
        lines, read = f"{source}_line", f"{source}_to_the_letter"
        names = [*layout.positions]
        with self._pad.in_order_of_the_file():
            self._take_apart(self._lines(loaded), layout, lines)
        self._read_to_the_letter(lines, read, loaded)
        first = self._pad.value(f"SELECT min(rowid) FROM {quoted(lines)}") or 0
        cells = ", ".join(map(quoted, names))
        self._pad.view(
            source,
            text_of("json_rows").substitute(
                line="line" if loaded.lines_are_told else f"rowid - {first} + 1",
                cells=cells,
                lines=quoted(lines),
                read_cells=", ".join(f"cells[{place}] AS {quoted(name)}" for place, name in enumerate(names, 1)),
                read=quoted(read),
            ),
        )
        self._pad.engine(
            f"""CREATE OR REPLACE TEMP TABLE {quoted(f"{source}_malformed")} AS
            SELECT line AS _line, rule, reason, raw FROM {quoted(read)} WHERE rule IS NOT NULL"""
        )
        self._refuse_missing(source, loaded)

    def load_together(self, files: Sequence[tuple[Path, RecordLayout]], source: str) -> None:
        """Read files of JSON lines into scratch `source`, and leave out those that are not read by the engine alone.

        Those are left out too in which a column that each file must have stands nowhere.
        """
        layout, lines = files[0][1], f"{source}_line"
        paths = f"[{', '.join(literal(str(path)) for path, _ in files)}]"
        with self._pad.in_order_of_the_file():
            self._take_apart(text_of("json_lines_together").substitute(paths=paths), layout, lines)
        must = [name for name in layout.positions if name not in layout.may_lack]
        self._pad.engine(
            text_of("json_together").substitute(
                into=quoted(source),
                cells=", ".join(f"n.{quoted(name)}" for name in layout.positions),
                lines=quoted(lines),
                there=" ".join(f"AND count({quoted(name)}) > 0" for name in must),
            )
        )

    def _take_apart(self, lines: str, layout: RecordLayout, into: str) -> None:
        """Put the values of the lines that a select gives in scratch `into`."""
        names = [*layout.positions]
        paths = [path for name in names for path in layout.positions[name]]
        places = {path: place for place, path in enumerate(paths, 1)}
        self._pad.engine(
            text_of("json_lines").substitute(
                into=quoted(into),
                of_lines=literal(_OF_LINES),
                changes=literal(_CHANGES),
                usual=self._usual(lines, layout),
                repeated=" ".join(f"OR {_has_repeated(within)}" for within in _containers(paths)),
                changed=" ".join(_changed(layout, places)),
                cells=",\n    ".join(f"{_joined(layout.positions[name], places)} AS {quoted(name)}" for name in names),
                paths=f"[{', '.join(literal(_path(within)) for within in paths)}]",
                lines=lines,
            )
        )

    def _usual(self, lines: str, layout: RecordLayout) -> str:
        """Whether a line is spelled as most are, so that nothing else need be looked for in it."""
        some = self._pad.engine(f"SELECT raw FROM ({lines}) AS line LIMIT {_LOOKED_AT}").fetchall()
        spelling = usual_spelling((raw for (raw,) in some), layout)
        return "FALSE" if spelling is None else f"regexp_full_match(raw, {literal(spelling)})"

    def _plain(self, loaded: _Source, source: str) -> Path:
        """The file, or what it is rewritten to: a record a line."""
        path, layout = loaded.received, loaded.layout
        text = text_in(path, layout.compression, layout.encoding)
        if layout.format == "json":
            return self._pad.rewritten(path, _numbered(elements(_without_mark(text)), loaded), source)
        if layout.compression is not None or layout.encoding != "utf-8":
            path = self._pad.rewritten(path, text, source)
        elif layout.lines_end_alike:
            self._pad.forget(source)
        if not layout.lines_end_alike:
            with self._pad.passing_file() as plain:
                with_line_feeds(path, plain)
                path = self._pad.rewritten(path, text_in(plain, None, "utf-8"), source)
        return path

    def _lines(self, loaded: _Source) -> str:
        """The lines of the file, each with the number that it was given."""
        lines = text_of("lines").substitute(path=literal(str(loaded.path)), skip=0, options=_room(loaded.layout))
        if loaded.layout.format == "ndjson":
            return f"SELECT CAST(NULL AS BIGINT) AS line, coalesce(raw, '') AS raw FROM ({lines})"
        feeds = "replace(replace(substr(raw, instr(raw, ' ') + 1), chr(30), chr(10)), chr(29), chr(13))"
        return f"SELECT CAST(split_part(raw, ' ', 1) AS BIGINT) AS line, {feeds} AS raw FROM ({lines})"

    def _read_to_the_letter(self, lines: str, into: str, loaded: _Source) -> None:
        """Read the lines that kept their text, in a bounded amount of memory."""
        table = quoted(lines)
        columns = "line: 'BIGINT', rule: 'VARCHAR', reason: 'VARCHAR', raw: 'VARCHAR', cells: 'VARCHAR[]'"
        longest = _SMALLEST_ROOM
        with self._pad.passing_file() as passing:
            with passing.open("wb") as file:
                for line, raw in self._kept(table, loaded):
                    record = json.dumps(_to_the_letter(line, raw, loaded.layout), ensure_ascii=False).encode()
                    longest = max(longest, len(record) + 1)
                    file.write(record + b"\n")
            self._pad.engine(
                f"""CREATE OR REPLACE TEMP TABLE {quoted(into)} AS
                SELECT * FROM read_json({literal(str(passing))}, format = 'newline_delimited',
                    columns = {{{columns}}}, maximum_object_size = {longest})"""
            )

    def _kept(self, table: str, loaded: _Source) -> Iterator[tuple[int, str]]:
        first, last = self._pad.engine(f"SELECT min(rowid), max(rowid) FROM {table} WHERE raw IS NOT NULL").fetchall()[
            0
        ]
        if first is None:
            return
        begins = self._pad.value(f"SELECT min(rowid) FROM {table}")
        line = "line" if loaded.lines_are_told else f"rowid - {begins} + 1"
        for start in range(first, last + 1, _AT_ONCE):
            within = f"rowid >= {start} AND rowid < {start + _AT_ONCE} AND raw IS NOT NULL"
            yield from self._pad.engine(f"SELECT {line}, raw FROM {table} WHERE {within} ORDER BY rowid").fetchall()

    def _refuse_missing(self, source: str, loaded: _Source) -> None:
        """Refuse a file in which a column that each file must have stands nowhere."""
        must = [name for name in loaded.layout.positions if name not in loaded.layout.may_lack]
        counts = ", ".join(f"count({quoted(name)})" for name in must)
        rows, *found = self._pad.engine(f"SELECT count(*), {counts} FROM {quoted(source)}").fetchall()[0]
        empty = [name for name, count in zip(must, found, strict=True) if not count]
        if not rows or not empty:
            return
        paths = [within for name in empty for within in loaded.layout.positions[name]]
        exists = ", ".join(f"coalesce(bool_or(json_exists(raw, {literal(_path(within))})), FALSE)" for within in paths)
        there = self._pad.engine(
            f"SELECT {exists} FROM ({self._lines(loaded)}) WHERE trim(raw) <> '' AND json_valid(raw)"
        ).fetchall()[0]
        missing = [".".join(within) for within, is_there in zip(paths, there, strict=True) if not is_there]
        if missing:
            raise DataRefused(
                "missing_column",
                f"no record has {', '.join(missing)}",
                hint="correct the column's path in the contract, or let it say optional: true",
            )

    def select(self, source: str, into: str, select: str, parameters: Parameters) -> int:
        """As `DelimitedFiles.select`."""
        table = quoted(f"{into}_selected")
        with self._pad.in_order_of_the_file():
            rows = self._pad.count(f"CREATE OR REPLACE TEMP TABLE {table} AS\n{select}", parameters)
        self._pad.view(into, f"SELECT * FROM {table}")
        return rows + int(self._pad.value(f"SELECT count(*) FROM {quoted(f'{source}_malformed')}"))

    def with_lines(self, source: str) -> None:
        """Nothing is left to do: rows have their lines."""

    def raw(self, source: str, lines: str, into: str) -> None:
        """Put the text of the rows of `source` that `lines` names in scratch `into`."""
        loaded = self._sources[source]
        line = "line" if loaded.lines_are_told else "row_number() OVER ()"
        with self._pad.in_order_of_the_file():
            self._pad.engine(
                f"""CREATE OR REPLACE TEMP TABLE {quoted(into)} AS
                SELECT _line, raw
                FROM (SELECT {line} AS _line, raw FROM ({self._lines(loaded)}) AS line) AS record
                WHERE _line IN (SELECT _line FROM {quoted(lines)})"""
            )

    def _in_place(self, layout: RecordLayout, archived: str) -> str:
        """A select of the rows of a file whose every line is an object that the engine reads."""
        paths = [within for paths in layout.positions.values() for within in paths]
        places = {within: place for place, within in enumerate(paths, 1)}
        cells = ", ".join(f"{_joined(within, places)} AS {quoted(name)}" for name, within in layout.positions.items())
        found = f"json_extract_string(raw, [{', '.join(literal(_path(within)) for within in paths)}])"
        lines = text_of("lines").substitute(path=archived, skip=0, options=_room(layout))
        return f"""SELECT _line, {cells}
            FROM (SELECT row_number() OVER () AS _line, coalesce(raw, '') AS raw FROM ({lines}) AS line) AS numbered
            CROSS JOIN LATERAL (SELECT {found} AS found) AS parsed
            WHERE trim(raw) <> ''"""

    def keep(self, source: str, name: str, left_out: str | None, archived: str | None) -> None:
        """As `DelimitedFiles.keep`: read in place where each line was read by the engine."""
        loaded = self._sources[source]
        to_the_letter = self._pad.value(f"SELECT count(*) FROM {quoted(f'{source}_to_the_letter')}")
        if archived is not None and left_out is None and not to_the_letter and loaded.path == loaded.received:
            show_rows(self._pad, name, loaded.drop_id, self._in_place(loaded.layout, archived))
            return
        keep_rows(self._pad, source, name, left_out, loaded.drop_id, [*loaded.layout.positions])


def _without_mark(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for number, chunk in enumerate(chunks):
        yield chunk.removeprefix(b"\xef\xbb\xbf") if number == 0 else chunk


def _numbered(records: Iterable[tuple[int, bytes]], loaded: _Source) -> Iterator[bytes]:
    """A line for each record: that in which it begins, a blank, and its text, whose line ends are other characters."""
    before, loaded.lines_are_told = 0, True
    for line, record in records:
        loaded.lines_are_told &= line > before
        before = line
        yield b"%d %b\n" % (line, record.replace(b"\n", _FEED.encode()).replace(b"\r", _RETURN.encode()))


def _room(layout: RecordLayout) -> str:
    return f", max_line_size = {MAX_LINE_BYTES + (1 << 20)}" if layout.has_long_lines else ""


def _path(within: Within) -> str:
    return "$" + "".join(f'."{name}"' for name in within)


def _containers(paths: Iterable[Within]) -> list[Within]:
    """The objects in which values are looked for, the record among them."""
    return [*dict.fromkeys(within[:depth] for within in paths for depth in range(len(within)))]


def _has_repeated(within: Within) -> str:
    """Whether a name stands twice in an object."""
    keys = f"TRY(json_keys(raw{f', {literal(_path(within))}' if within else ''}))"
    return f"coalesce(len({keys}) <> len(list_distinct({keys})), FALSE)"


def _changed(layout: RecordLayout, places: dict[Within, int]) -> Iterator[str]:
    """Whether a value is written otherwise: a number that is kept as text, a text that is kept in its quotes."""
    for name, paths in layout.positions.items():
        if layout.types[name] in {"text", "json"}:
            yield from (f"OR regexp_matches(found[{places[within]}], {literal(_FRACTION)})" for within in paths)
        if layout.types[name] == "json":
            yield from (f"OR coalesce(json_type(raw, {literal(_path(within))}) = 'VARCHAR', FALSE)" for within in paths)


def _joined(paths: Iterable[Within], places: dict[Within, int]) -> str:
    values = [f"found[{places[within]}]" for within in paths]
    return values[0] if len(values) == 1 else f"nullif(concat_ws(' ', {', '.join(f'trim({v})' for v in values)}), '')"


def _to_the_letter(line: int, raw: str, layout: RecordLayout) -> dict[str, object]:
    try:
        return {"line": line, "cells": cells_of(parsed(raw), layout.positions, layout.types)}
    except NoRecord as why:
        return {"line": line, "rule": why.rule, "reason": why.reason, "raw": raw}
