"""Who writes to a schema of Databricks: one at a time, and what went wrong is undone by whoever has the right to."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.console import until
from support.databricks_ledger import access_to, new_schema
from support.databricks_server import Server

from dropledger.core.errors import Conflict, Unavailable
from dropledger.core.ports.session import Session
from dropledger.infra.databricks import writer as databricks_writer
from dropledger.infra.databricks.warehouse import DatabricksWarehouse
from dropledger.infra.databricks.writer import HOLD_SECONDS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("standin")]

STRANGER = "feedfacefeed (process 1 on another machine)"


class Interrupted(Exception):
    """What goes wrong in a change."""


@pytest.fixture(scope="module")
def schema(databricks: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """One whose tables are few, as many statements go through all of them."""
    name = new_schema()
    with opened(databricks, name, tmp_path_factory.mktemp("local")).session() as session:
        for table in ("t", "delivery", "pipeline_state"):
            session.execute(f"CREATE TABLE {table} (id BIGINT)")
    return name


def opened(databricks: Server, schema: str, folder: Path) -> DatabricksWarehouse:
    return DatabricksWarehouse(access_to(databricks), schema, folder, wait_seconds=5.0)


@pytest.fixture
def open_warehouse(databricks: Server, schema: str, tmp_path: Path) -> Callable[[], DatabricksWarehouse]:
    """Another process's, as far as the warehouse can tell; table t is empty."""
    with opened(databricks, schema, tmp_path).session() as session:
        session.delete_where("t", "TRUE")
    databricks.ask("DELETE", "/_statements")
    return lambda: opened(databricks, schema, tmp_path)


@pytest.fixture
def warehouse(open_warehouse: Callable[[], DatabricksWarehouse]) -> DatabricksWarehouse:
    return open_warehouse()


def ids(warehouse: DatabricksWarehouse) -> list[int]:
    with warehouse.session(read_only=True) as session:
        return sorted(row["id"] for row in session.query("SELECT id FROM t"))


def end_hold(warehouse: DatabricksWarehouse) -> None:
    """As when its time is over."""
    with warehouse.session(read_only=True) as session:
        session.execute("UPDATE writer SET until = CAST('2020-01-01' AS TIMESTAMP)")


def left_open(session: Session) -> None:
    """Leave a change of table t open, as a stranger does who dies: one row is in, which was not there before."""
    [described] = session.query("DESCRIBE HISTORY t LIMIT 1")
    session.execute("INSERT INTO t VALUES (1)")
    changed = json.dumps({"t": described["version"]})
    session.execute(
        f"UPDATE writer SET holder = '{STRANGER}', changed = '{changed}', until = CAST('2020-01-01' AS TIMESTAMP)"
    )


def ran(databricks: Server, beginning: str = "") -> list[str]:
    statements: list[dict[str, Any]] = databricks.ask("GET", "/_statements")["statements"]
    return [statement["text"] for statement in statements if statement["text"].startswith(beginning)]


def test_who_was_overtaken_undoes_nothing_of_its_successor(open_warehouse: Callable[[], DatabricksWarehouse]):
    slept, successor = open_warehouse(), open_warehouse()
    with slept.session() as session, suppress(Interrupted), session.transaction():
        session.insert("t", [{"id": 1}])
        end_hold(successor)
        with successor.session() as other, other.transaction():
            other.insert("t", [{"id": 2}])
        raise Interrupted
    assert ids(successor) == [2]


def test_who_was_overtaken_writes_no_more(
    open_warehouse: Callable[[], DatabricksWarehouse], monkeypatch: pytest.MonkeyPatch
):
    slept, successor = open_warehouse(), open_warehouse()
    with slept.session() as session:
        end_hold(successor)
        with successor.session():
            pass
        monkeypatch.setattr(databricks_writer, "_seconds", lambda: time.monotonic() + 10 * HOLD_SECONDS)
        with pytest.raises(Conflict):
            session.scratch("found", "SELECT 3 AS id")
        with pytest.raises(Conflict):
            session.insert("t", [{"id": 1}])
    assert ids(successor) == []


