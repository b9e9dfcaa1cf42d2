"""What files of records hold: the places of values in JSON, by its first records, and in Parquet, by its schema."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from dropledger.core.compression import Compression
from dropledger.core.formats.json_records import NoRecord, elements, parsed
from dropledger.core.formats.parquet_schema import Field, read_schema
from dropledger.core.formats.text_part import text_in
from dropledger.core.ports.session import Within

_LOOKED_AT = 1000  # records whose places are looked for
_DEEPEST = 5


@dataclass(frozen=True, slots=True)
class Found:
    """A place in records: whether what is there is kept as JSON, and why its type is fixed or it may lack, if so."""

    path: Within
    is_json: bool
    fixed: str = ""
    optional: str = ""


def json_places(path: Path, compression: Compression | None, form: str) -> tuple[list[Found], dict[str, str]]:
    """The places of values in a JSON file, and names that are passed over, with the reason."""
    records = []
    for text in islice(_records(path, compression, form), _LOOKED_AT):
        try:
            records.append(parsed(text))
        except NoRecord:
            continue
    kinds: dict[Within, set[str]] = {}
    counts: dict[Within, int] = {}
    for record in records:
        for place, what in _places(record, ()):
            kinds.setdefault(place, set()).add(what)
            counts[place] = counts.get(place, 0) + 1
    found, passed_over = [], {}
    for place in [place for place in kinds if any(_is_below(other, place) for other in kinds)]:
        if kinds[place] <= {"null"}:
            del kinds[place]  # an object that some records lack
        else:
            kinds[place].add("json")
    nested = {place for place, kind in kinds.items() if "json" in kind}
    for place, kind in kinds.items():
        if any(place[:depth] in nested for depth in range(1, len(place))):
            continue
        if any(not name or set(name) & set('."\\') for name in place):
            passed_over[place[0]] = "no path can name it, as it has a point, quote or backslash"
            continue
        lacks = len(records) - counts[place]
        optional = f"{lacks:,} of the first {len(records):,} records lack it" if lacks else ""
        is_json = "json" in kind
        found.append(Found(place, is_json, "an array or object, kept as JSON text" if is_json else "", optional))
    return found, passed_over


def _records(path: Path, compression: Compression | None, form: str) -> Iterator[str]:
    chunks = text_in(path, compression, "utf-8")
    if form == "json":
        for _, element in elements(_without_mark(chunks)):
            yield element.decode("utf-8", "replace").strip()
        return
    rest = b""
    for chunk in _without_mark(chunks):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line.decode("utf-8", "replace") for line in lines)
    yield rest.decode("utf-8", "replace")


def _without_mark(chunks: Iterator[bytes]) -> Iterator[bytes]:
    for number, chunk in enumerate(chunks):
        yield chunk.removeprefix(b"\xef\xbb\xbf") if number == 0 else chunk


def _places(value: dict[str, Any], above: Within) -> Iterator[tuple[Within, str]]:
    for name, part in value.items():
        place = (*above, name)
        if isinstance(part, dict) and part and len(place) < _DEEPEST:
            yield from _places(part, place)
        else:
            yield place, "json" if isinstance(part, dict | list) else "null" if part is None else "value"


def _is_below(place: Within, above: Within) -> bool:
    return len(place) > len(above) and place[: len(above)] == above


def parquet_places(path: Path) -> tuple[list[Found], dict[str, str]]:
    """As `json_places`, of a Parquet file."""
    found, passed_over = [], {}
    for field in read_schema(path):
        for place, leaf in _leaves(field, ()):
            if leaf.is_binary:
                passed_over[field.name] = "it holds bytes; written as text (STRING) it could be read"
            elif any(not name or set(name) & set('."\\') for name in place):
                passed_over[field.name] = "no path can name it, as it has a point, quote or backslash"
            elif leaf.is_floating:
                why = "FLOATING POINT KEEPS NO CENTS: write it as decimal or integer to have a number"
                found.append(Found(place, is_json=False, fixed=why))
            elif leaf.is_nested:
                found.append(Found(place, is_json=True, fixed="nested, kept as JSON text"))
            else:
                found.append(Found(place, is_json=False))
    return found, passed_over


def _leaves(field: Field, above: Within) -> Iterator[tuple[Within, Field]]:
    place = (*above, field.name)
    is_struct = field.parts and not field.is_repeated and not any(part.is_repeated for part in field.parts)
    if is_struct and len(place) < _DEEPEST:
        for part in field.parts:
            yield from _leaves(part, place)
    else:
        yield place, field


def json_form(beginning: str) -> str | None:
    """`ndjson` or `json`, where a text begins like that."""
    text = beginning.lstrip("\ufeff \t\r\n")
    if text.startswith("{"):
        return "ndjson"
    if not text.startswith("["):
        return None
    inside = text[1:].lstrip()
    if inside[:1] in {"{", "]", ""}:
        return "json"
    try:
        json.loads(text)
    except ValueError:
        return None
    return "json"
