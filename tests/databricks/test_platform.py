"""What the platform does otherwise than Spark and Delta by themselves, as its documents and users' reports tell."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from support.console import until
from support.databricks_ledger import access_to, new_schema
from support.databricks_server import Server

from dropledger.core.errors import Busy, ConfigurationError, Conflict, DropledgerError, Unavailable
from dropledger.core.ports.session import Layout
from dropledger.infra.databricks import connection as databricks_connection
from dropledger.infra.databricks.connection import Access, Statements
from dropledger.infra.databricks.warehouse import DatabricksWarehouse

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("standin")]

FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:ledger"
DEAD = "feedfacefeed"
ROWS = 20_000  # more than what an answer holds, so that they are fetched from the storage
MORE_ROWS = 150_000  # which are fetched by two links

Opened = Callable[..., DatabricksWarehouse]


class Interrupted(Exception):
    """What goes wrong in a session."""


@pytest.fixture(scope="module")
def access(databricks: Server) -> Access:
    return access_to(databricks)


@pytest.fixture(scope="module")
def schema(access: Access, tmp_path_factory: pytest.TempPathFactory) -> str:
    name = new_schema()
    with DatabricksWarehouse(access, name, tmp_path_factory.mktemp("local")).session() as session:
        for table in ("t", "delivery", "pipeline_state"):
            session.execute(f"CREATE TABLE {table} (id BIGINT NOT NULL)")
    return name


@pytest.fixture
def open_warehouse(access: Access, schema: str, tmp_path: Path) -> Opened:
    """Another process's, as far as the warehouse can tell."""

    def opened(access: Access = access, *, name: str = schema, function: str = "") -> DatabricksWarehouse:
        return DatabricksWarehouse(access, name, tmp_path / "local", wait_seconds=0.2, function=function)

    return opened


@pytest.fixture
def emptied(open_warehouse: Opened) -> None:
    """Table t has no rows."""
    with open_warehouse().session() as session:
        session.delete_where("t", "TRUE")


@pytest.fixture
def warehouse(open_warehouse: Opened) -> DatabricksWarehouse:
    return open_warehouse()


def ids(warehouse: DatabricksWarehouse) -> list[int]:
    with warehouse.session(read_only=True) as session:
        return sorted(row["id"] for row in session.query("SELECT id FROM t"))


def written(warehouse: DatabricksWarehouse, number: int) -> int:
    with warehouse.session() as session, session.transaction():
        return session.insert_select("t", ["id"], f"SELECT CAST({number} AS BIGINT)")


def die(warehouse: DatabricksWarehouse, who: str, until: str = "2999-01-01") -> None:
    """Leave the schema in the hands of a process that does nothing more."""
    with warehouse.session(read_only=True) as session:
        session.execute(f"UPDATE writer SET holder = '{DEAD} ({who})', until = CAST('{until}' AS TIMESTAMP)")


# Names


def test_names_are_those_that_the_catalog_stores(access: Access, open_warehouse: Opened, schema: str):
    upper = open_warehouse(replace(access, catalog="SPARK_CATALOG"), name=schema.upper())
    with upper.session() as session:
        session.execute(f"CREATE SCHEMA {schema}_work_{DEAD}")
    die(upper, "process 1 on another machine", "2020-01-01")
    assert written(upper, 1) == 1
    assert upper.exists()
    assert upper.location == f"databricks:spark_catalog.{schema}"
    with upper.session() as session:
        assert session.query(f"SHOW SCHEMAS LIKE '{schema}_work_{DEAD}'") == []
    assert upper.at(f"databricks:Spark_Catalog.{schema.upper()}").location == upper.location


# Counts


@pytest.mark.usefixtures("emptied")
def test_rows_are_counted_by_the_result_where_the_server_says_nothing_beside_it(
    warehouse: DatabricksWarehouse, databricks: Server
):
    databricks.fault("uncounted", times=10_000)
    with warehouse.session() as session, session.transaction():
        assert session.insert_select("t", ["id"], "SELECT id FROM range(3)") == 3
        session.scratch("found", "SELECT CAST(2 AS BIGINT) AS id")
        assert session.update_matched("t", ["id"], "found", {"id": "7"}, "TRUE") == 1
        assert session.delete_where("t", "id < 2") == 2
    databricks.ask("DELETE", "/_faults")
    assert ids(warehouse) == [7]


