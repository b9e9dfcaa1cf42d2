"""JSON lines that the engine reads for their usual spelling come to what the same lines are to the letter."""

import json
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.ledger import Ledger
from support.one_feed import one_feed
from support.reading import Reader

from dropledger.core.formats.json_records import NoRecord, cells_of, parsed
from dropledger.core.ports.session import RecordLayout

CONTRACT = """
feed: entry
files: ["entries*"]
format: ndjson
key: [id]
columns:
  - {name: id, type: bigint, rules: [not_null]}
  - {name: text, path: data.text, optional: true}
  - {name: amount, type: "decimal(28,8)", path: data.amount, optional: true}
  - {name: tags, type: json, optional: true}
"""
NUMBERS = (
    *("0", "-0", "-0.0", "1.10", "0.1", "1e3", "1E-2", "12345678901234567890", "1234567890.123456", "01", "1.", "+1"),
    *("true", "false", "null", "NaN", "-Infinity", "nul", "[]", "{}", '["a", 1.10]', '{"a": 1, "a": 2}', ""),
)
TEXTS = (
    *("", "a", "1.5", "1e5", "nan", "{", "[1]", "null", "-0", "}", ',]"', "1" * 20, "é"),
    *("\\n", '\\"', "\\u0061", "\\ud800", "\\u0000", "\\/"),
)
values = st.sampled_from((*NUMBERS, *(f'"{text}"' for text in TEXTS)))
numbers = st.decimals(-(10**15), 10**15, allow_nan=False, places=4).map(str)
texts = st.text().map(lambda text: json.dumps(text, ensure_ascii=False))
anything = values | numbers | texts
usual = st.lists(st.tuples(anything, anything, anything, anything), min_size=1, max_size=20)
SHAPES = (
    '{"id":%s,"data":{"text":%s,"amount":%s},"tags":%s}',
    '{"id": %s, "data": {"text": %s, "amount": %s}, "tags": %s}',
    '{"id": %s, "data": {"text": %s, "amount": %s, "note": 1.10, "n": [1, "x"]}, "tags": %s, "other": {"a": 1}}',
    '{"id": %s, "data": {"text": %s, "amount": %s, "text": "b"}, "tags": %s}',
    '{"id": %s, "data": {"text": %s, "amount": %s}, "tags": %s, "\\ud800": 1, "a.b": 2, "it\'s": 3}',
    ' {"id": %s, "data": {"text": %s, "amount": %s}, "tags": %s,} ',
)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    folder: Path = tmp_path_factory.mktemp("spellings")
    pipeline = one_feed(folder / "one", CONTRACT)
    with Ledger(folder / "root", pipeline).runtime.warehouse.session() as session:
        yield Reader(session, pipeline.contracts["entry"], folder / "entries.jsonl")


@settings(max_examples=60, deadline=None)
@given(rows=usual, shape=st.sampled_from(SHAPES), other=st.sampled_from(SHAPES))
def test_usual_spellings_are_read_to_the_letter(reader: Reader, rows, shape, other):
    lines = [(shape if place % 3 else other) % row for place, row in enumerate(rows)]
    text = '{"id": 1, "data": {"text": "a", "amount": 1}, "tags": 1}\n' + "\n".join(lines)
    if any(letter < " " and letter not in "\t\r\n" for letter in text):
        return
    found = reader.read(text)
    layout = reader.extract(text).layout
    assert isinstance(layout, RecordLayout)
    read = {row.line: _exact(row.cells, layout) for row in found.rows}
    read |= {row.line: row.rule for row in found.malformed}
    for number, line in enumerate(re.split("\r\n|\r|\n", text), 1):
        assert read.get(number) == (_to_the_letter(line, layout) if line.strip() else None), line


def _to_the_letter(line: str, layout: RecordLayout) -> object:
    try:
        return _exact(cells_of(parsed(line), layout.positions, layout.types), layout)
    except NoRecord as why:
        return why.rule


def _exact(cells: Sequence[str | None], layout: RecordLayout) -> list[object]:
    return [*map(_number, cells, layout.types.values())]


def _number(cell: str | None, kind: str) -> object:
    """A number of a column of numbers, whose zeros at the end mean nothing."""
    of_numbers = kind == "bigint" or kind.startswith("decimal")
    is_number = of_numbers and re.fullmatch(r"-?[0-9]+([.][0-9]+)?", cell or "")
    return Decimal(cell or 0) if is_number else cell
