"""Retract, replay and verify, each against a ledger that took another way to the same place."""

import shutil
from datetime import UTC, datetime
from decimal import Decimal
from itertools import permutations
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import duckdb
import pytest
from support.ledger import Ledger, SettableClock
from support.three_days import DAYS, HEADER, agrees_with_its_archive, artifacts, filled, quietly, tables

from dropledger.core.contracts.pipeline_spec import load_pipeline
from dropledger.core.errors import ConfigurationError, Unavailable
from dropledger.core.ledger.ledger import Delivered
from dropledger.core.operations.replay import Selection, replay
from dropledger.core.operations.retract import retract
from dropledger.core.operations.verify import verify
from dropledger.infra.local.store import LocalStore

NOVEMBER = "accounts_2025-11-30.csv"

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("order", list(permutations(DAYS)), ids=lambda order: "-".join(name[14:16] for name in order))
def test_any_order_of_arrival_gives_the_same_tables_and_artifacts(new_ledger, order: tuple[str, ...]):
    expected, found = filled(new_ledger("expected")), filled(new_ledger("found"), order)
    assert tables(found) == tables(expected)
    assert artifacts(found) == artifacts(expected)
    assert agrees_with_its_archive(found)


@pytest.mark.parametrize("gone", DAYS)
def test_retracted_drop_leaves_no_trace_but_in_the_ledger(new_ledger, gone: str):
    expected = filled(new_ledger("expected"), tuple(name for name in DAYS if name != gone))
    found = filled(new_ledger("found"))
    drop_id = found.rows("SELECT drop_id FROM drop_ledger WHERE name = ?", [gone])[0][0]

    retract(found.runtime, drop_id[:10], "wrong month", "ann")

    assert tables(found) == tables(expected)
    assert artifacts(found) == artifacts(expected)
    assert found.table("src_account") == expected.table("src_account")
    assert found.rows("SELECT status FROM drop_ledger WHERE drop_id = ?", [drop_id]) == [("retracted",)]
    assert found.table("retraction", "drop_id, retracted_by, reason") == [(drop_id, "ann", "wrong month")]
    assert not (found.root / f"outputs/changes/{drop_id}.csv").exists()
    assert agrees_with_its_archive(found)
    with pytest.raises(ConfigurationError, match="retracted already"):
        retract(found.runtime, drop_id, "again", "ann")


def test_retracted_drop_stays_so_when_it_comes_again(new_ledger):
    without = filled(new_ledger("without"), tuple(name for name in DAYS if name != NOVEMBER))
    found = filled(new_ledger("found"))
    drop_id = found.rows("SELECT drop_id FROM drop_ledger WHERE name = ?", [NOVEMBER])[0][0]
    retract(found.runtime, drop_id, "too early", "ann")

    outcome = found.drop(NOVEMBER, DAYS[NOVEMBER])

    assert (outcome.drop.drop_id, outcome.delivered, outcome.refused) == (drop_id, Delivered.RETRACTED, True)
    assert "ann took it back" in (outcome.error or "")
    assert f"restore {drop_id}" in (outcome.hint or "")
    assert (found.root / outcome.file).read_text(encoding="utf-8") == DAYS[NOVEMBER]
    assert [*(found.root / "inbox").iterdir(), *(found.root / "quarantine").iterdir()] == []
    assert tables(found) == tables(without)
    assert found.rows("SELECT status FROM drop_ledger WHERE drop_id = ?", [drop_id]) == [("retracted",)]
    told = "SELECT outcome FROM delivery WHERE drop_id = ? ORDER BY received_at"
    assert found.rows(told, [drop_id]) == [("accepted",), ("retracted",)]
    assert agrees_with_its_archive(found)


def test_retracting_everything_leaves_the_ledger_as_it_began(new_ledger):
    found = filled(new_ledger("found"))
    for (drop_id,) in found.rows("SELECT drop_id FROM drop_ledger"):
        retract(found.runtime, drop_id, "start again", "ann")
    assert found.table("account_summary") == []
    assert found.rows("SELECT DISTINCT valid_from, valid_to FROM history_rate") == [
        (datetime(1970, 1, 1, tzinfo=UTC), None)
    ]
    assert artifacts(found)["account_summary.csv"].count(b"\n") == 1


def test_moment_goes_back_with_a_retraction_and_the_rate_card_with_it(new_ledger):
    found = filled(new_ledger("found"), ("accounts_2025-10-31.csv",))
    card = "MinBalance,Rate,LoanBonus,Method\n0,0.1,0,whole_balance\n"
    found.drop("rates_2025-11-15.csv", card)
    before = found.table("account_summary")
    late = found.drop("accounts_2025-12-31.csv", DAYS["accounts_2025-12-31.csv"])
    assert found.rows("SELECT DISTINCT interest_rate FROM account_summary") == [(Decimal("0.1"),)]
    retract(found.runtime, late.drop.drop_id, "wrong year", "ann")
    assert found.table("account_summary") == before


def test_quarantined_drop_cannot_be_retracted(new_ledger):
    found = filled(new_ledger("found"))
    refused = found.drop("accounts_2026-01-31.csv", "")
    with pytest.raises(ConfigurationError, match="never became part of history"):
        retract(found.runtime, refused.drop.drop_id, "bad", "ann")


