"""Keys that rise from row to row need not be counted: the same is found of them, and all others are counted still."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.ledger import Ledger, Record, Template, work_on_tables_as_a_whole_from

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.ledger.outcome import Outcome
from dropledger.core.operations.export import export
from dropledger.core.steps.checks import history_check
from dropledger.core.steps.questions import ask
from dropledger.infra.duckdb.session import DuckDBSession

HEADER = "AccountID,CustomerID,Balance,AccountType\n"
FOUND = {
    "what went in": "SELECT account_id, balance, line FROM history_account ORDER BY account_id",
    "what did not": "SELECT line, column_name, rule, reason, raw FROM rejected_row ORDER BY line",
    "what was checked": "SELECT layer, model, check_name, passed, failing_rows FROM check_result ORDER BY ALL",
    "what it came to": "SELECT status, rows_read, rows_accepted, rows_rejected, rows_duplicate FROM drop_ledger",
}


def accounts(*rows: tuple[object, int]) -> str:
    return HEADER + "".join(f"{key},1,{balance}.00,Savings\n" for key, balance in rows)


def dropped(ledger: Ledger, text: str) -> tuple[Outcome, dict[str, list[Record]]]:
    outcome = ledger.drop("accounts_2025-10-31.csv", text)
    return outcome, {what: ledger.rows(query) for what, query in FOUND.items()}


@pytest.fixture(scope="module")
def ledgers(template: Callable[[Pipeline], Template], lending: Pipeline) -> Template:
    return template(lending)


rows_of_a_file = st.lists(
    st.tuples(st.sampled_from([*range(1, 9), "", "x", "007", " 3"]), st.integers(0, 2)), min_size=1, max_size=9
)


@pytest.mark.slow
@given(rows=rows_of_a_file | rows_of_a_file.map(lambda rows: sorted(rows, key=str)))
def test_file_is_judged_as_where_its_keys_are_counted(ledgers: Template, rows: list[tuple[object, int]]):
    text = accounts(*rows)
    found = []
    for whole_from in (0, 1_000):
        with ledgers.ledger() as ledger, work_on_tables_as_a_whole_from(whole_from):
            found.append(dropped(ledger, text)[1])
    assert found[0] == found[1]


@pytest.mark.parametrize("place", [0, 1, 2_046, 2_047, 11_998], ids=str)
@pytest.mark.parametrize("of", [1, 2_048, 11_999], ids=str)
def test_one_key_that_stands_twice_in_a_long_file_is_found(ledger: Ledger, place: int, of: int):
    rows = [(number, 5) for number in range(1, 12_001)]
    rows.insert(place, (of, 6))
    outcome, found = dropped(ledger, accounts(*rows))
    lines = sorted([place + 2, rows.index((of, 5)) + 2])
    assert [(line, rule) for line, _, rule, _, _ in found["what did not"]] == [
        (line, "conflicting_key") for line in lines
    ]
    assert (outcome.rows_accepted, outcome.versions_opened) == (11_999, 11_999)


def asked(patches: pytest.MonkeyPatch) -> list[str]:
    """What sessions ask the engine from here on."""
    statements: list[str] = []
    run = DuckDBSession._engine

    def noting(session: DuckDBSession, sql: str, parameters: object = None) -> object:
        statements.append(sql)
        return run(session, sql, parameters)  # type: ignore[arg-type]

    patches.setattr(DuckDBSession, "_engine", noting)
    return statements


@pytest.mark.parametrize("in_order", [True, False], ids=["in order", "out of order"])
def test_keys_are_counted_where_they_do_not_rise(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, in_order: bool):
    rows = [(number, 5) for number in range(1, 12_001)]
    if not in_order:
        rows[0], rows[-1] = rows[-1], rows[0]
    statements = asked(monkeypatch)
    outcome = ledger.drop("accounts_2025-10-31.csv", accounts(*rows))
    assert outcome.versions_opened == 12_000
    counted = [sql for sql in statements if "count(DISTINCT" in sql or "lead(h.valid_from)" in sql]
    assert len(counted) == (0 if in_order else 2)


@pytest.mark.parametrize(
    ("forgery", "found"),
    [
        ("UPDATE history_account SET valid_to = valid_from WHERE account_id = 3", "valid_from_before_valid_to"),
        ("UPDATE history_account SET valid_to = '2026-01-01' WHERE account_id = 3", "current_is_open"),
        ("UPDATE history_account SET account_id = 2 WHERE account_id = 3", "no_overlap"),
        ("UPDATE history_account SET account_id = NULL WHERE account_id = 3", None),
    ],
)
def test_history_of_single_versions_is_checked_like_any(ledger: Ledger, forgery: str, found: str | None):
    ledger.drop("accounts_2025-10-31.csv", accounts(*((number, 5) for number in range(1, 6))))
    with duckdb.connect(str(ledger.database)) as connection:
        connection.execute("USE ledger.lending")
        connection.execute(forgery)
    contract = ledger.runtime.pipeline.contract("account")
    results = []
    for whole_from in (0, 1_000):
        with work_on_tables_as_a_whole_from(whole_from), ledger.runtime.session() as session:
            session.view("changed_account", "SELECT account_id FROM history_account")
            results.append(ask(session, [history_check(session, contract, 5)])[0])
    if found != "no_overlap":  # a key that stands twice meets itself twice where the changed keys are looked up
        assert results[0] == results[1]
    assert {result.check_name for result in results[0] if not result.passed} >= ({found} if found else set())


def test_mart_that_is_filled_is_put_in_order_once(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    customers = "CustomerID,Name,HasLoan\n" + "".join(f"{key},Name {key},No\n" for key in range(12_000, 0, -1))
    rows = [(number, 12_001 - number) for number in range(12_000, 0, -1)]
    ledger.drop("customers_2025-10-31.csv", customers)
    statements = asked(monkeypatch)
    ledger.drop("accounts_2025-10-31.csv", accounts(*rows))
    assert not [sql for sql in statements if "_dl_exported" in sql]
    whole = export(ledger.runtime, tmp_path, None)
    assert [sql for sql in statements if "_dl_exported" in sql]
    assert len(whole) == 3
    for name, path in whole.items():
        assert path.read_bytes() == (ledger.root / "outputs" / name).read_bytes(), name
    keys = [line.split(",")[1] for line in whole["account_summary.csv"].read_text(encoding="utf-8").splitlines()]
    assert keys[1:] == [str(number) for number in range(1, 12_001)]


def test_mart_that_lies_in_order_no_more_is_put_in_order(ledger: Ledger, tmp_path: Path):
    with work_on_tables_as_a_whole_from(0):
        ledger.drop("customers_2025-10-31.csv", "CustomerID,Name,HasLoan\n1,Ann,No\n")
        ledger.drop("accounts_2025-10-31.csv", accounts((3, 5), (1, 5), (2, 5)))
        ledger.drop("accounts_2025-11-01.csv", accounts((1, 6), (2, 5), (3, 5)))
        with duckdb.connect(str(ledger.database)) as connection:
            connection.execute("USE ledger.lending")
            assert connection.execute("SELECT account_id FROM account_summary").fetchall() == [(2,), (3,), (1,)]
        found = (ledger.root / "outputs/account_summary.csv").read_bytes()
        assert export(ledger.runtime, tmp_path, None)["account_summary.csv"].read_bytes() == found
    assert [line.split(b",")[1] for line in found.splitlines()[1:]] == [b"1", b"2", b"3"]
