"""Texts in the encoding that a contract declares, turned into UTF-8 as they go by."""

import codecs
import re
from collections.abc import Iterator
from contextlib import suppress

from dropledger.core.errors import DataRefused

_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_WIDE = {"utf-16": 2, "utf-32": 4}
_LATIN = "iso8859-"
_CONTROL = re.compile(rb"\xc2[\x80-\x84\x86-\x9f]")


def marked_encoding(beginning: bytes) -> str | None:
    """The encoding that a byte order mark tells of; None where there is none."""
    return next((name for mark, name in _MARKS.items() if beginning.startswith(mark)), None)


def as_utf8(chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """A text in UTF-8, chunk by chunk.

    Raises:
        DataRefused: it is no text in that encoding, or one in another.
    """
    if encoding == "utf-8":
        yield from chunks
        return
    decoder = codecs.getincrementaldecoder(encoding)()
    reader = _Reader(encoding)
    at = 0
    for chunk in chunks:
        if at == 0:
            reader.refuse_other_mark(chunk)
        try:
            text = decoder.decode(chunk)
        except UnicodeDecodeError as error:
            raise reader.undecodable(error, at, chunk) from error
        at += len(chunk)
        yield reader.checked(chunk, text)
    try:
        last = decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise reader.undecodable(error, at, b"") from error
    yield last.encode()
    reader.refuse_utf8()


class _Reader:
    """What is looked at while a text is decoded: marks of other encodings, and texts that are UTF-8 after all."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._name = codecs.lookup(encoding).name
        self._one_byte = codecs.getincrementaldecoder("utf-8")()
        self._may_be_utf8 = self._name.startswith((_LATIN, "cp"))
        self._beyond_ascii = False

    def refuse_other_mark(self, beginning: bytes) -> None:
        marked = marked_encoding(beginning)
        if marked is None and self._name in _WIDE:
            raise DataRefused(
                "other_encoding",
                f"the file has no byte order mark, and the contract says {self._encoding}",
                hint=f"declare encoding: {self._encoding}-le or {self._encoding}-be, or the one that it has",
            )
        if marked is not None and self._name not in {marked, f"{marked}-le", f"{marked}-be"}:
            raise DataRefused(
                "other_encoding",
                f"the file begins as {marked.upper()}; the contract says {self._encoding}",
                hint=f"declare encoding: {marked} in the contract, or export the file as {self._encoding}",
            )

    def checked(self, chunk: bytes, text: str) -> bytes:
        if self._may_be_utf8 and (not chunk.isascii() or self._one_byte.getstate()[0]):
            self._beyond_ascii = True
            try:
                self._one_byte.decode(chunk)
            except UnicodeDecodeError:
                self._may_be_utf8 = False
        encoded = text.encode(errors="surrogatepass")
        if self._name.startswith(_LATIN) and _CONTROL.search(encoded):
            raise DataRefused(
                "other_encoding",
                f"the file holds bytes from 80 to 9F, which are no letters in {self._encoding}",
                hint="declare encoding: windows-1252 in the contract, which has the euro sign and curly quotes there",
            )
        return encoded

    def refuse_utf8(self) -> None:
        """Refuse a text of single bytes that reads as UTF-8, with letters that make no sense by themselves."""
        if self._may_be_utf8 and self._beyond_ascii and not self._one_byte.getstate()[0]:
            raise self._utf8()

    def _utf8(self) -> DataRefused:
        return DataRefused(
            "other_encoding",
            f"the letters of the file read as UTF-8; the contract says {self._encoding}",
            hint="declare encoding: utf-8 in the contract, or leave the entry out",
        )

    def undecodable(self, error: UnicodeDecodeError, at: int, chunk: bytes) -> DataRefused:
        """What to say of a chunk from byte `at` on that is no text in the encoding."""
        if self._may_be_utf8 and chunk:
            with suppress(UnicodeDecodeError):
                self._one_byte.decode(chunk)
                return self._utf8()
        return DataRefused(
            "other_encoding",
            f"the file is no {self._encoding} text, as the contract says it is",
            hint="declare the encoding that it has in the contract, or export it again; it may be damaged",
            detail=f"{error.reason}, in the {1 << 20:,} bytes from byte {at + 1:,} on",
        )