@pytest.mark.usefixtures("emptied")
@pytest.mark.parametrize("fault", ["unreported", "unknown"])
def test_change_whose_rows_nobody_counts_is_undone(warehouse: DatabricksWarehouse, databricks: Server, fault: str):
    written(warehouse, 7)
    databricks.fault(fault, match=r"\bt\b.*_held")
    with (
        pytest.raises(ConfigurationError, match="does not say how many rows"),
        warehouse.session() as session,
        session.transaction(),
    ):
        session.insert_select("t", ["id"], "SELECT id FROM range(3)")
    assert ids(warehouse) == [7]


# Who writes


def assert_overtaken_by_a_late_statement(
    change: Callable[[], None], open_warehouse: Opened, successor: DatabricksWarehouse, databricks: Server
) -> None:
    """A statement of a dead writer slips into a change of its successor, which is told so, as is the dead one."""
    databricks.fault("slips_in", match="^INSERT INTO `t`", seconds=300)
    with ThreadPoolExecutor(1) as threads:
        sent = threads.submit(written, open_warehouse(), 1)
        until(lambda: databricks.ask("GET", "/_faults") == {"waiting": 0}, 60)
        die(successor, "process 1 on another machine", "2020-01-01")
        with pytest.raises(Conflict, match="process that died has written to t"):
            change()
        assert isinstance(sent.exception(), Conflict)


@pytest.mark.usefixtures("emptied")
def test_statement_that_the_fence_lets_through_is_undone_with_the_change_that_it_came_into(
    open_warehouse: Opened, databricks: Server
):
    successor = open_warehouse()

    def overtaken() -> None:
        with successor.session() as session, session.transaction():
            session.insert("t", [{"id": 2}])
            databricks.ask("DELETE", "/_faults")
            until(lambda: session.count("t") == 2, 60)

    assert_overtaken_by_a_late_statement(overtaken, open_warehouse, successor, databricks)
    written(successor, 3)
    assert ids(successor) == [3]


@pytest.mark.usefixtures("emptied")
def test_statement_that_the_fence_lets_through_is_undone_after_a_change_that_failed_too(
    open_warehouse: Opened, databricks: Server
):
    """The change is undone to what the tables held when it began, which is with that statement's rows."""
    successor = open_warehouse()

    def overtaken() -> None:
        with successor.session() as session:
            databricks.ask("DELETE", "/_faults")
            until(lambda: session.count("t") == 1, 60)
            with suppress(Interrupted), session.transaction():
                session.insert("t", [{"id": 2}])
                raise Interrupted
            with session.transaction():
                session.insert("t", [{"id": 3}])

    assert_overtaken_by_a_late_statement(overtaken, open_warehouse, successor, databricks)
    written(successor, 4)
    assert ids(successor) == [4]


@pytest.mark.usefixtures("emptied")
@pytest.mark.parametrize(
    ("fault", "statement"),
    [("lost_session", f"^DROP SCHEMA .*{DEAD}"), ("lost_answer", "^UPDATE .*writer"), ("unclear", "^LIST ")],
)
def test_what_a_dead_writer_left_goes_before_anything_is_undone(
    open_warehouse: Opened, schema: str, databricks: Server, fault: str, statement: str
):
    """Also where whoever took over could not see to it: the next to come does."""
    with open_warehouse().session() as session:
        session.execute(f"CREATE SCHEMA {schema}_work_{DEAD}")
    die(open_warehouse(), "process 1 on another machine", "2020-01-01")
    databricks.fault(fault, match=statement)
    with suppress(Unavailable):
        written(open_warehouse(), 1)
    assert databricks.ask("GET", "/_faults") == {"waiting": 0}
    written(open_warehouse(), 2)
    with open_warehouse().session() as session:
        assert session.query(f"SHOW SCHEMAS LIKE '{schema}_work_{DEAD}'") == []


