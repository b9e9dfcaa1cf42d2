"""`dropledger check`: what is wrong with a pipeline is found before a file comes."""

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest
import yaml
from support.console import Console
from support.random_marts import Part, write_contracts, write_mart

from dropledger.core.contracts.pipeline_spec import BUILT_IN

pytestmark = pytest.mark.slow

BY_REGION = """SELECT coalesce(s.region, 'unknown') AS region, count(*) AS sales
FROM history_sale AS h
LEFT JOIN history_shop AS s
    ON s.shop = h.shop
    AND s.is_current
GROUP BY coalesce(s.region, 'unknown')"""


@pytest.fixture
def console(tmp_path: Path) -> Console:
    write_contracts(tmp_path / "own")
    return Console(tmp_path)


def write(folder: Path, sql: str, key: str, *columns: str, touched: str | None = None) -> None:
    """The mart `m`."""
    write_mart(folder / "own", "m", Part(sql, dict.fromkeys([key, *columns], "number")), [key])
    if touched is not None:
        (folder / "own" / "marts" / "m.touched.sql").write_text(touched)


def with_check(folder: Path, name: str, sql: str) -> None:
    """A check of the mart `m`."""
    file = folder / "own" / "marts" / "m.yaml"
    file.write_text(file.read_text() + yaml.safe_dump({"checks": [{"name": name, "message": "wrong"}]}))
    checks = folder / "own" / "checks" / "m"
    checks.mkdir(parents=True)
    (checks / f"{name}.sql").write_text(sql)


def check(console: Console, *options: str) -> tuple[int, str, str]:
    done = console.run("check", "--pipeline", "own", *options)
    return done.code, done.out, done.err


def test_pipeline_that_is_sound_is_told_so(console: Console, tmp_path: Path):
    write(tmp_path, BY_REGION, "region", "sales")

    code, out, err = check(console)

    assert (code, err) == (0, "")
    assert "The pipeline random loads, and its 4 SQL texts compile." in out
    assert "m     by its SQL" in out
    assert "made-up files the marts were what computing them whole gives." in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own"]  # it leaves no trace


@pytest.mark.parametrize("pipeline", sorted(path.parent.name for path in BUILT_IN.glob("*/pipeline.yaml")))
def test_built_in_pipeline_is_sound(console: Console, pipeline: str):
    done = console.run("check", "--pipeline", pipeline, "--json")

    assert (done.code, done.err) == (0, "")
    assert not any(mart["whole"] for mart in done.json["keys"])


def test_touched_keys_that_miss_what_a_row_leaves_are_found(console: Console, tmp_path: Path):
    touched = """SELECT coalesce(s.region, 'unknown') AS region
    FROM changed_shop AS c
    INNER JOIN history_shop AS s ON s.shop = c.shop AND s.is_current
    UNION
    SELECT coalesce(s.region, 'unknown')
    FROM changed_sale AS c
    INNER JOIN history_sale AS h ON h.sale_id = c.sale_id
    LEFT JOIN history_shop AS s ON s.shop = h.shop AND s.is_current"""
    write(tmp_path, BY_REGION, "region", "sales", touched=touched)

    code, out, _ = check(console)

    assert code == 5
    assert "m differs from computing it whole in" in out
    assert "  it has region=" in out
    assert "Try: mend marts/m.touched.sql, or leave it out" in out


@pytest.mark.parametrize(
    ("sql", "columns", "told"),
    [
        (BY_REGION.replace("s.region,", "s.regoin,"), ["sales"], ("marts/m.sql:6: Binder Error: ", "regoin")),
        (
            BY_REGION.replace("count(*)", "count(*) + CAST(extract(day FROM\ncurrent_date) AS BIGINT)"),
            ["sales"],
            ("marts/m.sql:2: current_date gives something else each time", "use mart_moment.moment"),
        ),
    ],
)
def test_mart_that_cannot_work_is_told_by_file_and_line(
    console: Console, tmp_path: Path, sql: str, columns: Sequence[str], told: Sequence[str]
):
    write(tmp_path, sql, "region", *columns)

    code, out, err = check(console)

    assert (code, out) == (2, "")
    for part in told:
        assert part in err


def test_check_that_does_not_compile_is_told_by_file_and_line(console: Console, tmp_path: Path):
    write(tmp_path, BY_REGION, "region", "sales")
    with_check(tmp_path, "few", "SELECT m.region\nFROM m\nWHERE m.sale > 5")

    code, _, err = check(console)

    assert code == 2
    assert "checks/m/few.sql:3: Binder Error" in err


def test_explanation_that_does_not_compile_is_told_by_file_and_line(console: Console, tmp_path: Path):
    pipeline = tmp_path / "own"
    for path in sorted((BUILT_IN / "lending").rglob("*")):
        target = tmp_path / "lending" / path.relative_to(BUILT_IN / "lending")
        if path.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    tier = tmp_path / "lending" / "explain" / "account_summary" / "tier.sql"
    tier.write_text(tier.read_text().replace("SELECT", "SELECT nothing_there,", 1))
    pipeline.rename(tmp_path / "other")
    (tmp_path / "lending").rename(pipeline)

    code, _, err = check(console)

    assert code == 2
    assert "explain/account_summary/tier.sql:" in err
    assert "nothing_there" in err


def test_mart_whose_rows_share_a_key_is_found(console: Console, tmp_path: Path):
    write(tmp_path, "SELECT coalesce(h.item, '') AS item, h.sale_id FROM history_sale AS h", "item", "sale_id")

    code, _, err = check(console)

    assert code == 2
    assert "marts/m.sql:1: a made-up file broke the key of m: unique_key: keys of the mart (item) stand in more" in err


def test_drops_of_the_root_are_tried_too(console: Console, tmp_path: Path):
    """And figures that are not exact are warned of."""
    write(tmp_path, BY_REGION.replace("count(*)", "avg(h.amount)"), "region", "sales")
    (tmp_path / "sale.csv").write_text("sale_id,sold_at,shop,item,amount\n1,2026-01-01 10:00:00,1,a,5\n")
    (tmp_path / "shop_2026-01-03.csv").write_text("shop,region,opened\n1,north,2026-01-01\n")
    assert console.run("process", "sale.csv", "shop_2026-01-03.csv", "--pipeline", "own", "--root", "r").code == 0

    code, out, _ = check(console, "--root", "r")

    assert code == 0
    assert "made-up files and 2 drops of the root the marts were" in out
    assert "Warning: not exact, as money must be (DOUBLE or FLOAT): m.sales" in out


def test_mart_of_the_root_that_differs_is_found(console: Console, tmp_path: Path):
    """As one is that was made by touched keys which missed some."""
    write(tmp_path, BY_REGION, "region", "sales")
    (tmp_path / "sale.csv").write_text("sale_id,sold_at,shop,item,amount\n1,2026-01-01 10:00:00,1,a,5\n")
    assert console.run("process", "sale.csv", "--pipeline", "own", "--root", "r").code == 0
    with duckdb.connect(str(tmp_path / "r" / "warehouse" / "ledger.duckdb")) as connection:
        connection.execute("UPDATE random.m SET sales = 7")

    done = console.run("check", "--pipeline", "own", "--root", "r", "--json")

    (unequal,) = done.json["unequal"]
    assert (done.code, unequal["mart"], unequal["after"]) == (5, "m", "all drops of the root")
    assert unequal["surplus"] == [{"region": "unknown", "sales": 7}]
    assert unequal["missing"] == [{"region": "unknown", "sales": 1}]
