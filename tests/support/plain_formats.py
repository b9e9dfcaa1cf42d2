"""A plain reading of files under a declared contract, with Python's own parsers: what a row may be loaded as.

It knows no more of dropledger than the YAML of a contract, and gives up where a file can be read in two ways.
"""

import csv
import io
import itertools
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from support.plain_reading import BLANKS

UNREADABLE = object()
"""In the place of a value that a plain reading cannot make out."""

ANY = object()
"""In the place of a value that may be written in several ways."""

Rows = dict[int, dict[str, Any]]


def plain_rows(contract: Mapping[str, Any], content: bytes) -> Rows | None:
    """The values of each row by its line; None where a plain reading cannot tell rows apart."""
    form = contract.get("format", "csv")
    try:
        if form == "csv":
            return _delimited(contract, content)
        return {"parquet": _parquet, "ndjson": _json_lines, "json": _json_array}[form](contract, content)
    except (UnicodeDecodeError, csv.Error):
        return None


def _delimited(contract: Mapping[str, Any], content: bytes) -> Rows | None:
    encoding = contract.get("encoding", "utf-8")
    text = content.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    quote = contract.get("quote", '"')
    lines = re.split("\r\n|\r|\n", text)
    first = contract.get("preamble", {}).get("lines", 0)
    cells = [_cells(line, contract, quote) for line in lines]
    if any(line.count(quote) % 2 for line in lines[first:]):
        return None  # a record may span lines
    names = [column["name"] for column in contract["columns"]]
    if contract.get("header") == "none":
        places = {name: (place,) for place, name in enumerate(names)}
        width, begins = len(names), first
    else:
        header = [_normal(cell) for cell in cells[first]]
        places = {column["name"]: _places(column, header) for column in contract["columns"]}
        width, begins = len(header), first + 1
    rows: Rows = {}
    for number in range(begins, len(lines)):
        row = cells[number]
        if len(row) >= width and not any(cell.strip() for cell in row[width:]):
            rows[number + 1] = {
                column["name"]: _value(
                    column, " ".join(filter(None, (row[place].strip(" ") for place in places[column["name"]])))
                )
                for column in contract["columns"]
            }
    return rows


def _cells(line: str, contract: Mapping[str, Any], quote: str) -> list[str]:
    counts = {delimiter: line.count(delimiter) for delimiter in contract.get("delimiters", [",", ";"])}
    delimiter = max(counts, key=lambda one: counts[one])
    return next(csv.reader([line], delimiter=delimiter, quotechar=quote, skipinitialspace=True), [])


def _normal(header: str) -> str:
    return re.sub(r"[\s_\ufeff]+", "", header).casefold()


def _places(column: Mapping[str, Any], header: list[str]) -> tuple[int, ...]:
    if "joined" in column:
        return tuple(header.index(_normal(part)) for part in column["joined"] if _normal(part) in header)
    wanted = {_normal(name) for name in (column["name"], *column.get("aliases", ()))}
    return tuple(place for place, name in enumerate(header) if name in wanted)[:1]


def _value(column: Mapping[str, Any], text: str) -> Any:
    text = text.strip(BLANKS)
    if not text:
        return None
    accepted = [rule["values"] for rule in column.get("rules", ()) if isinstance(rule, dict) and "values" in rule]
    if accepted:
        return {str(key).casefold(): value for key, value in accepted[0].items()}.get(text.casefold(), UNREADABLE)
    kind = column.get("type", "text").partition("(")[0]
    readers: dict[str, Callable[[Mapping[str, Any], str], Any]] = {
        "bigint": _number,
        "decimal": _number,
        "date": _day,
        "timestamp": _moment,
    }
    return readers[kind](column, text) if kind in readers else text


def _listed(entry: Any) -> list[str]:
    return [entry] if isinstance(entry, str) else list(entry or ())


def _number(column: Mapping[str, Any], text: str) -> Any:
    for word in _listed(column.get("strip")):
        text = text.replace(word, "")
    signs = _listed(column.get("negative"))
    text = text.replace(column.get("group_mark", "\0"), "").replace(column.get("decimal_mark", "."), ".").strip(BLANKS)
    if "parentheses" in signs and text[:1] + text[-1:] == "()":
        text = f"-{text[1:-1]}"
    if "trailing_minus" in signs and text.endswith("-"):
        text = f"-{text[:-1]}"
    try:
        return Decimal(re.sub("[ \u00a0\u202f]", "", text))
    except InvalidOperation:
        return UNREADABLE


