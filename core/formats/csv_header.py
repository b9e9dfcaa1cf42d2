"""The header of a delimited file: which of the contract's columns stands where, or why that cannot be told."""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from dropledger.core.contracts.contract import Column, Contract, Delimiter, Severity, normalise_header
from dropledger.core.errors import DataRefused
from dropledger.core.formats import damaged_header
from dropledger.core.ports.session import Place

_LINE_END = re.compile(r"\r\n|\r|\n")
_LOOKED_THROUGH = 100  # lines in which a header that is not in its place is looked for
_LONGEST = 10_000  # characters of a line that may be such a header
_SHOWN = 60
_MOST_NAMED = 20
_DELIMITERS = {
    ",": "commas",
    ";": "semicolons",
    "\t": "tabs",
    "|": "vertical bars",
    ":": "colons",
    "^": "circumflexes",
    "~": "tildes",
    " ": "blanks",
}
_CONTRACTS_MAY_LIST = frozenset(get_args(Delimiter))


@dataclass(frozen=True, slots=True)
class Header:
    """Where the contract's columns stand; see `dropledger.core.ports.session.Layout` for what the fields mean.

    `unexpected` are the names that are neither a column's nor ignored, as people may be shown them.
    """

    delimiter: str
    width: int
    row_cells: int | None
    positions: Mapping[str, Place | None]
    unexpected: tuple[str, ...]


def read_header(beginning: str, contract: Contract) -> Header:
    """The header by the first line of a file, whose text begins like this.

    Raises:
        DataRefused: it lacks a column or has one twice, is no header, or stands elsewhere; or it leaves a doubt about
            which column is which.
    """
    lines = _LINE_END.split(beginning, maxsplit=_LOOKED_THROUGH)[:_LOOKED_THROUGH]
    delimiter = max(contract.delimiters, key=lambda delimiter: len(_places(lines[0], delimiter, contract)))
    places = _places(lines[0], delimiter, contract)
    cells = _cells(lines[0], delimiter, contract)
    if _lacking(places, contract) or not places:
        _refuse(lines, delimiter, places, contract)
    repeated = next((name for name, found in places.items() if len(found) > 1), None)
    if repeated is not None:
        raise DataRefused(
            "repeated_column",
            f"the header names the column {repeated} twice",
            hint="leave one of the two in the file",
        )
    width = max(place + 1 for place, cell in enumerate(cells) if cell.strip())
    last = next((contract.column(name) for name, found in places.items() if found[0] == width - 1), None)
    # Where the last cell may be empty, a row with an empty one too many may as well be one whose cells have moved.
    row_cells = None if last is not None and _is_filled(last, contract) else len(cells)
    known = {place for found in places.values() for each in found for place in _each(each)}
    unexpected = tuple(
        cell.strip()[:_SHOWN] or f"column {place + 1} (it has no name)"
        for place, cell in enumerate(cells[:width])
        if place not in known and not contract.ignores(cell)
    )
    _refuse_in_doubt(cells[:width], delimiter, lines[1:], places, unexpected, contract)
    return Header(
        delimiter,
        width,
        row_cells,
        {column.name: places[column.name][0] if column.name in places else None for column in contract.columns},
        unexpected,
    )


def columns_in_order(beginning: str, contract: Contract) -> Header:
    """What stands where in a file without a header, whose text begins like this: the contract's columns, in its order.

    Raises:
        DataRefused: the first line has not so many cells, or is a header after all.
    """
    line = _LINE_END.split(beginning, maxsplit=1)[0]
    if any(_is_header(line, delimiter, contract) for delimiter in contract.delimiters):
        raise DataRefused(
            "unexpected_header",
            "the first line is a header; the contract says header: none",
            hint="leave header: none out of the contract, or export the file without its header",
        )
    width = len(contract.columns)
    seen = {delimiter: len(_cells(line, delimiter, contract)) for delimiter in contract.delimiters}
    delimiter = next((delimiter for delimiter, count in seen.items() if count == width), None)
    if delimiter is None:
        raise DataRefused(
            "missing_column",
            f"the first line has {max(seen.values())} cells, and the contract lists {width} columns (header: none)",
            detail=_begins_with(line),
            hint="list the columns in the contract in their order, each that the file has; "
            f"cells are separated by {' or '.join(_DELIMITERS[other] for other in contract.delimiters)}",
        )
    row_cells = None if _is_filled(contract.columns[-1], contract) else width
    return Header(delimiter, width, row_cells, {c.name: place for place, c in enumerate(contract.columns)}, ())


