"""JSON and Parquet: each value is read to the letter, or refused with its line, its text and a reason."""

import gzip
import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.ledger import Ledger
from support.one_feed import one_feed, refused, rejects_of, rows_of

from dropledger.core.errors import ContractError, Unavailable
from dropledger.core.operations.verify import verify

BASE = """
feed: entry
files: ["entries*"]
format: {}
key: [id]
columns:
  - {{name: id, type: bigint, rules: [not_null]}}
  - {{name: text, path: data.text}}
  - {{name: amount, type: "decimal(18,4)", path: data.amount, optional: true}}
  - {{name: tags, type: json, optional: true}}
"""
NAME = "entries_2025-10-31.json"
New = Callable[..., Ledger]


@pytest.fixture
def new(tmp_path: Path) -> New:
    """A ledger of a format, whose contract has these entries beside."""
    return lambda form, entries="": Ledger(tmp_path / "root", one_feed(tmp_path / "one", BASE.format(form) + entries))


def written(form: str, records: list[str]) -> str:
    return "\n".join(records) + "\n" if form == "ndjson" else "[\n" + ",\n".join(records) + "\n]\n"


RECORDS = [
    '{"id": 1, "data": {"text": "a", "amount": 1.50}, "tags": ["x", {"y": 1.10}]}',
    '{"data": {"amount": "2.5", "text": " Zoë \\u20ac \\"q\\" "}, "id": "2", "note": true}',
    '{"id": 3, "data": {"text": 1.10, "amount": 12345678901234.5678}}',
    '{"id": 4, "data": {"text": true, "amount": null}, "tags": {"a" : [1, 2.00, "\\u00e9"]}}',
    '{"id": 5, "data": "none"}',
    '{"id": 9007199254740993, "data": {"text": "", "amount": 0.0001}}',
    '{"id": 7, "data": {"text": "[1]"}, "tags": "{"}',
    '{"id": -0, "data": {"text": "1e5", "amount": -0.0}}',
]
READ = [
    ("1", "a", "1.5000", '["x",{"y":1.10}]'),
    ("2", 'Zoë € "q"', "2.5000", ""),
    ("3", "1.10", "12345678901234.5678", ""),
    ("4", "true", "", '{"a":[1,2.00,"é"]}'),
    ("5", "", "", ""),
    ("9007199254740993", "", "0.0001", ""),
    ("7", "[1]", "", '"{"'),
    ("0", "1e5", "0.0000", ""),
]


