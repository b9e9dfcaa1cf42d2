"""A look at the quotes of a text as its bytes go by: whether one stands within a cell and may open another there."""

_SEPARATORS = b",;\t|"
_LONGEST = 1 << 20


class QuoteScan:
    """Finds quotes between the letters of a cell, as where the separator before a quoted cell is lost.

    `5" steel` and `10"` are no such quotes, since what they open would begin with a blank or a separator; nor are those
    that are doubled. Nothing is looked for where there are no quotes.
    """

    def __init__(self, quote: str = '"') -> None:
        self._quote = quote.encode()
        self._separator = b""
        self._classes = b""
        self._line = b""
        self._has_quotes = False
        self._found = False

    def update(self, chunk: bytes) -> None:
        """Look at the next bytes; the last line waits for its end, so that nothing is cut between two chunks."""
        if not self._classes:
            self._classify(chunk)
        if self._quote not in chunk and self._quote not in self._line:  # so nothing is found, nor copied to look
            begins = _behind_last_line_end(chunk)
            if begins:
                self._line = chunk[begins:]
                return
        text = self._line + chunk
        end = _behind_last_line_end(text)
        if end == 0 and len(text) > _LONGEST:  # cut within the line, where a quote may be taken for what it is not
            self._found = self._found or self._quote in text
            end = len(text)
        self._look(text[:end])
        self._line = text[end:]

    def opens_within_a_cell(self, separator: str) -> bool:
        """Whether such a quote may be in the text that went by, whose cells are separated so."""
        self._look(self._line)
        self._line = b""
        return self._found if separator.encode() == self._separator else self._has_quotes

    def _classify(self, chunk: bytes) -> None:
        """Tell the separator by the first line, before the header is read: a wrong guess costs time, nothing else."""
        first = chunk.partition(b"\n")[0]
        separator = max(_SEPARATORS, key=first.count)
        self._separator = bytes([separator])
        classes = bytearray(b"a" * 256)
        for byte in (0x0A, 0x0D, separator):
            classes[byte] = ord(",")
        for byte in self._quote + b" ":
            classes[byte] = byte
        self._classes = bytes(classes)

    def _look(self, text: bytes) -> None:
        quote = self._quote
        if quote in text:
            self._has_quotes = True
            if not self._found:
                classes = text.replace(quote + quote, b"").translate(self._classes)
                self._found = b"a%ba" % quote in classes or b"a %ba" % quote in classes


def _behind_last_line_end(text: bytes) -> int:
    end = text.rfind(b"\n") + 1
    return max(end, text.rfind(b"\r", end) + 1)