def header_place(beginning: str, contract: Contract) -> int | None:
    """The 0-based place of the first line that is a header; None where there is none among so much of a text."""
    lines = enumerate(_LINE_END.split(beginning))
    return next(
        (place for place, line in lines if any(_is_header(line, other, contract) for other in contract.delimiters)),
        None,
    )


def _refuse_in_doubt(
    names: Sequence[str],
    delimiter: str,
    lines: Sequence[str],
    places: Mapping[str, object],
    unexpected: Sequence[str],
    contract: Contract,
) -> None:
    """Refuse a header that names all that it must, where a column may still be another than it seems."""
    unnamed = sum(not name.strip() for name in names)
    if (
        unnamed
        and damaged_header.cells_of_rows(_cells(line, delimiter, contract) for line in lines) == len(names) - unnamed
    ):
        raise DataRefused(
            "malformed_header",
            f"the header has {damaged_header.names_over_rows(names, len(names) - unnamed)}",
            hint="export the file with a name for each column, and no separator more",
        )
    absent = [_shown(column) for column in contract.columns if column.name not in places]
    if absent and unexpected:
        raise DataRefused(
            "unknown_column",
            f"{', '.join(unexpected[:_MOST_NAMED])} {'is' if len(unexpected) == 1 else 'are'} not known, "
            f"and {', '.join(absent)} {'is' if len(absent) == 1 else 'are'} missing",
            hint="name one as an alias of the other in the contract; or list under ignore what is not wanted",
        )


def _cells(line: str, delimiter: str, contract: Contract) -> list[str]:
    """The line's cells; none where its quotes do not hold together, as where a quoted cell goes on in the next line."""
    quote = contract.quote_mark
    if not quote or quote not in line:
        return line.split(delimiter)
    try:
        read = csv.reader(
            [line],
            delimiter=delimiter,
            quotechar=quote,
            escapechar=contract.escape,
            skipinitialspace=True,
            strict=True,
        )
        return next(read, [])
    except csv.Error:
        return []


def _places(line: str, delimiter: str, contract: Contract) -> dict[str, list[Place]]:
    """The columns that a line names, each with its places."""
    meant = {header: column.name for column in contract.columns for header in column.headers}
    found: dict[str, list[Place]] = {}
    headers = [normalise_header(cell) for cell in _cells(line, delimiter, contract)]
    for place, header in enumerate(headers):
        name = meant.get(header)
        if name is not None:
            found.setdefault(name, []).append(place)
    for column in contract.columns:
        if column.joined and set(column.parts) <= set(headers):
            places = tuple(headers.index(part) for part in column.parts)
            found[column.name] = [places] * max(headers.count(part) for part in column.parts)
    return found


def _each(place: Place) -> tuple[int, ...]:
    return place if isinstance(place, tuple) else (place,)


def _lacking(places: Mapping[str, object], contract: Contract) -> list[Column]:
    return [column for column in contract.columns if column.name not in places and not column.may_lack]


def _is_header(line: str, delimiter: str, contract: Contract) -> bool:
    places = _places(line, delimiter, contract) if len(line) <= _LONGEST else {}
    return bool(places) and not _lacking(places, contract)


def _is_filled(column: Column, contract: Contract) -> bool:
    """Whether the column's cell is filled in every sound row."""
    if contract.operation is not None and column.name not in {*contract.key, contract.operation.column}:
        return False  # a deletion names the key alone
    if column.may_lack:
        return False
    time_of_fact = contract.brings_facts and column.name == contract.effective_column
    return time_of_fact or any(rule.rule == "not_null" and rule.severity == Severity.ERROR for rule in column.rules)