def test_replay_gives_the_same_tables_and_takes_the_place(new_ledger):
    found = filled(new_ledger("found"), tuple(reversed(DAYS)))
    found.drop("accounts_2026-01-31.csv", HEADER + "11,1,$5,Savings\n12,2,1,Savings\n")
    found.drop("nothing.csv", "x")
    before, ledger_before = (
        tables(found),
        found.table("drop_ledger", "drop_id, sequence, status, received_at, rows_read"),
    )

    replayed = replay(found.runtime, Selection(), None, quietly)

    assert (replayed.drops, replayed.in_place) == (5, True)
    assert tables(found) == before
    assert found.table("drop_ledger", "drop_id, sequence, status, received_at, rows_read") == ledger_before
    assert {path.name for path in found.database.parent.iterdir()} == {found.database.name}


def test_file_that_is_not_whole_takes_no_place(new_ledger):
    """As one that could not be written to when it was closed: what was committed last is in the log beside it."""
    found = filled(new_ledger("found"))
    before, live = tables(found), found.runtime.warehouse
    rebuilt = live.staging_copy("rebuilding")
    with duckdb.connect(rebuilt.location) as engine:
        engine.execute("PRAGMA disable_checkpoint_on_shutdown")
        engine.execute("CREATE TABLE t (id INTEGER)")
    with pytest.raises(Unavailable, match="not whole"):
        live.swap_in(rebuilt, "previous")
    assert tables(found) == before


def test_replay_mends_a_damaged_mart(new_ledger):
    found = filled(new_ledger("found"))
    before, written = tables(found), artifacts(found)
    with duckdb.connect(str(found.database)) as connection:
        connection.execute("UPDATE ledger.lending.account_summary SET annual_interest = 1")
    replay(found.runtime, Selection(), None, quietly)
    assert tables(found) == before
    assert artifacts(found) == written


def test_replay_of_a_part_needs_a_place_of_its_own(new_ledger, tmp_path: Path):
    found = filled(new_ledger("found"))
    selection = Selection(until=datetime(2025, 11, 30, tzinfo=UTC))
    with pytest.raises(ConfigurationError, match="part of the drops"):
        replay(found.runtime, selection, None, quietly)
    before = tables(found)
    replay(found.runtime, selection, str(tmp_path / "part.duckdb"), quietly)
    assert tables(found) == before
    with duckdb.connect(str(tmp_path / "part.duckdb"), read_only=True) as connection:
        current = connection.execute(
            "SELECT account_id, balance FROM lending.history_account WHERE is_current ORDER BY 1"
        )
        assert [(key, str(balance)) for key, balance in current.fetchall()] == [
            (11, "20000.00"),
            (12, "500.00"),
            (13, "1.00"),
        ]
    with pytest.raises(ConfigurationError, match="exists"):
        replay(found.runtime, selection, str(tmp_path / "part.duckdb"), quietly)


def test_replay_of_what_was_known_leaves_out_what_came_or_was_taken_back_later(new_ledger, tmp_path: Path):
    found = new_ledger("found")
    clock: SettableClock = found.clock
    filled(found, ("accounts_2025-10-31.csv", "accounts_2025-11-30.csv"))
    known_then = tables(found)
    then = clock()
    drop_id = found.rows("SELECT drop_id FROM drop_ledger WHERE name = 'accounts_2025-10-31.csv'")[0][0]
    retract(found.runtime, drop_id, "wrong", "ann")
    found.drop("accounts_2025-12-31.csv", DAYS["accounts_2025-12-31.csv"])

    replay(found.runtime, Selection(known_at=then), str(tmp_path / "then.duckdb"), quietly)

    with duckdb.connect(str(tmp_path / "then.duckdb"), read_only=True) as connection:
        for name in ("history_account", "account_summary"):
            rows = connection.execute(f"SELECT * FROM lending.{name} ORDER BY ALL").fetchall()
            plain = [
                tuple(v.replace(tzinfo=None) if isinstance(v, datetime) else v for v in row) for row in known_then[name]
            ]
            assert rows == plain


@pytest.mark.parametrize(
    ("damage", "table", "only"),
    [
        (
            "UPDATE ledger.lending.account_summary SET annual_interest = annual_interest + 0.01 WHERE account_id = 11",
            "account_summary",
            "live",
        ),
        (
            "DELETE FROM ledger.lending.history_account WHERE account_id = 12 AND is_current",
            "history_account",
            "rebuilt",
        ),
        (
            (
                "INSERT INTO ledger.lending.history_customer SELECT 9, 'Eve', TRUE, valid_from, NULL, TRUE, "
                "drop_id, 9 FROM ledger.lending.history_customer LIMIT 1"
            ),
            "history_customer",
            "live",
        ),
    ],
    ids=["changed", "removed", "added"],
)
def test_verify_finds_what_was_tampered_with(new_ledger, damage: str, table: str, only: str):
    found = filled(new_ledger("found"))
    assert agrees_with_its_archive(found)
    with duckdb.connect(str(found.database)) as connection:
        connection.execute(damage)
    verified = verify(found.runtime, quietly)
    assert (table, only) in [(difference.table, difference.only) for difference in verified.differences]