def test_function_takes_over_its_own_hold_at_once(open_warehouse: Opened):
    die(open_warehouse(), f"function {FUNCTION}")
    with pytest.raises(Busy, match=FUNCTION) as busy:
        written(open_warehouse(function=f"{FUNCTION}-2"), 1)
    assert busy.value.seconds is not None
    assert busy.value.seconds > 1000
    assert written(open_warehouse(function=FUNCTION), 1) == 1


def test_schema_of_another_principal_is_told_and_not_passed_over(access: Access, tmp_path: Path, databricks: Server):
    name, wait = new_schema(), 0.2
    ann, bob = (
        DatabricksWarehouse(replace(access, token=f"{access.token}:{who}"), name, tmp_path / who, wait_seconds=wait)
        for who in ("ann", "bob")
    )
    with ann.session() as session:
        for table in ("t", "pipeline_state"):
            session.execute(f"CREATE TABLE {table} (id BIGINT)")
        session.execute(f"GRANT ALL PRIVILEGES ON SCHEMA {name} TO bob")
        session.execute(f"CREATE SCHEMA {name}_work_{DEAD}")
    assert written(bob, 1) == 1
    die(bob, "process 1 on another machine", "2020-01-01")
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=rf"{name}_work_{DEAD}.*cannot be dropped") as refused:
            written(bob, 2)
        assert "owner" in refused.value.hint
    assert written(ann, 3) == 1
    assert ids(bob) == [1, 3]


@pytest.mark.usefixtures("emptied")
@pytest.mark.parametrize("fault", ["lost_session", "lost_answer"])
def test_connection_that_has_gone_while_nothing_was_done_is_made_anew(
    warehouse: DatabricksWarehouse, databricks: Server, fault: str
):
    written(warehouse, 1)
    databricks.fault(fault, match="^CREATE SCHEMA IF NOT EXISTS")
    assert written(warehouse, 2) == 1
    databricks.fault(fault, match="^SHOW SCHEMAS")
    assert ids(warehouse) == [1, 2]
    assert databricks.ask("GET", "/_faults") == {"waiting": 0}


@pytest.mark.usefixtures("emptied")
def test_warehouse_that_has_given_up_is_not_waited_for_again(
    warehouse: DatabricksWarehouse, databricks: Server, monkeypatch: pytest.MonkeyPatch
):
    """Or a call of Lambda would end by its time-out, as it is waited for ten minutes each time."""
    monkeypatch.setattr(databricks_connection, "_STARTING_SECONDS", 6)  # which is enough to ask twice
    monkeypatch.setattr(databricks_connection, "_STALE_SECONDS", 4)
    ids(warehouse)
    databricks.fault("starting", match="^SHOW", times=3)
    with pytest.raises(Unavailable):
        ids(warehouse)
    databricks.ask("DELETE", "/_faults")
    assert ids(warehouse) == []


# Results and files


def test_large_results_come_from_the_storage_or_not_as_is_set(
    access: Access, open_warehouse: Opened, databricks: Server, tmp_path: Path
):
    fetched = []
    for cloud_fetch in (True, False):
        if not cloud_fetch:
            databricks.fault("link_refused", match="SELECT id")
        with open_warehouse(replace(access, cloud_fetch=cloud_fetch)).session(read_only=True) as session:
            path = tmp_path / f"{cloud_fetch}.csv"
            session.export(f"SELECT id, uuid() AS u FROM range({ROWS}) ORDER BY id", path)
            fetched.append([line.partition(",")[0] for line in path.read_text().splitlines()])
    assert fetched[0] == ["id", *map(str, range(ROWS))]
    assert fetched[1] == fetched[0]
    databricks.ask("DELETE", "/_faults")


@pytest.mark.parametrize(
    ("fault", "rows"), [("link_refused", ROWS), ("link_expired", ROWS), ("later_link_refused", MORE_ROWS)]
)
def test_storage_that_hands_over_nothing_is_told_with_what_to_allow(
    warehouse: DatabricksWarehouse, databricks: Server, tmp_path: Path, fault: str, rows: int
):
    with warehouse.session(read_only=True) as session:
        databricks.fault(fault, match="SELECT id")
        with pytest.raises(Unavailable, match="storage") as failed:
            session.export(f"SELECT id, uuid() AS u FROM range({rows})", tmp_path / "rows.csv")
    assert "egress" in failed.value.hint
    assert "DATABRICKS_CLOUD_FETCH" in failed.value.hint
    assert "secret" not in str(failed.value)


