"""Contracts that change: what was accepted stays as it was read, until a replay reads it anew."""

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from support.ledger import Ledger, SettableClock, fetch, without_marts

from dropledger.core.contracts.pipeline_spec import BUILT_IN, load_pipeline
from dropledger.core.errors import ConfigurationError, DataRefused
from dropledger.core.ledger.ledger import Delivered
from dropledger.core.operations.backfill import backfill
from dropledger.core.operations.replay import Selection, replay
from dropledger.core.operations.retract import retract
from dropledger.core.operations.verify import verify
from dropledger.infra.local.inbox import dropped_file

pytestmark = pytest.mark.slow

Change = Callable[[dict[str, Any]], None]

CUSTOMERS = "CustomerID,Name,HasLoan\n1,Ann,Yes\n2,Bob,No\n"
ACCOUNTS = "AccountID,CustomerID,Balance,AccountType\n"
DAYS = {
    "accounts_2025-10-31.csv": f"{ACCOUNTS}11,1,100.00,Savings\n12,2,500.00,Savings\n13,2,7.00,Checking\n",
    "accounts_2025-11-30.csv": f"{ACCOUNTS}11,1,9000.00,Savings\n12,2,500.00,Savings\n",
    "accounts_2025-12-31.csv": f"{ACCOUNTS}11,1,9000.00,Savings\n12,2,600.00,Savings\n",
}
LATE = {
    f"accounts_{day}.csv": f"{ACCOUNTS}11,1,50.00,Savings\n13,2,{number}.00,Checking\n14,1,8500.00,Savings\n"
    for number, day in enumerate(("2025-10-01", "2025-11-15", "2025-12-15"))
}
TABLES = ("history_customer", "history_account")


def stay(contract: dict[str, Any]) -> None:
    del contract


def say_something_new(contract: dict[str, Any]) -> None:
    contract["description"] = "Accounts, once a month."


def require_semicolons(contract: dict[str, Any]) -> None:
    contract["delimiters"] = [";"]


def refuse_large_balances(contract: dict[str, Any]) -> None:
    column(contract, "balance")["rules"].append({"rule": "range", "name": "small", "max": 8000})


def store_another_spelling(contract: dict[str, Any]) -> None:
    column(contract, "account_type")["rules"][1]["values"] = {"savings": "Savings", "checking": "Giro"}


def close_what_is_missing(contract: dict[str, Any]) -> None:
    contract["missing_keys"] = "close"


