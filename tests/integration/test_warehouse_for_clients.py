"""The warehouse as other programs see it: its name, a format that DuckDB 1.5 reads, tables that say what they are."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

import duckdb
import pytest
from support.buckets import BucketRoot
from support.ledger import Ledger
from support.three_days import CUSTOMERS, DAYS, agrees_with_its_archive, filled, quietly, tables

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.errors import Unavailable
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.operations.replay import Selection, replay
from dropledger.core.ports.session import TableColumn
from dropledger.infra.aws.bucket import S3Bucket
from dropledger.infra.duckdb.warehouse import DuckDBWarehouse
from dropledger.infra.object_store.warehouse_file import WarehouseObject

pytestmark = pytest.mark.slow

_READABLE_BY_1_5 = 68
OLD, NOW = "warehouse/lending.duckdb", "warehouse/ledger.duckdb"


def storage_number(path: Path) -> int:
    """What a file's header says of its format."""
    return int.from_bytes(path.read_bytes()[12:20], "little")


def as_an_earlier_version_left_it(ledger: Ledger, *, log: bool = False) -> None:
    """Give the warehouse its earlier name, and the format that the engine writes by itself; with the last drop in the
    log alone.
    """
    older = ledger.root / OLD
    with duckdb.connect() as engine:
        engine.execute(f"ATTACH '{ledger.database}' AS now (READ_ONLY)")
        engine.execute(f"ATTACH '{older}' AS older")
        engine.execute("COPY FROM DATABASE now TO older")
    ledger.database.unlink()
    if log:
        with duckdb.connect(str(older), config={"wal_autocheckpoint": "1GB"}) as engine:
            engine.execute("PRAGMA disable_checkpoint_on_shutdown")
            engine.execute("UPDATE lending.lending.history_customer SET customer_name = 'in the log'")
        assert (ledger.root / f"{OLD}.wal").exists()


def with_earlier_name(ledger: Ledger) -> Runtime:
    warehouse = DuckDBWarehouse(ledger.database, "lending", wait_seconds=1.0, earlier=ledger.root / OLD)
    return Runtime(ledger.runtime.pipeline, ledger.runtime.store, warehouse, ledger.clock, wait_seconds=1.0)


# The format


def test_every_file_that_becomes_the_warehouse_is_read_by_older_engines(ledger: Ledger, tmp_path: Path):
    filled(ledger)
    assert storage_number(ledger.database) == _READABLE_BY_1_5
    replay(ledger.runtime, Selection(), str(tmp_path / "elsewhere.duckdb"), quietly)
    replay(ledger.runtime, Selection(), None, quietly)
    copy = ledger.runtime.warehouse.staging_copy("planning", copied=True)
    for path in (tmp_path / "elsewhere.duckdb", ledger.database, Path(copy.location)):
        assert storage_number(path) == _READABLE_BY_1_5
    ledger.drop("accounts_2026-01-31.csv", DAYS["accounts_2025-12-31.csv"])
    assert storage_number(ledger.database) == _READABLE_BY_1_5


def test_client_needs_no_more_than_the_schema(ledger: Ledger):
    filled(ledger)
    with duckdb.connect(str(ledger.database), read_only=True) as client:
        assert client.execute("SELECT count(*) FROM lending.account_summary").fetchall() == [(3,)]
        # Views as well, which name others without the schema.
        assert client.execute("SELECT count(*) FROM lending.stg_account").fetchall() == [(3,)]
        assert client.execute("SELECT count(*) FROM lending.int_savings_account_only").fetchall() == [(3,)]


# What tables and columns say


