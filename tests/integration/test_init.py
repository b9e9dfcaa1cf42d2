"""`dropledger init`: what it infers from files, and that these go in then."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.in_process import Left, run
from support.sample_contracts import NAMES, contract_file, good_file

import dropledger
from dropledger.core.contracts.contract import Contract, normalise_header
from dropledger.core.contracts.pipeline_spec import Pipeline, load_pipeline

PROJECT = Path(__file__).parents[2]

# What a person has written otherwise, by sample and header (or place where there is none), and why no file shows it.
DIFFERENT = {
    ("card_processor", "2"): "978 and 840 are numbers to who does not know these codes of currencies",
    ("core_banking", "acct-no"): "that the zeros in front mean nothing",
    ("payment_provider", "paid"): "that three columns are one moment",
    ("web_service", "payment.total"): "what is wanted of an object that is empty in one record",
}


def init(folder: Path, *files: Path, code: int = 0) -> Left:
    left = run("init", folder, *(("--from", *files) if files else ()), "--json")
    assert left.code == code, left.err
    return left


def inferred(folder: Path, *files: Path) -> Pipeline:
    init(folder, *files)
    return load_pipeline(str(folder))


def loaded(root: Path, pipeline: Pipeline, *files: Path) -> dropledger.Ledger:
    """A ledger that all rows of the files went into."""
    ledger = dropledger.open_ledger(root, pipeline=str(pipeline.folder))
    outcomes = ledger.process(files)
    assert [(str(outcome.delivered), outcome.rows_rejected, outcome.error) for outcome in outcomes] == [
        ("accepted", 0, None)
    ] * len(files)
    return ledger


def types(contract: Contract) -> dict[str, str]:
    """The type of each column by where files have it; of decimals just how many digits they have behind the mark."""
    found = {}
    for place, column in enumerate(contract.columns):
        where = column.path or (*column.aliases, column.name)[0]
        if contract.header == "none":
            where = str(place)
        kind = f"decimal with {column.decimal[1]}" if column.decimal else column.type
        found[normalise_header(where)] = kind
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_samples_of_contracts_go_in_with_the_types_that_a_person_wrote(tmp_path: Path, name: str):
    pipeline = inferred(tmp_path / "mine", good_file(name))
    loaded(tmp_path / "root", pipeline, good_file(name))
    written = contract_file(name)
    (tmp_path / "by_hand").mkdir()
    (tmp_path / "by_hand" / written.name).write_bytes(written.read_bytes())
    feed = yaml.safe_load(written.read_text(encoding="utf-8"))["feed"]
    (tmp_path / "by_hand" / "pipeline.yaml").write_text(f"pipeline: one\nschema: one\nmoment: [{feed}]\n")
    [by_hand] = load_pipeline(str(tmp_path / "by_hand")).contracts.values()
    [contract] = pipeline.contracts.values()
    mine, theirs = types(contract), types(by_hand)
    differ = {where for where in theirs if mine.get(where) != theirs[where]}
    assert differ == {where for sample, where in DIFFERENT if sample == name}, (mine, theirs)
    assert run("check", "--pipeline", tmp_path / "mine", "--json").code == 0
    assert (contract.format, contract.encoding, contract.header) == (by_hand.format, by_hand.encoding, by_hand.header)
    assert (contract.quote, contract.preamble) == (by_hand.quote, by_hand.preamble)
    assert (contract.trailer is None) == (by_hand.trailer is None)
    if contract.trailer is not None and by_hand.trailer is not None:
        assert contract.trailer.rows == by_hand.trailer.rows
        assert list(contract.trailer.sums.values()) == list(by_hand.trailer.sums.values())
    assert contract.as_of_in_name == by_hand.as_of_in_name


@pytest.mark.slow
def test_extracts_of_two_days_are_two_feeds_one_of_which_refers_to_the_other(tmp_path: Path):
    files = sorted((PROJECT / "samples").glob("day?/*.csv"))
    pipeline = inferred(tmp_path / "mine", *files)
    ledger = loaded(tmp_path / "root", pipeline, *files)
    assert {contract.feed: (contract.key, contract.mode) for contract in pipeline.contracts.values()} == {
        "account": (("account_id",), "full"),
        "customer": (("customer_id",), "full"),
    }
    customer_id = pipeline.contract("account").column("customer_id")
    assert [rule.to for rule in customer_id.rules if rule.rule == "relationship"] == ["customer.customer_id"]
    by_hand = load_pipeline("lending")
    for feed in ("account", "customer"):
        mine, theirs = types(pipeline.contract(feed)), types(by_hand.contract(feed))
        # Yes, No and None are more than true and false, until a person says what None means.
        assert {where for where in theirs if mine[where] != theirs[where]} == {
            "account": set(),
            "customer": {"hasloan"},
        }[feed]
    assert run("check", "--pipeline", tmp_path / "mine", "--json").code == 0
    [current] = pipeline.marts
    assert ledger.query(f"SELECT count(*) AS n FROM {current.name}")[0]["n"] > 0


def test_without_files_it_is_a_small_pipeline_that_works(tmp_path: Path):
    pipeline = inferred(tmp_path / "mine")
    [sample] = (tmp_path / "mine" / "samples").iterdir()
    ledger = loaded(tmp_path / "root", pipeline, sample)
    assert not run("check", "--pipeline", tmp_path / "mine", "--json").json["unequal"]
    [mart] = pipeline.marts
    found = ledger.query(f"SELECT sum(row_count) AS n, sum(total_amount) AS total FROM {mart.name}")
    assert found[0]["n"] == 30
    [contract] = pipeline.contracts.values()
    assert (contract.mode, contract.effective_column, contract.key) == ("event", "paid_at", ("payment_id",))


def contract_text(folder: Path, feed: str) -> str:
    return (folder / f"{feed}.yaml").read_text(encoding="utf-8")


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def line_of(folder: Path, feed: str, column: str, entry: str) -> str:
    """The line of a column's entry, with its comment."""
    behind = contract_text(folder, feed).partition(f"  - name: {column}\n")[2].partition("  - name: ")[0]
    return next((line.strip() for line in behind.splitlines() if line.strip().startswith(entry)), "")