def test_statement_of_a_dead_writer_that_begins_late_does_nothing(
    open_warehouse: Callable[[], DatabricksWarehouse], databricks: Server
):
    """As when the warehouse had no room for it before. Each has a writer of its own, whom the next one succeeds."""
    successor = open_warehouse()
    with successor.session() as session:
        session.insert("t", [{"id": 7}])
    late: tuple[Callable[[Session], object], ...] = (
        lambda session: session.insert("t", [{"id": 1}]),
        lambda session: session.update_where("t", {"id": "3"}, "id = 7"),
        lambda session: session.update_matched("t", ["id"], "found", {"id": "3"}, "TRUE"),
        lambda session: session.replace_rows("t", ["id"], ["id"], "found", "SELECT CAST(5 AS BIGINT) AS id"),
        lambda session: session.delete_keys("t", ["id"], "found"),
        lambda session: session.delete_where("t", "TRUE"),
        lambda session: session.create_table_like("t", "SELECT CAST(5 AS BIGINT) AS id", (), ()),
    )
    with ThreadPoolExecutor(len(late)) as threads:
        sent = []
        for change in late:
            databricks.fault("slow", match=r"\bt\b.*_held", seconds=300)
            sent.append(threads.submit(_change, open_warehouse(), change))
            until(lambda: databricks.ask("GET", "/_faults") == {"waiting": 0}, 60)
            end_hold(successor)
        with successor.session():
            pass
        assert not any(one.done() for one in sent)
        databricks.ask("DELETE", "/_faults")
        assert [type(one.exception()) for one in sent] == [Conflict] * len(late)
    assert ids(successor) == [7]


def _change(warehouse: DatabricksWarehouse, change: Callable[[Session], object]) -> None:
    with warehouse.session() as session:
        session.scratch("found", "SELECT CAST(7 AS BIGINT) AS id")
        with session.transaction():
            change(session)


def _write(warehouse: DatabricksWarehouse, table: str, number: int) -> None:
    with warehouse.session() as session, session.transaction():
        session.insert(table, [{"id": number}])


@pytest.mark.parametrize("next_change", ["transaction", "lone verb"])
def test_change_that_could_not_be_undone_is_undone_before_the_next(
    warehouse: DatabricksWarehouse, databricks: Server, next_change: str
):
    with warehouse.session() as session:
        with suppress(Interrupted), session.transaction():
            session.insert("t", [{"id": 1}])
            databricks.fault("conflict", match="^RESTORE", times=8)
            raise Interrupted
        assert databricks.ask("GET", "/_faults") == {"waiting": 0}
        with session.transaction() if next_change == "transaction" else nullcontext():
            session.insert("t", [{"id": 2}])
    assert ids(warehouse) == [2]


def test_statement_whose_answer_is_lost_is_not_sent_twice(warehouse: DatabricksWarehouse, databricks: Server):
    databricks.fault("lost_answer", match="INSERT INTO `t`")
    with warehouse.session() as session:
        with pytest.raises(Unavailable), session.transaction():
            session.insert("t", [{"id": 1}])
        assert len(ran(databricks, "INSERT INTO `t`")) == 1
        with session.transaction():
            session.insert("t", [{"id": 1}])
    assert ids(warehouse) == [1]


@pytest.mark.parametrize("statement", ["^CREATE SCHEMA .*_work_", "SET holder = :before"])
def test_writer_that_fails_at_its_beginning_or_end_keeps_its_own_process_waiting_no_longer(
    open_warehouse: Callable[[], DatabricksWarehouse], databricks: Server, statement: str
):
    databricks.fault("lost_session", match=statement)
    with suppress(Conflict), open_warehouse().session():
        pass
    assert databricks.ask("GET", "/_faults") == {"waiting": 0}
    warehouse = open_warehouse()
    with warehouse.session() as session, session.transaction():
        session.insert("t", [{"id": 1}])
    assert ids(warehouse) == [1]


def test_what_dead_writers_had_on_their_way_goes_before_their_change(
    warehouse: DatabricksWarehouse, databricks: Server, schema: str
):
    """A statement of theirs that begins late finds nothing to read."""
    with warehouse.session() as session:
        for token in ("feedfacefeed", "0123456789ab"):
            session.execute(f"CREATE SCHEMA {schema}_work_{token}")
    with warehouse.session(read_only=True) as session:
        left_open(session)
    databricks.ask("DELETE", "/_statements")
    with warehouse.session():
        pass
    told = ran(databricks)
    restored = next(place for place, text in enumerate(told) if text.startswith("RESTORE"))
    assert sum(text.startswith("DROP SCHEMA") for text in told[:restored]) == 2
    assert ids(warehouse) == []


