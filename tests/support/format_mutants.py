"""Files of declared formats, mutated: bytes, tokens and lines, in their encoding and packed; Parquet also by value.

A file is made from a seed alone, so that whatever is found can be made again.
"""

import gzip
import io
import zlib
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from random import Random
from typing import Any

try:
    from compression import zstd
except ImportError:
    from backports import zstd

_NUMBERS = (
    *(b"0", b"-1", b"+7", b"1e3", b"1.005", b".5", b"5.", b"NaN", b"1,5", b"1.234,50", b"1,234.50", b"(1.00)", b"-"),
    *(b"()", b"12345678901234567890", b"0.1234567890123456789", b"9223372036854775808", b"1E400", b"-0", b"1.10"),
    *(b"-0.0", b"01", b"1.", b"1e-3", b"Infinity", b"0x1F", b"1_000", b"5-", b"--5", b"1 000", b"\xd9\xa3"),
)
_MOMENTS = (b"31/02/2025", b"26/10/2025 02:30", b"2025-10-31", b"00/00/0000", b"2025-10-31T24:00:00Z", b"20250230")
_JSON = (
    *(b"null", b"true", b"{}", b"[]", b'"a"', b'{"a":1,"a":2}', b"\\u0000", b"\\ud800", b"\\ud83d\\ude00", b"\\n"),
    *(b"NULL", b"True", b"'a'", b'"id":', b'{"id":1}', b"// x", b"/**/", b"[[[[", b"{{", b",]", b",}", b"\\x41"),
    *(b'"\\u0069d": 7,', b'"id": 8, ', b'"data": 1,', b"\x1e", b"\x1d", b"\x1f"),
)
_TEXTS = (
    *(b"", b" ", b'"', b"'", b'""', b"''", b"\\", b",", b";", b"\t", b"|", b"\n", b"\r\n", b"\r", b":", b"}", b"]"),
    *(b"\xc3\xa9", b"\xe9", b"\xef\xbb\xbf", b"\xff", b"\0", b"TRAILER", b"\xe2\x82\xac", b"$", b"\xe2\x80\xa8"),
    *(b"\xc2\xa0", b"\xc2\x85", b"\x0b", b"\x0c", b"=1+1", b"\xf0\x9f\x92\xa5"),
)
_ODD = (*_NUMBERS, *_MOMENTS, *_JSON, *_TEXTS)
PACKED: Mapping[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "gzip": (lambda text: gzip.compress(text, mtime=0), gzip.decompress),
    "zstd": (zstd.compress, zstd.decompress),
}
"""How files are packed, and unpacked again."""
DAMAGED_PACKING = (OSError, EOFError, zlib.error, zstd.ZstdError)


def mutated(random: Random, content: bytes, encoding: str = "utf-8") -> bytes:
    """The content with some changes of bytes, lines and tokens, those mostly in its encoding."""
    if encoding == "utf-8" or random.random() < 0.3:
        return _changed(random, content)
    text = _changed(random, content.decode(encoding).encode())
    return text.decode("utf-8", "replace").encode(encoding, "replace")


def mutated_bytes(random: Random, content: bytes) -> bytes:
    """The content with some changes of bytes."""
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        content = _with_other_bytes(random, content, random.randrange(3))
    return content


def _changed(random: Random, content: bytes) -> bytes:
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        at = random.randrange(len(content) + 1)
        lines = content.splitlines(keepends=True)
        match random.randrange(11):
            case 0 | 1 | 2 as way:
                content = _with_other_bytes(random, content, way)
            case 3 | 4 | 5:
                content = content[:at] + random.choice(_ODD) + content[at + random.choice((0, 0, 1, 4)) :]
            case 6 if lines:
                random.shuffle(lines)
                content = b"".join(lines)
            case 7 if lines:
                lines.insert(random.randrange(len(lines)), random.choice(lines))
                content = b"".join(lines)
            case 8 if lines:
                del lines[random.randrange(len(lines))]
                content = b"".join(lines)
            case 9:
                end = random.choice((b"\n", b"\r\n", b"\r"))
                content = content.replace(b"\r\n", b"\n").replace(b"\n", end, random.choice((-1, -1, 1)))
            case _:
                part = random.choice(content.split(random.choice((b",", b";", b"|", b":", b"\t"))) or [b""])
                content = content.replace(part, random.choice(_ODD), 1) if part else content
    return content