@pytest.mark.parametrize("form", ["ndjson", "json"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("packed", [False, True])
def test_values_are_read_to_the_letter(new: New, form, ends, packed):
    ledger = new(form)
    content = ("\ufeff" + written(form, RECORDS).replace("\n", ends)).encode()

    outcome = ledger.drop(NAME, gzip.compress(content) if packed else content)

    begins = 1 if form == "ndjson" else 2
    assert rows_of(ledger) == [(str(line), *values) for line, values in enumerate(READ, begins)], outcome
    assert not verify(ledger.runtime, lambda *_: None).differences
    assert ledger.rows("SELECT _line FROM src_entry ORDER BY 1") == ledger.rows(
        "SELECT line FROM history_entry ORDER BY 1"
    )
    assert "note" in " ".join(outcome.warnings)


@pytest.mark.parametrize("form", ["ndjson", "parquet"])
def test_rows_of_the_newest_file_are_read_where_it_lies(new: New, tmp_path: Path, form):
    ledger = new(form)
    text = '{"id": 1, "data": {"text": "a"}}\n\n{"id": 2}\n'
    made = parquet("SELECT * FROM (VALUES (1, {'text': 'a'}), (2, NULL)) AS t(id, data)", folder=tmp_path)
    ledger.drop(NAME, text if form == "ndjson" else made)

    second = 3 if form == "ndjson" else 2
    assert ledger.rows("SELECT _line, id, text, _accepted FROM src_entry ORDER BY _line") == [
        (1, "1", "a", True),
        (second, "2", None, True),
    ]
    assert ledger.rows("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'received_src_entry'") == [(0,)]
    with ledger.runtime.warehouse.session(read_only=True) as session:
        session.confine()
        assert session.query("SELECT count(*) AS n FROM stg_entry") == [{"n": 2}]
    [archived] = [path for path in (ledger.root / "archive").rglob("*") if path.is_file()]
    archived.parent.chmod(0o700)
    archived.unlink()
    with ledger.runtime.warehouse.session(read_only=True) as session:
        session.confine()
        with pytest.raises(Unavailable, match="there is no file"):
            session.query("SELECT count(*) AS n FROM stg_entry")


BROKEN = {
    '{"id": 11, "data": {"amount": 1e3}}': "type",
    '{"id": 12, "id": 13}': "repeated_name",
    '{"id": 14, "data": {"text": "a", "text": "a"}}': "repeated_name",
    '{"id": 15, "\\u0069d": 16}': "repeated_name",
    '{"id": 17, "data": {"text": ["a"]}}': "nested_value",
    '{"id": 18, "data": {"text": {}}}': "nested_value",
    '{"id": 19, "data": {"amount": 1.23456}}': "type",
    '{"id": 20, "data": {"amount": NaN}}': "malformed_json",
    '{"id": 21, "data": {"text": "\\u0000"}}': "malformed_json",
    '{"id": 22, "data": {"text": "\\ud800"}}': "malformed_json",
    '{"data": {}}': "not_null",
    '{"id": 1.5}': "type",
    '{"id": true}': "type",
}
BROKEN_LINES = {
    '{"id": 30,}': "malformed_json",
    '{"id": 31': "malformed_json",
    '{"id": 32} x': "malformed_json",
    "[1, 2]": "malformed_json",
    "null": "malformed_json",
    "id;33": "malformed_json",
    "{'id': 34}": "malformed_json",
}


@pytest.mark.parametrize("form", ["ndjson", "json"])
def test_what_is_no_record_is_refused_with_its_line_and_text(new: New, form):
    ledger = new(form)
    broken = {**BROKEN, **(BROKEN_LINES if form == "ndjson" else {})}
    records = [*RECORDS, *broken, *(f'{{"id": {number}}}' for number in range(100, 150))]

    outcome = ledger.drop(NAME, written(form, records))

    first = len(RECORDS) + (1 if form == "ndjson" else 2)
    assert outcome.rows_rejected == len(broken), outcome
    found = [(line, raw, rule) for line, _, rule, _, raw in rejects_of(ledger, outcome)]
    assert found == [(line, raw, rule) for line, (raw, rule) in enumerate(broken.items(), first)]
    assert (outcome.rows_read, outcome.rows_accepted) == (len(records), len(records) - len(broken))


def test_records_of_an_array_may_span_lines(new: New):
    ledger = new("json")
    outcome = ledger.drop(
        NAME, '[{"id":\n 1,\n"data": {"text": "],{\\"\\\\"}}\n\n , {"id": "x",\r\n"note": 1},{"id":2}]'
    )
    assert [(line, key, text) for line, key, text, *_ in rows_of(ledger)] == [("1", "1", '],{"\\'), ("6", "2", "")]
    assert [(line, raw) for line, *_, raw in rejects_of(ledger, outcome)] == [(5, '{"id": "x",\r\n"note": 1}')]


@pytest.mark.parametrize("end", ["\r", "\r\n"])
def test_lines_of_an_array_end_as_they_do_elsewhere(new: New, end):
    ledger = new("json")
    text = f'[{end} {{"id": 1}},{end}{end} {{"id": 2,{end} "data": {{"text": "\\n"}}}}, {end}{{"id": 3}}{end}]'
    ledger.drop(NAME, text)
    assert [row[:2] for row in rows_of(ledger)] == [("2", "1"), ("4", "2"), ("6", "3")]


def test_records_that_share_a_line_of_an_array_are_told_by_their_number(new: New):
    ledger = new("json")
    outcome = ledger.drop(
        NAME, '[\n{"id": 1, "data": {"text": "a"}}, {"id": "x"}, {"id": 3, "id": 4}, {"id": 5},\n{"id": 6}]'
    )
    assert [row[:2] for row in rows_of(ledger)] == [("1", "1"), ("4", "5"), ("5", "6")]
    found = [(line, rule, raw) for line, _, rule, _, raw in rejects_of(ledger, outcome)]
    assert found == [(2, "type", '{"id": "x"}'), (3, "repeated_name", '{"id": 3, "id": 4}')]
    assert not verify(ledger.runtime, lambda *_: None).differences


@pytest.mark.parametrize("beside", ["1", "1.5e0", '"\\u0061"'])
def test_a_text_among_values_of_json_keeps_its_quotes(new: New, beside):
    ledger = new("ndjson")
    tags = ['"x"', '"1"', "1", '"a\\"b"', '"é/"', "true", "1.50", '""', "null", '"true"', '"[1]"']
    lines = [f'{{"id": {place}, "data": {{"text": {beside}}}, "tags": {value}}}' for place, value in enumerate(tags)]
    ledger.drop(NAME, "\n".join(lines))
    assert [row[4] for row in rows_of(ledger)] == [value.replace("null", "") for value in tags]


@pytest.mark.parametrize(
    ("form", "content", "reason"),
    [
        (
            "ndjson",
            '[{"id": 1}]',
            "other_format: the file is a JSON array; the contract says ndjson. declare format: json",
        ),
        ("json", '{"id": 1}\n{"id": 2}\n', "the file is JSON objects, one behind the other; the contract says json"),
        ("ndjson", "id,text\n1,a\n", "the file is no JSON; the contract says ndjson"),
        ("ndjson", "<html>", "the file is a web page or XML"),
        ("ndjson", b"PAR1\0\0\0\xff", "other_format: the file is a Parquet file; the contract says ndjson"),
        ("ndjson", b"PK\x03\x04\0\xff", "the file is a zip archive; the contract says ndjson"),
        ("csv", '{"id": 1}\n', "other_format: the file is JSON; the contract says csv. declare format: ndjson"),
        ("csv", "[\n{}\n]", "other_format: the file is JSON; the contract says csv. declare format: json"),
        (
            "csv",
            b"PAR1\0\0\0\xff",
            "other_format: the file is a Parquet file; the contract says csv. declare format: parquet",
        ),
        ("parquet", "id,text\n", "other_format: the file is no Parquet; the contract says parquet"),
        ("parquet", '{"id": 1}\n', "the file is JSON; the contract says parquet"),
        ("parquet", b"", "empty_file"),
        ("ndjson", b"", "empty_file"),
        ("ndjson", b'{"id": "\xff"}', "not_utf8"),
        ("json", '[{"id": 1}', "it does not end with the array, so it may be cut off"),
        ("json", '[{"id": 1},]', "a comma stands where a record belongs"),
        ("json", '[,{"id": 1}]', "a comma stands where a record belongs"),
        ("json", '[{"id": 1}] x', "malformed_json: the file is no JSON array"),
        ("json", '[{"id": 1}] []', "malformed_json: the file is no JSON array"),
        ("json", "[]", "no_rows"),
        ("ndjson", '{"idd": 1, "data": {"text": ""}}\n', "missing_column: no record has id"),
        ("ndjson", '{"id": 1}\n', "missing_column: no record has data.text"),
    ],
)
def test_another_file_than_declared_is_refused_by_name(tmp_path: Path, new: New, form, content, reason):
    if form == "csv":
        plain = 'feed: entry\nfiles: ["entries*"]\nkey: [id]\ncolumns:\n  - {name: id, rules: [not_null]}\n'
        ledger = Ledger(tmp_path / "root", one_feed(tmp_path / "one", plain))
    else:
        ledger = new(form)
    assert reason in refused(ledger.drop(NAME, content))


def test_a_column_is_in_some_record_or_may_be_missing(new: New):
    ledger = new("ndjson")
    ledger.drop(NAME, '{"id": 1}\n{"id": 2, "data": {"text": null}}\n')
    assert [row[1] for row in rows_of(ledger)] == ["1", "2"]


def parquet(select: str, **kinds: Any) -> bytes:
    path = Path(kinds.pop("folder")) / "made.parquet"
    with duckdb.connect() as engine:
        engine.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet)")
    return path.read_bytes()


ROWS = """SELECT * FROM (VALUES
    (1::BIGINT, {'text': 'a', 'amount': 1.50::DECIMAL(18,4)}, ['x'], 9),
    (2, {'text': ' Zoë', 'amount': NULL}, NULL, 9),
    (NULL, NULL, NULL, 9),
    (4, NULL, [], 9)) AS t("ID", data, tags, note)"""


def test_parquet_is_read_with_its_types(new: New, tmp_path: Path):
    ledger = new("parquet")
    outcome = ledger.drop(NAME, parquet(ROWS, folder=tmp_path))

    assert rows_of(ledger) == [("1", "1", "a", "1.5000", '["x"]'), ("2", "2", "Zoë", "", ""), ("4", "4", "", "", "[]")]
    [(line, column, rule, _, raw)] = rejects_of(ledger, outcome)
    assert (line, column, rule) == (3, "id", "not_null")
    assert json.loads(raw) == {"ID": None, "data": None, "tags": None, "note": 9}
    assert "note" in " ".join(outcome.warnings)
    assert not verify(ledger.runtime, lambda *_: None).differences


TYPED = """
feed: entry
files: ["entries*"]
format: parquet
key: [id]
columns:
  - {name: id, type: bigint, rules: [not_null]}
  - {name: at, type: timestamp, optional: true}
  - {name: day, type: date, optional: true}
  - {name: flag, type: boolean, optional: true, rules: [{rule: accepted_values,
       values: {"true": true, "false": false}}]}
  - {name: amount, type: "decimal(10,2)", optional: true}
"""


@pytest.mark.parametrize(
    ("select", "values"),
    [
        (
            "TIMESTAMPTZ '2025-10-31 10:00:00+02' AS at, DATE '2025-10-31' AS day, true AS flag",
            ["2025-10-31 08:00:00", "2025-10-31", "True", ""],
        ),
        (
            "TIMESTAMP_NS '2025-10-31 10:00:00.5' AS at, TIMESTAMP '2025-10-31' AS day",
            ["2025-10-31 10:00:00.500000", "2025-10-31", "", ""],
        ),
        ("TIMESTAMP_MS '2025-10-31 10:00:00.5' AS at, '1.5' AS amount", ["2025-10-31 10:00:00.500000", "", "", "1.50"]),
        ("NULL::TIMESTAMPTZ AS at", ["", "", "", ""]),
        ("5::UTINYINT AS amount", ["", "", "", "5.00"]),
        ("1.5::DECIMAL(38,10) AS amount", ["", "", "", "1.50"]),
    ],
)
def test_types_of_parquet_become_those_of_the_contract(tmp_path: Path, select, values):
    ledger = Ledger(tmp_path / "root", one_feed(tmp_path / "one", TYPED))
    ledger.drop(NAME, parquet(f"SELECT 1::INTEGER AS id, {select}", folder=tmp_path))
    assert rows_of(ledger) == [("1", "1", *values)]


@pytest.mark.parametrize(
    ("select", "reason"),
    [
        ("1 AS id, 1.5::DOUBLE AS amount", "number_not_exact: amount is a floating point column"),
        ("1.0::FLOAT AS id", "number_not_exact: id is a floating point column"),
        ("1 AS id, [1] AS amount", "nested_value: amount is nested"),
        ("1 AS id, 'a'::BLOB AS day", "type: day holds bytes"),
        ("1 AS other", "missing_column: the file lacks id. name one as alias, or say its path; it has other"),
        ('1 AS id, 2 AS "I D"', "repeated_column: id and I D both mean id"),
    ],
)
def test_columns_of_parquet_that_hold_something_else_are_refused(tmp_path: Path, select, reason):
    ledger = Ledger(tmp_path / "root", one_feed(tmp_path / "one", TYPED))
    assert reason in refused(ledger.drop(NAME, parquet(f"SELECT {select}", folder=tmp_path)))


@pytest.mark.parametrize("name", ["amount", "tags"])
def test_decimals_of_parquet_that_are_read_as_floating_point_are_refused(tmp_path: Path, name):
    pa = pytest.importorskip("pyarrow")
    column = pa.array([Decimal("1234567890123456.78")], pa.decimal256(39, 2))
    if name == "tags":
        column = pa.ListArray.from_arrays(pa.array([0, 1]), column)
    out = io.BytesIO()
    parquet_of_arrow = pytest.importorskip("pyarrow.parquet")
    parquet_of_arrow.write_table(pa.table({"id": [1], name: column}), out)
    contract = TYPED.replace("decimal(10,2)", "decimal(18,2)") + "  - {name: tags, type: json, optional: true}\n"
    ledger = Ledger(tmp_path / "root", one_feed(tmp_path / "one", contract))
    assert f"number_not_exact: {name} has decimals of more than 38 digits" in refused(ledger.drop(NAME, out.getvalue()))


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("DATE '2025-10-31'", '"2025-10-31"'),
        ("'inf'::DOUBLE", '"inf"'),
        ("0.1::DOUBLE", "0.1"),
        ("1.50::DECIMAL(9,2)", "1.50"),
        ("true", "true"),
        ("'[1, 2]'", "[1, 2]"),
    ],
)
def test_values_of_parquet_become_json(new: New, tmp_path: Path, value, kept):
    ledger = new("parquet")
    ledger.drop(NAME, parquet(f"SELECT 1 AS id, {{'text': 'a'}} AS data, {value} AS tags", folder=tmp_path))
    assert [row[4] for row in rows_of(ledger)] == [kept]


