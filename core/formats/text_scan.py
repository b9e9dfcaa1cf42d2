"""What a text is like, found as its bytes go by: its size and lines, its quotes, and whether it is UTF-8 at all."""

import codecs
import re

from dropledger.core.errors import DataRefused
from dropledger.core.formats.detect import format_of
from dropledger.core.formats.encoding import marked_encoding
from dropledger.core.formats.quote_scan import QuoteScan

MAX_LINE_BYTES = 32 << 20
LONG_LINE_BYTES = 1 << 20
"""Longer lines are too long for an engine to read a file as it is."""

MAX_HEADER = 1 << 20
"""The most bytes of a header; so many of the text's beginning are kept."""

_CHUNK = 1 << 20
_CONTROLS = bytes(set(range(32)) - {0x09, 0x0A, 0x0D})


class Beginning:
    """Keeps the first bytes of a file that go by."""

    def __init__(self) -> None:
        self.beginning = b""

    def update(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self.beginning = self.beginning or chunk


class TextScan:
    """Watches a file's bytes go by: how many, how many lines, and whether they are UTF-8 text.

    Cells are quoted by `quote`, or by nothing where that is empty; `escape` may stand before a quote within them.
    """

    def __init__(self, quote: str = '"', escape: str = "") -> None:
        self._quote = quote.encode()
        self._escape = escape.encode()
        self._quotes_apart = re.compile(b"%b +%b" % (self._quote, self._quote))
        self.size = 0
        self.beginning = b""
        self._line_feeds = 0
        self._returns = 0
        self._pairs = 0
        self._last = b""
        self._since_line_feed = 0
        self._too_long = False
        self.has_long_lines = False
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._not_utf8 = False
        self._has_controls = False
        self._behind_blanks = b""
        self._odd_quotes = False
        self._quotes = QuoteScan(quote)

    def update(self, chunk: bytes) -> None:
        """Take the next bytes of the text."""
        self.size += len(chunk)
        if len(self.beginning) < MAX_HEADER:
            self.beginning += chunk[: MAX_HEADER - len(self.beginning)]
        self._line_feeds += chunk.count(b"\n")
        self._pairs += self._last == b"\r" and chunk.startswith(b"\n")
        if b"\r" in chunk:  # to look for one byte is far cheaper than to count two
            self._returns += chunk.count(b"\r")
            self._pairs += chunk.count(b"\r\n")
        self._last = chunk[-1:]
        first = chunk.find(b"\n")
        line = self._since_line_feed + (
            len(chunk) if first < 0 else first
        )  # those within a chunk are no longer than it
        self._too_long = self._too_long or line > MAX_LINE_BYTES
        self.has_long_lines = self.has_long_lines or line > LONG_LINE_BYTES
        self._since_line_feed = self._since_line_feed + len(chunk) if first < 0 else len(chunk) - chunk.rfind(b"\n") - 1
        self._has_controls = self._has_controls or len(chunk.translate(None, _CONTROLS)) < len(chunk)
        if self._quote:
            self._odd_quotes = self._odd_quotes or self._has_odd_quotes(chunk)
            self._quotes.update(chunk)
        if not self._not_utf8 and (not chunk.isascii() or self._decoder.getstate()[0]):
            try:
                self._decoder.decode(chunk)
            except UnicodeDecodeError:
                self._not_utf8 = True

    def _has_odd_quotes(self, chunk: bytes) -> bool:
        if self._escape and self._escape in chunk:
            return True
        if self._quote not in chunk and not chunk.endswith(b" "):
            self._behind_blanks = chunk[-1:]
            return False
        text = self._behind_blanks + chunk
        self._behind_blanks = text[max(len(text.rstrip(b" ")) - 1, 0) :][:_CHUNK]
        blank_before = b" " + self._quote
        return b" " + blank_before in text or (blank_before in text and self._quotes_apart.search(text) is not None)

    @property
    def spoiled(self) -> bool:
        """Whether it will be refused, whatever comes."""
        return self._not_utf8 or self._has_controls or self._too_long

    @property
    def line_feeds(self) -> int:
        """How many there are."""
        return self._line_feeds

    @property
    def lines(self) -> int:
        """How many there are, the header included; the last one need not be ended."""
        return self._line_feeds + (self._last not in {b"", b"\n"})

    @property
    def lines_end_alike(self) -> bool:
        """As `Layout.lines_end_alike`."""
        return self._returns == 0 or self._returns == self._pairs == self._line_feeds

    def plainly_quoted(self, delimiter: str) -> bool:
        """As `Layout.plainly_quoted`, for cells that are parted so."""
        return not (self._quote and (self._odd_quotes or self._quotes.opens_within_a_cell(delimiter)))

    def refuse_unless_text(self, form: str = "csv") -> None:
        """Stop where it is no text that can be read as rows of a format; in `json` rows are no lines.

        Raises:
            DataRefused: with what it is.
        """
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
            raise DataRefused("other_format", f"the file is {what}; the contract says {form}", hint=hint)
        if self._not_utf8:
            marked = marked_encoding(self.beginning)
            begins = f"the file begins as {marked.upper()}; the contract says utf-8" if marked else ""
            declared = f"encoding: {marked}" if marked else "its encoding, such as encoding: windows-1252,"
            raise DataRefused(
                "not_utf8",
                begins or "the file is not UTF-8 text",
                hint=f"declare {declared} in the contract, or export it as UTF-8 (in Excel: CSV UTF-8)",
            )
        if self._has_controls:
            raise DataRefused(
                "control_characters",
                "the file holds control characters such as NUL, so it is no plain text",
                hint="export it as plain CSV and drop it again",
            )
        if self._too_long and form != "json":
            raise DataRefused(
                "line_too_long",
                f"a line is longer than {MAX_LINE_BYTES >> 20} MiB",
                hint="check that the file has line ends, and that no quote is left open",
            )
