"""Records in JSON, read to the letter: numbers as they are written, and no name twice in an object.

An engine reads most of them faster; this is how those are read that it might take for something else.
"""

import json
import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any

from dropledger.core.errors import DataRefused
from dropledger.core.formats.text_scan import MAX_LINE_BYTES

_SURROGATE = re.compile("[\ud800-\udfff]")


class _Number(str):
    """A number as it is written."""

    __slots__ = ()


class NoRecord(Exception):
    """A text is no record that can be read: `rule` and `reason`."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule
        self.reason = reason


def parsed(text: str) -> dict[str, Any]:
    """The object that a text is.

    Raises:
        NoRecord: it is none.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise NoRecord("repeated_name", f"the name '{twice[:60]}' stands twice in an object")
        return found

    try:
        record = json.loads(
            text, object_pairs_hook=once, parse_int=_Number, parse_float=_Number, parse_constant=_no_constant
        )
    except RecursionError as error:
        raise NoRecord("malformed_json", "the objects in it are nested too deep") from error
    except ValueError as error:
        what = str(error).partition(": line")[0]
        raise NoRecord("malformed_json", f"the record is no JSON: {what}") from error
    if not isinstance(record, dict):
        raise NoRecord("malformed_json", "the record is no JSON object")
    return record


def _no_constant(name: str) -> Any:
    raise NoRecord("malformed_json", f"{name} is no number in JSON")


def cells_of(
    record: Mapping[str, Any], positions: Mapping[str, Sequence[Sequence[str]]], types: Mapping[str, str]
) -> list[str | None]:
    """The text of each column's value; None where there is none.

    Raises:
        NoRecord: a value is an object or array, and its column not of the type json; or no text.
    """
    return [_cell(name, record, paths, types[name]) for name, paths in positions.items()]


def _cell(name: str, record: Mapping[str, Any], paths: Sequence[Sequence[str]], kind: str) -> str | None:
    found = [text for path in paths if (text := _text(".".join(path), _value(record, path), kind)) is not None]
    if not found:
        return None
    text = " ".join(part.strip(" ") for part in found) if len(paths) > 1 else found[0]
    if _SURROGATE.search(text) or "\0" in text:
        raise NoRecord("malformed_json", f"{name} holds what is no letter")
    return text


def _value(record: Any, path: Sequence[str]) -> Any:
    for name in path:
        if not isinstance(record, dict):
            return None
        record = record.get(name)
    return record


def _text(name: str, value: Any, kind: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, dict | list):
        if kind != "json":
            raise NoRecord(
                "nested_value",
                f"{name} is {'an object' if isinstance(value, dict) else 'an array'}; "
                "give the path of a value within it, or the column the type json",
            )
        return written(value)
    if isinstance(value, bool):
        return str(value).lower()
    return written(value) if kind == "json" and not isinstance(value, _Number) else str(value)


def written(value: Any) -> str:
    """A value as JSON text without blanks, numbers as they were written."""
    match value:
        case _Number():
            return str(value)
        case dict():
            return "{" + ",".join(f"{_quoted(name)}:{written(part)}" for name, part in value.items()) + "}"
        case list():
            return "[" + ",".join(map(written, value)) + "]"
        case _:
            return _quoted(value)


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


_OUTSIDE = re.compile(rb'["{}\[\],]|\r\n?|\n')
_INSIDE = re.compile(rb'["\\]|\r\n?|\n')
_LINE_END = re.compile(rb"\r\n?|\n")
_LINE_ENDS = {b"\n", b"\r", b"\r\n"}
_BLANK = b" \t\r\n"
_FLAT = re.compile(rb'([ \t\r\n]*)(\{[^"{}\[\]]*(?:"[^"\\]*"[^"{}\[\]]*)*\})[ \t\r\n]*,')
"""An object with neither objects, arrays nor escapes in it, before another element."""


def elements(chunks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """The elements of the JSON array that a text is, each with the 1-based line in which it begins.

    What an element is by itself is not looked at.

    Raises:
        DataRefused: the text is no array, or does not end with it.
    """
    splitter, held = _Splitter(), b""
    for chunk in chunks:
        text = held + chunk if held else chunk
        held = b"\r" if text.endswith(b"\r") else b""  # a line feed may follow, and the line ends once
        yield from splitter.split(text.removesuffix(held))
    yield from splitter.split(held)
    splitter.finish()


def _line_ends(text: bytes) -> int:
    return len(_LINE_END.findall(text)) if b"\r" in text else text.count(b"\n")


class _Splitter:
    """Goes through a text, chunk by chunk, and keeps the element that it is in."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = self._escaped = self._ended = False
        self._line = self._began = 1
        self._element = bytearray()
        self._count = 0

    def split(self, chunk: bytes) -> Iterator[tuple[int, bytes]]:
        at = begin = 0
        if self._escaped and chunk:
            at, self._escaped = 1, False
        while True:
            if at == begin and self._depth == 1 and not (self._in_string or self._element):
                at = begin = yield from self._flat(chunk, at)
            match = (_INSIDE if self._in_string else _OUTSIDE).search(chunk, at)
            if match is None:
                break
            at, letter = match.end(), match[0]
            if letter in _LINE_ENDS:
                self._line += 1
            elif letter == b"\\":
                self._escaped = at == len(chunk)
                at += 1
            elif letter == b'"':
                self._in_string = not self._in_string
            elif (before := self._depth) <= self._nest(letter) == 1 and before == 0:
                self._open(chunk[begin:at])
                begin = at
            elif before == 1 and letter in b",}]":
                self._keep(chunk[begin : at - 1])
                begin = at
                yield from self._taken(last=letter != b",")
        self._keep(chunk[begin:])

    def _flat(self, chunk: bytes, at: int) -> Generator[tuple[int, bytes], None, int]:
        """Take the flat objects that stand from `at` on; where they end."""
        while match := _FLAT.match(chunk, at):
            yield self._line + _line_ends(match[1]), match[2]
            self._line += _line_ends(match[0])
            self._count += 1
            at = match.end()
        self._began = self._line
        return at

    def _nest(self, letter: bytes) -> int:
        """How deep it is behind the letter."""
        self._depth += (letter in b"{[") - (letter in b"}]")
        return self._depth

    def _open(self, before: bytes) -> None:
        if self._ended or (self._element + before).strip(_BLANK) != b"[":
            raise _no_array("something else stands outside of the array")
        self._element.clear()
        self._began = self._line

    def _keep(self, part: bytes) -> None:
        self._element += part
        if len(self._element) > MAX_LINE_BYTES:
            raise DataRefused(
                "line_too_long",
                f"a record is longer than {MAX_LINE_BYTES >> 20} MiB",
                hint="check that the file is a JSON array of objects, and that no quote is left open",
            )

    def _taken(self, *, last: bool) -> Iterator[tuple[int, bytes]]:
        element = bytes(self._element)
        self._element.clear()
        record = element.strip(_BLANK)
        self._ended = last
        if record:
            yield self._began + _line_ends(element[: len(element) - len(element.lstrip(_BLANK))]), record
        elif self._count or not last:
            raise _no_array("a comma stands where a record belongs")
        self._began = self._line
        self._count += 1

    def finish(self) -> None:
        if not self._ended or self._element.strip(_BLANK) or self._depth:
            raise _no_array("it does not end with the array, so it may be cut off")


def _no_array(what: str) -> DataRefused:
    return DataRefused(
        "malformed_json",
        f"the file is no JSON array: {what}",
        hint="transfer it again; where each line is an object, declare format: ndjson in the contract",
    )