def test_ambiguous_days_are_told_with_the_other_reading(tmp_path: Path):
    file = written(tmp_path, "notes_2025-10-31.csv", "id,day,due\n1,03/04/2025,05/06/2025\n2,05/04/2025,07/06/2025\n")
    found = init(tmp_path / "mine", file).json["look_at"]
    assert [(entry["line"] > 0, "AMBIGUOUS" in entry["says"]) for entry in found] == [(True, True)] * 2
    assert "'03/04/2025' is read as 2025-04-03; with %m/%d/%Y it is 2025-03-04" in line_of(
        tmp_path / "mine", "note", "day", "type"
    )


def test_a_column_that_is_sure_decides_for_those_that_are_not(tmp_path: Path):
    file = written(tmp_path, "notes_2025-10-31.csv", "id,day,due\n1,03/04/2025,05/26/2025\n2,05/04/2025,07/06/2025\n")
    inferred(tmp_path / "mine", file)
    assert '"%m/%d/%Y"' in line_of(tmp_path / "mine", "note", "day", "date_format")


def test_rare_values_that_are_no_date_are_told_and_refused(tmp_path: Path):
    rows = "".join(f"{n},{n % 28 + 1:02}/{n % 12 + 1:02}/2025\n" for n in range(1234))
    bad = "".join(f"{n},soon\n" for n in range(1234, 1240))
    file = written(tmp_path, "notes_2025-10-31.csv", f"id,day\n{rows}{bad}")
    document = init(tmp_path / "mine", file).json
    assert document["feeds"][0]["rejected"] == 6
    said = line_of(tmp_path / "mine", "note", "day", "type")
    assert said.startswith("type: date")
    assert "1,234 of 1,240 values fit %d/%m/%Y; ROWS WITH THE OTHERS ARE REFUSED, such as 'soon'" in said


