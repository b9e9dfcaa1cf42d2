"""What a pipeline's files say to people is read and reaches the warehouse; a change of it recomputes nothing."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.ledger import Ledger

from dropledger.core.contracts.meaning import meaning_sha256
from dropledger.core.contracts.pipeline_spec import BUILT_IN, Pipeline, load_pipeline
from dropledger.core.errors import ContractError

CUSTOMERS = "CustomerID,Name,HasLoan\n1,Ann,Yes\n2,Bo,No\n"
ACCOUNTS = "AccountID,CustomerID,Balance,AccountType\n11,1,100.00,Savings\n12,2,20000.00,Savings\n"
WORDS: list[tuple[str, Callable[[dict[str, Any]], object]]] = [
    ("account.yaml", lambda file: file.update(description="Each account.")),
    ("account.yaml", lambda file: file.update(owner="somebody else")),
    ("customer.yaml", lambda file: file["columns"][1].update(description="Who it is.", classification="restricted")),
    ("marts/account_summary.yaml", lambda file: file.update(description="Interest.")),
    ("marts/account_summary.yaml", lambda file: file["descriptions"].update(new_balance="What is there then.")),
    ("intermediate/int_rate_tier.yaml", lambda file: file["descriptions"].update(rate="A fraction.")),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the lending pipeline."""
    shutil.copytree(BUILT_IN / "lending", tmp_path / "mine")
    return tmp_path / "mine"


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    file = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(file)
    path.write_text(yaml.safe_dump(file), encoding="utf-8")


def filled(folder: Path, root: Path) -> Ledger:
    ledger = Ledger(root, load_pipeline(str(folder)))
    ledger.drop("customers_2026-01-01.csv", CUSTOMERS)
    ledger.drop("accounts_2026-01-02.csv", ACCOUNTS)
    return ledger


def under(ledger: Ledger, pipeline: Pipeline) -> None:
    """Bring the ledger in line with a pipeline, as the next command that writes does."""
    ledger.runtime = replace(ledger.runtime, pipeline=pipeline)
    with ledger.runtime.session():
        pass


@pytest.mark.parametrize(("name", "change"), WORDS)
def test_words_to_people_do_not_change_what_a_pipeline_means(folder: Path, name: str, change):
    before = load_pipeline(str(folder))
    edit(folder / name, change)
    after = load_pipeline(str(folder))
    assert after.sha256 != before.sha256
    assert meaning_sha256(after) == meaning_sha256(before)


@pytest.mark.parametrize(
    ("name", "before", "now"),
    [
        ("marts/account_summary.sql", "'marginal'", "'Marginal'"),
        ("intermediate/int_rate_tier.sql", "r.valid_from <= m.moment", "r.valid_from < m.moment"),
        ("account.yaml", "[Savings, Checking]", "[Savings, Current]"),
        ("account.yaml", "type: decimal(18,2)", "type: decimal(20,2)"),
        ("pipeline.yaml", "moment: [customer, account]", "moment: [account]"),
        ("rates_1970-01-01.csv", "0.015,", "0.016,"),
    ],
)
def test_all_else_changes_what_it_means(folder: Path, name: str, before: str, now: str):
    meant = meaning_sha256(load_pipeline(str(folder)))
    text = (folder / name).read_text(encoding="utf-8")
    assert before in text
    (folder / name).write_text(text.replace(before, now), encoding="utf-8")
    assert meaning_sha256(load_pipeline(str(folder))) != meant


def test_another_folder_means_the_same(folder: Path):
    assert meaning_sha256(load_pipeline(str(folder))) == meaning_sha256(load_pipeline("lending"))


def test_change_of_words_reaches_the_warehouse_and_computes_no_mart(
    folder: Path, tmp_path: Path, statements: list[str]
):
    ledger = filled(folder, tmp_path / "root")
    for name, change in WORDS:
        edit(folder / name, change)
    published = {path.name: path.stat().st_mtime_ns for path in (ledger.root / "outputs").iterdir() if path.is_file()}
    statements.clear()

    under(ledger, load_pipeline(str(folder)))

    assert any("COMMENT ON" in sql for sql in statements)
    assert not [sql for sql in statements if "CREATE OR REPLACE TABLE" in sql or 'INSERT INTO "account_summary"' in sql]
    said = dict(ledger.rows("SELECT table_name || '.' || column_name, comment FROM duckdb_columns()"))
    assert said["account_summary.new_balance"] == "What is there then."
    assert said["int_rate_tier.rate"] == "A fraction."
    assert said["history_customer.customer_name"] == "Who it is. Name in the files, text"
    tables = dict(ledger.rows("SELECT table_name, comment FROM duckdb_tables()"))
    assert tables["account_summary"] == "Interest."
    assert tables["history_account"].endswith("Each account.")
    assert ledger.rows("SELECT artifacts_current FROM pipeline_state") == [(True,)]
    outputs = {path.name: path.stat().st_mtime_ns for path in (ledger.root / "outputs").iterdir() if path.is_file()}
    assert outputs == published
    assert len(ledger.rows("SELECT * FROM contract_text WHERE feed = 'account'")) == 2