def test_tables_views_and_columns_say_what_they_are(ledger: Ledger):
    filled(ledger)
    ours = "database_name = 'ledger' AND schema_name = 'lending'"
    with ledger.connection() as client:
        silent = client.execute(
            f"""SELECT table_name FROM duckdb_tables() WHERE {ours} AND coalesce(comment, '') = ''
            UNION ALL
            SELECT view_name FROM duckdb_views() WHERE {ours} AND coalesce(comment, '') = ''"""
        ).fetchall()
        columns = client.execute(
            f"""SELECT table_name, column_name FROM duckdb_columns()
            WHERE {ours} AND coalesce(comment, '') = '' AND table_name NOT LIKE 'src_%'"""
        ).fetchall()
        said = client.execute(
            f"SELECT comment FROM duckdb_columns() WHERE {ours} AND table_name || '.' || column_name IN (?, ?, ?)",
            ["account_summary.annual_interest", "history_account.balance", "drop_ledger.status"],
        ).fetchall()
    # Each drop makes its feed's source layer anew.
    assert [name for (name,) in silent if not name.startswith(("received_src_", "src_"))] == []
    assert [(table, column) for table, column in columns if not table.startswith("received_src_")] == []
    assert sorted(text for (text,) in said) == [
        "Balance times rate, rounded half up to the cent.",
        "What is in the account, from the moment on that the extract is true. Balance in the files, decimal(18,2)",
        "committed (in history, artifacts not written yet), published, quarantined or retracted.",
    ]


def test_tables_still_say_it_when_they_were_rebuilt(ledger: Ledger):
    filled(ledger)
    comments = "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE comment IS NOT NULL ORDER BY ALL"
    before = ledger.rows(comments)
    assert len(before) > 100
    replay(ledger.runtime, Selection(), None, quietly)
    assert ledger.rows(comments) == before


# The name, in a folder


@pytest.mark.parametrize("log", [False, True], ids=["closed", "with a log"])
def test_older_file_gets_its_name_of_now_with_all_that_it_holds(ledger: Ledger, *, log: bool):
    filled(ledger)
    before = tables(ledger)
    as_an_earlier_version_left_it(ledger, log=log)
    runtime = with_earlier_name(ledger)
    assert runtime.warehouse.exists()
    with runtime.warehouse.session(read_only=True) as session:  # looking leaves it where it is
        assert session.count("history_customer") == len(before["history_customer"])
    assert (ledger.root / OLD).exists()

    with runtime.session():
        pass

    assert [path.name for path in (ledger.root / "warehouse").iterdir()] == ["ledger.duckdb"]
    assert storage_number(ledger.database) == _READABLE_BY_1_5
    if log:
        assert set(ledger.table("history_customer", "customer_name")) == {("in the log",)}
    else:
        assert tables(ledger) == before
        assert agrees_with_its_archive(ledger)


def test_source_layer_still_tells_its_lines_when_the_file_was_rewritten(ledger: Ledger):
    """The engine copies with several threads, and lines are told by the order of rows."""
    rows = "".join(f"{number},Name {number},Yes\n" for number in range(1, 200_001))
    ledger.drop("customers_2025-10-31.csv", CUSTOMERS.partition("\n")[0] + "\n" + rows)
    as_an_earlier_version_left_it(ledger)
    with with_earlier_name(ledger).session():
        pass
    misplaced = "SELECT count(*) FROM src_customer WHERE _line <> CAST(customer_id AS BIGINT) + 1"
    assert ledger.rows(misplaced) == [(0,)]


@pytest.mark.parametrize("step", ["rename", "replace"])
def test_death_while_an_older_file_is_renewed_is_made_good_by_the_next_command(
    ledger: Ledger, step: str, monkeypatch: pytest.MonkeyPatch
):
    """Before the file has its name of now; and when its copy is about to take its place."""
    filled(ledger)
    before = tables(ledger)
    as_an_earlier_version_left_it(ledger)

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, step, dies)
        with pytest.raises(KeyboardInterrupt), with_earlier_name(ledger).session():
            pass
    with with_earlier_name(ledger).session():
        pass
    assert [path.name for path in (ledger.root / "warehouse").iterdir()] == ["ledger.duckdb"]
    assert storage_number(ledger.database) == _READABLE_BY_1_5
    assert tables(ledger) == before


def test_file_of_now_is_never_replaced_by_an_older_one(ledger: Ledger):
    filled(ledger)
    before = tables(ledger)
    shutil.copyfile(ledger.database, ledger.root / OLD)
    ledger.drop("accounts_2026-01-31.csv", DAYS["accounts_2025-12-31.csv"])
    with with_earlier_name(ledger).session():
        pass
    assert len(tables(ledger)["history_account"]) == len(before["history_account"])
    assert ledger.rows("SELECT count(*) FROM drop_ledger") == [(5,)]
    assert (ledger.root / OLD).exists()