def test_verify_finds_a_changed_archive(new_ledger):
    found = filled(new_ledger("found"))
    path = next((found.root / "archive/account").rglob("*2025-11-30.csv"))
    path.write_bytes(path.read_bytes().replace(b"20000", b"20001"))
    (difference,) = verify(found.runtime, quietly).files
    assert difference.name == str(path.relative_to(found.root))
    assert "does not have the SHA-256" in difference.problem


def test_verify_says_when_the_contract_changed(tmp_path: Path):
    folder = tmp_path / "pipeline"
    shutil.copytree(Path(load_pipeline("lending").folder), folder)
    filled(Ledger(tmp_path / "root", load_pipeline(str(folder))))
    contract = folder / "account.yaml"
    contract.write_text(contract.read_text() + "\n# changed\n")
    verified = verify(Ledger(tmp_path / "root", load_pipeline(str(folder))).runtime, quietly)
    assert (verified.differences, len(verified.other_contract)) == ((), 3)


def test_complete_extract_whose_rows_are_all_refused_closes_nothing(tmp_path: Path):
    folder = tmp_path / "pipeline"
    shutil.copytree(Path(load_pipeline("lending").folder), folder)
    contract = folder / "account.yaml"
    contract.write_text(contract.read_text().replace("missing_keys: keep", "missing_keys: close"))
    found = filled(Ledger(tmp_path / "root", load_pipeline(str(folder))), ("accounts_2025-10-31.csv",))
    before = tables(found)["history_account"]

    outcome = found.drop("accounts_2025-11-30.csv", HEADER + "13,1,-5,Savings\n" * 2)

    assert (outcome.delivered, outcome.rule) == (Delivered.QUARANTINED, "too_many_rejected")
    assert (outcome.rows_read, outcome.rows_rejected, outcome.rows_duplicate) == (2, 1, 1)
    assert tables(found)["history_account"] == before


def test_rows_of_several_lines_are_shown_again_when_the_drop_behind_them_is_retracted(ledger: Ledger):
    header = "CustomerID,Name,HasLoan\n"
    ledger.drop("customers_2026-01-01.csv", header + '1,"Ann\nLee",Yes\n2,"Bo ""the"" Berg",No\n')
    shown = ledger.table("src_customer", "_line, customer_name, _accepted")
    later = ledger.drop("customers_2026-01-02.csv", header + "1,Ann,Yes\n")
    retract(ledger.runtime, later.drop.drop_id, "sent by mistake", "the tests")

    assert shown == [(2, "Ann\nLee", True), (4, 'Bo "the" Berg', True)]
    assert ledger.table("src_customer", "_line, customer_name, _accepted") == shown


def test_rows_that_count_as_duplicates_are_shown_as_such_when_the_drop_behind_them_is_retracted(ledger: Ledger):
    ledger.drop("accounts_2025-10-31.csv", HEADER + "11,1,5,Savings\n11,1,5,Savings\n12,1,-5,Savings\n13,1,1,Savings\n")
    shown, staged = ledger.table("src_account", "_line, _accepted"), ledger.table("stg_account", "_line")
    later = ledger.drop("accounts_2025-11-30.csv", HEADER + "11,1,6,Savings\n")
    retract(ledger.runtime, later.drop.drop_id, "sent by mistake", "the tests")

    assert staged == [(2,), (5,)]
    assert (ledger.table("src_account", "_line, _accepted"), ledger.table("stg_account", "_line")) == (shown, staged)


def test_retraction_writes_its_artifacts_before_anybody_else_may_hold_the_root(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
):
    filled(ledger)
    exclusive, held = LocalStore.exclusive, []

    def counted(store: LocalStore, seconds: float) -> Any:
        held.append(seconds)
        return exclusive(store, seconds)

    monkeypatch.setattr(LocalStore, "exclusive", counted)
    newest = ledger.rows("SELECT drop_id FROM drop_ledger ORDER BY sequence DESC LIMIT 1")[0][0]
    retract(ledger.runtime, newest, "wrong", "ann")
    assert len(held) == 1
    assert "20000" in (ledger.root / "outputs/account_summary.csv").read_text()


def test_artifacts_that_a_killed_retraction_has_left_are_brought_in_line_by_the_next(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
):
    filled(ledger)
    newest = ledger.rows("SELECT drop_id FROM drop_ledger ORDER BY sequence DESC LIMIT 1")[0][0]
    with monkeypatch.context() as patch:
        patch.setattr(
            "dropledger.core.operations.retract.publish_committed", Mock(side_effect=[None, KeyboardInterrupt])
        )
        with pytest.raises(KeyboardInterrupt):
            retract(ledger.runtime, newest, "wrong", "ann")
    with pytest.raises(ConfigurationError, match="retracted already"):
        retract(ledger.runtime, newest, "wrong", "ann")
    assert "20000" in (ledger.root / "outputs/account_summary.csv").read_text()
    assert not (ledger.root / f"outputs/changes/{newest}.csv").exists()
