"""Files of records with names, JSON and Parquet: where each of the contract's columns stands in them."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from dropledger.core.compression import compression_of
from dropledger.core.contracts.contract import Column, Contract, normalise_header
from dropledger.core.errors import DataRefused
from dropledger.core.formats.detect import format_of
from dropledger.core.formats.encoding import marked_encoding
from dropledger.core.formats.parquet_schema import Field, read_schema
from dropledger.core.formats.text_part import text_in
from dropledger.core.formats.text_scan import TextScan
from dropledger.core.ports.session import RecordLayout, Within

_LOOKED_AT = 100
_SHOWN = 60
_PARQUET = b"PAR1"
Found = tuple[RecordLayout, int, tuple[str, ...]]
"""A layout, the size of the text, and the names that are neither a column's nor ignored."""


def json_layout(path: Path, beginning: bytes, contract: Contract) -> Found:
    """How a JSON file is read.

    Raises:
        DataRefused: it is no text, or no JSON of the format that the contract says.
    """
    compression = compression_of(beginning)
    scan = TextScan(quote="")
    for chunk in text_in(path, compression, contract.encoding):
        scan.update(chunk)
    scan.refuse_unless_text(contract.format)
    text = scan.beginning.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "ignore")
    _refuse_other_text(text, contract)
    layout = RecordLayout(
        contract.format,
        {column.name: column.paths for column in contract.columns},
        {column.name: column.type for column in contract.columns},
        _may_lack(contract),
        compression,
        contract.encoding,
        scan.lines_end_alike,
        scan.has_long_lines,
    )
    return layout, scan.size, _unexpected(_names(text), contract)


def _may_lack(contract: Contract) -> frozenset[str]:
    return frozenset(column.name for column in contract.columns if column.may_lack)


def _refuse_other_text(text: str, contract: Contract) -> None:
    first = text.lstrip()[:1]
    wanted, other = ("[", "ndjson") if contract.format == "json" else ("{", "json")
    if first == wanted:
        return
    known = {"{": "JSON objects, one behind the other", "[": "a JSON array", "<": "a web page or XML"}
    what = known.get(first, "no JSON")
    declared = f"declare format: {other} in the contract" if first in {"[", "{"} else "declare the format that it has"
    raise DataRefused(
        "other_format",
        f"the file is {what}; the contract says {contract.format}",
        hint=f"{declared}, or export it as {contract.format}",
        detail=f"it begins with '{text.lstrip()[:_SHOWN]}'",
    )


def _names(text: str) -> list[str]:
    """The names in the first whole objects, one a line, of a text."""
    names: dict[str, None] = {}
    for line in text.split("\n", _LOOKED_AT)[:_LOOKED_AT]:
        try:
            record = json.loads(line.strip().strip("[],"))
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            names.update(dict.fromkeys(record))
    return list(names)


def _unexpected(names: Iterable[str], contract: Contract) -> tuple[str, ...]:
    known = {path[0] for column in contract.columns for path in column.paths}
    return tuple(name[:_SHOWN] for name in names if name not in known and not contract.ignores(name))


def parquet_layout(path: Path, beginning: bytes, contract: Contract) -> Found:
    """How a Parquet file is read.

    Raises:
        DataRefused: it is none, is damaged, or has not the columns that the contract asks for.
    """
    _refuse_no_parquet(beginning)
    fields, size = read_schema(path), path.stat().st_size
    by_name: dict[str, list[Field]] = {}
    for field in fields:
        by_name.setdefault(normalise_header(field.name), []).append(field)
    positions = {column.name: _positions(column, by_name) for column in contract.columns}
    missing = [column.name for column in contract.columns if not positions[column.name] and not column.may_lack]
    if missing:
        raise DataRefused(
            "missing_column",
            f"the file lacks {', '.join(missing)}",
            hint=f"name one as alias, or say its path; it has {', '.join(f.name[:_SHOWN] for f in fields[:20])}",
        )
    layout = RecordLayout(
        contract.format, positions, {column.name: column.type for column in contract.columns}, _may_lack(contract)
    )
    used = {path[0] for paths in positions.values() for path in paths}
    unexpected = tuple(
        field.name[:_SHOWN] for field in fields if field.name not in used and not contract.ignores(field.name)
    )
    return layout, size, unexpected


def _positions(column: Column, by_name: Mapping[str, list[Field]]) -> tuple[Within, ...]:
    """Where the file has a column, or what makes it together; nothing where it lacks it."""
    if column.path is None and not column.joined:
        found = [field for header in sorted(column.headers) for field in by_name.get(header, ())]
        if len(found) > 1:
            raise DataRefused(
                "repeated_column",
                f"{' and '.join(field.name[:_SHOWN] for field in found)} both mean {column.name}",
                hint="leave one of the two in the file, or say the column's path in the contract",
            )
        return tuple(_leaf(column, (field.name,), field) for field in found)
    places = []
    for path in column.paths:
        heads = [field for fields in by_name.values() for field in fields if field.name == path[0]]
        field = heads[0] if heads else None
        for name in path[1:]:
            field = next((part for part in field.parts if part.name == name), None) if field else None
        if field is None:
            return ()
        places.append(_leaf(column, path, field))
    return tuple(places)


def _leaf(column: Column, path: Within, field: Field) -> Within:
    """The path of a field whose values the column takes."""
    shown = ".".join(path)
    number = column.type == "bigint" or column.decimal is not None
    if field.is_floating and number:
        raise DataRefused(
            "number_not_exact",
            f"{shown} is a floating point column, and {column.name} is {column.type}",
            hint="write it as decimal128, an integer (in pandas Int64) or text; a double keeps no cents for sure",
        )
    if field.is_too_wide:
        raise DataRefused(
            "number_not_exact",
            f"{shown} has decimals of more than 38 digits, which engines read as floating point",
            hint="write it as decimal128 or text",
        )
    if field.is_binary:
        raise DataRefused(
            "type", f"{shown} holds bytes, which are no {column.type}", hint="write it as text (in Parquet: STRING)"
        )
    if field.is_nested and column.type != "json":
        raise DataRefused(
            "nested_value",
            f"{shown} is nested, and {column.name} is {column.type}",
            hint="give the path of a value within it, or the column the type json",
        )
    return path


def _refuse_no_parquet(beginning: bytes) -> None:
    """Refuse a file whose first bytes are not those of Parquet, for what it is."""
    if beginning.startswith(_PARQUET):
        return
    if not beginning:
        raise DataRefused("empty_file", "the file is empty", hint="export it again")
    if compression_of(beginning) is not None:
        raise DataRefused(
            "other_format",
            "the file is packed; the contract says parquet",
            hint="drop the Parquet file as it was written; it is packed inside",
        )
    encoded = marked_encoding(beginning)
    what = "JSON" if beginning.lstrip()[:1] in {b"{", b"["} else f"text in {encoded}" if encoded else "no Parquet"
    what, hint = format_of(beginning) or (what, "declare the format that it has, or write it as Parquet")
    raise DataRefused("other_format", f"the file is {what}; the contract says parquet", hint=hint)


LAYOUTS = {"ndjson": json_layout, "json": json_layout, "parquet": parquet_layout}
"""What finds the layout of a file, by the contract's format; `csv` is read as delimited text."""
