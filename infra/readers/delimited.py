"""How DuckDB reads a delimited file: at once where each line is a row, record by record where any is odd."""

import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dropledger.core.errors import DataRefused
from dropledger.core.formats.text_scan import MAX_LINE_BYTES
from dropledger.core.ports.session import Layout, Parameters, Place
from dropledger.core.sql.text import literal, quoted
from dropledger.infra.readers.scratchpad import Scratchpad, text_of

_MAX_LINE_BYTES = MAX_LINE_BYTES + (1 << 20)


def _columns(layout: Layout, cell: str) -> str:
    """The contract's columns, each by the `cell` at its place; NULL for those that the file lacks."""
    return ",\n    ".join(f"{_cell(place, cell)} AS {quoted(name)}" for name, place in layout.positions.items())


def _cell(place: Place | None, cell: str) -> str:
    if isinstance(place, tuple):
        return f"concat_ws(' ', {', '.join(f'trim({cell.format(place=each)})' for each in place)})"
    return "CAST(NULL AS VARCHAR)" if place is None else cell.format(place=place)


def _read_line_per_row(layout: Layout, paths: str, options: str = "", *, ignore_errors: bool = True) -> str:
    """The cells, from c0 on, of files in which each line is a row; their lines are known once they are in a table."""
    columns = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(layout.width))
    return text_of("read_line_per_row").substitute(
        paths=paths,
        columns=f"{{{columns}}}",
        skip=int(layout.has_header),
        delimiter=literal(layout.delimiter),
        quote=literal(layout.quote),
        ignore_errors=str(ignore_errors).upper(),
        options=options,
    )


def _path(path: Path) -> str:
    return literal(str(path))


def _part(chunks: Iterable[bytes], layout: Layout) -> Iterator[bytes]:
    """What lies between the bytes at which the layout's text begins and ends."""
    at = 0
    for chunk in chunks:
        begin = max(layout.begin - at, 0)
        end = len(chunk) if layout.end is None else max(layout.end - at, 0)
        at += len(chunk)
        if part := chunk[begin:end]:
            yield part


def with_line_feeds(source: Path, target: Path) -> None:
    """Copy a text file, all its lines ended by line feeds."""
    with (
        source.open(encoding="utf-8-sig", newline=None) as lines,
        target.open("w", encoding="utf-8", newline="") as plain,
    ):
        shutil.copyfileobj(lines, plain, 1 << 20)


def _is_comment(line: str, layout: Layout) -> str:
    """Whether a line is passed over, unless a quoted cell spans it."""
    return f"starts_with({line}, {literal(layout.comment)})" if layout.comment else "FALSE"


def _fragments(layout: Layout) -> dict[str, object]:
    """What the statements that take records apart are filled in with."""
    delimiter = f"[{layout.delimiter}]"
    # No text holds the character that stands for quotes where there are none.
    quote = layout.quote or "\x1f"
    inside = f"(?:[^{quote}]|{quote}{quote})*"
    cut = ""
    text = f"replace(%s, {literal(quote * 2)}, {literal(quote)})"
    if layout.escape:
        escape = re.escape(layout.escape)
        inside = f"(?:[^{quote}{escape}]|(?s:{escape}.)|{quote}{quote})*"
        cut = f"{escape}?"  # what it escapes may stand in the next line
        escaped, letter = literal(f"(?s){escape}(.)|{quote}({quote})"), literal(r"\1\2")
        text = f"regexp_replace(%s, {escaped}, {letter}, 'g')"
    cell = f"(?: *{quote}{inside}{quote} *| *[^{quote} {layout.delimiter}][^{layout.delimiter}]*| *)"
    opened = f"{delimiter} *{quote}{inside}{cut}"
    return {
        "quote": literal(quote),
        "is_comment": _is_comment("text", layout),
        "opens_within": literal(f"{quote}[^{quote} ]"),
        "unquoted": text % "substr(trim(cell, ' '), 2, length(trim(cell, ' ')) - 2)",
        "rows_begin": layout.first_row_line,
        "opens": literal(f"(?:{cell}{delimiter})* *{quote}{inside}{cut}"),
        "stays": literal(f"{inside}{cut}|{inside}{quote} *(?:{delimiter}{cell})*{opened}"),
        "record": literal(f"(?:{cell}{delimiter})*{cell}"),
        "cell_with_delimiter": literal(f"({cell}){delimiter}"),
        "delimiter": literal(layout.delimiter),
        "width": layout.width,
        "shape": f"(len(cells) {f'>= {layout.width}' if layout.row_cells is None else f'= {layout.row_cells}'} "
        f"AND trim(array_to_string(cells[{layout.width} + 1:], '')) = '')",
    }


