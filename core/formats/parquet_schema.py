"""The columns of a Parquet file, by its footer (Apache Parquet's `parquet.thrift`, in Thrift's compact protocol)."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dropledger.core.errors import DataRefused

_MAGIC = b"PAR1"
_SMALLEST = 12
_MOST_FOOTER = 64 << 20
_DEEPEST = 64
_FLOAT, _DOUBLE, _BYTES, _FIXED = 4, 5, 6, 7
_REPEATED = 2
_SCHEMA = 2
_TYPE, _REPETITION, _NAME, _CHILDREN, _CONVERTED, _PRECISION, _LOGICAL = 1, 3, 4, 5, 6, 8, 10
_DECIMAL, _DECIMAL_PRECISION = 5, 2
_MOST_DIGITS = 38
_HALF_FLOAT = 15


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the schema: its parts, if it is nested, and what its values are.

    `is_too_wide` is whether they, or those of a part, are decimals of more digits than engines keep.
    """

    name: str
    parts: tuple["Field", ...]
    is_floating: bool
    is_binary: bool
    is_repeated: bool
    is_too_wide: bool

    @property
    def is_nested(self) -> bool:
        return bool(self.parts) or self.is_repeated


def read_schema(path: Path) -> tuple[Field, ...]:
    """The fields of a Parquet file.

    Raises:
        DataRefused: the file is cut off or damaged.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if size < _SMALLEST:
            raise _damaged("it is too short to be whole")
        file.seek(size - 8)
        end = file.read(8)
        length = struct.unpack("<I", end[:4])[0]
        if end[4:] != _MAGIC:
            raise _damaged("it does not end as Parquet does, so it may be cut off")
        if length > min(size - _SMALLEST, _MOST_FOOTER):
            raise _damaged("its footer is longer than the file")
        file.seek(size - 8 - length)
        footer = file.read(length)
    try:
        elements: list[dict[int, Any]] = _Thrift(footer).struct()[_SCHEMA]
        fields, used = _children(elements, 1, elements[0][_CHILDREN], 0)
    except (IndexError, KeyError, TypeError, ValueError, struct.error, RecursionError, OverflowError) as error:
        raise _damaged("its footer cannot be read") from error
    if used != len(elements):
        raise _damaged("its footer cannot be read")
    return fields


def _damaged(what: str) -> DataRefused:
    return DataRefused("damaged_file", f"the Parquet file is damaged: {what}", hint="transfer or write it again")


def _children(elements: list[dict[int, Any]], at: int, count: int, depth: int) -> tuple[tuple[Field, ...], int]:
    if depth > _DEEPEST:
        raise ValueError("nested too deep")
    fields = []
    for _ in range(count):
        element = elements[at]
        parts, at = _children(elements, at + 1, element.get(_CHILDREN) or 0, depth + 1)
        kind, logical = element.get(_TYPE), element.get(_LOGICAL) or {}
        bare = element.get(_CONVERTED) is None and not logical
        fields.append(
            Field(
                element[_NAME].decode(),
                parts,
                kind in {_FLOAT, _DOUBLE} or _HALF_FLOAT in logical,
                kind in {_BYTES, _FIXED} and bare,
                element.get(_REPETITION) == _REPEATED,
                _digits(element, logical) > _MOST_DIGITS or any(part.is_too_wide for part in parts),
            )
        )
    return tuple(fields), at


def _digits(element: dict[int, Any], logical: dict[int, Any]) -> int:
    """How many digits its decimals have, if there are any."""
    return max(element.get(_PRECISION) or 0, (logical.get(_DECIMAL) or {}).get(_DECIMAL_PRECISION) or 0)


class _Thrift:
    """Reads what the compact protocol writes: structs as mappings from a field's number to its value."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._readers: dict[int, Callable[[], Any]] = {
            3: self._byte,
            4: self._zigzag,
            5: self._zigzag,
            6: self._zigzag,
            7: self._double,
            8: self._binary,
            9: self._list,
            10: self._list,
            11: self._map,
            12: self.struct,
        }

    def struct(self) -> dict[int, Any]:
        found: dict[int, Any] = {}
        number = 0
        while (head := self._byte()) != 0:
            kind, step = head & 15, head >> 4
            number = number + step if step else self._zigzag()
            # Of a boolean field the kind is the value.
            found[number] = kind == 1 if kind in {1, 2} else self._readers[kind]()
        return found

    def _byte(self) -> int:
        value = self._data[self._at]
        self._at += 1
        return value

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                raise ValueError("a number is too long")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _double(self) -> float:
        self._at += 8
        return float(struct.unpack("<d", self._data[self._at - 8 : self._at])[0])

    def _binary(self) -> bytes:
        length = self._varint()
        self._at += length
        if self._at > len(self._data):
            raise ValueError("a text is too long")
        return self._data[self._at - length : self._at]

    def _list(self) -> list[Any]:
        head = self._byte()
        count, kind = head >> 4, head & 15
        count = self._varint() if count == 15 else count
        if count > len(self._data):
            raise ValueError("a list is too long")
        return [self._byte() if kind in {1, 2} else self._readers[kind]() for _ in range(count)]

    def _map(self) -> list[Any]:
        count = self._varint()
        kinds = self._byte() if count else 0
        if count > len(self._data):
            raise ValueError("a mapping is too long")
        return [(self._readers[kinds >> 4](), self._readers[kinds & 15]()) for _ in range(count)]
