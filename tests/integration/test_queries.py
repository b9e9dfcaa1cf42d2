"""`dropledger sql`: rows of the warehouse for people and programs; nothing is written, and nothing else is read."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.in_process import Left, run
from support.ledger import Ledger

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.errors import Unavailable
from dropledger.core.ports.session import Confinable

CUSTOMERS = "CustomerID,Name,HasLoan\n1,Ann,Yes\n2,Bo,No\n"
ACCOUNTS = "AccountID,CustomerID,Balance,AccountType\n11,1,100.00,Savings\n12,2,20000.00,Savings\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, lending) -> Path:
    """A folder with a filled root, and a file that no query may read."""
    folder = tmp_path_factory.mktemp("sql")
    ledger = Ledger(folder / "ledger", lending)
    ledger.process(ledger.put("customers_2026-01-01.csv", CUSTOMERS), ledger.put("accounts_2026-01-02.csv", ACCOUNTS))
    (folder / "secret.csv").write_text("word\nhush\n")
    return folder


@pytest.fixture
def sql(folder: Path) -> Callable[..., Left]:
    return lambda *arguments: run("sql", *arguments, cwd=folder)


def there(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


FIGURES = "SELECT account_id, annual_interest FROM account_summary ORDER BY account_id DESC"


def test_rows_are_a_plain_table_in_the_order_of_the_query(sql: Callable[..., Left]):
    left = sql(f"{FIGURES};\n")
    assert (left.code, left.err) == (0, "")
    assert left.out == "account_id  annual_interest\n        12           400.00\n        11             1.50\n"


def test_rows_are_an_object_for_programs(sql: Callable[..., Left]):
    assert sql(FIGURES, "--json").json == {
        "command": "sql",
        "columns": ["account_id", "annual_interest"],
        "rows": [
            {"account_id": 12, "annual_interest": "400.00"},
            {"account_id": 11, "annual_interest": "1.50"},
        ],
        "more": False,
    }


def test_values_of_other_types_are_exact(sql: Callable[..., Left]):
    left = sql(
        "SELECT 0.1e0 AS f, 'nan'::FLOAT AS n, {'a': [0.5e0, 2]} AS s, MAP {1.5: NULL} AS m, '\\x00a'::BLOB AS b, "
        "DATE '2026-01-02' AS d, TIMESTAMP '2026-01-02 03:04:05' AS t, NULL AS nothing",
        "--json",
    )
    assert json.loads(left.out, parse_float=pytest.fail)["rows"] == [
        {
            "f": "0.1",
            "n": "nan",
            "s": {"a": ["0.5", "2.0"]},
            "m": {"1.5": None},
            "b": "0061",
            "d": "2026-01-02",
            "t": "2026-01-02T03:04:05Z",
            "nothing": None,
        }
    ]


def test_so_many_rows_are_shown_and_that_there_are_more(sql: Callable[..., Left]):
    many = "SELECT range AS number FROM range(250) ORDER BY number DESC"
    lines = sql(many).out.splitlines()
    assert (lines[1], lines[100]) == ("   249", "   150")
    assert lines[101:] == ["These are the first 100 rows, and there are more. Try: --limit 0"]
    few = sql(many, "--limit", "2", "--json").json
    assert (few["rows"], few["more"]) == ([{"number": 249}, {"number": 248}], True)
    whole = sql(many, "--limit", "0", "--json").json
    assert (len(whole["rows"]), whole["more"]) == (250, False)
    assert sql(many, "--limit", "250", "--json").json["more"] is False


def test_columns_of_one_name_are_both_shown(sql: Callable[..., Left]):
    both = sql(
        "SELECT a.account_id, c.customer_id, a.* FROM history_account a JOIN history_customer c USING (customer_id)",
        "--json",
    ).json
    assert len(set(both["columns"])) == len(both["columns"]) == len(both["rows"][0])


@pytest.mark.parametrize("query", ["SHOW TABLES", "show tables;"])
def test_tables_are_listed(sql: Callable[..., Left], query: str):
    names = {row["name"] for row in sql(query, "--json", "--limit", "0").json["rows"]}
    assert {"drop_ledger", "history_account", "account_summary", "stg_customer"} <= names


def test_columns_of_a_table_are_listed(sql: Callable[..., Left]):
    rows = sql('DESCRIBE "customer_profile"', "--json").json["rows"]
    assert [row["column_name"] for row in rows][:2] == ["customer_id", "customer_name"]


@pytest.mark.parametrize(
    "query",
    [
        "/* all */ -- x;\nSELECT 1 AS a",
        "(SELECT 1 AS a)",
        "VALUES (1)",
        "FROM account_summary",
        "/* x; */ WITH c AS (SELECT 1) FROM c",
    ],
)
def test_what_reads_is_taken_however_it_begins(sql: Callable[..., Left], query: str):
    assert sql(query).code == 0


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("DELETE FROM account_summary", "begins with DELETE"),
        ("insert into drop_ledger SELECT * FROM drop_ledger", "begins with INSERT"),
        ("COPY account_summary TO 'out.csv'", "begins with COPY"),
        ("ATTACH 'other.duckdb'", "begins with ATTACH"),
        ("INSTALL httpfs", "begins with INSTALL"),
        ("SET enable_external_access = true", "begins with SET"),
        ("EXPLAIN ANALYZE COPY account_summary TO 'out.csv'", "begins with EXPLAIN"),
        ("SELECT 1; COPY account_summary TO 'out.csv'", "several statements"),
        ("SELECT 1; DROP TABLE account_summary", "several statements"),
        ("WITH c AS (SELECT 1) INSERT INTO drop_ledger SELECT * FROM drop_ledger", "INSERT"),
        ("WITH c AS (DELETE FROM account_summary RETURNING *) SELECT * FROM c", ""),
        ("SELECT * FROM 'secret.csv'", "disabled"),
        ("SELECT * FROM read_csv('secret.csv')", "disabled"),
        ("SELECT * FROM read_text('/etc/hostname')", "disabled"),
        ("SELECT * FROM glob('*')", "disabled"),
        ("SELECT * FROM 'https://example.org/a.csv'", ""),
        ("SELECT * FROM load_aws_credentials()", "extensions is disabled"),
        ("SELECT * FROM session", "session"),
        ("", "there is no query"),
        (" ; ", "there is no query"),
        ("SELEKT 1", "begins with SELEKT"),
        ("SELECT balanc FROM history_account", "balance"),
        ("SELECT * FROM acount_summary", "account_summary"),
        ("SELECT CAST('x' AS INTEGER)", "'x'"),
        ("SELECT CAST(customer_name AS INTEGER) FROM history_customer", "Ann"),
        ("SELECT :account_id", ""),
        ("SELECT ?", ""),
        ("SELECT TIMESTAMP '2026-01-01' AT TIME ZONE 'nowhere'", "nowhere"),
    ],
)
def test_all_else_is_refused_in_the_words_of_the_engine(folder: Path, sql: Callable[..., Left], query: str, told: str):
    before = there(folder)
    left = sql(query, "--json")
    assert left.code == 2
    assert told in left.json["error"]["what"] + left.json["error"]["why"]
    assert "hush" not in left.out + left.err
    assert "pipeline" not in left.json["error"]["what"]
    assert "SELECT * FROM account_summary" in left.json["error"]["try"]
    assert there(folder) == before


def test_query_that_is_taken_for_an_option_is_told_with_the_way_out(sql: Callable[..., Left]):
    left = sql("-- all\nSELECT 1 AS a")
    assert (left.code, "put -- before a query that begins with a hyphen" in left.err) == (2, True)
    assert sql("--", "-- all\nSELECT 1 AS a").out == "a\n1\n"


def test_nothing_is_made_by_a_query(folder: Path, sql: Callable[..., Left]):
    before = there(folder)
    assert sql(FIGURES).code == 0
    assert there(folder) == before


def test_warehouse_goes_on_after_a_query(folder: Path, lending):
    ledger = Ledger(folder / "ledger", lending)
    with ledger.runtime.reading() as session:
        session.confine()
        assert session.count("account_summary") == 2
    with ledger.runtime.session() as session:
        assert session.count("account_summary") == 2


def test_query_without_end_is_ended_and_the_next_one_works(folder: Path, lending: Pipeline):
    ledger = Ledger(folder / "ledger", lending)
    with ledger.runtime.reading() as session:
        assert isinstance(session, Confinable)
        session.confine()
        with pytest.raises(Unavailable, match="longer than it may"), session.limited(0.1):
            session.query("SELECT count(*) FROM range(1000000000000) AS a WHERE a.range % 7 = 3")
        assert session.query("SELECT count(*) AS found FROM account_summary") == [{"found": 2}]
