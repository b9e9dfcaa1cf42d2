"""What the ledger has of refusals, retractions and restorations: all of it stays, and people can see it."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from support.commands import Commands
from support.ledger import Ledger, custom_pipeline
from support.three_days import CUSTOMERS, DAYS, HEADER, agrees_with_its_archive, artifacts, filled, quietly, tables

from dropledger.core.contracts.pipeline_spec import BUILT_IN
from dropledger.core.errors import ConfigurationError
from dropledger.core.ledger.ledger import Delivered
from dropledger.core.operations.replay import Selection, replay
from dropledger.core.operations.retract import plan_retraction, restore, retract
from dropledger.core.operations.verify import verify

pytestmark = pytest.mark.slow

OCTOBER, NOVEMBER, DECEMBER = DAYS
LEDGER_TABLES = (
    "drop_ledger",
    "delivery",
    "rejected_row",
    "check_result",
    "retraction",
    "restoration",
    "mart_total",
    "alert",
)


@pytest.fixture
def commands(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(ledger.root, capsys)


def drop_of(ledger: Ledger, name: str) -> str:
    [[drop_id]] = ledger.rows("SELECT drop_id FROM drop_ledger WHERE name = ?", [name])
    return str(drop_id)


def refused_then_accepted(ledger: Ledger, tmp_path: Path) -> str:
    """A drop that a stricter contract refused, for its rows and as a whole, and that of now takes; its drop_id."""
    strict = custom_pipeline(tmp_path / "strict", {"account.yaml": {"max_rejected": "0.1"}})
    text = HEADER + "11,1,100.00,Savings\n12,2,oops,Savings\n13,2,5.00,Checking\n"
    refused = Ledger(ledger.root, strict, ledger.clock).drop("accounts_2025-10-31.csv", text)
    assert (refused.delivered, refused.rule) == (Delivered.QUARANTINED, "too_many_rejected")
    accepted = ledger.drop("accounts_2025-10-31.csv", text)
    assert (accepted.delivered, accepted.drop.drop_id) == (Delivered.ACCEPTED, refused.drop.drop_id)
    return accepted.drop.drop_id


def test_refusal_stays_when_the_same_bytes_are_accepted_later(ledger: Ledger, tmp_path: Path):
    drop_id = refused_then_accepted(ledger, tmp_path)
    deliveries = """SELECT outcome, rows_read, rows_accepted, rows_rejected, split_part(error, ':', 1)
        FROM delivery WHERE drop_id = ? ORDER BY sequence"""
    assert ledger.rows(deliveries, [drop_id]) == [
        ("quarantined", 3, 0, 3, "too_many_rejected"),
        ("accepted", 3, 2, 1, None),
    ]
    contracts = ledger.rows("SELECT DISTINCT contract_sha256 FROM delivery WHERE drop_id = ?", [drop_id])
    assert len(contracts) == 2
    refused, accepted = (
        ledger.rows(
            """SELECT r.line, r.rule, r.raw
            FROM rejected_row AS r
            INNER JOIN delivery AS d ON d.drop_id = r.drop_id AND d.sequence = r.sequence
            WHERE d.outcome = ?""",
            [outcome],
        )
        for outcome in ("quarantined", "accepted")
    )
    assert refused == accepted == [(3, "type", "12,2,oops,Savings")]
    before = {name: ledger.table(name) for name in LEDGER_TABLES}
    assert agrees_with_its_archive(ledger)
    replay(ledger.runtime, Selection(), None, quietly)
    assert {name: ledger.table(name) for name in LEDGER_TABLES} == before


def test_row_that_was_refused_once_and_accepted_later_is_observed(ledger: Ledger, tmp_path: Path):
    rules: list[object] = ["not_null", {"rule": "range", "max": 50}]
    columns = yaml.safe_load((BUILT_IN / "lending" / "account.yaml").read_text(encoding="utf-8"))["columns"]
    columns = [{**column, "rules": rules} if column["name"] == "balance" else column for column in columns]
    strict = custom_pipeline(tmp_path / "strict", {"account.yaml": {"columns": columns, "max_rejected": 0}})
    text = HEADER + "11,1,100.00,Savings\n12,2,5.00,Checking\n"
    refused = Ledger(ledger.root, strict, ledger.clock).drop("accounts_2025-10-31.csv", text)
    accepted = ledger.drop("accounts_2025-10-31.csv", text)
    assert (refused.rows_rejected, accepted.rows_accepted) == (2, 2)
    assert ledger.rows("SELECT sequence, line FROM rejected_row") == [(refused.sequence, 2)]

    ledger.drop("accounts_2025-09-30.csv", HEADER + "11,1,7.00,Savings\n")
    balances = "SELECT account_id, balance, is_current FROM history_account ORDER BY account_id, valid_from"
    assert ledger.rows(balances) == [(11, 7, False), (11, 100, True), (12, 5, True)]

    retract(ledger.runtime, accepted.drop.drop_id, "wrong", "somebody")
    assert ledger.rows(balances) == [(11, 7, True)]


def test_checks_that_refused_a_drop_stay_beside_those_that_let_it_in(ledger: Ledger, tmp_path: Path):
    """A rate card breaks a check; under a pipeline without that check the same bytes go in."""
    card = "MinBalance,Rate,LoanBonus,Method\n5000,0.1,0,whole_balance\n"
    refused = ledger.drop("rates_2025-11-15.csv", card)
    assert refused.rule == "check_failed"
    lenient = custom_pipeline(tmp_path / "lenient", {"rate.yaml": {"checks": []}})
    later = Ledger(ledger.root, lenient, ledger.clock)
    accepted = later.drop("rates_2025-11-15.csv", card)
    assert accepted.delivered == Delivered.ACCEPTED
    failed = """SELECT c.sequence, c.check_name FROM check_result AS c
        WHERE c.drop_id = ? AND NOT c.passed AND c.severity = 'error'"""
    assert ledger.rows(failed, [accepted.drop.drop_id]) == [(refused.sequence, "card_starts_at_zero")]


def test_show_tells_every_delivery_with_what_was_found(ledger: Ledger, commands: Commands, tmp_path: Path):
    drop_id = refused_then_accepted(ledger, tmp_path)
    ledger.drop("again_accounts_2025-10-31.csv", DAYS[OCTOBER], feed="account")
    found = commands.json("show", drop_id[:8])
    assert found["drop"]["status"] == "published"
    assert found["drop"]["error"] is None
    assert (found["drop"]["rows_accepted"], found["drop"]["rows_rejected"]) == (2, 1)
    assert [one["outcome"] for one in found["deliveries"]] == ["quarantined", "accepted"]
    assert found["deliveries"][0]["error"].startswith("too_many_rejected: ")
    assert found["contract"]["in_force"] is True
    assert found["contract"]["sha256"] != found["deliveries"][0]["contract_sha256"]
    assert found["files"]["archive"] == [f"archive/account/2025/10/31/{drop_id}-accounts_2025-10-31.csv"]
    assert found["files"]["outputs"] == [
        f"outputs/changes/{drop_id}.csv",
        f"outputs/quality_reports/quality_report_{drop_id}.json",
    ]
    assert found["checks"] != []
    assert all(check["passed"] for check in found["checks"] if check["severity"] == "error")
    said = commands.text("show", drop_id)
    assert "too_many_rejected" in said
    assert "1 rejected" in said


def test_rejects_are_those_of_the_last_examination(ledger: Ledger, commands: Commands, tmp_path: Path):
    drop_id = refused_then_accepted(ledger, tmp_path)
    assert [row["line"] for row in commands.json("rejects", drop_id)["rejects"]] == [3]


def test_retraction_and_restoration_are_told_by_drops_and_show(ledger: Ledger, commands: Commands):
    filled(ledger)
    drop_id = drop_of(ledger, NOVEMBER)
    retract(ledger.runtime, drop_id, "sent in error", "ann")
    [told] = [drop for drop in commands.json("drops")["drops"] if drop["drop_id"] == drop_id]
    assert (told["retracted_by"], told["retracted_because"]) == ("ann", "sent in error")
    assert told["retracted_at"].startswith(f"{ledger.clock.moment:%Y-%m-%dT}")
    assert "ann took it back" in commands.text("drops")
    assert "sent in error" in commands.text("show", drop_id)

    restore(ledger.runtime, drop_id, "it was right", "bob")
    [told] = [drop for drop in commands.json("drops")["drops"] if drop["drop_id"] == drop_id]
    assert (told["status"], told["retracted_by"]) == ("published", None)
    [kept] = commands.json("show", drop_id)["retractions"]
    assert (kept["retracted_by"], kept["reason"], kept["restored_by"], kept["restored_because"]) == (
        "ann",
        "sent in error",
        "bob",
        "it was right",
    )


@pytest.mark.parametrize("name", DAYS)
def test_restored_drop_is_as_if_it_had_never_been_taken_back(new_ledger: Any, name: str):
    expected, found = filled(new_ledger("expected")), filled(new_ledger("found"))
    drop_id = drop_of(found, name)
    retract(found.runtime, drop_id, "wrong", "ann")
    assert tables(found) != tables(expected)

    restored = restore(found.runtime, drop_id[:9], "right after all", "bob")

    assert restored.drop.drop_id == drop_id
    assert tables(found) == tables(expected)
    assert artifacts(found) == artifacts(expected)
    assert found.table("src_account") == expected.table("src_account")
    standing = "drop_id, sequence, status, rows_read, rows_accepted, versions_opened, error, first_effective"
    assert found.table("drop_ledger", standing) == expected.table("drop_ledger", standing)
    assert agrees_with_its_archive(found)
    assert verify(found.runtime, lambda *_: None).files == ()
    with pytest.raises(ConfigurationError, match="cannot be restored"):
        restore(found.runtime, drop_id, "again", "bob")
    assert found.drop(name, DAYS[name]).delivered == Delivered.DUPLICATE


def test_restored_drop_keeps_its_place_among_those_of_its_moment(new_ledger: Any):
    """The correction that came behind it still stands."""
    correction = HEADER + "11,1,77.00,Savings\n"
    found = filled(new_ledger("found"))
    found.drop("corrected_accounts_2025-11-30.csv", correction, feed="account")
    before = tables(found)
    retract(found.runtime, drop_of(found, NOVEMBER), "wrong", "ann")
    restore(found.runtime, drop_of(found, NOVEMBER), "right", "ann")
    assert tables(found) == before


def test_what_was_known_between_retraction_and_restoration(ledger: Ledger, tmp_path: Path):
    filled(ledger)
    drop_id = drop_of(ledger, NOVEMBER)
    moments = []
    for change in (retract, restore, retract, restore):
        moments.append(ledger.clock())
        ledger.clock.moment += timedelta(hours=1)
        change(ledger.runtime, drop_id, "why", "ann")
    moments.append(ledger.clock())
    known = []
    for place, moment in enumerate(moments):
        path = tmp_path / f"known_{place}.duckdb"
        replay(ledger.runtime, Selection(known_at=moment), str(path), quietly)
        with duckdb.connect(str(path), read_only=True) as connection:
            [(drops,)] = connection.execute(
                "SELECT count(*) FROM lending.drop_ledger WHERE drop_id = ?", [drop_id]
            ).fetchall()
        known.append(drops)
    assert known == [1, 0, 1, 0, 1]


def test_retraction_is_sticky_among_many_files_that_wait_together(ledger: Ledger):
    filled(ledger)
    retract(ledger.runtime, drop_of(ledger, NOVEMBER), "wrong", "ann")
    others = {f"accounts_2026-01-{day:02}.csv": HEADER + f"11,1,{day},Savings\n" for day in range(1, 7)}
    facts = [ledger.put(name, text) for name, text in {NOVEMBER: DAYS[NOVEMBER], **others}.items()]
    outcomes = {outcome.drop.name: outcome.delivered for outcome in ledger.process(*facts)}
    assert outcomes == {NOVEMBER: Delivered.RETRACTED, **dict.fromkeys(others, Delivered.ACCEPTED)}
    assert agrees_with_its_archive(ledger)


def test_command_that_meets_a_retracted_drop_leaves_with_3(ledger: Ledger, commands: Commands, tmp_path: Path):
    filled(ledger)
    retract(ledger.runtime, drop_of(ledger, NOVEMBER), "wrong", "ann")
    file = tmp_path / NOVEMBER
    file.write_text(DAYS[NOVEMBER], encoding="utf-8")
    [outcome] = commands.json("process", str(file), code=3)["outcomes"]
    assert (outcome["outcome"], outcome["rule"], outcome["rows_read"]) == ("retracted", "retracted", 0)
    assert commands.json("restore", outcome["drop_id"], "--reason", "right")["reason"] == "right"
    assert commands.json("process", str(file))["outcomes"][0]["outcome"] == "duplicate"


def test_dry_run_of_a_retraction_tells_what_it_would_do_and_changes_nothing(ledger: Ledger, commands: Commands):
    filled(ledger)
    drop_id = drop_of(ledger, DECEMBER)
    before = {path: path.read_bytes() for path in ledger.root.rglob("*") if path.is_file() and path.name != ".lock"}
    planned = plan_retraction(ledger.runtime, drop_id)
    told = commands.json("retract", drop_id[:9], "--dry-run")
    after = {path: path.read_bytes() for path in ledger.root.rglob("*") if path.is_file() and path.name != ".lock"}
    assert after == before
    assert told["dry_run"] is True
    effect = told["effects"]["account_summary"]
    # 9999.99 at 1.5 % + 750 and 1 at 1 %; without December's file 20000 at 2.5 % + 500 at 1 %.
    assert (effect["total_before"], effect["total_after"]) == ("157.51", "505.00")
    assert effect["changes"] == {"changed": 2, "removed": 1}
    done = retract(ledger.runtime, drop_id, "wrong", "ann")
    assert (planned.versions_opened, planned.versions_closed) == (done.versions_opened, done.versions_closed)
    assert dict(planned.recomputed) == dict(done.recomputed)
    assert ledger.rows("SELECT sum(annual_interest) FROM account_summary") == [(Decimal("505.00"),)]


def test_drop_that_was_quarantined_is_neither_retracted_nor_restored(ledger: Ledger):
    refused = ledger.drop("accounts_2025-10-31.csv", "AccountID\n1\n")
    for change in (retract, restore):
        with pytest.raises(ConfigurationError, match="cannot be re"):
            change(ledger.runtime, refused.drop.drop_id, "why", "ann")


# Refused files that were corrected


def problems(commands: Commands) -> list[str]:
    return [one["problem"] for one in commands.json("doctor")["problems"] if "quarantine" in one["problem"]]


def test_refused_file_whose_correction_was_accepted_is_superseded(ledger: Ledger, commands: Commands):
    ledger.drop("customers_2025-10-31.csv", CUSTOMERS)
    refused = ledger.drop(OCTOBER, "AccountID\n11\n")
    other = ledger.drop(NOVEMBER, "AccountID\n11\n")
    assert problems(commands) == ["2 files lie in quarantine, and no correction was accepted"]

    corrected = ledger.drop(OCTOBER, DAYS[OCTOBER])

    told = {drop["drop_id"]: drop["superseded_by"] for drop in commands.json("drops")["drops"]}
    assert told[refused.drop.drop_id] == corrected.drop.drop_id
    assert told[other.drop.drop_id] is told[corrected.drop.drop_id] is None
    shown = commands.json("show", refused.drop.drop_id)
    assert shown["drop"]["superseded_by"] == corrected.drop.drop_id
    assert shown["files"]["quarantine"][0] == f"quarantine/{OCTOBER}"
    assert problems(commands) == ["1 files lie in quarantine, and no correction was accepted"]
    # A correction that is taken back corrects nothing.
    retract(ledger.runtime, corrected.drop.drop_id, "wrong too", "ann")
    assert problems(commands) == ["2 files lie in quarantine, and no correction was accepted"]


def test_refused_file_that_is_accepted_later_as_it_is_is_superseded(ledger: Ledger, commands: Commands, tmp_path: Path):
    refused_then_accepted(ledger, tmp_path)
    ledger.drop("customers_2025-10-31.csv", CUSTOMERS)
    assert [path.name for path in (ledger.root / "quarantine").iterdir() if path.suffix == ".csv"] != []
    assert problems(commands) == []


def test_file_of_no_feed_is_superseded_when_it_is_dropped_again_with_its_feed(ledger: Ledger, commands: Commands):
    ledger.drop("customers_2025-10-31.csv", CUSTOMERS)
    refused = ledger.drop("balances_2025-10-31.csv", DAYS[OCTOBER])
    assert refused.rule == "unknown_feed"
    accepted = ledger.drop("balances_2025-10-31.csv", DAYS[OCTOBER], feed="account")
    assert commands.json("show", refused.drop.drop_id)["drop"]["superseded_by"] == accepted.drop.drop_id
    assert problems(commands) == []


def test_earlier_accepted_file_of_the_name_corrects_nothing(ledger: Ledger, commands: Commands):
    filled(ledger)
    ledger.drop(OCTOBER, "AccountID\n11\n")
    assert problems(commands) == ["1 files lie in quarantine, and no correction was accepted"]


def test_replay_of_what_was_known_has_the_refused_rows_of_what_was_accepted_alone(ledger: Ledger, tmp_path: Path):
    refused_then_accepted(ledger, tmp_path)
    path = tmp_path / "then.duckdb"
    replay(ledger.runtime, Selection(known_at=ledger.clock.moment), str(path), quietly)
    with duckdb.connect(str(path), read_only=True) as connection:
        assert connection.execute("SELECT line FROM lending.rejected_row").fetchall() == [(3,)]


def test_drop_without_rows_is_taken_back_and_in_again(tmp_path: Path):
    """No drop of its feed has observed anything."""
    ledger = Ledger(tmp_path / "root", custom_pipeline(tmp_path / "pipeline", {"account.yaml": {"mode": "delta"}}))
    empty = ledger.drop("accounts_2025-10-31.csv", "AccountID,CustomerID,Balance,AccountType\n").drop.drop_id
    retract(ledger.runtime, empty, "wrong", "ann")
    restore(ledger.runtime, empty, "right after all", "bob")
    assert ledger.rows("SELECT status FROM drop_ledger") == [("published",)]