def _refuse(lines: Sequence[str], delimiter: str, places: Mapping[str, object], contract: Contract) -> None:
    """Say why the first line is not the header that the contract asks for."""
    _refuse_json(lines[0])
    for other in _DELIMITERS:
        if other not in contract.delimiters and _is_header(lines[0], other, contract):
            raise _unknown_delimiter(other, contract)
    for number, line in enumerate(lines[1:], 2):
        if any(_is_header(line, other, contract) for other in {*contract.delimiters, *_CONTRACTS_MAY_LIST}):
            raise DataRefused(
                "header_not_first",
                f"the header stands in line {number}, not in the first",
                detail=_begins_with(next((before for before in lines[: number - 1] if before.strip()), "")),
                hint=f"declare preamble: {{lines: {number - 1}}}, or {{until_header: true}}, in the contract if these "
                "lines may be skipped; else let the file begin with the header",
            )
    wanted = (
        f"the header must be {contract.delimiters[0].join(map(_shown, contract.columns))} in any order, "
        "spelled with or without spaces and underscores"
    )
    _refuse_odd_quotes(lines[0], delimiter, contract, wanted)
    cells = _cells(lines[0], delimiter, contract)
    joined = damaged_header.joined(cells, contract)
    if not places and not joined:
        raise DataRefused(
            "no_header",
            "the first line names none of the columns, so it is no header",
            detail=_begins_with(lines[0]),
            hint=f"export the file with its header, since the order of columns is not guessed; {wanted}",
        )
    missing = ", ".join(_shown(column) for column in _lacking(places, contract))
    of_rows = damaged_header.cells_of_rows(_cells(line, delimiter, contract) for line in lines[1:])
    seen = [f"two names joined: {name}" for name in joined]
    if of_rows not in {None, len(cells)}:
        seen.append(damaged_header.names_over_rows(cells, of_rows))
    has = f"; it has {', and '.join(seen)}" if seen else ""
    raise DataRefused("missing_column", f"the header lacks {missing}{has}", hint=wanted)


def _refuse_json(line: str) -> None:
    if re.match(r'\s*(\[\s*$|\[?\s*\{\s*("|$|\}))', line):
        form = "json" if line.lstrip()[0] == "[" else "ndjson"
        raise DataRefused(
            "other_format",
            "the file is JSON; the contract says csv",
            detail=_begins_with(line),
            hint=f"declare format: {form} in the contract, or export the table as CSV",
        )


def _refuse_odd_quotes(line: str, delimiter: str, contract: Contract, wanted: str) -> None:
    """Refuse a line whose names stand in quotes that do not hold together, or in what is no quote."""
    if contract.quote_mark and contract.quote_mark in line and not _cells(line, delimiter, contract):
        raise DataRefused(
            "malformed_header",
            "the header has a quote that is not closed in its line, or text behind one that is",
            detail=_begins_with(line),
            hint=f"write the header in one line; {wanted}",
        )
    for other in contract.delimiters:
        wrapped = damaged_header.wrapped_in(_cells(line, other, contract), contract)
        if wrapped is not None:
            raise DataRefused(
                "malformed_header",
                f"the names stand in {wrapped}, which are no quotes here",
                detail=_begins_with(line),
                hint=f'write names and cells in double quotes ("), or in none; {wanted}',
            )


def _shown(column: Column) -> str:
    """A column by the name that people know it by."""
    return " and ".join(column.joined) or (column.aliases[0] if column.aliases else column.name)


def _begins_with(line: str) -> str:
    """What a file has in the place of its header; that may be a row, so it goes into a refusal's detail alone."""
    return f"it begins with '{line.strip()[:_SHOWN]}'" if line.strip() else "it begins with blank lines"


def _unknown_delimiter(delimiter: str, contract: Contract) -> DataRefused:
    known = " or ".join(_DELIMITERS[other] for other in contract.delimiters)
    listed = ", or list this separator under delimiters in the contract" if delimiter in _CONTRACTS_MAY_LIST else ""
    return DataRefused(
        "unknown_delimiter",
        f"the cells are separated by {_DELIMITERS[delimiter]}, and the contract asks for {known}",
        hint=f"export the file with {known}{listed}",
    )