def test_parquet_of_which_a_part_is_missing_or_damaged_is_refused(new: New, tmp_path: Path):
    ledger = new("parquet")
    whole = parquet(ROWS, folder=tmp_path)
    for place, content in enumerate((whole[:-1], whole[:20], whole[:8] + b"\xff" * 60 + whole[68:], b"PAR1" * 4)):
        assert "damaged_file" in refused(ledger.drop(f"entries_2025-10-{place + 10}.parquet", content))
    assert "the file is packed; the contract says parquet" in refused(ledger.drop(NAME, gzip.compress(whole)))


DAMAGED = sorted((Path(__file__).parents[1] / "data" / "damaged_parquet").iterdir())


@pytest.mark.parametrize("path", DAMAGED, ids=lambda path: path.stem)
def test_parquet_that_the_engine_cannot_read_is_damaged_whatever_it_says(tmp_path: Path, path: Path):
    contract = (Path(__file__).parents[2] / "samples/contracts/parquet_of_pandas/position.yaml").read_text()
    ledger = Ledger(tmp_path / "root", one_feed(tmp_path / "one", contract))
    assert refused(ledger.drop("positions_2025-10-31.parquet", path.read_bytes())).startswith("damaged_file")


def test_exact_numbers_of_pandas_are_read(tmp_path: Path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "id": pandas.array([1, 2], dtype="Int64"),
            "at": pandas.to_datetime(["2025-10-31T10:00:00", None]),
            "amount": [Decimal("1.50"), None],
        }
    )
    file = io.BytesIO()
    frame.to_parquet(file, index=False)
    ledger = Ledger(tmp_path / "root", one_feed(tmp_path / "one", TYPED))
    ledger.drop(NAME, file.getvalue())
    assert rows_of(ledger) == [("1", "1", "2025-10-31 10:00:00", "", "", "1.50"), ("2", "2", "", "", "", "")]


@pytest.mark.parametrize(
    ("form", "entries", "reason"),
    [
        ("ndjson", "quote: none\n", "quote does not go with format: ndjson"),
        ("json", "header: none\n", "header does not go with format: json"),
        ("parquet", "encoding: utf-16\n", "encoding does not go with format: parquet"),
        ("ndjson", "  - {name: x, aliases: [y]}\n", "x: say by path where a record has it"),
        ("ndjson", "  - {name: x, path: a..b}\n", "x: a path is names parted by points"),
        ("csv", "", "text: path goes with the formats ndjson, json and parquet"),
        ("xml", "", "format: "),
    ],
)
def test_wrong_declarations_are_told(new: New, form, entries, reason):
    with pytest.raises(ContractError) as error:
        new(form, entries)
    assert reason in str(error.value)