def test_zeros_in_front_are_kept_as_are_signs(tmp_path: Path):
    file = written(
        tmp_path, "places_2025-10-31.csv", "id,zip,phone,amount\n1,01067,+49351,007.50\n2,80331,+4989,1.25\n"
    )
    pipeline = inferred(tmp_path / "mine", file)
    ledger = loaded(tmp_path / "root", pipeline, file)
    [first, _] = ledger.query("SELECT zip, phone, CAST(amount AS VARCHAR) AS amount FROM history_place ORDER BY id")
    assert first == {"zip": "01067", "phone": "+49351", "amount": "7.50"}


def test_forms_that_are_rare_are_found_among_all_rows(tmp_path: Path):
    rows = "".join(f"{n},{n % 900}.50\n" for n in range(30_000))
    file = written(tmp_path, "sums_2025-10-31.csv", f'id,amount\n{rows}30000,"(1,250.00)"\n30001,"$3.00"\n')
    pipeline = inferred(tmp_path / "mine", file)
    amount = pipeline.contract("sum").column("amount")
    assert (amount.type, amount.group_mark, amount.strip) == ("decimal(18,2)", ",", ("$",))
    assert "parentheses" in amount.negative
    loaded(tmp_path / "root", pipeline, file)


def test_names_that_are_words_of_sql_or_no_names_are_handled(tmp_path: Path):
    header = 'id,select,order,"a ""b"" c",Größe,2nd,line,valid_from,日本,a-b,a.b,%'
    file = written(tmp_path, "Ünïted [kingdom]'s report 2025-10-31.csv", f"{header}\n1,2,3,4,5,6,7,8,9,10,11,12\n")
    pipeline = inferred(tmp_path / "mine", file)
    [contract] = pipeline.contracts.values()
    ledger = loaded(tmp_path / "root", pipeline, file)
    [row] = ledger.query(f"SELECT * FROM history_{contract.feed}")
    assert [row[column.name] for column in contract.columns] == list(range(1, 13))
    [mart] = pipeline.marts
    assert ledger.query(f'SELECT "select", "order" FROM {mart.name}') == [{"select": 2, "order": 3}]


def test_header_that_names_a_column_twice_is_read_without_it(tmp_path: Path):
    file = written(tmp_path, "notes_2025-10-31.csv", "id,note,note\n1,a,b\n2,c,d\n")
    pipeline = inferred(tmp_path / "mine", file)
    loaded(tmp_path / "root", pipeline, file)
    assert [column.name for column in pipeline.contract("note").columns] == ["id"]
    assert "note is left out: it stands twice in the header" in contract_text(tmp_path / "mine", "note")


def test_no_key_is_told_with_what_to_do(tmp_path: Path):
    file = written(tmp_path, "notes_2025-10-31.csv", "a,b\n1,2\n1,2\n1,3\n1,3\n")
    document = init(tmp_path / "mine", file).json
    assert "NO KEY WAS FOUND: name the columns that identify a row" in document["look_at"][0]["says"]


def test_a_key_of_several_columns_is_found(tmp_path: Path):
    rows = "".join(f"{account},2025-10-{day:02},{account * day}.50\n" for account in (1, 2, 3) for day in (1, 2, 3))
    file = written(tmp_path, "balances.csv", f"account_id,day,balance\n{rows}")
    pipeline = inferred(tmp_path / "mine", file)
    assert pipeline.contract("balance").key == ("account_id", "day")
    assert "no date in the name" in contract_text(tmp_path / "mine", "balance")


def test_a_file_with_a_header_alone_makes_columns_of_text(tmp_path: Path):
    file = written(tmp_path, "notes_2025-10-31.csv", "name,note_id,amount\n")
    pipeline = inferred(tmp_path / "mine", file)
    assert {column.type for column in pipeline.contract("note").columns} == {"text"}
    assert pipeline.contract("note").key == ("note_id",)
    assert "There were no rows" in contract_text(tmp_path / "mine", "note")


