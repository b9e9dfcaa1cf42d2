"""The keys that a change touches, found in a mart's SQL: what is recomputed of it is what computing it whole gives."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import Phase, given, note, settings
from hypothesis import strategies as st
from support.ledger import Ledger
from support.random_marts import Draw, Part, draw_mart, write_contracts, write_mart
from support.without_sqlglot import forget_sqlglot

from dropledger.core.contracts.pipeline_spec import load_pipeline
from dropledger.core.errors import ContractError
from dropledger.core.operations.backfill import backfill
from dropledger.core.operations.retract import restore, retract

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
HEADERS = {"sale": "sale_id,sold_at,shop,item,amount", "shop": "shop,region,opened", "item": "item,kind,price"}


def cell(draw: Draw, column: str) -> str:
    """A cell; few values, so that much is joined."""
    if column == "sale_id":
        return str(draw(st.integers(1, 30)))
    if column == "sold_at":
        return f"2026-01-0{draw(st.integers(1, 4))} 10:00:00"
    if column == "opened":
        return f"2026-01-0{draw(st.integers(1, 4))}"
    if column in {"shop", "amount", "price"}:
        return draw(st.sampled_from(["1", "2", "3", ""])) if column != "shop" else str(draw(st.integers(1, 3)))
    return draw(st.sampled_from(["a", "b", "c"]))


def file(draw: Draw, feed: str) -> str:
    """The text of a file of a feed."""
    columns = HEADERS[feed].split(",")
    key = 0
    rows = range(draw(st.integers(1, 4)))
    lines = {}
    for _ in rows:
        cells = [cell(draw, column) for column in columns]
        lines[cells[key]] = ",".join(cells)
    return "\n".join([HEADERS[feed], *lines.values()]) + "\n"


def refused(ledger: Ledger) -> dict[str, Any]:
    """The marts whose rows are not what their SQL gives whole, each with what is too much and what is missing."""
    found = {}
    with ledger.connection() as connection:
        for mart in ledger.runtime.pipeline.marts:
            whole = f"({mart.whole_sql})"
            more = connection.execute(f"SELECT * FROM {mart.name} EXCEPT ALL SELECT * FROM {whole}").fetchall()
            fewer = connection.execute(f"SELECT * FROM {whole} EXCEPT ALL SELECT * FROM {mart.name}").fetchall()
            if more or fewer:
                found[mart.name] = (more, fewer)
    return found


def change(draw: Draw, ledger: Ledger, day: int) -> None:
    """Let something happen to a root."""
    how = draw(st.sampled_from(["drop", "drop", "drop", "late", "several", "retract", "restore"]))
    if how in {"drop", "late"}:
        feed = draw(st.sampled_from([*HEADERS]))
        at = FIRST + timedelta(days=day if how == "drop" else draw(st.integers(0, day)), hours=day)
        ledger.drop(f"{feed}_{day}.csv", file(draw, feed), as_of=at)
    elif how == "several":
        feeds = draw(st.lists(st.sampled_from([*HEADERS]), min_size=2, max_size=4))
        dropped = [
            ledger.put(f"{feed}_{day}_{place}.csv", file(draw, feed), as_of=FIRST + timedelta(days=day, minutes=place))
            for place, feed in enumerate(feeds)
        ]
        if draw(st.booleans()):
            ledger.process(*dropped)
        else:
            backfill(ledger.runtime, dropped, lambda _: None)
    else:
        status = "('retracted')" if how == "restore" else "('committed', 'published')"
        drops = [
            drop_id
            for (drop_id,) in ledger.rows(f"SELECT drop_id FROM drop_ledger WHERE status IN {status} ORDER BY sequence")
        ]
        if drops:
            (restore if how == "restore" else retract)(ledger.runtime, draw(st.sampled_from(drops)), "why", "who")


@pytest.mark.slow
@pytest.mark.timeout(400 + 20 * settings().max_examples)
@settings(phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(data=st.data())
def test_marts_are_what_computing_them_whole_gives(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory):
    with TemporaryDirectory(dir=tmp_path_factory.getbasetemp()) as place:
        folder = Path(place) / "random"
        write_contracts(folder)
        others: dict[str, dict[str, str]] = {}
        for number in range(data.draw(st.integers(4, 8))):
            part, key = draw_mart(data.draw, others)
            write_mart(folder, f"mart_{number}", part, key)
            if number < 2:
                others[f"mart_{number}"] = part.columns
        pipeline = load_pipeline(str(folder))
        for mart in pipeline.marts:
            note(f"{mart.name}: {mart.sql}\n{mart.touched_keys}")
        ledger = Ledger(Path(place) / "root", pipeline)
        for day in range(1, data.draw(st.integers(3, 8))):
            change(data.draw, ledger, day)
            assert refused(ledger) == {}


BY_DAY = (
    "SELECT CAST(h.valid_from AS DATE) AS day, count(*) AS n, sum(h.amount) AS total FROM history_sale AS h GROUP BY 1"
)
LATEST = """SELECT h.item, h.amount
FROM history_sale AS h
QUALIFY row_number() OVER (PARTITION BY h.item ORDER BY h.valid_from DESC, h.sale_id) = 1"""
BY_REGION = """SELECT coalesce(s.region, 'unknown') AS region, count(*) AS sales
FROM history_sale AS h
LEFT JOIN history_shop AS s ON s.shop = h.shop AND s.is_current
GROUP BY 1"""
SHARES = "SELECT h.sale_id, h.amount * 1.0 / nullif(sum(h.amount) OVER (), 0) AS share FROM history_sale AS h"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The folder of a pipeline without marts."""
    write_contracts(tmp_path / "own")
    return tmp_path / "own"


