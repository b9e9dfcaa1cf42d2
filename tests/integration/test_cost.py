"""What a drop costs follows what it changes: statements, and rows by the engine's own profile, without a clock."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.ledger import Ledger

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.infra.duckdb.session import DuckDBSession

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(duckdb.__version__ < "2", reason="engines before 2.0 count the rows of an operator otherwise"),
]

CHANGED = 500
SMALL, LARGE = 20_000, 200_000
EVERY_CUSTOMER = ("whose value is no current key of the parent feed",)
"""Statements that hold what changed against all current customers."""
EVERY_ACCOUNT = ("AS known",)
"""Statements that count the current accounts, of which a complete extract should lack none: two columns are read."""


class Counted:
    """The statements that sessions run, each with the rows that all its operators gave on."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.statements: list[tuple[str, int]] = []
        run = DuckDBSession._engine

        def counting(session: Any, sql: str, parameters: Any = None) -> Any:
            session._connection.execute("SET enable_profiling = 'no_output'")
            found = run(session, sql, parameters)
            profile = json.loads(session._connection.get_profiling_information(format="json"))
            self.statements.append((sql, sum(map(_rows, profile.get("operator", ())))))
            return found

        patch.setattr(DuckDBSession, "_engine", counting)

    def artifacts(self) -> int:
        return sum(rows for sql, rows in self.statements if _is_artifact(sql))

    def others(self) -> list[tuple[str, int]]:
        """All statements but those that write whole artifacts."""
        return [(sql, rows) for sql, rows in self.statements if not _is_artifact(sql)]

    def committed(self) -> list[tuple[str, int]]:
        """The statements up to the commit: how artifacts are written behind it goes by their size."""
        texts = [sql for sql, _ in self.statements]
        return self.statements[: texts.index("COMMIT")]


def _asks_for_columns(sql: str) -> bool:
    return sql.endswith("LIMIT 0")


def _is_artifact(sql: str) -> bool:
    return sql.startswith("COPY (SELECT")  # a change file begins with a comment


def _rows(operator: Any) -> int:
    return int(operator.get("intermediate_rows", 0)) + sum(map(_rows, operator.get("children", ())))


def full_extract(feed: str, rows: int) -> str:
    if feed == "customers":
        return "CustomerID,Name,HasLoan\n" + "".join(f"{key},Name {key},No\n" for key in range(1, rows + 1))
    return _accounts((key, key % 30_000, rows) for key in range(1, rows + 1))


def _accounts(rows: Any) -> str:
    lines = (f"{key},{key % (of // 2) + 1},{balance}.00,Savings\n" for key, balance, of in rows)
    return "AccountID,CustomerID,Balance,AccountType\n" + "".join(lines)


def counted_delta(ledger: Ledger, accounts: int) -> Counted:
    """What a file of few changed accounts, spread over all of them, costs beside so many."""
    ledger.drop("customers_2025-10-31.csv", full_extract("customers", accounts // 2))
    ledger.drop("accounts_2025-10-31.csv", full_extract("accounts", accounts))
    apart = accounts // CHANGED
    with pytest.MonkeyPatch.context() as patch:
        counted = Counted(patch)
        outcome = ledger.drop(
            "accounts_2025-11-01.csv", _accounts((place * apart + 1, 30_001, accounts) for place in range(CHANGED))
        )
    assert outcome.recomputed["account_summary"] == CHANGED
    return counted


def test_a_small_change_costs_the_same_beside_ten_times_the_accounts(tmp_path: Path, lending: Pipeline):
    small, large = (counted_delta(Ledger(tmp_path / str(accounts), lending), accounts) for accounts in (SMALL, LARGE))
    assert max(len(large.statements), len(small.statements)) <= 45
    for (sql, rows), (_, before) in zip(large.committed(), small.committed(), strict=True):
        every_customer = LARGE // 2 if any(words in sql for words in EVERY_CUSTOMER) else 0
        every_account = LARGE if any(words in sql for words in EVERY_ACCOUNT) else 0
        assert rows <= 1.2 * before + 100 + 4 * every_customer + every_account, sql
    of_all = (*EVERY_CUSTOMER, *EVERY_ACCOUNT)
    changed = [rows for sql, rows in large.others() if not any(words in sql for words in of_all)]
    assert CHANGED < sum(changed) < 200 * CHANGED
    assert LARGE <= large.artifacts() <= 12 * LARGE


def test_a_full_extract_costs_what_differs_from_the_one_before(ledger: Ledger):
    ledger.drop("customers_2025-10-31.csv", full_extract("customers", 1_000))
    accounts = [(key, key % 30_000, 1_000) for key in range(1, LARGE + 1)]
    ledger.drop("accounts_2025-10-31.csv", _accounts(accounts))
    for place in range(0, LARGE, LARGE // 100):
        key, _, of = accounts[place]
        accounts[place] = (key, 30_001, of)
    with pytest.MonkeyPatch.context() as patch:
        counted = Counted(patch)
        outcome = ledger.drop("accounts_2025-11-30.csv", _accounts(accounts))
    assert (outcome.rows_read, outcome.versions_opened) == (LARGE, 100)
    of_all = (*EVERY_CUSTOMER, *EVERY_ACCOUNT, "received_src_account", "SELECT * FROM history_account")
    for sql, rows in counted.others():
        assert rows < 3_000 or any(words in sql for words in of_all), (rows, sql)


def test_columns_are_asked_for_once_in_a_process(ledger: Ledger):
    ledger.drop("customers_2025-10-31.csv", full_extract("customers", 10))
    for day in (1, 2):
        ledger.drop(f"accounts_2025-11-0{day}.csv", _accounts([(1, day, 10)]))
    with pytest.MonkeyPatch.context() as patch:
        counted = Counted(patch)
        ledger.drop("accounts_2025-11-03.csv", _accounts([(1, 3, 10)]))
    assert len(counted.statements) <= 41
    assert [sql for sql, _ in counted.statements if _asks_for_columns(sql)] == []


def test_a_drop_like_the_one_before_has_few_statements_parsed_anew(ledger: Ledger):
    ledger.drop("customers_2025-10-31.csv", full_extract("customers", 5))
    ledger.drop("accounts_2025-10-31.csv", full_extract("accounts", 10))
    ledger.drop("accounts_2025-11-01.csv", _accounts([(1, 500, 10)]))
    before = ledger.runtime.warehouse._engine.parse.cache_info()
    ledger.drop("accounts_2025-11-02.csv", _accounts([(1, 700, 10)]))
    after = ledger.runtime.warehouse._engine.parse.cache_info()
    assert after.hits - before.hits > 30
    assert after.misses - before.misses < 12  # those that name a file
