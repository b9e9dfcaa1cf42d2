"""The stand-in for a Databricks SQL warehouse, through databricks-sql-connector."""

import datetime as dt
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.databricks_ledger import access_to
from support.databricks_server import Server

from dropledger.infra.databricks.connection import Statements

pytest.importorskip("databricks.sql", reason="databricks-sql-connector is missing: make .venv/dev")
from databricks.sql import parameters as bound
from databricks.sql.exc import DatabaseError, Error, RequestError, ServerOperationError
from urllib3.exceptions import HTTPError, MaxRetryError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("standin"),
    # pandas and the connector warn of each other's future
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"),
]


@pytest.fixture
def cursor(databricks: Server, tmp_path: Path) -> Iterator[Any]:
    """A cursor in a schema of its own."""
    with databricks.connect(staging_allowed_local_path=str(tmp_path)) as connection, connection.cursor() as cursor:
        name = f"test_{time.monotonic_ns()}"
        cursor.execute(f"CREATE SCHEMA {name}")
        cursor.execute(f"USE SCHEMA {name}")
        cursor.schema = name
        yield cursor
        databricks.ask("DELETE", "/_faults")
        cursor.execute(f"DROP SCHEMA {name} CASCADE")


def rows(cursor: Any, statement: str, values: Any = None) -> list[tuple[Any, ...]]:
    table = cursor.execute(statement, values).fetchall_arrow()
    return [tuple(row.values()) for row in table.to_pylist()]


def test_values_of_all_types_come_back_as_they_were_bound(cursor):
    moment = dt.datetime(2025, 1, 2, 3, 4, 5, 678)
    values = [
        bound.BigIntegerParameter(7, "big"),
        # the connector 4.9 has the names of precision and scale the wrong way round
        bound.DecimalParameter(Decimal("-1.5"), "exact", scale=38, precision=10),
        bound.TimestampNTZParameter(moment, "moment"),
        bound.DateParameter(dt.date(2025, 2, 28), "day"),
        bound.BooleanParameter(False, "no"),
        bound.StringParameter("it's `:big` -- \\ 'ü'", "text"),
        bound.VoidParameter(None, "nothing"),
    ]
    statement = "SELECT :big, :exact, :moment, :day, :no, :text, typeof(:exact)"
    assert rows(cursor, statement, values) == [
        (7, Decimal("-1.5"), moment, dt.date(2025, 2, 28), False, "it's `:big` -- \\ 'ü'", "decimal(38,10)")
    ]
    assert rows(cursor, "SELECT CAST(:nothing AS BIGINT), typeof(:big)", values) == [(None, "bigint")]
    assert rows(cursor, "SELECT ?, ?", [1, "a"]) == [(1, "a")]


def test_row_counts_are_those_of_the_statement(cursor):
    def counted(statement: str) -> int:
        return cursor.execute(statement).rowcount

    assert counted("CREATE TABLE t (id BIGINT, amount DECIMAL(18,2)) CLUSTER BY (id)") == -1
    assert counted("INSERT INTO t SELECT id, id FROM range(5)") == 5
    assert counted("INSERT INTO t SELECT id, id FROM range(5) WHERE id > 9") == 0
    assert counted("UPDATE t SET amount = 0 WHERE id < 2") == 2
    assert counted("DELETE FROM t WHERE id = 4") == 1
    merge = "MERGE INTO t USING (SELECT id FROM range(3, 6)) s ON t.id = s.id"
    merge += " WHEN MATCHED THEN UPDATE SET amount = 9 WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)"
    assert counted(merge) == 3
    assert counted("DELETE FROM t") == 6
    assert counted("SELECT * FROM t") == -1


def test_history_and_restore_work_as_in_delta(cursor):
    cursor.execute("CREATE OR REPLACE TABLE t AS SELECT 1 AS id")
    cursor.execute("INSERT INTO t VALUES (2)")
    assert rows(cursor, "SELECT count(*) FROM t VERSION AS OF 0") == [(1,)]
    assert rows(cursor, "DESCRIBE HISTORY t LIMIT 1")[0][0] == 1
    cursor.execute("RESTORE TABLE t TO VERSION AS OF 0")
    assert rows(cursor, "SELECT id FROM t") == [(1,)]
    cursor.execute("CREATE TABLE copy SHALLOW CLONE t")
    cursor.execute("ALTER TABLE t RENAME TO renamed")
    assert rows(cursor, "SELECT * FROM renamed") == [(1,)]