def made_by(folder: Path, sql: str, *key: str, columns: Sequence[str] = ()) -> Ledger:
    """A root of a pipeline with one mart."""
    write_mart(folder, "m", Part(sql, dict.fromkeys([*key, *columns], "number")), [*key])
    return Ledger(folder.parent / "root", load_pipeline(str(folder)))


def test_retracted_event_leaves_its_day(own: Path):
    ledger = made_by(own, BY_DAY, "day", columns=["n", "total"])
    ledger.drop("sale_1.csv", f"{HEADERS['sale']}\n1,2026-01-01 10:00:00,1,a,5\n2,2026-01-02 10:00:00,1,a,7\n")
    second = ledger.drop("sale_2.csv", f"{HEADERS['sale']}\n3,2026-01-01 11:00:00,1,a,1\n")
    assert ledger.table("m", "CAST(day AS STRING), n, total") == [("2026-01-01", 2, 6), ("2026-01-02", 1, 7)]
    assert second.recomputed == {"m": 1}

    retract(ledger.runtime, second.drop.drop_id, "why", "who")

    assert ledger.table("m", "CAST(day AS STRING), n, total") == [("2026-01-01", 1, 5), ("2026-01-02", 1, 7)]


def test_corrected_row_moves_its_figures_from_one_group_to_the_other(own: Path):
    ledger = made_by(own, BY_REGION, "region", columns=["sales"])
    ledger.drop("sale.csv", f"{HEADERS['sale']}\n1,2026-01-01 10:00:00,1,a,5\n2,2026-01-02 10:00:00,2,a,7\n")
    assert ledger.table("m") == [("unknown", 2)]
    ledger.drop("shop_2026-01-03.csv", f"{HEADERS['shop']}\n1,north,2026-01-01\n2,south,2026-01-01\n")
    assert ledger.table("m") == [("north", 1), ("south", 1)]

    moved = ledger.drop("shop_2026-01-04.csv", f"{HEADERS['shop']}\n1,south,2026-01-01\n2,south,2026-01-01\n")

    assert ledger.table("m") == [("south", 2)]
    assert moved.recomputed == {"m": 1}


@pytest.mark.parametrize(
    ("sql", "key", "columns", "sure"),
    [
        (BY_DAY, "day", ["n", "total"], True),
        (LATEST, "item", ["amount"], True),
        (BY_REGION, "region", ["sales"], True),
        (SHARES, "sale_id", ["share"], False),
        ("SELECT max(h.sale_id) AS k, h.shop FROM history_sale AS h GROUP BY 2", "k", ["shop"], False),
        ("SELECT h.sale_id FROM history_sale AS h ORDER BY 1 LIMIT 3", "sale_id", [], False),
        ("SELECT h.sale_id, random() AS r FROM history_sale AS h", "sale_id", ["r"], False),
        ("SELECT coalesce(list_max(list(h.sale_id)), 0) AS k FROM history_sale AS h", "k", [], False),
    ],
)
def test_mart_is_computed_by_keys_where_its_sql_tells_them(
    own: Path, sql: str, key: str, columns: Sequence[str], *, sure: bool
):
    ledger = made_by(own, sql, key, columns=columns)
    (mart,) = ledger.runtime.pipeline.marts

    assert mart.touched_keys is not None
    assert (mart.touched_keys.selects["history_sale"] is not None) == sure
    assert ("history_sale" in mart.touched_keys.reasons) != sure