@dataclass
class _Source:
    """A file that was loaded. `line_per_row` is whether each line may be a row, which is known once it was `read`;
    `records` whether scratch `<source>_record` has its records with their lines.
    """

    path: Path
    layout: Layout
    drop_id: str
    line_per_row: bool
    read: bool = False
    records: bool = False


class DelimitedFiles:
    """The delimited files that a session has loaded, each by the name of its source."""

    def __init__(self, pad: Scratchpad) -> None:
        self._pad = pad
        self._engine = pad.engine
        self._sources: dict[str, _Source] = {}

    def load(self, path: Path, layout: Layout, source: str, drop_id: str) -> None:
        """Make the file's cells readable as the view `source`; what reads them is `select`."""
        self._engine(
            f"CREATE OR REPLACE TEMP TABLE {quoted(f'{source}_malformed')} "
            "(_line BIGINT, rule VARCHAR, reason VARCHAR, raw VARCHAR)"
        )
        # Lines that end in different ways make the engine raise, which would abort the transaction; and it joins
        # two quoted texts in one cell, takes quotes behind several blanks for text, and lets unnamed cells pass: all
        # versions that are admitted alike, 1.5.6 and 2.0.1 included.
        plain = self._plain(path, layout, source)
        loaded = _Source(plain, layout, drop_id, layout.line_per_row, layout.each_line_is_a_row)
        self._sources[source] = loaded
        if loaded.line_per_row:
            read = _read_line_per_row(layout, _path(loaded.path))
            self._pad.view(source, f"SELECT CAST(NULL AS BIGINT) AS _line, {_columns(layout, 'c{place}')} FROM {read}")

    def load_together(self, files: Sequence[tuple[Path, Layout]], source: str) -> None:
        """Read files in which each line is a row into scratch `source`, and leave out those in which one is not."""
        shapes: dict[tuple[object, ...], list[int]] = {}
        for place, (_, layout) in enumerate(files):
            shapes.setdefault((layout.delimiter, layout.width, *layout.positions.items()), []).append(place)
        for number, places in enumerate(shapes.values()):
            layout, read = files[places[0]][1], quoted(f"{source}_read")
            paths = [str(self._plain(*files[place], f"{source}_{place}")) for place in places]
            line_per_row = _read_line_per_row(layout, "$paths", ", filename = TRUE")
            with self._pad.in_order_of_the_file():
                self._engine(f"CREATE OR REPLACE TEMP TABLE {read} AS\nSELECT * FROM {line_per_row}", {"paths": paths})
            into = f"INSERT INTO {quoted(source)}" if number else f"CREATE OR REPLACE TEMP TABLE {quoted(source)} AS"
            rows = text_of("together").substitute(cells=_columns(layout, "c{place}"), read=read)
            lines = [files[place][1].physical_lines for place in places]
            self._engine(f"{into}\n{rows}", {"files": places, "paths": paths, "lines": lines})

    def _plain(self, path: Path, layout: Layout, source: str) -> Path:
        """The file, or what it is rewritten to."""
        if layout.is_whole_file:
            self._pad.forget(source)
            return path
        from dropledger.core.formats.text_part import text_in  # which few files need

        # The engine's own unpacking would keep it to one thread, at each of several readings.
        return self._pad.rewritten(path, _part(text_in(path, layout.compression, layout.encoding), layout), source)

    def select(self, source: str, into: str, select: str, parameters: Parameters) -> int:
        """Put the select over the rows of `source` in the view `into`; the number of rows read."""
        loaded = self._sources[source]
        loaded.read = True
        table = quoted(f"{into}_selected")
        if loaded.line_per_row:
            # An error would abort the transaction, so what cannot be read is skipped, and the count tells: where
            # each line is a row, none was.
            with self._pad.in_order_of_the_file():
                rows = self._pad.count(f"CREATE OR REPLACE TEMP TABLE {table} AS\n{select}", parameters)
            if rows == loaded.layout.physical_rows and not self._has_cells_too_many(loaded):
                # Numbering the rows while they are read would keep the engine to one thread; the table keeps them
                # in the order of the file.
                line = self._line_by_place(table, loaded.layout)
                self._pad.view(into, f"SELECT * REPLACE ({line} AS _line) FROM {table}")
                return rows
            loaded.line_per_row = False
        if not loaded.records:
            self._take_apart(source)
        self._pad.count(f"CREATE OR REPLACE TEMP TABLE {table} AS\n{select}", parameters)
        self._pad.view(into, f"SELECT * FROM {table}")
        counts = f"(SELECT count(*) FROM {table}) + (SELECT count(*) FROM {quoted(f'{source}_malformed')})"
        return int(self._pad.value(f"SELECT {counts}"))

    def with_lines(self, source: str) -> None:
        """Make the view `source` tell the line of each row, for who has to read the file's text again."""
        loaded = self._read(source)
        if loaded.records:
            return
        if loaded.line_per_row:
            table = quoted(f"{source}_line")
            with self._pad.in_order_of_the_file():
                self._engine(f"CREATE OR REPLACE TEMP TABLE {table} AS\n{self._lines(loaded)}")
            line = self._line_by_place(table, loaded.layout)
            self._pad.view(f"{source}_record", f"SELECT {line} AS _line, coalesce(raw, '') AS raw FROM {table}")
            loaded.records = True
            self._pad.view(source, self._cells(loaded.layout, f"SELECT * FROM {quoted(f'{source}_record')}"))
        else:
            self._take_apart(source)

    def raw(self, source: str, lines: str, into: str) -> None:
        """Put the text of the rows of `source` that `lines` names in scratch `into`."""
        self.with_lines(source)
        wanted = f"WHERE _line IN (SELECT _line FROM {quoted(lines)})"
        # Lines that a stray quote swallows are no records of their own, and alike in both where they are.
        self._engine(
            f"""CREATE OR REPLACE TEMP TABLE {quoted(into)} AS
            SELECT _line, raw FROM {quoted(f"{source}_record")} {wanted}
            UNION
            SELECT _line, raw FROM {quoted(f"{source}_malformed")} {wanted}"""
        )

    def keep(self, source: str, name: str, left_out: str | None, archived: str | None) -> None:
        """Show the rows of `source` as the view `name`: read from where `archived` says that the file lies, or kept.

        They are kept as the lines that they came in, in the table `received_<name>`, where the file is rewritten to be
        read, some line of it is no row, or rows are left out.
        """
        loaded, received = self._read(source), quoted(f"received_{name}")
        if archived is not None and left_out is None and not loaded.records and loaded.layout.is_whole_file:
            self._show(loaded, name, archived)
            self._engine(f"DROP TABLE IF EXISTS {received}")
            return
        if left_out is not None:
            self.with_lines(source)
        if loaded.records:
            accepted = f"_line NOT IN (SELECT _line FROM {quoted(left_out)})" if left_out is not None else "TRUE"
            record = quoted(f"{source}_record")
            records = f"SELECT _line, raw, {accepted} AS _accepted FROM {record} ORDER BY _line"
        else:
            records = f"SELECT CAST(NULL AS BIGINT) AS _line, raw, TRUE AS _accepted FROM ({self._lines(loaded)})"
        # These rows are replaced by the feed's next drop: looking for their best compression costs more than it saves.
        columns = "_line BIGINT, raw VARCHAR USING COMPRESSION uncompressed, _accepted BOOLEAN"
        self._engine(f"CREATE OR REPLACE TABLE {received} ({columns})")
        with self._pad.in_order_of_the_file():
            self._engine(f"INSERT INTO {received}\n{records}")
        numbered = (
            "SELECT coalesce(r._line, r.rowid - first_row.place + "
            f"{loaded.layout.first_row_line}) AS _line, coalesce(r.raw, '') AS raw, r._accepted "
            f"FROM {received} AS r CROSS JOIN (SELECT min(rowid) AS place FROM {received}) AS first_row"
        )
        self._engine(
            f"""CREATE OR REPLACE VIEW {quoted(name)} AS
            SELECT {literal(loaded.drop_id)} AS _drop_id, *
            FROM ({self._cells(loaded.layout, numbered, "_accepted")}) AS cell"""
        )

    def _show(self, loaded: _Source, name: str, archived: str) -> None:
        """Let the view read the file in place; should it have been changed, what is no row is told, not skipped."""
        columns = _columns(loaded.layout, "c{place}")
        line = f"row_number() OVER () + {loaded.layout.first_row_line - 1}"
        # A window without an order numbers the rows as they are read, which keeps the engine to one thread, so that
        # they come in the order of the file whatever the setting of the client is.
        self._engine(
            f"""CREATE OR REPLACE VIEW {quoted(name)} AS
            SELECT {literal(loaded.drop_id)} AS _drop_id, {line} AS _line, {columns},
                TRUE AS _accepted
            FROM {_read_line_per_row(loaded.layout, archived, ignore_errors=False)}"""
        )

    def _read(self, source: str) -> _Source:
        """The source, once it is known how it can be read."""
        if not self._sources[source].read:
            self.select(source, f"{source}_all_rows", f"SELECT * FROM {quoted(source)}", {})
        return self._sources[source]

    def _take_apart(self, source: str) -> None:
        """Read a file that may have rows of several lines or of another shape than its header."""
        loaded = self._sources[source]
        fragments = _fragments(loaded.layout)
        with self._pad.passing_file() as plain, self._pad.in_order_of_the_file():
            # The engine takes the first line end that it meets for all; with one kind there is nothing to mistake.
            with_line_feeds(loaded.path, plain)
            self._engine(
                text_of("numbered_lines").substitute(
                    before=loaded.layout.lines_before,
                    lines=text_of("lines").substitute(
                        path=_path(plain), skip=0, options=f", max_line_size = {_MAX_LINE_BYTES}"
                    ),
                )
            )
        record, split = quoted(f"{source}_record"), quoted(f"{source}_split")
        self._engine(f"DROP VIEW IF EXISTS {record}")
        self._engine(text_of("records").substitute(fragments, into=quoted(f"{source}_unchecked")))
        unclosed = self._pad.value(f"SELECT min(_line) FROM {quoted(f'{source}_unchecked')} WHERE unclosed")
        if unclosed is not None:
            raise DataRefused(
                "unbalanced_quotes",
                f"a quote that opens in line {unclosed} is never closed, so the rows behind it cannot be told apart",
                hint="close the quote, or double it if it belongs to the text, and drop the file again",
            )
        self._pad.view(f"{source}_record", f"SELECT _line, raw FROM {quoted(f'{source}_unchecked')}")
        loaded.records, loaded.line_per_row = True, False
        cells = text_of("split").substitute(fragments, records=f"SELECT * FROM {record}")
        self._engine(f"CREATE OR REPLACE TEMP TABLE {split} AS\n{cells}")
        malformed = quoted(f"{source}_malformed")
        self._engine(text_of("malformed").substitute(fragments, into=malformed, split=split))
        comment = _is_comment("raw", loaded.layout)
        lines = text_of("lines_within").substitute(malformed=malformed, is_comment=comment)
        within = text_of("split").substitute(fragments, records=lines)
        self._engine(text_of("swallowed").substitute(fragments, into=malformed, split=within))
        self._pad.view(source, self._shaped(loaded.layout, f"SELECT * FROM {split}"))

    def _cells(self, layout: Layout, records: str, *others: str) -> str:
        """The cells of records that are given with their lines, and other columns of theirs."""
        return self._shaped(layout, text_of("split").substitute(_fragments(layout), records=records), *others)

    def _shaped(self, layout: Layout, split: str, *others: str) -> str:
        cells = ",\n    ".join([_columns(layout, "nullif(cells[{place} + 1], '')"), *others])
        return text_of("cells").substitute(_fragments(layout), cells=cells, split=split)

    def _has_cells_too_many(self, loaded: _Source) -> bool:
        """Whether a row may have empty cells behind those of the header, which the engine lets pass, and must not."""
        if loaded.layout.row_cells is None:
            return False
        delimiter = literal(loaded.layout.delimiter)
        lines = f"SELECT coalesce(raw, '') AS line FROM ({self._lines(loaded)})"
        empty_cell = literal(loaded.layout.quote * 2 or loaded.layout.delimiter)
        return bool(
            self._pad.value(
                f"""SELECT count(*) FROM ({lines})
                WHERE (ends_with(line, {delimiter}) OR ends_with(line, {empty_cell}))
                    AND len(line) - len(replace(line, {delimiter}, '')) >= {loaded.layout.row_cells}"""
            )
        )

    def _lines(self, loaded: _Source) -> str:
        """The lines behind the header, of a file in which each line is a row."""
        return text_of("lines").substitute(path=_path(loaded.path), skip=int(loaded.layout.has_header), options="")

    def _line_by_place(self, table: str, layout: Layout) -> str:
        """A row's line in the file, by its place in a table that was filled in the order of the file."""
        first = self._pad.value(f"SELECT min(rowid) FROM {table}")
        return f"rowid - {first or 0} + {layout.first_row_line}"
