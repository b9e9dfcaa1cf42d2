"""SQL put together from a contract: tried on the engine, not compared as text."""

from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.engines import PROJECT

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.sql.text import (
    differs,
    engine_type,
    full_refresh,
    listed,
    literal,
    quoted,
    same,
    statement,
    statements,
)
from dropledger.core.steps.history import history_columns

Row = tuple[str | None, str | None]
# An identifier of DuckDB holds any character but NUL.
FIRST_MIGRATION = (PROJECT / "core/ledger/migrations/0001_ledger_tables.sql").read_text(encoding="utf-8")
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


@given(NAMES)
def test_any_name_can_be_an_identifier(engine, name):
    found = engine.execute(f"SELECT 1 AS {quoted(name)}").description

    assert [column[0] for column in found] == [name]


@given(NAMES)
def test_any_text_can_be_a_literal(engine, text):
    assert engine.execute(f"SELECT {literal(text)}").fetchone() == (text,)


@pytest.mark.parametrize("name", ['"', '""', 'x"; DROP TABLE accounts; --', "'", "Balance €", "select"])
def test_identifier_cannot_be_broken_out_of(engine, name):
    engine.execute(f"CREATE OR REPLACE TEMP TABLE odd ({quoted(name)} INTEGER)")

    assert engine.execute("SELECT column_name FROM duckdb_columns() WHERE table_name = 'odd'").fetchall() == [(name,)]


def test_columns_are_listed_in_order_under_their_alias(engine):
    engine.execute('CREATE OR REPLACE TEMP TABLE pair AS SELECT 1 AS "a b", 2 AS "c"')

    assert engine.execute(f"SELECT {listed(['c', 'a b'], 'p')} FROM pair AS p").fetchone() == (2, 1)
    assert engine.execute(f"SELECT {listed(['a b'])} FROM pair").fetchone() == (1,)


def compared(
    engine: duckdb.DuckDBPyConnection, predicate: str, left: tuple[object, ...], right: tuple[object, ...]
) -> object:
    engine.execute("CREATE OR REPLACE TEMP TABLE l (a VARCHAR, b VARCHAR)")
    engine.execute("CREATE OR REPLACE TEMP TABLE r (a VARCHAR, b VARCHAR)")
    engine.execute("INSERT INTO l VALUES (?, ?)", left)
    engine.execute("INSERT INTO r VALUES (?, ?)", right)
    (found,) = engine.execute(f"SELECT {predicate} FROM l CROSS JOIN r").fetchone()
    return found


@pytest.mark.parametrize(
    ("left", "right", "different"),
    [
        (("x", "y"), ("x", "y"), False),
        (("x", "y"), ("x", "z"), True),
        (("x", None), ("x", None), False),
        (("x", None), ("x", "y"), True),
        (("x", None), ("x", ""), True),
        (("xy", ""), ("x", "y"), True),
    ],
)
def test_rows_differ_where_any_column_does_and_null_equals_null(engine, left, right, different):
    assert compared(engine, differs(["a", "b"], "l", "r"), left, right) is different


def test_rows_without_columns_do_not_differ(engine):
    assert compared(engine, differs([], "l", "r"), ("x", "y"), ("p", "q")) is False


def test_keys_are_compared_column_by_column(engine):
    predicate = same(["a", "b"], "l", "r")

    assert compared(engine, predicate, ("1", "2"), ("1", "2")) is True
    assert compared(engine, predicate, ("1", "12"), ("11", "2")) is False


@pytest.mark.parametrize(
    ("contract_type", "value"),
    [
        ("bigint", "9223372036854775807"),
        ("text", "'Ann'"),
        ("boolean", "TRUE"),
        ("date", "DATE '2025-10-31'"),
        ("timestamp", "TIMESTAMP '2025-10-31 10:30:00'"),
        ("decimal(18,2)", "1234567890123456.78"),
    ],
)
def test_every_type_of_a_contract_is_one_of_the_engine(engine, contract_type, value):
    cast = engine.execute(f"SELECT CAST({value} AS {engine_type(contract_type)}) = {value}")

    assert cast.fetchone() == (True,)


def test_file_of_several_statements_is_divided_into_each(engine):
    engine.execute("CREATE OR REPLACE SCHEMA apart")
    engine.execute("USE apart")
    for ddl in statements(FIRST_MIGRATION):
        engine.execute(ddl)
    tables = engine.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'apart'").fetchall()
    engine.execute("USE main")

    assert {"drop_ledger", "delivery", "rejected_row", "check_result"} <= {name for (name,) in tables}
    assert len(tables) == len(statements(FIRST_MIGRATION))


def test_statement_that_lacks_a_fragment_is_not_run():
    with pytest.raises(KeyError):
        statement("opened_versions", {"o_columns": 'o."account_id"'})


def test_fragment_is_put_in_as_it_is(engine):
    """What a contract says may hold `$`, which marks fragments in the statements."""
    sql = statement(
        "orphans",
        {
            "observed": "observation",
            "column": "x",
            "parent": "(SELECT '${column} $$ $1' AS y, TRUE AS is_current)",
            "parent_key": "y",
        },
    )
    engine.execute(
        "CREATE OR REPLACE TEMP TABLE observation AS\n"
        "SELECT '${column} $$ $1' AS x, FALSE AS _absent UNION ALL SELECT 'other', FALSE"
    )

    assert engine.execute(sql).fetchall() == [("other", False)]


def test_history_table_is_that_of_the_contract(lending: Pipeline):
    columns = history_columns(lending.contract("customer"))

    assert [(column.name, column.type) for column in columns] == [
        ("customer_id", "BIGINT"),
        ("customer_name", "STRING"),
        ("has_loan", "BOOLEAN"),
        ("valid_from", "TIMESTAMP"),
        ("valid_to", "TIMESTAMP"),
        ("is_current", "BOOLEAN"),
        ("drop_id", "STRING"),
        ("line", "BIGINT"),
    ]
    assert {column.name for column in columns if column.required} == {"valid_from", "is_current", "drop_id", "line"}
    assert {column.name for column in columns if column.free_text} == {"customer_name"}


def test_what_keeps_a_statement_to_the_rows_touched_can_be_left_out():
    sql = "SELECT a FROM t\n/* incremental */ JOIN x USING (a) /* end */\nWHERE b /* incremental */ AND\nc /* end */"

    assert full_refresh(sql).split() == ["SELECT", "a", "FROM", "t", "WHERE", "b"]
    assert full_refresh("SELECT a FROM t /* all */") == "SELECT a FROM t /* all */"
