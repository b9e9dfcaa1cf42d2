"""The part of a text that is header and rows, where a contract declares lines before and behind it, or an encoding."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from dropledger.core.compression import Compression, compression_of, unpacked
from dropledger.core.contracts.contract import Contract, Trailer
from dropledger.core.errors import DataRefused
from dropledger.core.formats.control_totals import totals_in
from dropledger.core.formats.csv_header import header_place
from dropledger.core.formats.encoding import as_utf8
from dropledger.core.formats.extract import Extract
from dropledger.core.formats.text_scan import MAX_HEADER, TextScan
from dropledger.core.ports.session import Layout

_CHUNK = 1 << 20
_LONGEST_TRAILER = 1 << 16
_LINE_END = re.compile("\r\n|\r|\n")
_LINES = re.compile("[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_LINE_END_BYTES = re.compile(rb"\r\n|\r|\n")
_BLANK = b" \t\r\n"
_MARK = b"\xef\xbb\xbf"


def text_in(path: Path, compression: Compression | None, encoding: str) -> Iterator[bytes]:
    """A file's text in UTF-8, chunk by chunk, however it is packed and encoded.

    Raises:
        DataRefused: it cannot be unpacked, or is none in this encoding.
    """
    return as_utf8(unpacked(path, compression) if compression else _chunks(path), encoding)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


@dataclass(frozen=True, slots=True)
class TextPart:
    """Where the part is: from byte `begin` on, behind `lines_before` lines, to before byte `end`, if not to the end.

    `beginning` is how it begins, `lines` how many it has, `trailer` the line that follows it, `comment` what those of
    its lines begin with that are passed over.
    """

    beginning: str
    encoding: str
    begin: int
    lines_before: int
    lines: int
    end: int | None
    trailer: str | None
    comment: str = ""

    def told_to(self, extract: Extract, layout: Layout) -> Extract:
        """The extract that has this part alone, with the control totals of its trailer.

        Raises:
            DataRefused: the trailer lacks one of them, or has no number in its place.
        """
        layout = replace(
            layout,
            encoding=self.encoding,
            begin=self.begin,
            lines_before=self.lines_before,
            physical_lines=self.lines,
            end=self.end,
            comment=self.comment,
        )
        trailer = extract.contract.trailer
        if trailer is None or self.trailer is None:
            return replace(extract, layout=layout)
        totals = totals_in(self.trailer, "trailer", trailer, layout.delimiter, extract.contract)
        return replace(extract, layout=layout, controls=(totals,))


def read_part(
    path: Path, compression: Compression | None, contract: Contract, scan: TextScan
) -> tuple[TextScan, TextPart]:
    """Let `scan` see the text, and find the part of it that is header and rows.

    Raises:
        DataRefused: it is no text, or has not the lines before and behind that the contract declares.
    """
    tail, comments = b"", _Comments(contract.comment)
    for chunk in text_in(path, compression, contract.encoding):
        comments.update(chunk)
        scan.update(chunk)
        tail = (tail + chunk)[-_LONGEST_TRAILER:] if len(chunk) < _LONGEST_TRAILER else chunk[-_LONGEST_TRAILER:]
        if scan.spoiled:
            break
    if compression is not None and compression_of(scan.beginning) is not None:
        raise DataRefused(
            "packed_twice",
            f"the {compression} file holds another compressed file",
            hint="pack the CSV once, or not at all",
        )
    scan.refuse_unless_text()
    begin, lines_before = _begin(scan.beginning, contract)
    end, trailer = _end(scan.size, tail, contract.trailer, comments.mark) if contract.trailer else (None, None)
    if end is not None and end < begin:
        raise _incomplete(contract.trailer)
    behind = tail[end - scan.size :].count(b"\n") if end is not None else 0
    before = scan.beginning[:begin].count(b"\n")
    lines = (scan.line_feeds if end is not None else scan.lines) - before - behind
    comment = comments.mark.decode() if comments.last >= begin else ""
    beginning = _without(comment, scan.beginning[begin:end].decode("utf-8", "ignore"))
    return scan, TextPart(beginning, contract.encoding, begin, lines_before, lines, end, trailer, comment)


class _Comments:
    """Finds as a text goes by where the last line is that begins with a mark, which may be in a quoted cell.

    `last` is where it begins, or -1 where there is none, or no mark.
    """

    def __init__(self, mark: str | None) -> None:
        self.mark = (mark or "").encode()
        self.last = -1
        self._behind = b"\n"
        self._size = 0

    def update(self, chunk: bytes) -> None:
        """Look at the next bytes."""
        if not self.mark:
            return
        text = self._behind + chunk
        found = max(text.rfind(b"\n" + self.mark), text.rfind(b"\r" + self.mark))
        if found >= 0:
            self.last = self._size - len(self._behind) + found + 1
        self._size += len(chunk)
        self._behind = text[-len(self.mark) :]


def _without(comment: str, beginning: str) -> str:
    """The beginning of a text for those who look for its header, without the lines of comment."""
    if not comment:
        return beginning
    return "".join(line for line in _LINES.findall(beginning) if not line.startswith(comment))


def _begin(beginning: bytes, contract: Contract) -> tuple[int, int]:
    """The byte at which header and rows begin, and how many lines stand before it, those of comment among them."""
    mark = len(_MARK) if beginning.startswith(_MARK) else 0
    text = beginning[mark:].decode("utf-8", "ignore")
    ends = _preamble(text, contract)
    begin = mark + len(text[: ends[-1]].encode()) if ends else mark
    lines = len(ends)
    while contract.comment and beginning.startswith(contract.comment.encode(), begin):
        end = _LINE_END_BYTES.search(beginning, begin)
        begin, lines = (end.end() if end else len(beginning)), lines + 1
    return begin, lines


def _preamble(text: str, contract: Contract) -> list[int]:
    """Where the lines of the preamble end."""
    if contract.preamble is None:
        return []
    lines = contract.preamble.lines
    if lines is None:
        lines = header_place(text, contract)
        if lines is None:
            raise DataRefused(
                "no_header",
                f"no line among the first {MAX_HEADER >> 20} MiB names the columns",
                hint="the contract says preamble: {until_header: true}; its columns are "
                + ", ".join(column.name for column in contract.columns if not column.may_lack),
            )
    ends = [match.end() for _, match in zip(range(lines), _LINE_END.finditer(text), strict=False)]
    if len(ends) < lines:
        raise DataRefused(
            "incomplete",
            f"the file has {len(ends)} whole lines; the contract says preamble: {{lines: {lines}}}",
            hint="export it again; or correct how many lines stand before the header",
        )
    return ends


def _end(size: int, tail: bytes, trailer: Trailer, comment: bytes) -> tuple[int, str]:
    """The byte at which the trailer begins, and the trailer; lines of comment behind it are passed over."""
    line = tail.rstrip(_BLANK)
    start = max(line.rfind(b"\n"), line.rfind(b"\r")) + 1
    while comment and start > 0 and line.startswith(comment, start) and not _matches(trailer, line[start:]):
        line = line[:start].rstrip(_BLANK)
        start = max(line.rfind(b"\n"), line.rfind(b"\r")) + 1
    if (start == 0 and len(tail) < size) or not _matches(trailer, line[start:]):
        raise _incomplete(trailer)
    return size - len(tail) + start, line[start:].decode("utf-8", "ignore")


def _matches(trailer: Trailer, line: bytes) -> bool:
    return re.search(trailer.pattern, line.decode("utf-8", "ignore")) is not None


def _incomplete(trailer: Trailer | None) -> DataRefused:
    pattern = trailer.pattern if trailer else ""
    return DataRefused(
        "incomplete",
        f"the last line is no trailer like {pattern}, so the file may be cut off",
        hint="transfer it again; or correct the entry trailer of the contract, if files end otherwise",
    )
