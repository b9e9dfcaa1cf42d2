"""Intake: which drop is it by its bytes, and can they be rows at all."""

import codecs
import re
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from core.address import addressed, brings_times
from core.compression import Compression, compression_of, unpacked
from core.contract import Contract
from core.definition import Pipeline
from core.drop import AsOf, AsOfSource, Claim, DropHash
from core.errors import DataRefused
from core.header import read_header
from core.other_format import format_of
from core.ports import Layout
from core.quote_scan import QuoteScan

MAX_LINE_BYTES = 32 << 20
_CHUNK = 1 << 20
_MAX_HEADER = 1 << 20
_MOST_COLUMNS = 16_384
_LINE_END = re.compile(r"\r|\n")
_CONTROLS = bytes(set(range(32)) - {0x09, 0x0A, 0x0D})
_QUOTES_APART = re.compile(rb'" +"')


@dataclass(frozen=True, slots=True)
class Extract:
    """A file that can be read under a contract: a new drop, an archived one, or a feed's initial rows.

    `text_bytes` is the size of its text, which is more than that of the file where it is packed. `latest` is the last
    moment that rows which bring their own times may be true from, if there is one.
    """

    drop_id: str
    contract: Contract
    path: Path
    layout: Layout
    as_of: AsOf
    text_bytes: int
    unexpected_columns: tuple[str, ...] = ()
    latest: datetime | None = None


@dataclass(frozen=True, slots=True)
class Drop:
    """A drop with its identity; `extract` is there if it can be read, else `refusal` says why not.

    `feed` is empty for a file that belongs to no feed.
    """

    claim: Claim
    drop_id: str
    feed: str
    contract: Contract | None
    as_of: AsOf
    size_bytes: int
    sha256: str
    extract: Extract | None = None
    refusal: DataRefused | None = None

    @property
    def name(self) -> str:
        return self.claim.dropped.name

    @property
    def text_bytes(self) -> int:
        """How much there is to read."""
        return self.extract.text_bytes if self.extract else 0

    @property
    def brings_times(self) -> bool:
        """Whether its rows say themselves from when they are true."""
        return brings_times(self.contract, self.as_of)

    def known_as(self, drop_id: str) -> "Drop":
        """The same drop, by the drop_id that a ledger has for it."""
        extract = self.extract and replace(self.extract, drop_id=drop_id)
        return replace(self, drop_id=drop_id, extract=extract)

    @property
    def archive_name(self) -> str:
        """Where the drop is kept, under the root."""
        return archive_name(self.feed, self.as_of.moment, self.drop_id, self.name)


def archive_name(feed: str, as_of: datetime, drop_id: str, name: str) -> str:
    """Where a drop is kept under the root; the folder is the day from which its rows are true."""
    return f"archive/{feed}/{as_of.year:04}/{as_of:%m/%d}/{fitting(f'{drop_id}-{name}')}"


def fitting(name: str, room: int = 0) -> str:
    """A file name cut in its middle to the 255 bytes, less `room`, that file systems allow."""
    encoded = name.encode()
    limit = 255 - room
    if len(encoded) <= limit:
        return name
    return encoded[: limit - 40].decode("utf-8", "ignore") + "~" + encoded[-32:].decode("utf-8", "ignore")


def identify(claim: Claim, pipeline: Pipeline) -> Drop:
    """Find feed and as_of, hash the bytes, and read the header; a refusal is noted on the drop, not raised."""
    contract, as_of, refusal = addressed(claim.dropped, pipeline)
    if claim.damage:
        contract, refusal = None, _damaged(claim)
    feed = contract.feed if contract else ""
    identity, text = _read_through(claim.path, feed, None if brings_times(contract, as_of) else as_of.moment)
    extract = None
    if contract is not None and refusal is None:
        try:
            extract = _extract(claim.path, identity.drop_id, contract, as_of, text)
        except DataRefused as error:
            refusal = error
    return Drop(claim, identity.drop_id, feed, contract, as_of, identity.size, identity.sha256, extract, refusal)


def _damaged(claim: Claim) -> DataRefused:
    return DataRefused(
        "damaged_claim",
        f"what is known of this file was lost on its way in work/: {claim.damage}",
        hint="look whose it is, and drop it again under its own name",
    )


def read_again(path: Path, contract: Contract, as_of: AsOf, drop_id: str | None = None) -> tuple[Extract, str]:
    """A file that is no new delivery, and the SHA-256 of its bytes; its own drop_id unless one is given.

    Raises:
        DataRefused: it cannot be read under the contract.
    """
    identity, text = _read_through(path, contract.feed, as_of.moment)
    return _extract(path, drop_id or identity.drop_id, contract, as_of, text), identity.sha256


def initial_extract(contract: Contract, path: Path, as_of: datetime) -> Extract:
    """A feed's initial rows as an extract, with the drop_id that their bytes give them."""
    return read_again(path, contract, AsOf(as_of, AsOfSource.FILE_NAME))[0]


def _read_through(path: Path, feed: str, as_of: datetime | None) -> tuple[DropHash, "_Text"]:
    identity, text = DropHash(feed, as_of), _Text()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            identity.update(chunk)
            text.update(chunk)
    return identity, text


