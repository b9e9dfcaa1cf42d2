"""How a delimited file is written: encoding, separator, quotes, and the lines that are no rows."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from dropledger.core.compression import Compression, unpacked
from dropledger.core.contracts.contract import Delimiter
from dropledger.core.errors import DataRefused
from dropledger.core.formats.encoding import marked_encoding
from dropledger.core.formats.text_part import text_in

_LOOKED_AT = 1 << 20
_TAIL = 1 << 15
_MOST_LINES = 500
_CHUNK = 1 << 20
_HIGH = frozenset(range(0x80, 0xA0))
_QUOTES = ('"', "'", "")
_VALUE = re.compile(r"[^\w]*[0-9][0-9\W]*")
_WORD = re.compile(r"[A-Za-z_]+")
_ENDS = re.compile(r"(trailer|trl|tr|end|eof|totals?|sum|footer|ftr|count|records)\b", re.IGNORECASE)
Row = tuple[int, list[str]]
"""The number of lines that a row and those before it take, and its cells."""


@dataclass(frozen=True, slots=True)
class TextForm:
    """How a text is written. `preamble` is how many lines stand before the header, or where there is none (`names` is
    None) before the rows; `trailer` the pattern and the cells of a last line that is no row.
    """

    encoding: str
    encoding_why: str
    delimiter: str
    quote: str
    escape: bool
    width: int
    preamble: int
    names: tuple[str, ...] | None
    trailer: tuple[str, tuple[str, ...]] | None


def text_form(path: Path, compression: Compression | None) -> TextForm:
    """How a file is written.

    Raises:
        DataRefused: it is empty, or no text in an encoding that can be told.
    """
    encoding, why = _encoding(path, compression)
    beginning, tail = _ends(path, compression, encoding)
    if not beginning.strip():
        raise DataRefused("empty_file", "the file is empty", hint="export it again; an extract has at least a header")
    delimiter, quote, escape, rows = _separated(beginning)
    width = _width(rows)
    first = _first_row(rows, width)
    preamble = rows[first - 1][0] if first else 0
    cells = rows[first][1]
    names = tuple(cell.strip() for cell in cells[:width]) if _is_header(cells[:width]) else None
    body = rows[first + (names is not None) :]
    trailer = _trailer(tail, delimiter, quote, width, body)
    return TextForm(encoding, why, delimiter, quote, escape, width, preamble, names, trailer)


def _encoding(path: Path, compression: Compression | None) -> tuple[str, str]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_utf8, seen, beginning = True, set[int](), b""
    for chunk in _bytes(path, compression):
        beginning = beginning or chunk
        if is_utf8:
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError:
                is_utf8 = False
        if not chunk.isascii():
            seen.update(_HIGH.intersection(chunk))
    marked = marked_encoding(beginning)
    if marked is not None and marked != "utf-8":
        return marked, "the file begins with its byte order mark"
    if beginning[:_TAIL].count(0) * 5 > len(beginning[:_TAIL]):
        wide = "utf-16-le" if beginning[1:_TAIL:2].count(0) > beginning[0:_TAIL:2].count(0) else "utf-16-be"
        return wide, "every other byte is NUL, and there is no byte order mark"
    if is_utf8 and not decoder.getstate()[0]:
        return "utf-8", ""
    if seen & {0x81, 0x8D, 0x8F, 0x90, 0x9D}:
        raise DataRefused(
            "not_utf8",
            "the file is text in an encoding that cannot be told",
            hint="export it as UTF-8; or write its contract by hand, with the encoding that it has",
        )
    if seen:
        return "windows-1252", "no UTF-8, and bytes from 80 to 9F, which are the euro sign and curly quotes there"
    return "windows-1252", "no UTF-8; iso-8859-1 and iso-8859-15 read almost all letters alike"


def _bytes(path: Path, compression: Compression | None) -> Iterator[bytes]:
    if compression is not None:
        yield from unpacked(path, compression)
        return
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _ends(path: Path, compression: Compression | None, encoding: str) -> tuple[str, str]:
    """How a text begins, in whole lines, and how it ends."""
    beginning, tail, whole = b"", b"", True
    for chunk in text_in(path, compression, encoding):
        if len(beginning) < _LOOKED_AT:
            beginning += chunk
        tail = (tail + chunk)[-_TAIL:]
    if len(beginning) > _LOOKED_AT:
        beginning, whole = beginning[:_LOOKED_AT], False
    text = beginning.decode("utf-8", "ignore").removeprefix("\ufeff")
    return text if whole else text[: text.rfind("\n") + 1] or text, tail.decode("utf-8", "ignore")


def _separated(text: str) -> tuple[str, str, bool, list[Row]]:
    """Separator, quote, whether a backslash escapes, and the first rows that come of them."""
    found = []
    for quote in _QUOTES:
        if quote and not re.search(rf"(^|[,;|\t]) *{quote}", text, re.MULTILINE):
            continue
        escape = bool(quote) and f"\\{quote}" in text
        for delimiter in get_args(Delimiter):
            rows = _rows(text, delimiter, quote, escape=escape)
            counts = Counter(len(cells) for _, cells in rows if cells)
            width, fits = max(counts.items(), key=lambda item: (item[1] if item[0] > 1 else 0, item[0]), default=(0, 0))
            if width > 1 and fits:
                found.append((fits / sum(counts.values()), bool(quote), width, delimiter, quote, escape, rows))
    if found:
        _, _, _, delimiter, quote, escape, rows = max(found, key=lambda one: (round(one[0], 1), one[1], one[2]))
        return delimiter, quote or _usual_quote(text), escape, rows
    quote = '"' if re.search('^"', text, re.MULTILINE) else _usual_quote(text)
    return ",", quote, False, _rows(text, ",", quote, escape=False)


def _usual_quote(text: str) -> str:
    """What cells are quoted by where nothing shows it: nothing, where quotes stand within texts."""
    return "" if '"' in text else '"'


def _rows(text: str, delimiter: str, quote: str, *, escape: bool) -> list[Row]:
    """The first rows; none where quotes do not hold together."""
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quotechar=quote or None,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        escapechar="\\" if escape else None,
        skipinitialspace=True,
        strict=True,
    )
    rows: list[Row] = []
    try:
        for cells in reader:
            rows.append((reader.line_num, [] if not any(cell.strip() for cell in cells) else cells))
            if len(rows) == _MOST_LINES:
                break
    except csv.Error:
        return []
    return rows


def _width(rows: list[Row]) -> int:
    """How many cells a row has; the last ones do not count where they are empty in all rows."""
    counts = Counter(len(cells) for _, cells in rows if cells)
    width = max(counts.items(), key=lambda item: (item[1], item[0]))[0]
    while width > 1 and not any(cells[width - 1].strip() for _, cells in rows if len(cells) >= width):
        width -= 1
    return width


def _first_row(rows: list[Row], width: int) -> int:
    """The place of the first row that is the header, or one below it: lines before it are of few filled cells."""
    wide = [place for place, (_, cells) in enumerate(rows) if len(cells) >= width]
    filled = {place: sum(bool(cell.strip()) for cell in rows[place][1][:width]) for place in wide}
    if filled[wide[0]] * 2 > width:
        return wide[0]
    return next((place for place in wide if filled[place] == width), wide[0])


def _is_header(cells: list[str]) -> bool:
    """Whether cells are names: no two alike, and no number or date among them."""
    named = [cell.strip().casefold() for cell in cells if cell.strip()]
    return bool(named) and not any(_VALUE.fullmatch(cell) for cell in named)


def _trailer(tail: str, delimiter: str, quote: str, width: int, body: list[Row]) -> tuple[str, tuple[str, ...]] | None:
    """A last line that begins with a word which no row begins with, and is of another width or a known word."""
    lines = tail.rstrip("\r\n").splitlines()
    line = lines[-1] if len(lines) > 1 else ""
    read = _rows(line, delimiter, quote, escape=False)
    if width == 1 or not line or len(read) != 1 or len(body) < 2:
        return None
    cells = [cell.strip() for cell in read[0][1]]
    first = cells[0] if cells else ""
    others = Counter(cells[0].strip() for _, cells in body if cells)
    is_word = _WORD.fullmatch(first) and len(cells) != width
    if not (is_word or _ENDS.match(first)) or others[first] > 1:
        return None
    if len(cells) == width and any(_WORD.match(cell) for cell in others if cell != first):
        return None  # it may be a row as any other
    begins = line[: line.index(first) + len(first)] + (quote if line.lstrip().startswith(quote or "\0") else "")
    return f"^{re.escape(begins)}", tuple(cells)