def test_mart_is_computed_whole_where_sqlglot_is_not_installed(own: Path, monkeypatch: pytest.MonkeyPatch):
    forget_sqlglot(monkeypatch)
    (own / "intermediate").mkdir()
    (own / "intermediate" / "dear.sql").write_text("SELECT shop, item FROM history_sale AS h WHERE amount > 1")
    ledger = made_by(own, "SELECT d.shop, count(*) AS n FROM dear AS d GROUP BY d.shop", "shop", columns=["n"])
    ledger.drop("sale_2.csv", f"{HEADERS['sale']}\n40,2026-01-02 10:00:00,1,a,2\n", as_of=FIRST)
    (mart,) = ledger.runtime.pipeline.marts

    assert mart.touched_keys is not None
    assert mart.touched_keys.reasons == {"history_sale": "its SQL could not be read: sqlglot is not installed"}
    assert mart.touched_by({"history_shop"}) is not None
    assert mart.touched_by({"history_sale"}) is None
    assert not refused(ledger)
    assert ledger.rows("SELECT * FROM m")


def test_texts_and_numbers_that_compare_equal_are_not_taken_for_one_key(own: Path):
    """1 = '01' for an engine, which is another key."""
    sql = """SELECT h.item, count(*) AS n
    FROM history_sale AS h
    INNER JOIN history_shop AS s ON s.shop = h.item
    GROUP BY 1"""
    ledger = made_by(own, sql, "item", columns=["n"])
    ledger.drop("sale.csv", f"{HEADERS['sale']}\n1,2026-01-01 10:00:00,1,01,5\n")
    ledger.drop("shop_2026-01-03.csv", f"{HEADERS['shop']}\n1,north,2026-01-01\n")

    assert ledger.table("m") == [("01", 1)]


def test_mart_called_like_a_feed_is_refused(own: Path):
    write_mart(own, "sale", Part("SELECT h.sale_id FROM history_sale AS h", {"sale_id": "number"}), ["sale_id"])

    with pytest.raises(ContractError, match=r"sale\.yaml:5: 'sale' is the name of a feed"):
        load_pipeline(str(own))


def test_mart_that_is_computed_whole_has_a_change_file(own: Path):
    write_mart(
        own, "m", Part("SELECT h.sale_id FROM history_sale AS h ORDER BY 1 LIMIT 2", {"sale_id": "number"}), ["sale_id"]
    )
    file = own / "marts" / "m.yaml"
    file.write_text(file.read_text() + "changes: true\n")
    ledger = Ledger(own.parent / "root", load_pipeline(str(own)))
    ledger.drop("sale_1.csv", f"{HEADERS['sale']}\n1,2026-01-01 10:00:00,1,a,5\n4,2026-01-01 10:00:00,1,a,5\n")
    second = ledger.drop("sale_2.csv", f"{HEADERS['sale']}\n2,2026-01-01 10:00:00,1,a,5\n")

    changes = ledger.root / "outputs" / "changes" / f"{second.drop.drop_id}.csv"
    assert changes.read_text().splitlines() == ["sale_id,change", "2,added", "4,removed"]


def test_row_without_a_key_is_refused_where_keys_are_found_in_the_sql(own: Path):
    sql = "SELECT h.region, count(*) AS shops FROM history_shop AS h WHERE h.is_current GROUP BY h.region"
    ledger = made_by(own, sql, "region", columns=["shops"])
    ledger.drop("shop_2026-01-01.csv", f"{HEADERS['shop']}\n1,north,2026-01-01\n")
    outcome = ledger.drop("shop_2026-01-02.csv", f"{HEADERS['shop']}\n1,,2026-01-01\n")

    assert "m.key_not_null: rows have NULL in the mart's key (region) (1)" in (outcome.error or "")
    assert ledger.table("m") == [("north", 1)]


