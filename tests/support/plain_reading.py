"""What a file must come to, by Python's csv module and the words of the contract alone; where they leave no doubt.

The feeds are the lending pipeline's customers and accounts, and `BRANCH`, whose columns are all texts.
"""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

BRANCH = {
    "feed": "branch",
    "files": ["branches*.csv"],
    "key": ["branch"],
    "delimiters": [",", ";", "\t", "|"],
    "columns": [
        {"name": "branch", "rules": ["not_null"]},
        {"name": "town", "aliases": ["City"]},
        {"name": "note"},
    ],
}
BLANKS = "".join(map(chr, (32, 160, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000)))
LINE_END = re.compile("\r\n|\r|\n")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_SPREADSHEET_BLANKS = str.maketrans("", "", " _\t\u00a0\ufeff")
Type = Callable[[str], Any]
Rows = dict[int, tuple[str, list[str] | None]]  # by line: the text, and the cells unless its quotes are malformed


class Unsound(ValueError):
    """A cell breaks a rule of its column."""


def _filled(cell: str) -> str:
    if not cell.strip(BLANKS):
        raise Unsound
    return cell.strip(BLANKS)


def _whole(cell: str) -> int:
    if not re.fullmatch(" *[+-]?[0-9]{1,19} *", cell) or not -(2**63) <= int(cell) < 2**63:
        raise Unsound
    return int(cell)


def _money(cell: str) -> Decimal:
    if (
        not re.fullmatch(r" *[+-]?([0-9]{1,16}(\.([0-9]{1,2}0*)?)?|\.[0-9]{1,2}0*) *", cell)
        or not 0 <= Decimal(cell) < 5 * 10**15
    ):
        raise Unsound
    return Decimal(cell)


def _one_of(**words: Any) -> Type:
    def typed(cell: str) -> Any:
        if _filled(cell).lower() not in words:
            raise Unsound
        return words[_filled(cell).lower()]

    return typed


def _text(cell: str) -> str | None:
    return cell.strip(BLANKS) or None


COLUMNS: dict[str, dict[str, Type]] = {
    "account": {
        "account_id": _whole,
        "customer_id": _whole,
        "balance": _money,
        "account_type": _one_of(savings="Savings", checking="Checking"),
    },
    "customer": {"customer_id": _whole, "customer_name": _text, "has_loan": _one_of(yes=True, no=False, none=False)},
    "branch": {"branch": _filled, "town": _text, "note": _text},
}
HEADERS = {
    "account": {
        "accountid": "account_id",
        "customerid": "customer_id",
        "balance": "balance",
        "accounttype": "account_type",
    },
    "customer": {
        "customerid": "customer_id",
        "name": "customer_name",
        "customername": "customer_name",
        "hasloan": "has_loan",
    },
    "branch": {"branch": "branch", "town": "town", "city": "town", "note": "note"},
}
DELIMITERS = {"account": ",;", "customer": ",;", "branch": ",;\t|"}
MAY_BE_EMPTY = {"customer_name", "town", "note"}


@dataclass(frozen=True)
class Reading:
    """The lines of a file's rows: accepted ones with their values, rejected ones, those that count as duplicates."""

    accepted: dict[int, tuple[Any, ...]]
    rejected: set[int]
    duplicate: set[int]

    @property
    def judged(self) -> int:
        return len(self.accepted) + len(self.rejected)