@pytest.mark.slow
def test_five_hundred_columns(tmp_path: Path):
    header = ",".join(f"c{n}" for n in range(500))
    rows = "".join(",".join(str(n * 1000 + row) for n in range(500)) + "\n" for row in range(20))
    file = written(tmp_path, "wide_2025-10-31.csv", f"{header}\n{rows}")
    pipeline = inferred(tmp_path / "mine", file)
    assert [column.type for column in pipeline.contract("wide").columns] == ["bigint"] * 500
    loaded(tmp_path / "root", pipeline, file)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty_2025-10-31.csv", b"", "the file is empty"),
        ("book_2025-10-31.csv", b"PK\x03\x04 xl/workbook", "an Excel workbook"),
        ("odd_2025-10-31.csv", b"id,name\n1,\x81\x8d\n", "encoding that cannot be told"),
        ("cut_2025-10-31.parquet", b"PAR1 and no end of it", "is damaged"),
    ],
)
def test_files_that_cannot_be_read_are_named_and_nothing_is_left(tmp_path: Path, name: str, content: bytes, says: str):
    (tmp_path / "here").mkdir()
    left = run("init", tmp_path / "here" / "mine", "--from", written(tmp_path, name, content), "--json")
    assert left.code == 3
    assert name in left.json["error"]["what"]
    assert says in left.json["error"]["what"]
    assert list((tmp_path / "here").iterdir()) == []


def test_what_cannot_work_is_told_before_anything_is_made(tmp_path: Path):
    file = written(tmp_path, "notes_2025-10-31.csv", "id\n1\n")
    (tmp_path / "full").mkdir()
    written(tmp_path / "full", "mine.txt", "mine")
    assert "not an empty folder" in init(tmp_path / "full", file, code=2).json["error"]["what"]
    assert "cannot be read" in init(tmp_path / "new", tmp_path / "none.csv", code=2).json["error"]["what"]
    assert run("init", tmp_path / "new", file).code == 2
    other = tmp_path / "other"
    other.mkdir()
    unlike = written(other, "notes_2025-11-30.csv", "a,b,c\n1,2,3\n")
    assert "names of one feed, and differ" in init(tmp_path / "new", file, unlike, code=2).json["error"]["what"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "notes_2025-10-31.csv", "other"]
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    inferred(tmp_path / "empty", file)


def test_files_whose_names_begin_alike_are_told_apart(tmp_path: Path):
    files = [
        written(tmp_path, name, "id,n\n1,2\n")
        for name in ("accounts_2025-10-31.csv", "accounts_closed_2025-10-31.csv", "accounts_closed_2025-11-30.csv")
    ]
    pipeline = inferred(tmp_path / "mine", *files)
    assert {contract.feed: contract.files for contract in pipeline.contracts.values()} == {
        "account": ("accounts_[0-9]*.csv",),
        "accounts_closed": ("accounts_closed*.csv",),
    }
    loaded(tmp_path / "root", pipeline, *files)


def test_a_column_that_some_files_lack_is_optional(tmp_path: Path):
    files = [
        written(tmp_path, "notes_2025-10-31.csv", "id,text\n1,a\n2,b\n"),
        written(tmp_path, "notes_2025-11-30.csv", "id,text,by\n1,a,Ann\n2,c,Bo\n"),
    ]
    pipeline = inferred(tmp_path / "mine", *files)
    assert pipeline.contract("note").column("by").optional
    assert "100% of a file's keys are in the next one" in contract_text(tmp_path / "mine", "note")
    loaded(tmp_path / "root", pipeline, *files)


def test_operations_and_few_values_are_seen(tmp_path: Path):
    rows = "".join(f"{n},{'IUD'[n % 3]},{('open', 'closed')[n % 2]},{('yes', 'no')[n % 2]}\n" for n in range(60))
    file = written(tmp_path, "changes_2025-10-31.csv", f"id,op,state,paid\n{rows}")
    pipeline = inferred(tmp_path / "mine", file)
    contract = pipeline.contract("change")
    assert (contract.mode, contract.operation and contract.operation.column) == ("delta", "op")
    state = contract.column("state").accepted_values
    assert state is not None
    assert (state.values, state.severity) == (("closed", "open"), "warn")
    assert contract.column("paid").type == "boolean"
    loaded(tmp_path / "root", pipeline, file)


