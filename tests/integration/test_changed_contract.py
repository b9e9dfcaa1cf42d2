"""Contracts that change: what was accepted stays as it was read, or nothing is done that would read it otherwise."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from ledger import Ledger, SettableClock, fetch

from core.backfill import backfill
from core.definition import BUILT_IN, load_pipeline
from core.errors import ConfigurationError, Unavailable
from core.ledger import Delivered
from core.rebuild import Selection, replay, verify
from core.retract import retract
from infra.local_store import dropped_file

CUSTOMERS = "CustomerID,Name,HasLoan\n1,Ann,Yes\n2,Bob,No\n"
ACCOUNTS = "AccountID,CustomerID,Balance,AccountType\n"
DAYS = {
    "accounts_2025-10-31.csv": f"{ACCOUNTS}11,1,100.00,Savings\n12,2,500.00,Savings\n13,2,7.00,Checking\n",
    "accounts_2025-11-30.csv": f"{ACCOUNTS}11,1,9000.00,Savings\n12,2,500.00,Savings\n",
    "accounts_2025-12-31.csv": f"{ACCOUNTS}11,1,9000.00,Savings\n12,2,600.00,Savings\n",
}
LATE, LATE_TEXT = "accounts_2025-11-15.csv", f"{ACCOUNTS}11,1,50.00,Savings\n"
OTHER_KEY = f"{ACCOUNTS}12,2,1.00,Savings\n"
TABLES = ("history_customer", "history_account", "account_summary", "rejected_row")


def say_nothing_new(contract: dict[str, Any]) -> None:
    contract["description"] = "Accounts, once a month."


def allow_another_header(contract: dict[str, Any]) -> None:
    column(contract, "balance")["aliases"].append("Amount")


def require_semicolons(contract: dict[str, Any]) -> None:
    contract["delimiters"] = [";"]


def refuse_large_balances(contract: dict[str, Any]) -> None:
    column(contract, "balance")["rules"].append({"rule": "range", "name": "small", "max": 8000})


def store_another_spelling(contract: dict[str, Any]) -> None:
    column(contract, "account_type")["rules"][1]["values"] = {"savings": "S", "checking": "C"}


def close_what_is_missing(contract: dict[str, Any]) -> None:
    contract["missing_keys"] = "close"


def column(contract: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(column for column in contract["columns"] if column["name"] == name)
    return found


HARMLESS = (say_nothing_new, allow_another_header)
READ_OTHERWISE = (require_semicolons, refuse_large_balances, store_another_spelling)
Change = Callable[[dict[str, Any]], None]


class Lender:
    """A ledger whose contract for accounts may be edited."""

    def __init__(self, folder: Path, names: Sequence[str] = tuple(DAYS)) -> None:
        self._root, self._pipeline = folder / "root", folder / "pipeline"
        shutil.copytree(BUILT_IN / "lending", self._pipeline)
        self.ledger.drop("customers_2025-10-31.csv", CUSTOMERS)
        for name in names:
            self.ledger.drop(name, DAYS[name])

    @property
    def ledger(self) -> Ledger:
        return Ledger(self._root, load_pipeline(str(self._pipeline)))

    def edit(self, *changes: Change) -> None:
        path = self._pipeline / "account.yaml"
        contract = yaml.safe_load(path.read_text(encoding="utf-8"))
        for change in changes:
            change(contract)
        path.write_text(yaml.safe_dump(contract), encoding="utf-8")

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        return {name: self.ledger.table(name) for name in TABLES}

    def replay(self) -> None:
        replay(self.ledger.runtime, Selection(), None, lambda *_: None)

    def agrees_with_its_archive(self) -> bool:
        return verify(self.ledger.runtime, lambda *_: None).differences == ()


@pytest.fixture
def lender(tmp_path: Path) -> Lender:
    return Lender(tmp_path / "lender")


@pytest.fixture
def expected(tmp_path: Path) -> Lender:
    """One whose contract stays as it is."""
    return Lender(tmp_path / "expected")


@pytest.mark.parametrize("change", HARMLESS)
def test_late_drop_goes_in_where_what_was_accepted_is_read_alike(lender: Lender, expected: Lender, change: Change):
    lender.edit(change)
    assert lender.ledger.drop(LATE, LATE_TEXT).delivered == Delivered.ACCEPTED
    expected.ledger.drop(LATE, LATE_TEXT)
    assert lender.tables() == expected.tables()
    assert lender.agrees_with_its_archive()


@pytest.mark.parametrize("change", READ_OTHERWISE)
def test_late_drop_is_refused_where_what_was_accepted_would_be_read_otherwise(lender: Lender, change: Change):
    before = lender.tables()
    lender.edit(change)
    text = LATE_TEXT.replace(",", ";") if change is require_semicolons else LATE_TEXT
    outcome = lender.ledger.drop(LATE, text)
    assert (outcome.delivered, outcome.rule) == (Delivered.QUARANTINED, "contract_changed")
    assert "dropledger replay" in outcome.hint
    assert lender.tables() == before


def test_late_drop_goes_in_after_a_replay_under_the_new_contract(lender: Lender, tmp_path: Path):
    lender.edit(refuse_large_balances)
    assert lender.ledger.drop(LATE, LATE_TEXT).delivered == Delivered.QUARANTINED
    lender.replay()
    assert lender.ledger.drop(LATE, LATE_TEXT).delivered == Delivered.ACCEPTED
    strict = Lender(tmp_path / "strict", names=())
    strict.edit(refuse_large_balances)
    for name, text in sorted({**DAYS, LATE: LATE_TEXT}.items()):
        strict.ledger.drop(name, text)
    assert lender.tables() == strict.tables()
    assert lender.agrees_with_its_archive()


def test_late_drop_goes_in_where_only_other_keys_would_be_read_otherwise(lender: Lender, expected: Lender):
    lender.edit(refuse_large_balances)
    assert lender.ledger.drop(LATE, OTHER_KEY).delivered == Delivered.ACCEPTED
    expected.ledger.drop(LATE, OTHER_KEY)
    assert lender.tables() == expected.tables()


def test_late_drop_is_refused_where_extracts_would_close_what_they_lack(lender: Lender):
    """Key 13 is in the first extract alone."""
    before = lender.tables()
    lender.edit(close_what_is_missing)
    text = f"{ACCOUNTS}13,2,8.00,Checking\n"
    assert lender.ledger.drop("accounts_2025-11-15.csv", text).rule == "contract_changed"
    assert lender.tables() == before


def test_rows_that_were_refused_stay_so_where_the_contract_would_let_them_in(tmp_path: Path):
    lender, expected = Lender(tmp_path / "lender", names=()), Lender(tmp_path / "expected", names=())
    for one in (lender, expected):
        one.edit(refuse_large_balances)
        for name, text in DAYS.items():
            one.ledger.drop(name, text)
    lender.edit(lambda contract: column(contract, "balance")["rules"].pop())
    for one in (lender, expected):
        assert one.ledger.drop(LATE, LATE_TEXT).delivered == Delivered.ACCEPTED
    assert lender.tables() == expected.tables()


def test_later_drop_goes_in_under_the_new_contract(lender: Lender):
    lender.edit(refuse_large_balances)
    outcome = lender.ledger.drop("accounts_2026-01-31.csv", f"{ACCOUNTS}11,1,50.00,Savings\n12,2,8001,Savings\n")
    assert (outcome.delivered, outcome.rows_accepted, outcome.rows_rejected) == (Delivered.ACCEPTED, 1, 1)


@pytest.mark.parametrize("change", HARMLESS)
@pytest.mark.parametrize("gone", DAYS)
def test_retraction_gives_the_same_where_what_was_accepted_is_read_alike(
    lender: Lender, expected: Lender, change: Change, gone: str
):
    lender.edit(change)
    for one in (lender, expected):
        [[drop_id]] = one.ledger.rows("SELECT drop_id FROM drop_ledger WHERE name = ?", [gone])
        retract(one.ledger.runtime, drop_id, "wrong", "ann")
    assert lender.tables() == expected.tables()
    assert lender.agrees_with_its_archive()


@pytest.mark.parametrize("change", READ_OTHERWISE)
@pytest.mark.parametrize("gone", [name for name in DAYS if name != "accounts_2025-12-31.csv"])
def test_drop_is_not_retracted_where_what_was_accepted_would_be_read_otherwise(
    lender: Lender, change: Change, gone: str
):
    before = lender.tables()
    lender.edit(change)
    [[drop_id]] = lender.ledger.rows("SELECT drop_id FROM drop_ledger WHERE name = ?", [gone])
    with pytest.raises(
        ConfigurationError, match="cannot be retracted now: the contract of the feed account"
    ) as refused:
        retract(lender.ledger.runtime, drop_id, "wrong", "ann")
    assert "dropledger replay" in refused.value.hint
    assert lender.tables() == before
    assert lender.ledger.table("retraction") == []


def test_replay_of_what_was_known_has_what_was_refused_later_as_it_was_then(lender: Lender, tmp_path: Path):
    """A drop was accepted, taken back, and refused when it came again."""
    then, last = datetime(2026, 6, 1, tzinfo=UTC), "accounts_2025-12-31.csv"
    before = lender.tables()["history_account"]
    clock = SettableClock(then + timedelta(days=1))
    [[drop_id]] = lender.ledger.rows("SELECT drop_id FROM drop_ledger WHERE name = ?", [last])
    retract(replace(lender.ledger.runtime, clock=clock), drop_id, "wrong", "ann")
    lender.edit(require_semicolons)
    later = lender.ledger
    later.runtime = replace(later.runtime, clock=clock)
    assert later.drop(last, DAYS[last]).delivered == Delivered.QUARANTINED
    lender.edit(lambda contract: contract.pop("delimiters"))

    path = tmp_path / "then.duckdb"
    replay(lender.ledger.runtime, Selection(known_at=then), str(path), lambda *_: None)

    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        assert fetch(connection, "SELECT * FROM lending.history_account ORDER BY ALL") == before
        told = "SELECT DISTINCT status, error FROM lending.drop_ledger"
        assert fetch(connection, told) == [("published", None)]


@pytest.mark.parametrize(("change", "rule"), [(say_nothing_new, None), (refuse_large_balances, "contract_changed")])
def test_backfill_reads_what_was_accepted_as_it_was_or_not_at_all(
    lender: Lender, expected: Lender, tmp_path: Path, change: Change, rule: str | None
):
    old = tmp_path / "old"
    old.mkdir()
    (old / LATE).write_text(LATE_TEXT)
    (old / "accounts_2025-11-16.csv").write_text(OTHER_KEY)
    lender.edit(change)
    facts = [dropped_file(path, keep_original=True) for path in sorted(old.iterdir())]
    outcomes = backfill(lender.ledger.runtime, facts, lambda _: None)
    assert [outcome.rule or None for outcome in outcomes] == [rule, None]
    for path in sorted(old.iterdir()):
        if rule is None or path.name != LATE:
            expected.ledger.drop(path.name, path.read_text())
    assert lender.tables() == expected.tables()


def test_archived_file_that_was_damaged_is_not_taken_for_one_of_another_contract(lender: Lender):
    lender.edit(say_nothing_new)
    [archived] = (lender.ledger.root / "archive").rglob("*accounts_2025-11-30.csv")
    archived.chmod(0o600)
    archived.write_text("Nothing\n")
    with pytest.raises(Unavailable, match="was changed"):
        lender.ledger.drop(LATE, LATE_TEXT)
