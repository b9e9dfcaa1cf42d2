"""Portable statements as Databricks reads them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from dropledger.core.sql.text import quoted, statement
from dropledger.infra.databricks.dialect import (
    dialect,
    literal,
    makes_other_tables,
    relation_made,
    ticked,
    used,
    while_held,
    with_target,
    written_table,
)

WHILE = "WHERE (SELECT _held FROM held)"


@pytest.mark.parametrize(
    ("portable", "spelled"),
    [
        ('SELECT "a b", m."x""y" FROM t', 'SELECT `a b`, m.`x"y` FROM t'),
        ("SELECT 'it''s', '^\\d+$', '\"', '--'", "SELECT 'it\\'s', '^\\\\d+$', '\"', '--'"),
        (
            "SELECT CAST(x AS TIMESTAMP), \"TIMESTAMP\", 'TIMESTAMP'",
            "SELECT CAST(x AS TIMESTAMP_NTZ), `TIMESTAMP`, 'TIMESTAMP'",
        ),
        ('SELECT 1 -- it\'s "one"\nFROM t', 'SELECT 1 -- it\'s "one"\nFROM t'),
        ('CREATE TABLE t (a BIGINT) /* cluster by "a", "b" */', "CREATE TABLE t (a BIGINT) CLUSTER BY (`a`, `b`)"),
    ],
)
def test_literals_names_types_and_comments(portable: str, spelled: str):
    assert dialect(portable) == spelled


def test_deletion_by_several_columns_is_a_merge():
    fragments = {"history": '"h"', "key": '"a", "b"'}
    merge = """MERGE INTO `h` AS _kept
        USING (SELECT DISTINCT * FROM ( SELECT `a`, `b`, valid_from FROM _dl_removed_version )) AS _gone
        ON _kept.`a` = _gone.`a` AND _kept.`b` = _gone.`b` AND _kept.valid_from = _gone.valid_from
        WHEN MATCHED THEN DELETE"""
    assert dialect(statement("delete_versions", fragments)).split() == merge.split()
    assert dialect("DELETE FROM t WHERE drop_id = :drop_id") == "DELETE FROM t WHERE drop_id = :drop_id"


@pytest.mark.parametrize(
    ("sql", "table"),
    [
        ('INSERT INTO "left_out"\nSELECT 1', "left_out"),
        ("UPDATE drop_ledger SET a = 1", "drop_ledger"),
        ('CREATE OR REPLACE TABLE "a`b" AS SELECT 1', "a`b"),
        ("-- why\nMERGE INTO h AS x USING y ON TRUE WHEN MATCHED THEN DELETE", "h"),
        ("ALTER TABLE delivery ADD COLUMN error STRING", "delivery"),
        ("CREATE TABLE IF NOT EXISTS t (a BIGINT)", None),
        ("SELECT 'INSERT INTO t'", None),
    ],
)
def test_written_table(sql: str, table: str | None):
    written = dialect(sql)
    assert written_table(written) == table
    if table is not None:
        assert written_table(with_target(written, "`other`")) == "other"


@pytest.mark.parametrize(
    ("sql", "made", "others"),
    [
        ('CREATE OR REPLACE TABLE "a`b" AS SELECT 1', "a`b", False),
        ("CREATE OR REPLACE VIEW v AS\nSELECT 1", "v", False),
        ("ALTER TABLE delivery ADD COLUMN error STRING", "delivery", False),
        ("CREATE TABLE IF NOT EXISTS t (a BIGINT)", None, True),
        ("DROP TABLE IF EXISTS t", None, True),
        ("INSERT INTO t SELECT 1", None, False),
    ],
)
def test_what_a_statement_makes(sql: str, made: str | None, others: bool):
    assert (relation_made(dialect(sql)), makes_other_tables(dialect(sql))) == (made, others)


@pytest.mark.parametrize(
    ("statement", "guarded"),
    [
        ("INSERT INTO t VALUES (1)", f"INSERT INTO t SELECT * FROM ( VALUES (1) ) {WHILE}"),
        (
            "-- why\nINSERT INTO `t` (a, `b`)\nSELECT 1",
            f"-- why INSERT INTO `t` (a, `b`) SELECT * FROM ( SELECT 1 ) {WHILE}",
        ),
        (
            "CREATE OR REPLACE TABLE t CLUSTER BY (`a`) AS SELECT 1",
            f"CREATE OR REPLACE TABLE t CLUSTER BY (`a`) AS SELECT * FROM ( SELECT 1 ) {WHILE}",
        ),
        ("UPDATE t SET a = 1,\nb = 2", "MERGE INTO t USING held ON _held WHEN MATCHED THEN UPDATE SET a = 1, b = 2"),
        (
            "UPDATE `t` SET\na = 1\nWHERE b = 2\nOR c = 3",
            "MERGE INTO `t` USING held ON _held AND (b = 2 OR c = 3) WHEN MATCHED THEN UPDATE SET a = 1",
        ),
        ("DELETE FROM t WHERE a = 1", "MERGE INTO t USING held ON _held AND (a = 1) WHEN MATCHED THEN DELETE"),
        ("DELETE FROM t", "MERGE INTO t USING held ON _held WHEN MATCHED THEN DELETE"),
        ("MERGE INTO t AS x USING y ON TRUE WHEN MATCHED THEN DELETE", None),
        ("ALTER TABLE t ADD COLUMN a BIGINT", None),
        ("DELETE FROM t\n\n", "MERGE INTO t USING held ON _held WHEN MATCHED THEN DELETE"),
    ],
)
def test_what_writes_does_so_while_its_writer_has_the_hold(statement: str, guarded: str | None):
    assert while_held(statement, "held").split() == (guarded or statement).split()


def test_what_would_write_without_the_hold_is_no_statement_to_send():
    with pytest.raises(ValueError, match="when the hold is over"):
        while_held("UPDATE t AS x SET a = 1", "held")


def test_parameters_are_those_of_the_statement_and_times_are_utc():
    moment = datetime(2025, 10, 31, 1, tzinfo=timezone(timedelta(hours=1)))
    given = {"as_of": moment, "feed": "account", "unused": 1}
    found = used("SELECT ':nothing', a::text -- :neither\nWHERE :as_of > b AND :feed = c", given)
    assert found == {"as_of": moment.astimezone(UTC).replace(tzinfo=None), "feed": "account"}


def test_quoting_holds_whatever_stands_in_a_name_or_text():
    assert ticked("a`b") == "`a``b`"
    assert dialect(quoted('odd " ` name')) == '`odd " `` name`'
    assert literal("back\\slash 'n quote") == "'back\\\\slash \\'n quote'"
