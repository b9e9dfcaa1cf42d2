"""What `dropledger.core.ports.warehouse.Warehouse` and `Session` promise, held against DuckDB and Databricks alike."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.databricks_ledger import access_to, new_schema
from support.reading import AS_OF, RolledBack

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.errors import ConfigurationError, DataRefused, DropledgerError
from dropledger.core.formats.extract import Extract
from dropledger.core.ports.session import RecordLayout, Session, TableColumn
from dropledger.core.ports.warehouse import Warehouse
from dropledger.core.sql.text import quoted
from dropledger.core.steps.intake import read_again
from dropledger.core.views.ask import ask
from dropledger.infra.databricks.warehouse import DatabricksWarehouse
from dropledger.infra.duckdb.session import DuckDBSession
from dropledger.infra.duckdb.warehouse import DuckDBWarehouse

NOON = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)
RECORDS = [
    {"id": 1, "amount": Decimal("0.10"), "word": 'it\'s "odd"\n\\n :id ?', "known": True, "seen_at": NOON},
    {"id": 2**62, "amount": Decimal("-9999999999999999.99"), "word": "", "known": False, "seen_at": None},
    {"id": 3, "amount": None, "word": None, "known": None, "seen_at": None},
]
TABLE = "CREATE TABLE t (id BIGINT, amount DECIMAL(18,2), word STRING, known BOOLEAN, seen_at TIMESTAMP)"
IN_DATABRICKS = [pytest.mark.databricks, pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("standin")]


@pytest.fixture(scope="module", params=["duckdb", pytest.param("databricks", marks=IN_DATABRICKS)])
def make_warehouse(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], Warehouse]]:
    """Makes warehouses without tables, which are removed at the end."""
    made: list[Warehouse] = []

    def make() -> Warehouse:
        folder = tmp_path_factory.mktemp("warehouse")
        if request.param == "duckdb":
            made.append(DuckDBWarehouse(folder / "ledger.duckdb", "lending", wait_seconds=5.0))
        else:
            access = access_to(request.getfixturevalue("databricks"))
            made.append(DatabricksWarehouse(access, new_schema(), folder / "local", wait_seconds=5.0))
        return made[-1]

    yield make
    for warehouse in made:
        warehouse.remove()


@pytest.fixture(scope="module")
def open_session(make_warehouse: Callable[[], Warehouse]) -> Iterator[Session]:
    with make_warehouse().session() as session:
        yield session


@pytest.fixture
def session(open_session: Session) -> Session:
    """One for all tests, which takes a while to make in Databricks, without tables of the tests before."""
    for name in ("t", "other"):
        open_session.execute(f"DROP TABLE IF EXISTS {name}")
    return open_session


@pytest.fixture(scope="module")
def warehouse(make_warehouse: Callable[[], Warehouse]) -> Warehouse:
    """One for all tests, whose tables have what `filled` puts there."""
    warehouse = make_warehouse()
    assert not warehouse.exists()
    with warehouse.session() as session, session.transaction():
        filled(session)
        session.execute("CREATE VIEW v AS SELECT id FROM t")
        session.execute("CREATE TABLE pipeline_state (id BIGINT)")  # which tells a warehouse from any other schema
    return warehouse


def filled(session: Session) -> None:
    session.execute(TABLE)
    session.insert("t", RECORDS)


def ids(session: Session, name: str = "t") -> list[int]:
    return sorted(row["id"] for row in session.query(f"SELECT id FROM {name}"))


def test_several_statements_in_one_text_are_refused(session: Session):
    with pytest.raises(ConfigurationError):
        session.execute("SELECT 1; SELECT 2")


def test_values_come_back_as_they_were_inserted(session: Session):
    filled(session)
    assert sorted(session.query("SELECT * FROM t"), key=lambda row: row["id"]) == sorted(
        RECORDS, key=lambda record: record["id"]
    )
    for name, value in RECORDS[0].items():
        if name != "amount":  # decimals are never bound
            assert session.query(f"SELECT id FROM t WHERE {name} = :value", {"value": value}) == [{"id": 1}]
    assert session.query("SELECT id FROM t WHERE word IS NOT DISTINCT FROM :word", {"word": None}) == [{"id": 3}]


def test_verbs_tell_how_many_rows_they_changed(session: Session):
    filled(session)
    session.scratch("given", "SELECT CAST(13 AS BIGINT) AS id, 'merged' AS word UNION ALL SELECT 14, 'new'")
    assert session.insert_select("t", ["id"], "SELECT id + 10 FROM t WHERE id < :most", {"most": 10}) == 2
    assert session.update_where("t", {"word": ":word"}, "id > 10 AND id < :most", {"word": "up", "most": 20}) == 2
    assert session.update_matched("t", ["id"], "given", {"word": "s.word"}, "t.id > 10") == 1
    assert session.delete_where("t", "id = :id", {"id": 11}) == 1
    assert session.delete_keys("t", ["id", "word"], "given") == 1
    assert ids(session) == [1, 3, 2**62]
    session.scratch("before", "SELECT * FROM t WHERE id < 10")
    columns = list(session.columns("t"))
    assert session.replace_rows("t", columns, ["id"], "before", f"SELECT {', '.join(columns)} FROM before") == 4
    assert session.delete_where("t", "TRUE") == 3
    assert session.insert_select("t", ["id"], "SELECT id FROM given WHERE id < 0") == 0


def test_conditions_of_several_terms_hold_as_a_whole(session: Session):
    """An engine may put terms of its own beside them."""
    filled(session)
    assert session.update_where("t", {"amount": "1.5", "word": "concat('it''s ', word)"}, "id = 1 OR id = 3") == 2
    session.scratch("given", "SELECT id, TRUE AS wanted FROM t WHERE id <> 3")
    assert session.update_matched("t", ["id"], "given", {"known": "NULL"}, "s.wanted OR t.id = 3") == 2
    assert session.delete_where("t", "word = '' OR id = 3") == 2
    found = session.query("SELECT id, amount, word, known FROM t")
    word = f"it's {RECORDS[0]['word']}"
    assert found == [{"id": 1, "amount": Decimal("1.50"), "word": word, "known": None}]


def test_rows_come_in_place_of_those_before_whatever_their_keys(session: Session):
    """Keys that are missing, or that come twice, are for whoever checks them."""
    session.create_table("t", [TableColumn('odd"key`', "BIGINT"), TableColumn("part", "STRING")], ['odd"key`', "part"])
    rows = [(1, "a"), (1, "b"), (2, "a"), (3, None)]
    session.insert("t", [{'odd"key`': number, "part": part} for number, part in rows])
    key = list(session.columns("t"))
    session.scratch("before", f"SELECT * FROM t WHERE {quoted(key[0])} <> 2")
    new = "SELECT CAST(7 AS BIGINT) AS k, 'x' AS p UNION ALL SELECT 7, 'x' UNION ALL SELECT NULL, 'y'"
    session.view("after", new)
    assert session.replace_rows("t", key, key, "before", "SELECT k, p FROM after") == 5
    found = [tuple(row.values()) for row in session.query("SELECT * FROM t")]
    assert sorted(found, key=str) == sorted([(2, "a"), (3, None), (7, "x"), (7, "x"), (None, "y")], key=str)


def test_verbs_change_scratch_relations_alike(session: Session):
    session.scratch("few", "SELECT CAST(1 AS BIGINT) AS id, 'a' AS word UNION ALL SELECT 2, 'b'")
    session.scratch("gone", "SELECT CAST(2 AS BIGINT) AS id")
    assert session.insert_select("few", ["word", "id"], "SELECT 'c', id + 1 FROM gone") == 1
    assert session.delete_keys("few", ["id"], "gone") == 1
    assert session.update_where("few", {"word": "upper(word)"}, "id = 3") == 1
    assert session.query("SELECT id, word FROM few ORDER BY id") == [{"id": 1, "word": "a"}, {"id": 3, "word": "C"}]
    assert session.delete_where("few", "id = 1") == 1
    assert session.count("few") == 1


def test_tables_and_views_are_made(session: Session):
    columns = [
        TableColumn("id", "BIGINT", required=True),
        TableColumn('a"word`', "STRING", free_text=True),
        TableColumn("seen_at", "TIMESTAMP"),
    ]
    for _ in range(2):  # what is there stays
        session.create_table("t", columns, ["id"])
        session.insert("t", [{"id": 1, 'a"word`': "x", "seen_at": NOON}])
    with pytest.raises(DropledgerError):
        session.insert("t", [{"id": None, "seen_at": NOON}])
    assert session.count("t") == 2
    session.create_table_like("other", 'SELECT "a""word`", id + 1 AS later FROM t', ["later"], {'a"word`', "nothing"})
    assert (list(session.columns("other")), session.count("other")) == (['a"word`', "later"], 0)
    session.create_table_like("other", "SELECT id FROM t", ["id"], {"id"})
    assert list(session.columns("other")) == ["id"]
    for select, rows in (("SELECT id FROM t WHERE id > 1", 0), ("SELECT seen_at FROM t", 2)):
        session.create_view("v", select)
        assert session.count("v") == rows


def _rows(*keys: tuple[int | None, str | None]) -> list[dict[str, Any]]:
    return [{**RECORDS[0], "id": number, "word": word} for number, word in keys]


@pytest.mark.parametrize(
    ("rows", "of_id", "of_both"),
    [
        (_rows(), True, True),
        (_rows((7, "a")), True, True),
        (_rows((1, "b"), (2, "a"), (9, "a")), True, True),
        (_rows((1, "a"), (1, "b"), (2, "a")), False, True),
        (_rows((1, "a"), (2, "a"), (2, "a"), (3, "a")), False, False),
        (_rows((2, "a"), (1, "a"), (2, "a")), False, False),
        (_rows((1, "a"), (3, "a"), (2, "a")), False, False),
        (_rows((None, "a")), False, False),
        (_rows((None, "a"), (1, "a")), False, False),
        (_rows((1, "a"), (None, "a")), False, False),
        (_rows((1, "a"), (None, "a"), (1, "a")), False, False),
        (_rows((1, "a"), (2, None)), True, False),
        (_rows((1, "a"), (1, None), (1, "b")), False, False),
    ],
)
def test_keys_that_rise_are_known_to_stand_once(
    session: Session, rows: list[dict[str, Any]], of_id: bool, of_both: bool
):
    session.execute(TABLE)
    session.insert("t", rows)
    in_order = session.capabilities.keeps_order
    assert session.rises("t", ["id"]) == (of_id and in_order)
    assert session.rises("t", ["id", "word"]) == (of_both and in_order)


def _numbers(session: Session, below: int) -> str:
    """A select of all numbers from 0 on, in order where there is one."""
    if isinstance(session, DuckDBSession):
        return f"SELECT CAST(k AS BIGINT) AS id FROM (SELECT unnest(range({below})) AS k) AS r"
    return f"SELECT id FROM range({below})"


@pytest.mark.parametrize("size", [2_048, 122_880])  # of a vector and of a row group in DuckDB
@pytest.mark.parametrize("moved", [-1, 0, 1])
def test_key_that_stands_twice_is_no_rising_one_wherever_it_stands(session: Session, size: int, moved: int):
    session.execute("CREATE TABLE t (id BIGINT)")
    session.insert_in_order("t", ["id"], _numbers(session, 2 * size + 10))
    assert session.rises("t", ["id"]) == session.capabilities.keeps_order
    session.update_where("t", {"id": f"{size + moved - 1}"}, f"id = {size + moved}")
    assert not session.rises("t", ["id"])


def test_scratch_and_views_are_of_the_session_alone(warehouse: Warehouse):
    with warehouse.session() as session:
        session.scratch("few", "SELECT id, word FROM t WHERE id < :most", {"most": 10})
        session.view("fewer", "SELECT id FROM few WHERE id < 2")
        assert (ids(session, "few"), ids(session, "fewer"), session.count("few")) == ([1, 3], [1], 2)
        session.scratch("few", "SELECT CAST(1 AS BIGINT) AS id UNION ALL SELECT 0")
        assert ids(session, "fewer") == [0, 1]
        session.insert("few", [{"id": -1}])
        session.delete_where("few", "id = 1")
        assert ids(session, "fewer") == [-1, 0]
        assert not session.has_table("few")
    with warehouse.session() as session:
        assert ids(session) == [1, 3, 2**62]
        for name in ("few", "fewer"):
            with pytest.raises(ConfigurationError):
                session.query(f"SELECT * FROM {name}")


def _make_other(session: Session) -> None:
    """Make the table anew with the ids of t."""
    session.create_table_like("other", "SELECT id FROM t", ["id"], ())
    session.insert_select("other", ["id"], "SELECT id FROM t")


def test_a_transaction_that_raises_leaves_nothing(session: Session):
    filled(session)
    with suppress(RolledBack), session.transaction():
        session.delete_where("t", "id = 1")
        session.insert("t", [{"id": 4}])
        _make_other(session)
        assert ids(session, "other") == [3, 4, 2**62]
        raise RolledBack
    assert ids(session) == [1, 3, 2**62]
    assert not session.has_table("other")
    with session.transaction():
        session.delete_where("t", "id = 1")
        _make_other(session)
    session.update_where("t", {"word": "'new'"}, "id = 3")
    assert session.query("SELECT id FROM t WHERE word = 'new'") == [{"id": 3}]
    assert (ids(session), ids(session, "other")) == ([3, 2**62], [3, 2**62])


def test_a_verb_that_fails_by_itself_changes_nothing_and_keeps_no_transaction_open(session: Session):
    filled(session)
    session.scratch("before", "SELECT * FROM t WHERE id = 1")
    columns = list(session.columns("t"))
    none = ", ".join(["CAST('x' AS BIGINT)", *columns[1:]])
    with pytest.raises(DropledgerError):
        session.replace_rows("t", columns, ["id"], "before", f"SELECT {none} FROM before")
    assert ids(session) == [1, 3, 2**62]
    with session.transaction():
        session.delete_where("t", "id = 3")
    assert ids(session) == [1, 2**62]


def test_a_table_made_anew_goes_with_the_transaction_that_made_it(session: Session):
    filled(session)
    _make_other(session)
    with session.transaction():
        session.delete_where("t", "id = 1")
    session.execute("DROP TABLE other")
    with suppress(RolledBack), session.transaction():
        session.delete_where("t", "id = 3")
        _make_other(session)
        raise RolledBack
    assert ids(session) == [3, 2**62]
    assert not session.has_table("other")


def test_what_was_committed_is_there_for_whoever_opens_next(warehouse: Warehouse):
    assert warehouse.exists()
    with warehouse.session(read_only=True) as session:
        assert ids(session) == [1, 3, 2**62]
        with pytest.raises((DataRefused, TypeError)), session.transaction():
            session.delete_where("t", "TRUE")
    with warehouse.session(read_only=True) as session:
        assert ids(session) == [1, 3, 2**62]


def test_columns_and_tables_are_told(session: Session):
    filled(session)
    session.create_view("v", "SELECT amount, id FROM t")
    assert list(session.columns("t")) == ["id", "amount", "word", "known", "seen_at"]
    assert session.columns("v") == {"amount": "DECIMAL(18,2)", "id": "BIGINT"}
    assert [session.has_table(name) for name in ("t", "v", "nothing")] == [True, True, False]


def test_errors_tell_data_from_statements(session: Session):
    filled(session)
    with pytest.raises(DataRefused):
        session.insert_select("t", ["amount"], "SELECT CAST('1e30' AS DECIMAL(18,2))")
    with pytest.raises(ConfigurationError):
        session.query("SELECT missing FROM t")
    with pytest.raises(ConfigurationError):
        session.query("SELEKT 1")
    assert ids(session) == [1, 3, 2**62]


CUSTOMERS = '''CustomerID,Name,HasLoan
1,"Ann, née ""O""",Yes
2,"two
lines",No