def _unpacked_text(path: Path, compression: Compression) -> "_Text":
    """The text in a packed file, as far as it is one.

    Raises:
        DataRefused: it cannot be unpacked, or what it unpacks to is packed again.
    """
    text = _Text()
    for chunk in unpacked(path, compression):
        text.update(chunk)
        if text.spoiled:
            break
    if compression_of(text.beginning) is not None:
        raise DataRefused(
            "packed_twice",
            f"the {compression} file holds another compressed file",
            hint="pack the CSV once, or not at all",
        )
    return text


class _Text:
    """Watches a file's bytes go by: how many, how many lines, and whether they are UTF-8 text."""

    def __init__(self) -> None:
        self.size = 0
        self.beginning = b""
        self._line_feeds = 0
        self._returns = 0
        self._pairs = 0
        self._last = b""
        self._since_line_feed = 0
        self._too_long = False
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._not_utf8 = False
        self._has_controls = False
        self._behind_blanks = b""
        self._odd_quotes = False
        self._quotes = QuoteScan()

    def update(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if len(self.beginning) < _MAX_HEADER:
            self.beginning += chunk[: _MAX_HEADER - len(self.beginning)]
        self._line_feeds += chunk.count(b"\n")
        self._pairs += self._last == b"\r" and chunk.startswith(b"\n")
        if b"\r" in chunk:  # to look for one byte is far cheaper than to count two
            self._returns += chunk.count(b"\r")
            self._pairs += chunk.count(b"\r\n")
        self._last = chunk[-1:]
        first = chunk.find(b"\n")
        self._too_long = self._too_long or self._since_line_feed + (len(chunk) if first < 0 else first) > MAX_LINE_BYTES
        self._since_line_feed = self._since_line_feed + len(chunk) if first < 0 else len(chunk) - chunk.rfind(b"\n") - 1
        self._has_controls = self._has_controls or len(chunk.translate(None, _CONTROLS)) < len(chunk)
        self._odd_quotes = self._odd_quotes or self._has_odd_quotes(chunk)
        self._quotes.update(chunk)
        if not self._not_utf8 and (not chunk.isascii() or self._decoder.getstate()[0]):
            try:
                self._decoder.decode(chunk)
            except UnicodeDecodeError:
                self._not_utf8 = True

    def _has_odd_quotes(self, chunk: bytes) -> bool:
        if b'"' not in chunk and not chunk.endswith(b" "):
            self._behind_blanks = chunk[-1:]
            return False
        text = self._behind_blanks + chunk
        self._behind_blanks = text[max(len(text.rstrip(b" ")) - 1, 0) :][:_CHUNK]
        return b'  "' in text or (b' "' in text and _QUOTES_APART.search(text) is not None)

    @property
    def spoiled(self) -> bool:
        """Whether it will be refused, whatever comes."""
        return self._not_utf8 or self._has_controls or self._too_long

    @property
    def lines(self) -> int:
        return self._line_feeds + (self._last not in {b"", b"\n"})

    @property
    def lines_end_alike(self) -> bool:
        return self._returns == 0 or self._returns == self._pairs == self._line_feeds

    def plainly_quoted(self, delimiter: str) -> bool:
        return not self._odd_quotes and not self._quotes.opens_within_a_cell(delimiter)

    def refuse_unless_text(self) -> None:
        if self.size == 0:
            raise DataRefused(
                "empty_file", "the file is empty", hint="export it again; an extract has at least a header"
            )
        if not self._not_utf8:
            try:
                self._decoder.decode(b"", final=True)
            except UnicodeDecodeError:
                self._not_utf8 = True
        other = format_of(self.beginning) if self._not_utf8 or self._has_controls else None
        if other is not None:
            what, hint = other
            raise DataRefused("other_format", f"the file is {what}, and CSV is read", hint=hint)
        if self._not_utf8:
            raise DataRefused(
                "not_utf8",
                "the file is not UTF-8 text",
                hint="export it as UTF-8 (in Excel: CSV UTF-8) and drop it again",
            )
        if self._has_controls:
            raise DataRefused(
                "control_characters",
                "the file holds control characters such as NUL, so it is no plain text",
                hint="export it as plain CSV and drop it again",
            )
        if self._too_long:
            raise DataRefused(
                "line_too_long",
                f"a line is longer than {MAX_LINE_BYTES >> 20} MiB",
                hint="check that the file has line ends, and that no quote is left open",
            )


def _extract(path: Path, drop_id: str, contract: Contract, as_of: AsOf, text: _Text) -> Extract:
    """The file's layout by its header.

    Raises:
        DataRefused: it is no text, or the header does not say where all columns are.
    """
    compression = compression_of(text.beginning)
    if compression is not None:
        text = _unpacked_text(path, compression)
    text.refuse_unless_text()
    beginning = text.beginning.decode("utf-8-sig", "ignore")
    if len(text.beginning) == _MAX_HEADER and not _LINE_END.search(beginning):
        raise DataRefused(
            "line_too_long",
            f"the header is longer than {_MAX_HEADER >> 20} MiB",
            hint="check that the file begins with a header, and that the header has a line end",
        )
    header = read_header(beginning, contract)
    if header.width > _MOST_COLUMNS:
        raise DataRefused(
            "too_many_columns",
            f"the header has {header.width:,} columns, more than {_MOST_COLUMNS:,}",
            hint="export the columns of the contract alone",
        )
    layout = Layout(
        header.delimiter,
        header.width,
        header.row_cells,
        header.positions,
        text.lines,
        text.lines_end_alike,
        text.plainly_quoted(header.delimiter),
        compression,
    )
    return Extract(drop_id, contract, path, layout, as_of, text.size, header.unexpected)