def test_upload_may_take_longer_than_an_answer(
    access: Access, schema: str, databricks: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "rows"
    file.write_bytes(b"rows")
    volume = f"spark_catalog.{schema}.uploads"
    Statements(access, tmp_path).run(f"CREATE VOLUME {volume}")
    monkeypatch.setattr(databricks_connection, "_ANSWER_SECONDS", 3)  # the stand-in says after 5 that a statement runs
    statements = Statements(access, tmp_path)
    databricks.fault("slow_storage", match="^PUT", seconds=4)
    statements.put(file, f"/Volumes/{volume.replace('.', '/')}/rows")
    databricks.fault("slow", match="^SELECT", seconds=300)
    with pytest.raises(Unavailable, match="does not answer"):
        statements.rows("SELECT 1")
    databricks.ask("DELETE", "/_faults")


def test_warehouse_that_refuses_thrift_is_told_as_one(access: Access, databricks: Server, tmp_path: Path):
    databricks.fault("no_thrift", match="OpenSession")
    # By another name of the host: the connector remembers such warehouses by it, for hours.
    with pytest.raises(ConfigurationError, match="does not speak Thrift") as refused:
        Statements(replace(access, host=access.host.replace("127.0.0.1", "localhost")), tmp_path).rows("SELECT 1")
    assert "DATABRICKS_HTTP_PATH" in refused.value.hint


@pytest.mark.parametrize("ends", ["well", "by an error"])
def test_rows_that_went_up_are_removed_before_their_volume_is_dropped(
    open_warehouse: Opened, databricks: Server, tmp_path: Path, ends: str
):
    """What is dropped with its schema is kept for a week."""
    file = tmp_path / "rows.csv"
    file.write_text("id\n1\n2\n")

    def uploaded() -> list[Path]:
        return list((databricks.folder / "Volumes").rglob("*.parquet"))

    with suppress(Interrupted), open_warehouse().session() as session:
        layout = Layout(",", 1, None, {"id": 0}, physical_lines=3, lines_end_alike=True, plainly_quoted=True)
        session.load(file, layout, "incoming", drop_id="0")
        assert uploaded()
        session.scratch("typed", "SELECT CAST(id AS BIGINT) AS id FROM incoming")
        assert session.count("typed") == 2
        if ends == "by an error":
            raise Interrupted
    assert uploaded() == []


# Tables


@pytest.mark.usefixtures("emptied")
def test_copy_is_made_by_rows_where_the_platform_clones_no_table(warehouse: DatabricksWarehouse, databricks: Server):
    written(warehouse, 1)
    databricks.fault("refused", match="SHALLOW CLONE", times=100)
    copy = warehouse.staging_copy("planning", copied=True)
    databricks.ask("DELETE", "/_faults")
    assert ids(copy) == [1]
    copy.remove()


def test_rebuilt_table_takes_its_place_beside_what_the_platform_does_to_files(warehouse: DatabricksWarehouse):
    """OPTIMIZE makes a version of a table, and is no other writer."""
    with warehouse.session() as session:
        for number in (1, 2):
            session.insert("delivery", [{"id": number}])
    rebuilt = warehouse.staging_copy("rebuilding")
    with rebuilt.session() as session:
        session.execute("CREATE TABLE t AS SELECT CAST(7 AS BIGINT) AS id")
    with warehouse.session(read_only=True) as session:
        session.execute("OPTIMIZE delivery")
        [newest] = session.query("DESCRIBE HISTORY delivery LIMIT 1")
        assert newest["operation"] == "OPTIMIZE"
    warehouse.swap_in(rebuilt, "previous")
    assert ids(warehouse) == [7]
    with warehouse.session() as session, pytest.raises(DropledgerError, match="NOT_NULL"):
        session.insert_select("t", ["id"], "SELECT CAST(NULL AS BIGINT)")