def _day(column: Mapping[str, Any], text: str) -> Any:
    for form in _listed(column.get("date_format")) or ["%Y-%m-%d"]:
        try:
            return datetime.strptime(text, form).date()
        except ValueError:
            continue
    return UNREADABLE


def _moment(column: Mapping[str, Any], text: str) -> Any:
    zones = column.get("zones", {})
    if zones:
        text, _, zone = text.rpartition(" ")
        if zone not in zones and zone not in {"UTC", "GMT", "Z"}:
            return UNREADABLE
    try:
        forms = [form.removesuffix(" %Z") for form in _listed(column.get("timestamp_format"))]
        local = datetime.strptime(text, forms[0]) if forms else datetime.fromisoformat(text)
        if zones:
            offset = zones.get(zone, "+00:00")
            ahead = timedelta(hours=int(offset[1:3]), minutes=int(offset[4:]))
            return (local + ahead if offset[0] == "-" else local - ahead).replace(tzinfo=UTC)
        if local.tzinfo is None:
            local = local.replace(tzinfo=ZoneInfo(column.get("timezone", "UTC")))
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        return UNREADABLE


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name stands twice")
    return dict(pairs)


def _json_lines(contract: Mapping[str, Any], content: bytes) -> Rows:
    rows: Rows = {}
    for number, line in enumerate(re.split("\r\n|\r|\n", content.decode("utf-8-sig")), 1):
        try:
            record = json.loads(line, parse_float=Decimal, parse_int=Decimal, object_pairs_hook=_once)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            rows[number] = {column["name"]: _of_record(column, record) for column in contract["columns"]}
    return rows


def _json_array(contract: Mapping[str, Any], content: bytes) -> Rows | None:
    """The objects of an array, each by the line in which it begins."""
    text, rows = content.decode("utf-8-sig"), {}
    decoder = json.JSONDecoder(parse_float=Decimal, parse_int=Decimal, object_pairs_hook=_once)
    at, blanks = 0, re.compile("[ \t\r\n]*")
    try:
        for mark in itertools.chain("[", itertools.repeat(",")):
            at = blanks.match(text, at).end()
            if text[at : at + 1] != mark:
                break
            at = blanks.match(text, at + 1).end()
            record, end = decoder.raw_decode(text, at)
            if isinstance(record, dict):
                line = len(re.split("\r\n|\r|\n", text[:at]))
                rows[line] = {column["name"]: _of_record(column, record) for column in contract["columns"]}
            at = end
    except (ValueError, RecursionError):
        return None
    return rows if text[at : at + 1] == "]" else None


def _of_record(column: Mapping[str, Any], record: Any) -> Any:
    value = record
    for name in column.get("path", column["name"]).split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if column.get("type") == "json":
        return value
    if isinstance(value, dict | list):
        return UNREADABLE
    if value is None or isinstance(value, str):
        return _value(column, value or "")
    return _value(column, str(value).lower() if isinstance(value, bool) else f"{value:f}")


def _parquet(contract: Mapping[str, Any], content: bytes) -> Rows | None:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(io.BytesIO(content), use_threads=False)
        records = table.to_pylist()
    except (pa.ArrowException, OSError, ValueError, UnicodeDecodeError, OverflowError):
        return None
    rows: Rows = {}
    for number, record in enumerate(records, 1):
        normal = {_normal(name): value for name, value in record.items()}
        rows[number] = {
            column["name"]: _of_table(column, normal.get(_normal(column["name"]))) for column in contract["columns"]
        }
    return rows


def _of_table(column: Mapping[str, Any], value: Any) -> Any:
    kind = column.get("type", "text")
    if kind == "json":
        return _json_of_table(value)
    if kind == "text" and not isinstance(value, str):
        return value if value is None else ANY
    match value:
        case datetime():
            moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
            return value.date() if kind == "date" else moment
        case date() if kind == "timestamp":
            return datetime(value.year, value.month, value.day, tzinfo=UTC)
        case str():
            return _value(column, value)
        case _:
            return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _json_of_table(value: Any) -> Any:
    if isinstance(value, str):
        return _json_in(value)
    if isinstance(value, list) and any(isinstance(part, tuple) for part in value):
        return ANY  # a mapping
    return value if value is None or isinstance(value, list | dict | int | Decimal) else ANY


def _json_in(text: str) -> Any:
    try:
        return json.loads(text, parse_float=Decimal, parse_int=Decimal)
    except ValueError:
        return ANY