def test_writer_that_finds_all_as_it_left_it_looks_at_nothing_anew(
    open_warehouse: Callable[[], DatabricksWarehouse], databricks: Server
):
    warehouse, other = open_warehouse(), open_warehouse()
    _write(warehouse, "t", 1)
    for number, anew in ((2, False), (3, True)):
        databricks.ask("DELETE", "/_statements")
        _write(warehouse, "t", number)
        assert bool(ran(databricks, "SELECT holder")) == bool(ran(databricks, "SHOW VIEWS")) == anew
        _write(other, "delivery", 7)
    assert ids(warehouse) == [1, 2, 3]


def test_change_is_undone_by_versions_that_an_earlier_session_saw(
    open_warehouse: Callable[[], DatabricksWarehouse], databricks: Server
):
    warehouse = open_warehouse()
    _write(warehouse, "delivery", 7)
    _write(warehouse, "delivery", 8)
    with warehouse.session() as session:
        before = session.query("SELECT count(*) AS n FROM delivery")
        databricks.ask("DELETE", "/_statements")
        with suppress(Interrupted), session.transaction():
            session.insert("t", [{"id": 1}])
            session.insert("delivery", [{"id": 9}])
            raise Interrupted
        assert [text.count("DESCRIBE HISTORY") for text in ran(databricks) if "DESCRIBE HISTORY" in text] == [1]
        assert session.query("SELECT count(*) AS n FROM delivery") == before
    assert ids(warehouse) == []


def test_histories_are_asked_one_by_one_where_the_platform_does_not_read_them_like_tables(
    warehouse: DatabricksWarehouse, databricks: Server
):
    databricks.fault("refused", match=r"FROM \(DESCRIBE HISTORY")
    for number in (1, 2):
        with warehouse.session() as session, suppress(Interrupted), session.transaction():
            session.insert("t", [{"id": number}])
            raise Interrupted
    assert databricks.ask("GET", "/_faults") == {"waiting": 0}
    assert len(ran(databricks, "DESCRIBE HISTORY")) == 6
    assert ids(warehouse) == []


def test_hold_that_was_taken_by_a_statement_whose_answer_was_lost_is_ones_own(databricks: Server, tmp_path: Path):
    warehouse = opened(databricks, new_schema(), tmp_path)
    with warehouse.session() as session:
        session.execute("CREATE TABLE t (id BIGINT)")
        session.execute("CREATE TABLE drop_ledger (sequence BIGINT)")
    databricks.fault("lost_answer", match="holder IS NULL AND changed IS NULL")
    _write(warehouse, "t", 1)
    assert databricks.ask("GET", "/_faults") == {"waiting": 0}
    assert ids(warehouse) == [1]


def test_copy_has_nothing_of_a_change_that_is_open(warehouse: DatabricksWarehouse):
    with warehouse.session(read_only=True) as session:
        left_open(session)
    copy = warehouse.staging_copy("planning", copied=True)
    assert ids(copy) == []
    copy.remove()


def test_copies_made_at_once_are_apart_and_those_of_killed_processes_go_later(
    warehouse: DatabricksWarehouse, databricks: Server, schema: str
):
    today = f"{datetime.now(UTC):%Y%m%d}"
    left = [f"{schema}_planning_{day}_0123456789ab" for day in ("20200101", "20200101", today)]
    left[1] += "_work_0123456789ab"
    with warehouse.session() as session:
        for name in left:
            session.execute(f"CREATE SCHEMA {name}")
    copies = [warehouse.staging_copy("planning", copied=True) for _ in range(2)]
    with warehouse.session() as session:
        names = {str(next(iter(row.values()))) for row in session.query(f"SHOW SCHEMAS LIKE '{schema}_planning_*'")}
    assert names == {left[2], *(copy.location.rpartition(".")[2] for copy in copies)}
    for copy in copies:
        copy.remove()
    assert not any(copy.exists() for copy in copies)


def test_rebuilt_schema_takes_no_place_where_others_wrote_meanwhile(warehouse: DatabricksWarehouse):
    rebuilt = warehouse.staging_copy("rebuilding")
    with rebuilt.session() as session:
        session.execute("CREATE TABLE t AS SELECT CAST(7 AS BIGINT) AS id")
    with warehouse.session() as session:
        session.insert("delivery", [{"id": 1}])
    with pytest.raises(Conflict, match="while it was rebuilt"):
        warehouse.swap_in(rebuilt, "previous")
    assert ids(warehouse) == []
    rebuilt.remove()