def test_json_arrays_and_nested_values(tmp_path: Path):
    records: list[dict[str, Any]] = [
        {"id": n, "to": {"iban": f"ES{n:04}", "bank": {"bic": "X"}}, "tags": [n], "ok": n % 2 == 0, "amount": n + 0.25}
        for n in range(30)
    ]
    file = written(tmp_path, "transfers_2025-10-31.json", json.dumps(records))
    pipeline = inferred(tmp_path / "mine", file)
    contract = pipeline.contract("transfer")
    assert {column.path or column.name: column.type for column in contract.columns} == {
        "id": "bigint",
        "to.iban": "text",
        "to.bank.bic": "text",
        "tags": "json",
        "ok": "boolean",
        "amount": "decimal(18,2)",
    }
    loaded(tmp_path / "root", pipeline, file)


def test_objects_that_some_records_lack_are_looked_into(tmp_path: Path):
    records = [{"id": 1, "x": {"y": None}}, {"id": 2, "x": None}, {"id": 3, "x": {"y": {"z": 1}}}, {"id": 4, "x": {}}]
    mixed = [{**record, "m": [1] if record["id"] == 1 else "a"} for record in records]
    file = written(tmp_path, "notes_2025-10-31.jsonl", "".join(f"{json.dumps(record)}\n" for record in mixed))
    pipeline = inferred(tmp_path / "mine", file)
    found = {column.path or column.name: column.type for column in pipeline.contract("note").columns}
    assert found == {"id": "bigint", "m": "json", "x": "json"}
    loaded(tmp_path / "root", pipeline, file)


def test_empty_cells_behind_the_last_column_are_no_column(tmp_path: Path):
    for number, text in enumerate(("id,n\n1,2,\n3,4,\n", "id,n,\n1,2,\n3,4,\n", "Report,,\nid,n,m\n1,2,3\n4,5,6\n")):
        file = written(tmp_path, "notes_2025-10-31.csv", text)
        pipeline = inferred(tmp_path / f"mine_{number}", file)
        assert {column.type for column in pipeline.contract("note").columns} == {"bigint"}
        loaded(tmp_path / f"root_{number}", pipeline, file)


def test_files_of_days_to_come_are_let_in(tmp_path: Path):
    file = written(tmp_path, "plans_2099-10-31.csv", "id,n\n1,2\n")
    pipeline = inferred(tmp_path / "mine", file)
    assert pipeline.contract("plan").future == "allowed"
    loaded(tmp_path / "root", pipeline, file)


def test_columns_called_like_those_of_the_first_mart(tmp_path: Path):
    rows = "".join(f"{n},{'ab'[n % 2]},{'cd'[n % 2]},1.5,2.5\n" for n in range(40))
    file = written(tmp_path, "notes_2025-10-31.csv", f"id,row_count,total_n,n,total_total_n\n{rows}")
    pipeline = inferred(tmp_path / "mine", file)
    ledger = loaded(tmp_path / "root", pipeline, file)
    assert ledger.query(f"SELECT sum(row_count) AS n FROM {pipeline.marts[0].name}") == [{"n": 40}]


@pytest.mark.parametrize("name", ["main", "order", "temp", "pg_catalog", "information_schema", "Ünter", "2nd", "a b's"])
def test_folders_of_odd_names(tmp_path: Path, name: str):
    file = written(tmp_path, "notes_2025-10-31.csv", "id,n\n1,2\n")
    loaded(tmp_path / "root", inferred(tmp_path / name, file), file)


def test_folder_called_like_a_built_in_pipeline_is_refused(tmp_path: Path):
    left = run("init", "lending", "--json", cwd=tmp_path)
    assert (left.code, left.json["error"]["what"]) == (2, "lending is the name of a built-in pipeline")


def test_what_is_shown_leads_to_the_doubts(tmp_path: Path):
    file = written(tmp_path, "notes_2025-10-31.csv", "id,day\n1,03/04/2025\n")
    shown = run("init", tmp_path / "mine", "--from", file).out
    assert "note.yaml" in shown
    assert "Look at these first:" in shown
    assert f"python -m pytest {tmp_path / 'mine'}" in shown