SALES = HEADERS["sale"]
DROPS = (
    ("item_1.csv", f"{HEADERS['item']}\na,food,1\nb,fuel,2\n"),
    ("shop_2026-01-01.csv", f"{HEADERS['shop']}\n1,north,2026-01-01\n2,south,2026-01-01\n"),
    ("sale_1.csv", f"{SALES}\n1,2026-01-01 10:00:00,1,a,1\n2,2026-01-02 10:00:00,2,b,9\n3,2026-01-03 10:00:00,2,x,3\n"),
    ("shop_2026-01-02.csv", f"{HEADERS['shop']}\n1,north,2026-01-02\n2,west,2026-01-01\n3,south,2026-01-02\n"),
    ("item_2.csv", f"{HEADERS['item']}\na,fuel,2\nx,food,1\n"),
    ("sale_2.csv", f"{SALES}\n4,2026-01-03 10:00:00,1,a,1\n5,2026-01-04 12:00:00,3,c,2\n"),
    ("shop_2026-01-03.csv", f"{HEADERS['shop']}\n1,south,2026-01-02\n3,south,2026-01-03\n"),
)
"""What happens to the pipelines below; the third sale is of a Saturday."""

ODD = {
    "outer join between others": """SELECT s.region AS k, i.kind AS k2, count(*) AS n
        FROM history_shop AS s CROSS JOIN history_item AS i
        LEFT JOIN history_sale AS h ON h.shop = s.shop AND h.item = i.item
        WHERE s.is_current AND i.is_current GROUP BY s.region, i.kind""",
    "condition on others in an outer join": """SELECT CAST(h.valid_from AS DATE) AS k, i.kind AS k2, count(*) AS n
        FROM history_sale AS h INNER JOIN history_item AS i ON i.item = h.item AND i.is_current
        LEFT JOIN history_shop AS s ON s.region = i.kind AND h.amount = i.price
        GROUP BY CAST(h.valid_from AS DATE), i.kind""",
    "nearest row": """SELECT s.region AS k, '' AS k2, count(*) AS n
        FROM (SELECT h.shop, CAST(h.valid_from AS DATE) AS day FROM history_sale AS h) AS h
        ASOF JOIN history_shop AS s ON s.shop = h.shop AND s.opened <= h.day GROUP BY s.region""",
    "limit in parentheses": """SELECT q.item AS k, '' AS k2, count(*) AS n
        FROM ((SELECT h.item, i.price FROM history_sale AS h JOIN history_item AS i ON i.item = h.item AND i.is_current)
            ORDER BY price DESC, item LIMIT 1) AS q GROUP BY q.item""",
    "function of another name": """SELECT isodow(h.valid_from) AS k, '' AS k2, count(*) AS n
        FROM history_sale AS h WHERE isodow(h.valid_from) >= 6 GROUP BY isodow(h.valid_from)""",
    "types side by side": """SELECT CAST(u.v AS VARCHAR) AS k, '' AS k2, count(*) AS n FROM (
            SELECT CAST(h.amount AS DECIMAL(18, 4)) AS v FROM history_sale AS h
            UNION ALL SELECT CAST(i.price AS DECIMAL(18, 2)) FROM history_item AS i WHERE i.is_current
        ) AS u GROUP BY CAST(u.v AS VARCHAR)""",
    "types of what is missing": """SELECT
            CAST(coalesce(CAST(i.price AS DECIMAL(18, 4)), CAST(h.amount AS DECIMAL(18, 2))) AS VARCHAR) AS k, '' AS k2,
            count(*) AS n
        FROM history_sale AS h LEFT JOIN history_item AS i ON i.item = h.item AND i.is_current
        GROUP BY 1""",
    "joins in parentheses": """SELECT coalesce(q.kind, 'none') AS k, '' AS k2, count(*) AS n FROM (
            (SELECT h.item AS x FROM history_sale AS h) AS s
            LEFT JOIN (SELECT i.item AS y, i.kind FROM history_item AS i WHERE i.is_current) AS q ON q.y = s.x
        ) GROUP BY coalesce(q.kind, 'none')""",
    "cast of what is filtered": """SELECT CAST(q.item AS BIGINT) AS k, '' AS k2, count(*) AS n
        FROM (SELECT h.item FROM history_sale AS h) AS q WHERE regexp_matches(q.item, '^[0-9]+$') GROUP BY 1""",
}


@pytest.mark.parametrize("sql", [pytest.param(sql, id=name) for name, sql in ODD.items()])
def test_figures_follow_what_is_joined_in_odd_ways(own: Path, sql: str):
    write_mart(own, "m", Part(sql, dict.fromkeys(["k", "k2", "n"], "text")), ["k", "k2"])
    ledger = Ledger(own.parent / "root", load_pipeline(str(own)))
    for name, text in DROPS:
        outcome = ledger.drop(name, text)
        assert outcome.in_history, outcome.error
        assert refused(ledger) == {}