def test_a_large_result_comes_in_parts(cursor):
    cursor.execute("SELECT id, CAST(id AS DECIMAL(38,10)) AS d FROM range(300000)")
    seen, last = 0, None
    while (part := cursor.fetchmany_arrow(50_000)).num_rows:
        seen, last = seen + part.num_rows, part.column("d")[-1].as_py()
    assert (seen, last) == (300_000, Decimal(299_999))
    empty = cursor.execute("SELECT 1 AS one WHERE false").fetchall_arrow()
    assert (empty.num_rows, empty.column_names) == (0, ["one"])


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("SELECT 1; SELECT 2", "PARSE_SYNTAX_ERROR"),
        ("SELECT :unbound", "UNBOUND_SQL_PARAMETER"),
        ("BEGIN TRANSACTION", "0A000"),
        ("COMMIT", "0A000"),
        ("SET spark.sql.ansi.enabled = false", "42K0I"),
        ("CREATE TEMPORARY TABLE t (a INT)", "0A000"),
        ("CACHE TABLE t", "0A000"),
        ("/* hidden */ ADD JAR 'x'", "0A000"),
        ("SELECT * FROM text.`/etc/hostname`", "0A000"),
        ("SELECT * FROM text.`/Volumes/a/b/c/../../../../x`", "0A000"),
        ("CREATE TABLE t (a INT) LOCATION '/tmp/t'", "0A000"),
        ("SELECT * FROM missing", "42P01"),
        ("SELECT 1/0", "22012"),
        ("SELECT CAST('x' AS INT)", "22018"),
    ],
)
def test_what_a_warehouse_refuses_is_refused(cursor, statement, told):
    with pytest.raises(ServerOperationError, match=told):
        cursor.execute(statement)


def test_settings_hold_for_their_session_alone(cursor, databricks):
    cursor.execute("SET ANSI_MODE = false")
    assert rows(cursor, "SELECT 1/0") == [(None,)]
    with databricks.connect(schema=cursor.schema) as other, other.cursor() as second:
        assert rows(second, "SELECT current_schema()") == [(cursor.schema,)]
        with pytest.raises(ServerOperationError):
            second.execute("SELECT 1/0")


def test_a_statement_that_takes_too_long_is_ended(cursor):
    cursor.execute("SET STATEMENT_TIMEOUT = 1")
    with pytest.raises(ServerOperationError, match="57KD0"):
        cursor.execute("SELECT count(*) FROM range(100000000000) WHERE sha2(CAST(id AS STRING), 256) LIKE 'ffffff%'")
    cursor.execute("RESET STATEMENT_TIMEOUT")


