"""Warehouse, archive and artifacts belong together, or it is said what does not."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from support.ledger import Ledger, Record

from dropledger.core.drop import parse_moment
from dropledger.core.errors import ConfigurationError, Different
from dropledger.core.ingest.run import process
from dropledger.core.operations.backfill import backfill
from dropledger.core.operations.export import export_again, refuse_before_first_drop
from dropledger.core.operations.plan import plan
from dropledger.core.operations.replay import Selection, replay
from dropledger.core.operations.retract import retract
from dropledger.core.operations.verify import Verified, verify
from dropledger.core.publish_throttle import PublishThrottle
from dropledger.core.steps.soundness import FileDifference, artifact_differences
from dropledger.core.views.explain import explain
from dropledger.infra.duckdb.warehouse import DuckDBWarehouse
from dropledger.infra.local.store import LocalStore

pytestmark = pytest.mark.slow

CUSTOMERS = "CustomerID,Name,HasLoan\n1,Ann,Yes\n2,Bo,No\n"
ACCOUNTS = "AccountID,CustomerID,Balance,AccountType\n11,1,100.00,Savings\n12,2,20000.00,Savings\n"
MARTS = ("account_summary", "customer_profile", "history_account", "history_customer")


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    """A root with three drops: two files of one kind, and what goes with them."""
    ledger.process(
        ledger.put("customers_2026-01-01.csv", CUSTOMERS),
        ledger.put("accounts_2026-01-01.csv", ACCOUNTS),
        ledger.put("accounts_2026-01-02.csv", ACCOUNTS.replace("100", "300")),
    )
    return ledger


def verified(ledger: Ledger) -> Verified:
    return verify(ledger.runtime, lambda *_: None)


def names(found: Verified) -> list[str]:
    return [one.name for one in found.files]


def archived(ledger: Ledger, ending: str) -> Path:
    (path,) = (ledger.root / "archive").rglob(f"*{ending}")
    return path


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def tables(ledger: Ledger) -> dict[str, list[Record]]:
    return {name: ledger.table(name) for name in MARTS}


def lose(ledger: Ledger) -> None:
    ledger.database.unlink()


def renew(ledger: Ledger) -> None:
    """As a client does that opens a file which is not there."""
    ledger.database.unlink()
    duckdb.connect(str(ledger.database)).close()


def empty(ledger: Ledger) -> None:
    ledger.database.write_bytes(b"")


def prepare_anew(ledger: Ledger) -> None:
    """The tables are there, and no drop in them."""
    ledger.database.unlink()
    other = Ledger(ledger.root.parent / "other", ledger.runtime.pipeline)
    with other.runtime.session():
        pass
    shutil.copy(other.database, ledger.database)


WRITERS: dict[str, Callable[[Ledger], object]] = {
    "process": lambda ledger: ledger.process(ledger.put("customers_2026-02-01.csv", CUSTOMERS)),
    "process nothing": lambda ledger: ledger.process(),
    "backfill": lambda ledger: backfill(
        ledger.runtime, [ledger.put("customers_2026-02-01.csv", CUSTOMERS)], lambda _: None
    ),
    "retract": lambda ledger: retract(ledger.runtime, "0", "wrong", "somebody"),
    "export": lambda ledger: export_again(ledger.runtime),
    "plan": lambda ledger: plan(ledger.runtime, ledger.put("customers_2026-02-01.csv", CUSTOMERS)),
    "verify": verified,
}


@pytest.mark.parametrize("damage", [lose, renew, empty, prepare_anew])
def test_lost_warehouse_is_refused_and_replay_makes_it_again(filled: Ledger, damage: Callable[[Ledger], None]):
    before, outputs = tables(filled), content(filled.root / "outputs")
    damage(filled)
    for name, act in WRITERS.items():
        with pytest.raises(ConfigurationError, match=r"is lost, or is not that|there is no warehouse") as raised:
            act(filled)
        assert raised.value.exit_code == 2, name
    assert content(filled.root / "outputs") == outputs
    assert filled.database.exists() == (damage is not lose)
    waiting = sorted(path.name for path in (filled.root / "inbox").iterdir())
    assert waiting == ["customers_2026-02-01.csv"]

    replayed = replay(filled.runtime, Selection(), None, lambda *_: None)
    assert (replayed.drops, replayed.recovered) == (3, True)
    assert tables(filled) == before
    assert verified(filled).sound
    outcomes = filled.process(filled.put("accounts_2026-01-02.csv", ACCOUNTS.replace("100", "300")))
    assert [str(outcome.delivered) for outcome in outcomes] == ["duplicate"]


def test_recovery_knows_by_their_drop_id_what_files_were_true_from(filled: Ledger):
    when = parse_moment("2026-01-05T10:11:12.345678Z")
    filled.process(filled.put("customers.csv", CUSTOMERS.replace("Bo", "Boo"), modified_at=when))
    filled.drop("customers_more.csv", CUSTOMERS.replace("Bo", "Bob"), as_of=parse_moment("2026-01-06"))
    before = tables(filled)
    lose(filled)
    replay(filled.runtime, Selection(), None, lambda *_: None)
    assert tables(filled) == before


def test_recovery_names_a_file_that_nothing_tells_the_time_of(filled: Ledger):
    filled.drop("customers.csv", CUSTOMERS.replace("Bo", "Boo"), as_of=parse_moment("2026-01-05T10:11:12Z"))
    lose(filled)
    with pytest.raises(ConfigurationError, match=r"customers\.csv"):
        replay(filled.runtime, Selection(), None, lambda *_: None)
    assert not filled.database.exists()


def test_two_roots_on_one_warehouse_are_refused(filled: Ledger, new_ledger: Callable[[str], Ledger]):
    second = new_ledger("second")
    second.runtime = replace(second.runtime, warehouse=DuckDBWarehouse(filled.database, "lending", wait_seconds=1.0))
    before = filled.tables("drop_ledger", "delivery")
    for text in (ACCOUNTS, ACCOUNTS.replace("100", "300")):  # one that the ledger has, too, and by that name
        with pytest.raises(ConfigurationError, match="is not that of the root"):
            second.process(second.put("accounts_2026-01-01.csv", text))
    with pytest.raises(ConfigurationError, match="is not that of the root"):
        replay(second.runtime, Selection(), None, lambda *_: None)
    with pytest.raises(ConfigurationError, match="is not that of the root"):
        verified(second)
    assert filled.tables("drop_ledger", "delivery") == before


def test_root_whose_first_drop_was_committed_and_not_archived_goes_on(ledger: Ledger):
    ledger.put("customers_2026-01-01.csv", CUSTOMERS)
    (ledger.root / "archive" / "customer").write_text("in the way")
    (outcome,) = ledger.process(*ledger.runtime.store.arrivals())
    assert not outcome.taken
    (ledger.root / "archive" / "customer").unlink()
    assert verified(ledger).sound
    assert [one.resumed for one in ledger.process()] == [True]
    assert verified(ledger).sound


def test_verify_names_archived_files_that_are_gone_changed_or_unknown(filled: Ledger):
    assert verified(filled).sound
    gone, changed = archived(filled, "accounts_2026-01-01.csv"), archived(filled, "customers_2026-01-01.csv")
    stranger = changed.with_name("copy.csv")
    gone_bytes, changed_bytes = gone.read_bytes(), changed.read_bytes()
    stranger.write_bytes(changed_bytes)
    found = verified(filled)
    assert names(found) == [str(stranger.relative_to(filled.root))]
    assert found.tables
    gone.unlink()
    changed.write_text(CUSTOMERS.replace("Ann", "Eve"))
    found = verified(filled)
    assert set(names(found)) == {str(path.relative_to(filled.root)) for path in (gone, changed, stranger)}
    problems = {one.name.rpartition("-")[2] + one.problem for one in found.files}
    assert any("SHA-256" in problem for problem in problems)
    assert any("is missing" in problem for problem in problems)
    assert not any("contract" in one.problem + one.hint for one in found.files)

    stranger.unlink()
    outcomes = filled.process(
        filled.put("accounts_2026-01-01.csv", gone_bytes), filled.put("customers_2026-01-01.csv", changed_bytes)
    )
    assert [str(outcome.delivered) for outcome in outcomes] == ["duplicate", "duplicate"]
    assert (gone.read_bytes(), changed.read_bytes()) == (gone_bytes, changed_bytes)
    assert verified(filled).sound


@pytest.mark.parametrize("name", ["account_summary.csv", "account_summary.parquet", "manifest.json"])
@pytest.mark.parametrize("damage", ["edited", "deleted", "garbled"])
def test_artifacts_at_odds_with_the_manifest_are_named_and_written_again(filled: Ledger, name: str, damage: str):
    outputs = filled.root / "outputs"
    before, path = content(outputs), outputs / name
    match damage:
        case "edited":
            path.write_bytes(path.read_bytes().replace(b"2", b"3") + b" ")  # the packed bytes may have no 2
        case "deleted":
            path.unlink()
        case _:
            path.write_bytes(b"{")
    found = verified(filled)
    assert found.differences == ()
    assert f"outputs/{name}" in names(found) or name == "manifest.json"
    assert not found.sound
    assert all("dropledger export" in one.hint for one in found.files)
    export_again(filled.runtime)
    assert verified(filled).sound
    assert content(outputs).keys() == before.keys()
    assert (outputs / "account_summary.csv").read_bytes() == before[str(outputs / "account_summary.csv")]


def test_half_restored_outputs_are_named_though_they_agree_with_their_manifest(filled: Ledger, tmp_path: Path):
    shutil.copytree(filled.root / "outputs", tmp_path / "backup")
    filled.drop("accounts_2026-01-03.csv", ACCOUNTS.replace("100", "500"))
    shutil.rmtree(filled.root / "outputs")
    shutil.copytree(tmp_path / "backup", filled.root / "outputs")
    assert names(verified(filled)) == ["outputs/manifest.json"]
    filled.drop("accounts_2026-01-04.csv", ACCOUNTS.replace("100", "600"))  # which publishes, and so mends
    assert verified(filled).sound


def test_artifacts_that_are_put_off_are_no_difference(filled: Ledger):
    runtime = replace(filled.runtime, throttle=PublishThrottle(None))
    (filled.root / "outputs" / "manifest.json").write_text("{")
    process(runtime, [filled.put("accounts_2026-01-03.csv", ACCOUNTS)], lambda _: None)
    with runtime.warehouse.session(read_only=True) as session:
        assert artifact_differences(runtime.store, session) == []


def test_replay_into_a_part_never_takes_the_place_of_the_artifacts(filled: Ledger, tmp_path: Path):
    part = tmp_path / "part.duckdb"
    replay(filled.runtime, Selection(until=parse_moment("2026-01-01")), str(part), lambda *_: None)
    runtime = replace(filled.runtime, warehouse=DuckDBWarehouse(part, "lending"))
    before = content(filled.root / "outputs")
    with pytest.raises(ConfigurationError, match="does not speak for all"):
        export_again(runtime)
    assert content(filled.root / "outputs") == before


def test_nothing_is_exported_of_a_time_before_the_first_drop(filled: Ledger):
    refuse_before_first_drop(filled.runtime, parse_moment("2026-01-01"))
    with pytest.raises(Exception, match="nothing to export as of 2025-12-31") as raised:
        refuse_before_first_drop(filled.runtime, parse_moment("2025-12-31"))
    assert raised.value.exit_code == 3  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE account_summary SET original_balance = 1 WHERE account_id = 11",
        "UPDATE account_summary SET annual_interest = 1 WHERE account_id = 11",
        "DELETE FROM account_summary WHERE account_id = 11",
    ],
)
def test_explain_tells_a_mart_that_says_otherwise(filled: Ledger, statement: str):
    with filled.runtime.session() as session:
        assert explain(session, filled.runtime.pipeline, None, "11")["agrees"] is True
        session.execute(statement)
        assert explain(session, filled.runtime.pipeline, None, "11")["agrees"] is False


def test_explain_tells_of_a_figure_whose_account_is_not_there(filled: Ledger):
    with filled.runtime.session() as session:
        session.execute("DELETE FROM history_account WHERE account_id = 11")
        with pytest.raises(Different) as raised:
            explain(session, filled.runtime.pipeline, None, "11")
    assert raised.value.exit_code == 5
    assert "dropledger verify" in raised.value.hint


def test_what_killed_commands_left_beside_the_warehouse_goes_at_the_next_start(filled: Ledger):
    left = [
        filled.database.with_name(f"ledger.{label}.duckdb{ending}")
        for label in ("planning", "exporting", "verifying", "rebuilding", "previous")
        for ending in ("", ".wal")
    ]
    for path in left:
        path.write_bytes(b"left")
    spilled = filled.database.with_name("ledger.planning.duckdb.tmp-999999")
    spilled.mkdir()
    assert filled.runtime.warehouse.left_over() == sorted(map(str, [*left, spilled]))
    filled.process()
    assert filled.runtime.warehouse.left_over() == []
    assert [path.name for path in filled.database.parent.iterdir()] == ["ledger.duckdb"]
    assert verified(filled).sound


def test_missing_file_is_told_by_its_name(filled: Ledger):
    path = archived(filled, "accounts_2026-01-01.csv")
    path.unlink()
    [found] = verified(filled).files
    assert found == FileDifference(
        str(path.relative_to(filled.root)),
        f"the file of drop {path.name[:16]} is missing",
        "restore it from a backup of the archive, or drop the same file again",
        missing=True,
    )
    assert json.dumps(found.name)


def test_root_that_was_restored_is_verified_before_anything_is_made_in_it(filled: Ledger, tmp_path: Path):
    for folder in ("archive", "warehouse"):
        shutil.copytree(filled.root / folder, tmp_path / "restored" / folder)
    restored = replace(
        filled.runtime,
        store=LocalStore(tmp_path / "restored", filled.clock),
        warehouse=DuckDBWarehouse(tmp_path / "restored" / "warehouse" / "ledger.duckdb", "lending"),
    )
    found = verify(restored, lambda *_: None)
    assert (found.differences, names(found)) == ((), ["outputs/manifest.json"])
    assert sorted(path.name for path in (tmp_path / "restored").iterdir()) == ["archive", "warehouse"]
    export_again(restored)
    assert verify(restored, lambda *_: None).sound