def text_of(content: bytes) -> str | None:
    """The file's text, or None where it is none."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if text and not _CONTROL.search(text) else None


def header_of(text: str, feed: str) -> tuple[str, list[str | None]] | None:
    """The separator, and the column that each cell of the header names; None where it does not name each once."""
    first = LINE_END.split(text.removeprefix("\ufeff"), maxsplit=1)[0]
    for delimiter in DELIMITERS[feed]:
        if _is_plain(first, delimiter):
            cells = next(csv.reader([first], delimiter=delimiter, strict=True), [])
            named = [HEADERS[feed].get(re.sub(r"[\s_\ufeff]+", "", cell).casefold()) for cell in cells]
            if sorted(filter(None, named)) == sorted(COLUMNS[feed]):
                last = max(place for place, cell in enumerate(cells) if cell.strip())
                return delimiter, [*named[: last + 1], *[""] * (len(cells) - last - 1)]
    return None


def read_plainly(text: str, feed: str) -> Reading | None:
    """What the rows of a text with a sound header come to; None where its quotes leave a doubt."""
    header = header_of(text, feed)
    if header is None:
        return None
    delimiter, named = header
    text = text.removeprefix("\ufeff")
    rows = (_rows_by_csv if _is_plain(text, delimiter) else _rows_by_line)(text, delimiter)
    return None if rows is None else _judged(rows, named, feed)


def _rows_by_csv(text: str, delimiter: str) -> Rows:
    lines = LINE_END.split(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: Rows = {}
    line = 1
    for cells in reader:
        raw = "\n".join(lines[line - 1 : reader.line_num])
        if line > 1 and raw.strip(BLANKS):
            rows[line] = raw, [LINE_END.sub("\n", cell) for cell in cells]
        line = reader.line_num + 1
    return rows


def _rows_by_line(text: str, delimiter: str) -> Rows | None:
    """The rows where no line ends in an open quote; quotes may have blanks around them."""
    quoted = ' *"(?:[^"]|"")*" *'
    cell = f'(?:{quoted}|(?! *")[^{re.escape(delimiter)}]*)'
    before = f"(?:{cell}{re.escape(delimiter)})*"
    rows: Rows = {}
    for line, raw in enumerate(LINE_END.split(text)[1:], 2):
        if not raw.strip(BLANKS):
            continue
        if re.fullmatch(before + cell, raw):
            cells = re.findall(f"({cell}){re.escape(delimiter)}", raw + delimiter)
            half_quoted = [cell for cell in cells if not cell.lstrip(" ").startswith('"') and cell.count('"') % 2]
            if any(re.search('"[^" ]', cell) for cell in half_quoted[:-1]):
                rows[line] = raw, None
                continue
            rows[line] = raw, [_unquoted(cell) if re.fullmatch(quoted, cell) else cell for cell in cells]
        elif re.fullmatch(before + ' *"(?:[^"]|"")*', raw):
            return None
        else:
            rows[line] = raw, None
    return rows


def _unquoted(cell: str) -> str:
    return cell.strip(" ")[1:-1].replace('""', '"')


def _is_plain(text: str, delimiter: str) -> bool:
    """Whether every quote opens a cell, closes one, or is doubled in one, right beside the separators."""
    plain = re.escape(delimiter)
    cell = f'(?:"(?:[^"]|"")*"|[^"\r\n{plain}]*)'
    return re.fullmatch(f"(?:{cell}(?:{plain}|\r\n|\r|\n))*{cell}", text) is not None


def _has_shape(cells: list[str], named: list[str | None]) -> bool:
    width = len([name for name in named if name != ""])
    if "".join(cells[width:]).strip(BLANKS):
        return False
    last = named[width - 1]
    filled = last is not None and last not in MAY_BE_EMPTY
    return len(cells) >= width if filled else len(cells) == len(named)


def _is_header(cells: dict[str, str], feed: str) -> bool:
    """Whether the cells name all columns, so that the row is a header, though its columns would take any text."""
    words = [cell.lower().translate(_SPREADSHEET_BLANKS) for cell in cells.values()]
    return feed == "branch" and {HEADERS[feed].get(word) for word in words} == {*COLUMNS[feed]}


def _values(cells: dict[str, str], feed: str) -> tuple[Any, ...]:
    if _is_header(cells, feed):
        raise Unsound
    return tuple(typed(cells[name]) for name, typed in COLUMNS[feed].items())


def _judged(rows: Rows, named: list[str | None], feed: str) -> Reading:
    found = Reading({}, set(), set())
    seen: set[Any] = set()
    alike: dict[Any, dict[tuple[Any, ...], list[int]]] = defaultdict(lambda: defaultdict(list))
    for line, (raw, cells) in rows.items():
        if cells is None or not _has_shape(cells, named):
            (found.duplicate if raw in seen else found.rejected).add(line)
            seen.add(raw)
            continue
        texts = {name: cells[named.index(name)] for name in COLUMNS[feed]}
        try:
            values = _values(texts, feed)
        except Unsound:
            as_received = tuple(cells[named.index(name)] for name in COLUMNS[feed])
            (found.duplicate if as_received in seen else found.rejected).add(line)
            seen.add(as_received)
        else:
            alike[values[0]][values].append(line)
    for spellings in alike.values():
        for values, lines in spellings.items():
            found.duplicate.update(lines[1:])
            if len(spellings) == 1:
                found.accepted[lines[0]] = values
            else:
                found.rejected.add(lines[0])
    return found