@pytest.mark.parametrize("log", [False, True], ids=["folded in", "left in its log"])
def test_columns_are_asked_for_again_when_somebody_else_has_changed_a_table(ledger: Ledger, *, log: bool):
    with ledger.runtime.session() as session:
        before = session.columns("history_account")
    with duckdb.connect() as other:
        other.execute(f"ATTACH '{ledger.database}' AS ledger")
        other.execute("PRAGMA disable_checkpoint_on_shutdown" if log else "SELECT 1")
        other.execute("ALTER TABLE ledger.lending.history_account ADD COLUMN colour VARCHAR")
        if not log:
            other.execute("DETACH ledger")
    with ledger.runtime.warehouse.session() as session:
        assert [*session.columns("history_account")] == [*before, "colour"]


def test_two_processes_at_once_rename_it_once(ledger: Ledger):
    filled(ledger)
    as_an_earlier_version_left_it(ledger)
    first, second = with_earlier_name(ledger), with_earlier_name(ledger)
    with first.warehouse.session():
        with pytest.raises(Unavailable), second.warehouse.session():
            pass
    with second.warehouse.session() as session:
        assert session.count("drop_ledger") == 4
    assert [path.name for path in (ledger.root / "warehouse").iterdir()] == ["ledger.duckdb"]


# The name, in a bucket


def kept(root: BucketRoot) -> WarehouseObject:
    return WarehouseObject(S3Bucket(root.uri), NOW, wait_seconds=1.0, earlier=OLD)


@pytest.mark.parametrize("versions", [True, False], ids=["with versions", "without"])
def test_older_object_gets_its_name_of_now(s3: None, tmp_path: Path, *, versions: bool):
    root, path = BucketRoot(keeps_versions=versions), tmp_path / "ledger.duckdb"
    root.put(OLD, "what it holds")
    assert kept(root).exists()
    with kept(root).fetched(path, read_only=True):
        assert path.read_text(encoding="utf-8") == "what it holds"
    assert root.names("warehouse/") == [OLD]
    file = kept(root)
    with file.fetched(path, read_only=False):
        file.confirm()
    assert root.names("warehouse/") == [NOW]
    assert root.read(NOW) == b"what it holds"
    with kept(root).fetched(path, read_only=True):
        assert path.read_text(encoding="utf-8") == "what it holds"


def test_older_object_that_a_dead_process_left_goes(s3: None, tmp_path: Path):
    root = BucketRoot()
    for name in (OLD, NOW):
        root.put(name, "what it holds")
    with kept(root).fetched(tmp_path / "ledger.duckdb", read_only=False):
        pass
    assert root.names("warehouse/") == [NOW]


def test_older_object_that_holds_something_else_stays(s3: None, tmp_path: Path):
    """As when a version before this one has worked on the root since."""
    root = BucketRoot()
    root.put(OLD, "of the older version")
    root.put(NOW, "of now")
    with kept(root).fetched(tmp_path / "ledger.duckdb", read_only=False):
        pass
    assert root.names("warehouse/") == [NOW, OLD]


def test_root_in_a_bucket_of_another_pipeline_is_refused(s3: None, tmp_path: Path, lending: Pipeline):
    root = BucketRoot()
    root.put("warehouse/retail.duckdb", "what it holds")
    with pytest.raises(Exception, match="belongs to the pipeline retail, and the pipeline that is set is lending"):
        kept(root).exists()
    assert root.names("warehouse/") == ["warehouse/retail.duckdb"]


def test_table_that_was_there_is_not_remembered_past_its_end(ledger: Ledger):
    """Another program drops it, or the change that made it comes to nothing."""
    warehouse = ledger.runtime.warehouse
    with warehouse.session() as session:
        with suppress(Unavailable), session.transaction():
            session.create_table("made", [TableColumn("id", "BIGINT")], ["id"])
            assert session.has_table("made")
            raise Unavailable("it comes to nothing")
        assert not session.has_table("made")
        assert session.has_table("restoration")
    with duckdb.connect(str(ledger.database)) as other:
        other.execute("DROP TABLE lending.restoration")
    with warehouse.session() as session:
        assert not session.has_table("restoration")