def _with_other_bytes(random: Random, content: bytes, way: int) -> bytes:
    at = random.randrange(len(content) + 1)
    if way == 0:
        return content[:at] + bytes([random.randrange(256)]) + content[at + 1 :]
    if way == 1:
        return content[:at] + content[at + random.randrange(1, 5) :]
    return content[:at] if random.random() < 0.3 else content + content[at:]


def mutated_table(random: Random, content: bytes) -> bytes:
    """A Parquet file with other values, types, columns and ways of writing."""
    import pyarrow as pa
    from pyarrow import parquet

    table = parquet.read_table(io.BytesIO(content))
    if random.random() < 0.3:
        table = table.take([random.randrange(table.num_rows) for _ in range(random.choice((1, 4, 9)))])
    for _ in range(random.choice((0, 1, 1, 2))):
        place = random.randrange(table.num_columns)
        name = table.field(place).name
        if random.random() < 0.1:
            table = table.remove_column(place)
            continue
        name = random.choice((name, name, name, name, name.upper(), f" {name}", "note", ""))
        column = (
            _odd_column(random, table.num_rows) if random.random() < 0.6 else _with_odd(random, table.column(place))
        )
        table = random.choice((table.set_column, table.set_column, table.add_column))(place, name, column)
    out = io.BytesIO()
    parquet.write_table(
        pa.table([column.combine_chunks() for column in table.columns], names=table.column_names),
        out,
        row_group_size=random.choice((None, 1, 2)),
        compression=random.choice(("none", "snappy", "gzip", "zstd")),
        use_dictionary=random.choice((True, False)),
        version=random.choice(("1.0", "2.4", "2.6")),
        data_page_version=random.choice(("1.0", "2.0")),
        use_deprecated_int96_timestamps=random.random() < 0.1,
    )
    return out.getvalue()


def _with_odd(random: Random, column: Any) -> Any:
    """The column with some value gone or twice."""
    import pyarrow as pa

    values = column.to_pylist()
    if values:
        values[random.randrange(len(values))] = random.choice((None, random.choice(values)))
    return pa.chunked_array([pa.array(values, column.type)])


def _odd_column(random: Random, rows: int) -> Any:
    """A column of some type that Parquet knows."""
    import pyarrow as pa

    kind, values = random.choice(_odd_types(pa))
    chosen = [None if random.random() < 0.1 else random.choice(values) for _ in range(rows)]
    if kind == pa.string() and random.random() < 0.3:
        return pa.array(chosen, kind).dictionary_encode()
    return pa.array(chosen, kind)


def _odd_types(pa: Any) -> list[tuple[Any, list[Any]]]:
    """Types with values of theirs."""
    near = [datetime(2025, 10, 31, 10, 30, 0, 250000), datetime(1969, 1, 1)]
    far = [*near, datetime(1, 1, 1), datetime(9999, 12, 31)]
    days = [date(2025, 10, 31), date(1, 1, 1), date(9999, 12, 31)]
    texts = ["a", "", " 7 ", "1.50", "1e3", "2025-10-31", "\u20ac", "nan", "[1]", '{"a":1,"a":2}', "\0", "x" * 3000]
    numbers = [Decimal("1.50"), Decimal("-0.01"), Decimal("12345678901234567890.12"), Decimal(0)]
    return [
        *[(pa.int8(), [0, -1, 127]), (pa.int64(), [2**63 - 1, -(2**63), 7]), (pa.uint64(), [2**64 - 1, 2**63, 7])],
        *[(pa.uint8(), [0, 255]), (pa.float32(), [1.5, float("nan")]), (pa.float64(), [0.1, float("inf"), -0.0])],
        *[(pa.bool_(), [True, False]), (pa.string(), texts), (pa.large_string(), texts), (pa.null(), [None])],
        *[(pa.decimal128(38, 2), numbers), (pa.decimal256(60, 4), numbers), (pa.binary(), [b"\xff", b""])],
        *[(pa.date32(), days), (pa.date64(), days[:1]), (pa.time64("us"), [time(10, 30)])],
        *[(pa.timestamp("s"), far), (pa.timestamp("us"), far), (pa.timestamp("ns"), near)],
        *[(pa.timestamp("us", "UTC"), far), (pa.timestamp("ms", "Europe/Madrid"), near)],
        *[(pa.list_(pa.int32()), [[1, 2], []]), (pa.list_(pa.string()), [["a", None], ['"', "\\"]])],
        *[(pa.struct([("a", pa.string())]), [{"a": "x"}, {"a": None}])],
        (pa.map_(pa.string(), pa.int32()), [[("a", 1)]]),
    ]