def column(contract: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(column for column in contract["columns"] if column["name"] == name)
    return found


CHANGES = [
    pytest.param(before, after, id=f"{before.__name__}-{after.__name__}")
    for before, after in (
        (stay, say_something_new),
        (stay, require_semicolons),
        (stay, refuse_large_balances),
        (refuse_large_balances, stay),
        (stay, store_another_spelling),
        (stay, close_what_is_missing),
        (close_what_is_missing, stay),
    )
]

AT_THE_ENDS = ("stay-refuse_large_balances", "stay-close_what_is_missing", "close_what_is_missing-stay")


def changes_with(days: Iterable[str]) -> list[Any]:
    """Each change with the day in the middle, and some with the first and the last as well."""
    _, middle, _ = days
    return [
        pytest.param(*change.values, day, id=f"{change.id}-{day}")
        for change in CHANGES
        for day in days
        if day == middle or change.id in AT_THE_ENDS
    ]


@cache
def contract_with(change: Change) -> str:
    contract = yaml.safe_load((BUILT_IN / "lending" / "account.yaml").read_text(encoding="utf-8"))
    change(contract)
    return yaml.safe_dump(contract)


class Lender:
    """A ledger of feeds alone, whose contract for accounts may be edited, with the customers taken.

    It begins under a contract, or without one is what its folder holds.
    """

    def __init__(self, folder: Path, contract: Change | None) -> None:
        self._folder, self._root, self.pipeline = folder, folder / "root", folder / "pipeline"
        self._ledger: Ledger | None = None
        if contract is not None:
            without_marts(self.pipeline)
            self.edit(contract)
            self.ledger.drop("customers_2025-10-31.csv", CUSTOMERS)

    def copy(self, folder: Path) -> "Lender":
        shutil.copytree(self._folder, folder)
        return Lender(folder, None)

    @property
    def ledger(self) -> Ledger:
        """The ledger under the contract of now: one until the next edit, as each starts an engine of its own."""
        self._ledger = self._ledger or Ledger(self._root, load_pipeline(str(self.pipeline)))
        return self._ledger

    def edit(self, change: Change) -> None:
        """Put the contract as it was at first, with a change, in the place of what it is."""
        self._ledger = None
        (self.pipeline / "account.yaml").write_text(contract_with(change), encoding="utf-8")

    def drop(self, files: Mapping[str, str]) -> None:
        ledger = self.ledger
        for name, text in files.items():
            assert ledger.drop(name, text).delivered == Delivered.ACCEPTED

    def retract(self, name: str) -> None:
        [[drop_id]] = self.ledger.rows("SELECT drop_id FROM drop_ledger WHERE name = ?", [name])
        retract(self.ledger.runtime, drop_id, "wrong", "ann")

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        return {name: self.ledger.table(name) for name in TABLES}

    def rejected(self) -> list[tuple[Any, ...]]:
        return self.ledger.table("rejected_row", "* EXCLUDE (sequence)")


def fitting(files: Mapping[str, str], contract: Change) -> dict[str, str]:
    return {name: text.replace(",", ";") if contract is require_semicolons else text for name, text in files.items()}


After = Callable[[Change, int], Lender]


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> After:
    """Ledgers that took so many of the DAYS under a contract, each made once: to be copied."""

    @cache
    def made(contract: Change, days: int) -> Lender:
        folder = tmp_path_factory.mktemp("lender") / str(days)
        if days == 0:
            return Lender(folder, contract)
        lender = made(contract, days - 1).copy(folder)
        lender.drop(dict([list(DAYS.items())[days - 1]]))
        return lender

    return made


def in_order(lender: Lender, drops: Iterable[tuple[str, str, Change]]) -> None:
    """Each under its own contract."""
    for contract, files in groupby(sorted(drops, key=lambda drop: drop[0]), key=lambda drop: drop[2]):
        lender.edit(contract)
        lender.drop({name: text for name, text, _ in files})


@pytest.mark.parametrize(("before", "now", "late"), changes_with(LATE))
def test_late_drop_leaves_what_was_accepted_as_it_was_read(
    tmp_path: Path, after: After, before: Change, now: Change, late: str
):
    earlier = sum(day < late for day in DAYS)
    lender = after(before, 3).copy(tmp_path / "lender")
    expected = after(before, earlier).copy(tmp_path / "expected")
    lender.edit(now)
    [(name, text)] = fitting({late: LATE[late]}, now).items()
    lender.drop({name: text})
    in_order(expected, [(name, text, now), *((day, DAYS[day], before) for day in sorted(DAYS)[earlier:])])
    assert lender.tables() == expected.tables()
    assert lender.rejected() == expected.rejected()


@pytest.mark.parametrize(("before", "now"), CHANGES)
def test_correction_of_the_same_day_stands_beside_what_was_accepted(
    tmp_path: Path, after: After, before: Change, now: Change
):
    """Its complete extract has other keys; the one that came last stands."""
    lender, expected = after(before, 3).copy(tmp_path / "lender"), after(before, 2).copy(tmp_path / "expected")
    name, last = "accounts_2025-11-30.csv", "accounts_2025-12-31.csv"
    [text] = fitting({name: LATE["accounts_2025-11-15.csv"]}, now).values()
    lender.edit(now)
    lender.drop({name: text})
    in_order(expected, [(name, text, now), (last, DAYS[last], before)])
    assert lender.tables() == expected.tables()


@pytest.mark.parametrize(("before", "now", "gone"), changes_with(DAYS))
def test_retraction_leaves_what_was_accepted_as_it_was_read(
    tmp_path: Path, after: After, before: Change, now: Change, gone: str
):
    earlier = sum(day < gone for day in DAYS)
    lender = after(before, 3).copy(tmp_path / "lender")
    expected = after(before, earlier).copy(tmp_path / "expected")
    expected.drop({day: DAYS[day] for day in sorted(DAYS)[earlier + 1 :]})
    for one in (lender, expected):
        one.edit(now)
    lender.retract(gone)
    assert lender.tables() == expected.tables()


@pytest.mark.parametrize(("before", "now"), CHANGES)
def test_backfill_leaves_what_was_accepted_as_it_was_read(tmp_path: Path, after: After, before: Change, now: Change):
    lender, expected = after(before, 3).copy(tmp_path / "lender"), after(before, 0).copy(tmp_path / "expected")
    old = tmp_path / "old"
    old.mkdir()
    late = fitting(LATE, now)
    for name, text in late.items():
        (old / name).write_text(text)
    lender.edit(now)
    facts = [dropped_file(path, keep_original=True) for path in sorted(old.iterdir())]
    outcomes = backfill(lender.ledger.runtime, facts, lambda _: None)
    assert [outcome.delivered for outcome in outcomes] == [Delivered.ACCEPTED] * len(late)
    drops = [(name, text, now) for name, text in late.items()]
    in_order(expected, [*drops, *((name, text, before) for name, text in DAYS.items())])
    assert lender.tables() == expected.tables()


def test_replay_reads_all_under_the_contract_of_now(tmp_path: Path):
    lender, expected = Lender(tmp_path / "lender", stay), Lender(tmp_path / "expected", refuse_large_balances)
    lender.drop(DAYS)
    lender.edit(refuse_large_balances)
    late = {"accounts_2025-11-15.csv": LATE["accounts_2025-11-15.csv"]}
    lender.drop(late)
    replay(lender.ledger.runtime, Selection(), None, lambda *_: None)
    expected.drop(dict(sorted({**DAYS, **late}.items())))
    assert lender.tables() == expected.tables()
    assert lender.rejected() == expected.rejected()
    assert verify(lender.ledger.runtime, lambda *_: None).other_contract == ()


def test_bad_drop_is_retracted_although_the_contract_would_refuse_it_now(tmp_path: Path):
    lender, expected = Lender(tmp_path / "lender", stay), Lender(tmp_path / "expected", refuse_large_balances)
    bad = {"accounts_2026-01-31.csv": f"{ACCOUNTS}11,1,900000.00,Savings\n12,2,900000.00,Savings\n"}
    days = {name: text.replace("9000.00", "7000.00") for name, text in DAYS.items()}
    lender.drop({**days, **bad})
    lender.edit(refuse_large_balances)
    with pytest.raises(DataRefused, match="more than the contract's max_rejected"):
        replay(lender.ledger.runtime, Selection(), None, lambda *_: None)
    lender.retract(*bad)
    replay(lender.ledger.runtime, Selection(), None, lambda *_: None)
    expected.drop(days)
    assert lender.tables() == expected.tables()


def test_contract_that_is_in_force_again_is_the_one_to_go_on_from(tmp_path: Path):
    lender = Lender(tmp_path / "lender", stay)
    for contract in (say_something_new, stay, say_something_new):
        lender.edit(contract)
        with lender.ledger.runtime.session():
            pass
    kept = lender.ledger.rows("SELECT yaml FROM contract_text WHERE feed = 'account' ORDER BY place")
    assert ["once a month" in text for (text,) in kept] == [False, True]


def another_type(contract: dict[str, Any]) -> None:
    column(contract, "balance")["type"] = "decimal(18,4)"


def another_key(contract: dict[str, Any]) -> None:
    contract["key"] = ["account_id", "customer_id"]


@pytest.mark.parametrize("change", [another_type, another_key])
def test_history_does_not_go_on_under_another_key_or_type_until_it_is_replayed(tmp_path: Path, change: Change):
    """The columns have the same names: balances would be rounded, and keys told apart otherwise than before."""
    lender = Lender(tmp_path / "lender", stay)
    lender.drop(DAYS)
    lender.edit(change)
    late = {"accounts_2026-01-31.csv": f"{ACCOUNTS}11,1,7.25,Savings\n"}
    with pytest.raises(ConfigurationError, match="no longer fits the table history_account") as refused:
        lender.drop(late)
    assert "dropledger replay" in refused.value.hint
    replay(lender.ledger.runtime, Selection(), None, lambda *_: None)
    lender.drop(late)
    assert (Decimal("7.25"),) in lender.ledger.rows("SELECT balance FROM history_account WHERE account_id = 11")


@pytest.mark.parametrize(
    "lost",
    ["DELETE FROM ledger.lending.contract_text", "UPDATE ledger.lending.contract_text SET yaml = 'feed: account'"],
)
def test_late_file_is_postponed_where_nothing_tells_how_others_were_read(tmp_path: Path, lost: str):
    lender = Lender(tmp_path / "lender", stay)
    lender.drop(DAYS)
    before = lender.tables()["history_account"]
    lender.edit(say_something_new)
    with lender.ledger.runtime.session():
        pass
    with duckdb.connect(str(lender.ledger.database)) as connection:
        connection.execute(lost)
    late, ledger = "accounts_2025-11-15.csv", lender.ledger
    later = ledger.put("customers_2026-01-01.csv", CUSTOMERS)
    postponed, accepted = ledger.process(ledger.put(late, LATE[late]), later)
    assert (postponed.delivered, accepted.delivered) == (Delivered.POSTPONED, Delivered.ACCEPTED)
    assert "can no longer be read as it was accepted" in (postponed.error or "")
    assert "dropledger replay" in (postponed.hint or "")
    assert lender.tables()["history_account"] == before
    replay(lender.ledger.runtime, Selection(), None, lambda *_: None)
    assert lender.ledger.rows("SELECT status FROM drop_ledger WHERE name = ?", [late]) == [("published",)]


def test_archived_file_that_was_damaged_is_not_taken_for_one_of_another_contract(tmp_path: Path):
    lender = Lender(tmp_path / "lender", stay)
    lender.drop(DAYS)
    lender.edit(say_something_new)
    [archived] = (lender.ledger.root / "archive").rglob("*accounts_2025-11-30.csv")
    archived.chmod(0o600)
    archived.write_text("Nothing\n")
    outcome = lender.ledger.drop("accounts_2025-11-15.csv", LATE["accounts_2025-11-15.csv"])
    assert outcome.delivered == Delivered.POSTPONED
    assert "was changed" in (outcome.error or "")


def test_rows_that_held_at_first_are_no_others_until_a_replay(tmp_path: Path):
    def with_initial(contract: dict[str, Any]) -> None:
        contract["initial"] = "accounts_2025-01-01.csv"

    lender = Lender(tmp_path / "lender", stay)
    lender.drop(DAYS)
    initial = lender.pipeline / "accounts_2025-01-01.csv"
    for text in (f"{ACCOUNTS}11,1,1.00,Savings\n", f"{ACCOUNTS}11,1,2.00,Savings\n"):
        initial.write_text(text)
        lender.edit(with_initial)
        with pytest.raises(ConfigurationError, match="no longer fits") as refused:
            lender.drop({"accounts_2026-01-31.csv": DAYS["accounts_2025-12-31.csv"]})
        assert "initial rows" in refused.value.why
        replay(lender.ledger.runtime, Selection(), None, lambda *_: None)
        oldest = "SELECT balance FROM history_account WHERE account_id = 11 ORDER BY valid_from LIMIT 1"
        assert lender.ledger.rows(oldest) == [(Decimal(text.split(",")[-2]),)]


def test_operation_column_may_come_without_a_replay(tmp_path: Path):
    """History has no such column, but the source layer has."""

    def with_operation(contract: dict[str, Any]) -> None:
        contract["mode"] = "delta"
        contract["operation"] = {"column": "operation"}
        contract["columns"].append({"name": "operation"})

    lender = Lender(tmp_path / "lender", stay)
    lender.drop(DAYS)
    lender.edit(with_operation)
    text = "AccountID,CustomerID,Balance,AccountType,Operation\n11,1,,,D\n"
    lender.drop({"accounts_2026-01-31.csv": text})
    assert lender.ledger.rows("SELECT account_id FROM history_account WHERE is_current ORDER BY 1") == [(12,), (13,)]
    lender.retract("accounts_2026-01-31.csv")
    assert lender.ledger.rows("SELECT account_id FROM stg_account") == []


def test_backfill_keeps_what_rows_with_times_of_their_own_observed(tmp_path: Path):
    """Under the contract before they had such; an archived file then has rows on both sides of what comes late."""

    def delta(contract: dict[str, Any]) -> None:
        contract["mode"] = "delta"

    def with_times_of_rows(contract: dict[str, Any]) -> None:
        contract["mode"] = "delta"
        contract["columns"].append({"name": "seen_on", "type": "date"})
        contract["effective_column"] = "seen_on"

    header = "AccountID,CustomerID,Balance,AccountType,SeenOn\n"
    days = {
        "accounts_2025-10-31.csv": f"{header}11,1,1.00,Savings,2025-10-01\n11,1,25.00,Savings,2025-12-01\n",
        "accounts_2025-11-30.csv": f"{header}11,1,2.00,Savings,2025-11-01\n11,1,30.00,Savings,2026-01-01\n",
    }
    late = {f"accounts_2025-11-{day}.csv": f"{ACCOUNTS}11,1,{day}.00,Savings\n" for day in (10, 20)}
    tables = []
    for together in (True, False):
        lender = Lender(tmp_path / str(together), with_times_of_rows)
        lender.drop(days)
        lender.edit(delta)
        ledger = lender.ledger
        facts = [ledger.put(name, text) for name, text in late.items()]
        if together:
            outcomes = backfill(ledger.runtime, facts, lambda _: None)
        else:
            outcomes = [outcome for fact in facts for outcome in ledger.process(fact)]
        assert [outcome.delivered for outcome in outcomes] == [Delivered.ACCEPTED] * 2
        tables.append(lender.tables())
    assert tables[0] == tables[1]
    balances = [str(row[2]) for row in tables[0]["history_account"]]
    assert balances == ["1.00", "2.00", "10.00", "20.00", "25.00", "30.00"]


def test_replay_of_what_was_known_has_what_was_taken_back_later_as_it_was_then(tmp_path: Path):
    """A drop was accepted, taken back, and came again when it could not have been read any more."""
    lender = Lender(tmp_path / "lender", stay)
    lender.drop(DAYS)
    then, last = datetime(2030, 6, 1, tzinfo=UTC), "accounts_2025-12-31.csv"
    before = lender.tables()["history_account"]
    clock = SettableClock(then + timedelta(days=1))
    [[drop_id]] = lender.ledger.rows("SELECT drop_id FROM drop_ledger WHERE name = ?", [last])
    retract(replace(lender.ledger.runtime, clock=clock), drop_id, "wrong", "ann")
    lender.edit(require_semicolons)
    later = lender.ledger
    later.runtime = replace(later.runtime, clock=clock)
    assert later.drop(last, DAYS[last]).delivered == Delivered.RETRACTED
    lender.edit(stay)

    path = tmp_path / "then.duckdb"
    replay(lender.ledger.runtime, Selection(known_at=then), str(path), lambda *_: None)

    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        assert fetch(connection, "SELECT * FROM lending.history_account ORDER BY ALL") == before
        told = "SELECT DISTINCT status, error FROM lending.drop_ledger"
        assert fetch(connection, told) == [("published", None)]
