"""Portable SQL as Databricks reads it, and the statements that its parts become."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from dropledger.core.ports.session import TableColumn
from dropledger.core.sql.text import quoted
from dropledger.infra.databricks import changes
from dropledger.infra.databricks.dialect import dialect, literal, ticked, used


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
    ],
)
def test_literals_names_types_and_comments(portable: str, spelled: str):
    assert dialect(portable) == spelled


def test_tables_keep_rows_of_near_keys_together_by_as_many_columns_as_the_platform_takes():
    columns = [TableColumn("a`b", "STRING", free_text=True), TableColumn("at", "TIMESTAMP", required=True)]
    created = "CREATE TABLE IF NOT EXISTS `t` ( `a``b` STRING, `at` TIMESTAMP_NTZ NOT NULL ) CLUSTER BY (`a``b`)"
    assert changes.created("`t`", columns, ["a`b"]).split() == created.split()
    anew = "CREATE OR REPLACE TABLE `t` CLUSTER BY (`a`, `b`, `c`, `d`) AS SELECT 1"
    assert changes.made_anew("`t`", "abcde", "SELECT 1").split() == anew.split()
    assert changes.made_anew("`t`", (), "SELECT 1") == "CREATE OR REPLACE TABLE `t` AS\nSELECT 1"


SOURCE = "SELECT * FROM ( SELECT 1 ) WHERE (SELECT _held FROM held)"


@pytest.mark.parametrize(
    ("build", "loose", "guarded"),
    [
        (
            lambda held: changes.inserted("t", ["a", "b`"], changes.while_held("SELECT 1", held)),
            "INSERT INTO t (`a`, `b```) SELECT 1",
            f"INSERT INTO t (`a`, `b```) {SOURCE}",
        ),
        (
            lambda held: changes.deleted_where("t", "a = 1 OR b = 2", held),
            "DELETE FROM t WHERE a = 1 OR b = 2",
            "MERGE INTO t USING held ON _held AND (a = 1 OR b = 2) WHEN MATCHED THEN DELETE",
        ),
        (
            lambda held: changes.updated_where("t", {"a": "1", "b": "a"}, "a = 1 OR b = 2", held),
            "UPDATE t SET `a` = 1, `b` = a WHERE a = 1 OR b = 2",
            "MERGE INTO t USING held ON _held AND (a = 1 OR b = 2) WHEN MATCHED THEN UPDATE SET `a` = 1, `b` = a",
        ),
    ],
)
def test_what_writes_does_so_while_its_writer_has_the_hold(
    build: Callable[[str | None], str], loose: str, guarded: str
):
    assert build(None).split() == loose.split()
    assert build("held").split() == guarded.split()


def test_parameters_are_those_of_the_parts_and_times_are_utc():
    moment = datetime(2025, 10, 31, 1, tzinfo=timezone(timedelta(hours=1)))
    given = {"as_of": moment, "feed": "account", "unused": 1}
    found = used(given, "SELECT ':nothing', a::text -- :neither\nWHERE :as_of > b", ":feed = c")
    assert found == {"as_of": moment.astimezone(UTC).replace(tzinfo=None), "feed": "account"}


def test_quoting_holds_whatever_stands_in_a_name_or_text():
    assert ticked("a`b") == "`a``b`"
    assert dialect(quoted('odd " ` name')) == '`odd " `` name`'
    assert literal("back\\slash 'n quote") == "'back\\\\slash \\'n quote'"