3,Bo
4,,None
'''


@pytest.fixture
def customers(lending: Pipeline, tmp_path: Path) -> Callable[[str, str], Extract]:
    def extract(name: str, text: str) -> Extract:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return read_again(path, lending.contract("customer"), AS_OF)[0]

    return extract


def test_files_are_read_with_their_lines(session: Session, customers: Callable[[str, str], Extract]):
    extract = customers("customers.csv", CUSTOMERS)
    with session.transaction():
        session.load(extract.path, extract.layout, "incoming", drop_id=extract.drop_id)
        assert session.select_rows("incoming", "parsed", "SELECT *, :mark AS mark FROM incoming", {"mark": "m"}) == 4
        assert session.query("SELECT _line, rule, raw FROM incoming_malformed") == [
            {"_line": 6, "rule": "ragged_row", "raw": "3,Bo"}
        ]
        assert session.query("SELECT _line, customer_id, customer_name, has_loan, mark FROM parsed ORDER BY _line") == [
            {"_line": 2, "customer_id": "1", "customer_name": 'Ann, née "O"', "has_loan": "Yes", "mark": "m"},
            {"_line": 3, "customer_id": "2", "customer_name": "two\nlines", "has_loan": "No", "mark": "m"},
            {"_line": 7, "customer_id": "4", "customer_name": None, "has_loan": "None", "mark": "m"},
        ]
        session.with_lines("incoming")
        session.scratch("wanted", "SELECT _line FROM parsed WHERE _line < 7")
        session.raw_rows("incoming", "wanted", "raw_row")
        assert session.query("SELECT _line, raw FROM raw_row ORDER BY _line") == [
            {"_line": 2, "raw": '1,"Ann, née ""O""",Yes'},
            {"_line": 3, "raw": '2,"two\nlines",No'},
        ]
        session.keep_loaded("incoming", "src_customer", "wanted")
    kept = "SELECT _drop_id, _line, customer_id, _accepted FROM src_customer ORDER BY _line"
    assert session.query(kept) == [
        {"_drop_id": extract.drop_id, "_line": line, "customer_id": key, "_accepted": accepted}
        for line, key, accepted in ((2, "1", False), (3, "2", False), (7, "4", True))
    ]


def test_what_was_kept_is_replaced_or_restored(session: Session, customers: Callable[[str, str], Extract]):
    header = CUSTOMERS.partition("\n")[0]

    def keep(name: str, row: str) -> None:
        extract = customers(name, f"{header}\n{row}\n")
        session.load(extract.path, extract.layout, "incoming", drop_id=extract.drop_id)
        session.select_rows("incoming", "parsed", "SELECT * FROM incoming")
        session.keep_loaded("incoming", "src_customer", None)

    for name, row in (("a.csv", "1,Ann,Yes"), ("b.csv", "2,Bo,No")):
        with session.transaction():
            keep(name, row)
    with suppress(RolledBack), session.transaction():
        keep("c.csv", "3,Cy,No")
        raise RolledBack
    assert session.query("SELECT customer_id, _accepted FROM src_customer") == [{"customer_id": "2", "_accepted": True}]


def test_small_files_are_read_together(session: Session, customers: Callable[[str, str], Extract]):
    header = CUSTOMERS.partition("\n")[0]
    extracts = [customers(f"{place}.csv", f"{header}\n{place},Ann,Yes\n{place + 10},Bo,\n") for place in range(3)]
    session.load_together([(extract.path, extract.layout) for extract in extracts], "together")
    assert session.query("SELECT _file, _line, customer_id, has_loan FROM together ORDER BY _file, _line") == [
        {"_file": place, "_line": line, "customer_id": str(key), "has_loan": loan}
        for place in range(3)
        for line, key, loan in ((2, place, "Yes"), (3, place + 10, None))
    ]


def test_small_files_of_json_lines_are_read_together(session: Session, tmp_path: Path):
    """But for those that are not read by the engine alone."""
    texts = ['{"id": 1, "loan": "Yes"}\n\n{"id": 2}\n', '{"id": 3}\n{"id": 4, "id": 5}\n', '{"loan": "No"}\n']
    paths = [tmp_path / f"{place}[0-9].jsonl" for place in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    names = ("id", "loan")
    positions, types = {name: ((name,),) for name in names}, {"id": "bigint", "loan": "text"}
    layout = RecordLayout("ndjson", positions, types, frozenset({"loan"}))

    session.load_together([(path, layout) for path in paths], "together")

    assert session.query("SELECT _file, _line, id, loan FROM together ORDER BY _file, _line") == [
        {"_file": 0, "_line": 1, "id": "1", "loan": "Yes"},
        {"_file": 0, "_line": 3, "id": "2", "loan": None},
    ]


def test_results_are_written_in_order(session: Session, tmp_path: Path):
    filled(session)
    select = "SELECT id, amount, word, known, seen_at FROM t ORDER BY id DESC"
    session.export(select, tmp_path / "t.csv", tmp_path / "t.parquet")
    assert (tmp_path / "t.csv").read_text(encoding="utf-8") == (
        "id,amount,word,known,seen_at\n"
        '4611686018427387904,-9999999999999999.99,"",false,\n'
        "3,,,,\n"
        '1,0.10,"it\'s ""odd""\n\\n :id ?",true,2026-01-01 12:30:15.123456\n'
    )
    packed = duckdb.sql(f"FROM '{tmp_path / 't.parquet'}'")
    assert list(map(str, packed.types)) == ["BIGINT", "DECIMAL(18,2)", "VARCHAR", "BOOLEAN", "TIMESTAMP"]
    assert packed.fetchall() == [_naive(RECORDS[place]) for place in (1, 2, 0)]


def test_results_are_written_at_once_in_the_order_in_which_rows_were_put_in(session: Session, tmp_path: Path):
    session.execute("CREATE TABLE t (id BIGINT)")
    numbers = f"SELECT CAST(id * 7 % 300007 AS BIGINT) FROM ({_numbers(session, 300_000)}) AS n"
    session.insert_in_order("t", ["id"], numbers)
    lying = "SELECT id FROM t"
    if not session.capabilities.keeps_order:
        lying = f"{lying} ORDER BY id * 257149 % 300007"
    paths = [tmp_path / name for name in ("lying.csv", "rising.csv", "lying.parquet")]
    session.export_at_once([(lying, paths[0]), ("SELECT id FROM t ORDER BY id", paths[1]), (lying, paths[2])])
    expected = [number * 7 % 300_007 for number in range(300_000)]
    found = [[id_ for (id_,) in duckdb.sql(f"FROM '{path}'").fetchall()] for path in paths]
    assert found == [expected, sorted(expected), expected]


def _naive(record: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(value.replace(tzinfo=None) if isinstance(value, datetime) else value for value in record.values())


def test_query_that_somebody_wrote_reads_and_does_nothing_else(warehouse: Warehouse):
    with warehouse.session(read_only=True) as session:
        answer = ask(session, 'SELECT id, known AS "so they say" FROM t WHERE id > 1 ORDER BY id DESC;', 1)
        assert (answer.columns, answer.more) == (("id", "so they say"), True)
        assert answer.rows == [{"id": 2**62, "so they say": False}]
        assert "t" in {value for row in ask(session, "SHOW TABLES", 0).rows for value in row.values()}
        assert [next(iter(row.values())) for row in ask(session, "DESCRIBE t", 2).rows] == ["id", "amount"]
        for query in (
            "DELETE FROM t",
            "WITH c AS (SELECT 7 AS id) INSERT INTO t (id) SELECT id FROM c",
            "FROM t INSERT INTO t (id) SELECT id",
            "SELECT id FROM t) UNION ALL (SELECT 7",
            "SELECT id FROM t; DELETE FROM t",
            "SELECT missing FROM t",
            "SELECT CAST(word AS BIGINT) AS word FROM t",
        ):
            with pytest.raises(ConfigurationError, match=r"is no query|does not work"):
                ask(session, query, 0)
    with warehouse.session(read_only=True) as session:
        assert ids(session) == [1, 3, 2**62]


def test_another_is_made_beside_and_takes_the_place(warehouse: Warehouse):
    copy = warehouse.staging_copy("copy", copied=True)
    with copy.session() as session:
        with session.transaction():
            session.delete_where("t", "id = 1")
        assert (ids(session), ids(session, "v")) == ([3, 2**62], [3, 2**62])
        with session.attached(warehouse, ["t"]) as other:
            assert ids(session, f"{other}t") == [1, 3, 2**62]
    assert warehouse.at(copy.location).location == copy.location
    rebuilt = warehouse.staging_copy("rebuilt")
    with rebuilt.session() as session, session.transaction():
        filled(session)
        session.delete_where("t", "id > 1")
        session.execute("CREATE VIEW v AS SELECT id + 1 AS id FROM t")
    before = warehouse.swap_in(rebuilt, "before")
    with warehouse.session(read_only=True) as session:
        assert (ids(session), ids(session, "v")) == ([1], [2])
    for beside in (copy, before):
        beside.remove()
        assert not beside.exists()