def test_drops_go_on_as_ever_after_a_change_of_words(folder: Path, tmp_path: Path):
    ledger, other = filled(folder, tmp_path / "root"), filled(folder, tmp_path / "other")
    for name, change in WORDS:
        edit(folder / name, change)
    ledger.runtime = replace(ledger.runtime, pipeline=load_pipeline(str(folder)))
    for each in (ledger, other):
        each.drop("accounts_2026-01-05.csv", ACCOUNTS.replace("100.00", "300.00"))
        each.drop("accounts_2026-01-03.csv", ACCOUNTS.replace("100.00", "200.00"))
    for table in ("history_account", "account_summary", "customer_profile"):
        assert ledger.rows(f"SELECT * FROM {table} ORDER BY ALL") == other.rows(f"SELECT * FROM {table} ORDER BY ALL")


def test_change_of_meaning_computes_marts_anew(folder: Path, tmp_path: Path):
    ledger = filled(folder, tmp_path / "root")
    mart = folder / "marts" / "account_summary.sql"
    text = mart.read_text(encoding="utf-8")
    mart.write_text(text.replace("CAST(original_balance + annual_interest", "CAST(original_balance + 1"), "utf-8")
    edit(folder / WORDS[0][0], WORDS[0][1])

    under(ledger, load_pipeline(str(folder)))

    assert ledger.rows("SELECT new_balance - original_balance FROM account_summary") == [(1,), (1,)]
    assert ledger.rows("SELECT artifacts_current FROM pipeline_state") == [(False,)]


@pytest.mark.parametrize(
    ("name", "entry"), [("marts/account_summary.yaml", "new_balanc"), ("intermediate/int_rate_tier.yaml", "rat")]
)
def test_words_about_a_column_that_is_not_there_are_told_with_their_line(
    folder: Path, tmp_path: Path, name: str, entry: str
):
    ledger = filled(folder, tmp_path / "root")
    edit(folder / name, lambda file: file["descriptions"].update({entry: "What is this?"}))
    with pytest.raises(ContractError, match=f"descriptions names '{entry}'") as told:
        under(ledger, load_pipeline(str(folder)))
    assert told.value.file == folder / name
    lines = (folder / name).read_text(encoding="utf-8").splitlines()
    assert lines[told.value.line - 1].startswith(f"  {entry}:")
    assert told.value.hint.startswith("did you mean ")
    assert ledger.rows("SELECT count(*) FROM account_summary") == [(2,)]


def test_file_that_describes_no_view_is_told(folder: Path):
    (folder / "intermediate" / "int_rate.yaml").write_text("description: What is this?\n", encoding="utf-8")
    with pytest.raises(ContractError, match="there is no view 'int_rate' to describe"):
        load_pipeline(str(folder))


@pytest.mark.parametrize("name", ["lending", "engagement"])
def test_all_of_what_is_built_in_is_described(name: str):
    pipeline = load_pipeline(name)
    for contract in pipeline.contracts.values():
        assert contract.description
        assert contract.owner
        assert [column.name for column in contract.columns if not column.description] == []
    assert [model.name for model in pipeline.intermediate if not (model.description and model.descriptions)] == []
    for mart in pipeline.marts:
        assert mart.file.description
        assert set(mart.file.columns) <= mart.file.descriptions.keys()


def test_view_without_a_file_says_what_its_sql_begins_with(folder: Path):
    (folder / "intermediate" / "int_rate_tier.yaml").unlink()
    (model,) = (model for model in load_pipeline(str(folder)).intermediate if model.name == "int_rate_tier")
    assert model.words.startswith("The rate card in force at the mart's moment, a row for each tier. interest_below is")