def test_files_go_to_volumes_and_back(cursor, tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    folder = f"/Volumes/spark_catalog/{cursor.schema}/landing"
    cursor.execute("CREATE VOLUME IF NOT EXISTS landing")
    parquet.write_table(pa.table({"x": [1, 2]}), tmp_path / "a.parquet")
    put = f"PUT '{tmp_path}/a.parquet' INTO '{folder}/day/a.parquet'"
    cursor.execute(put)
    with pytest.raises(ServerOperationError, match="42710"):
        cursor.execute(put)
    cursor.execute(f"{put} OVERWRITE")
    assert [row[1] for row in rows(cursor, f"LIST '{folder}/day'")] == ["a.parquet"]
    cursor.execute(f"CREATE TABLE t AS SELECT * FROM parquet.`{folder}/day/a.parquet`")
    assert rows(cursor, f"SELECT sum(x) FROM parquet.`{folder}/day`") == [(3,)] == rows(cursor, "SELECT sum(x) FROM t")
    cursor.execute(f"GET '{folder}/day/a.parquet' TO '{tmp_path}/b.parquet'")
    assert (tmp_path / "b.parquet").read_bytes() == (tmp_path / "a.parquet").read_bytes()
    cursor.execute(f"REMOVE '{folder}/day/a.parquet'")
    assert rows(cursor, f"LIST '{folder}/day'") == []
    cursor.execute("DROP VOLUME landing")


def test_writers_of_one_table_conflict_as_in_delta(cursor, databricks):
    cursor.execute("CREATE TABLE t AS SELECT 1 AS id, 0 AS n")
    told = []

    def update() -> None:
        with databricks.connect(schema=cursor.schema) as connection, connection.cursor() as own:
            try:
                own.execute("UPDATE t SET n = n + 1")
            except ServerOperationError as error:
                told.append(str(error))

    writers = [threading.Thread(target=update) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert rows(cursor, "SELECT n FROM t") == [(3 - len(told),)]
    assert all("[DELTA_CONCURRENT_" in text for text in told)


def test_faults_strike_where_they_were_ordered(cursor, databricks):
    databricks.fault("conflict", "select 42", nth=2)
    cursor.execute("SELECT 42")
    with pytest.raises(ServerOperationError, match="DELTA_CONCURRENT_APPEND"):
        cursor.execute("SELECT 42")
    for kind in ("too_many", "starting"):
        databricks.fault(kind, "select 43")
        assert rows(cursor, "SELECT 43") == [(43,)]  # the connector tried again
    databricks.fault("unavailable", "select 44", times=9)
    with pytest.raises(MaxRetryError):  # an error of urllib3's, not of the connector's
        cursor.execute("SELECT 44")
    databricks.ask("DELETE", "/_faults")
    with databricks.connect() as other, other.cursor() as second:
        databricks.fault("lost_session", "select 45")
        for _ in range(2):
            with pytest.raises(DatabaseError, match="Invalid SessionHandle"):
                second.execute("SELECT 45")


def test_histories_of_tables_are_read_like_tables(cursor):
    for name in ("told", "told_too"):
        cursor.execute(f"CREATE OR REPLACE TABLE {name} (id BIGINT)")
        cursor.execute(f"INSERT INTO {name} VALUES (1)")
    histories = (f"SELECT '{name}', operation FROM (DESCRIBE HISTORY {name} LIMIT 1)" for name in ("told", "told_too"))
    cursor.execute(" UNION ALL ".join(histories))
    assert sorted(map(tuple, cursor.fetchall())) == [("told", "WRITE"), ("told_too", "WRITE")]


def test_statements_are_counted(cursor, databricks):
    databricks.ask("DELETE", "/_statements")
    cursor.execute("SELECT 'counted'")
    counted = databricks.ask("GET", "/_statements")
    assert (counted["count"], counted["statements"][0]["text"]) == (1, "SELECT 'counted'")


def test_a_wrong_token_path_or_schema_is_refused(databricks):
    with pytest.raises(RequestError, match="access token"):
        databricks.connect(access_token="wrong")
    with pytest.raises(RequestError, match="ENDPOINT_NOT_FOUND"):
        databricks.connect(http_path="/sql/1.0/warehouses/other")
    with pytest.raises(DatabaseError, match="SCHEMA_NOT_FOUND"):
        databricks.connect(schema="missing")


def test_tables_and_views_outlive_a_killed_server(databricks, tmp_path):
    first = Server(tmp_path / "folder")
    with first.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA kept")
        cursor.execute("CREATE TABLE kept.t AS SELECT 1 AS id")
        cursor.execute("CREATE VIEW kept.v AS SELECT id + 1 AS next FROM kept.t")
        first.fault("die_after", "insert")
        with pytest.raises(HTTPError):
            cursor.execute("INSERT INTO kept.t VALUES (5)")
    first.ended()
    second = Server(tmp_path / "folder")
    with second.connect(schema="kept") as connection, connection.cursor() as cursor:
        assert sorted(rows(cursor, "SELECT * FROM v")) == [(2,), (6,)]
        cursor.execute("DROP TABLE t")
        cursor.execute("CREATE TABLE t AS SELECT 'new' AS name")
    assert second.stop() == 0


def test_closing_waits_for_no_warehouse_that_is_gone(databricks, tmp_path):
    server = Server(tmp_path / "folder")
    statements = Statements(access_to(server), tmp_path)
    assert statements.rows("SELECT 1 AS one") == [{"one": 1}]
    server.kill()
    began = time.monotonic()
    statements.close()
    assert time.monotonic() - began < 5


def test_a_server_whose_spark_ran_out_of_memory_ends_and_says_so(databricks, tmp_path):
    server = Server(tmp_path / "folder")
    with server.connect() as connection, connection.cursor() as cursor, pytest.raises((Error, HTTPError)):
        cursor.execute("SELECT collect_list(repeat(CAST(id AS STRING), 50000000)) FROM range(100)")
    assert server.ended() == 1
    assert "Spark's JVM has ended with exit code 3 (out of memory)" in server.told()


def test_a_statement_that_runs_is_refused_once_its_table_was_fenced(cursor, databricks):
    """What undoing a dead writer's change rests on: its statements that still run come to nothing."""
    slowly = "SELECT id FROM range(4000) WHERE sha2(repeat(CAST(id AS STRING), 250000), 512) <> ''"
    statements = {
        "inserted": f"INSERT INTO inserted {slowly}",
        "replaced": f"CREATE OR REPLACE TABLE replaced AS {slowly}",
        "merged": f"MERGE INTO merged AS t USING ({slowly}) AS s ON t.id = s.id WHEN NOT MATCHED THEN INSERT *",
        "updated": "UPDATE updated SET id = -1 WHERE sha2(repeat(CAST(id AS STRING), 250000), 512) <> ''",
    }
    for table in statements:
        cursor.execute(f"CREATE TABLE {table} AS SELECT id FROM range({4000 if table == 'updated' else 1})")
    told = {}

    def run(table: str) -> None:
        with databricks.connect(schema=cursor.schema) as connection, connection.cursor() as own:
            try:
                own.execute(statements[table])
            except ServerOperationError as error:
                told[table] = str(error).partition("]")[0]

    running = [threading.Thread(target=run, args=(table,)) for table in statements]
    for thread in running:
        thread.start()
    time.sleep(3)
    assert [thread.is_alive() for thread in running] == [True] * 4
    for table in statements:
        cursor.execute(f"ALTER TABLE {table} SET TBLPROPERTIES ('fenced' = 'yes')")
    for thread in running:
        thread.join()
    assert told == dict.fromkeys(statements, "[DELTA_METADATA_CHANGED")
