"""The totals of marts over time: kept behind each change by what it touched, and at any moment those of the rows."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.ledger import (
    Ledger,
    Template,
    custom_pipeline,
    micro_batches_from,
    rows_moved_to_the_engine,
    work_on_tables_as_a_whole_from,
)
from support.lending_feeds import initial_card, lending_feeds, lending_files
from support.plans import Run, Step, plans
from support.three_days import CUSTOMERS, DAYS, HEADER, agrees_with_its_archive, filled, quietly
from support.totals import assert_totals_are_those_of_the_rows, points

from dropledger.core.contracts.pipeline_spec import Pipeline, load_pipeline
from dropledger.core.ingest.micro_batch import FEWEST
from dropledger.core.ledger.ledger import Delivered
from dropledger.core.operations.backfill import backfill
from dropledger.core.operations.replay import Selection, replay
from dropledger.core.operations.retract import plan_retraction, restore, retract
from dropledger.core.operations.verify import verify
from dropledger.core.steps.marts import WHOLE_FROM
from dropledger.core.views.totals import mart_totals, totals_over_time

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

OCTOBER, NOVEMBER, DECEMBER = DAYS


def measured(folder: Path, measure: str | None = "total_annual_interest") -> Pipeline:
    """The lending pipeline, of which both marts have a measure."""
    return custom_pipeline(folder, {"marts/customer_profile.yaml": {"measure": measure}})


@pytest.fixture(scope="module")
def ledgers(template: Callable[[Pipeline], Template], tmp_path_factory: pytest.TempPathFactory) -> Template:
    return template(measured(tmp_path_factory.mktemp("pipeline") / "lending"))


@pytest.mark.parametrize("whole_from", [0, WHOLE_FROM], ids=["tables as a whole", "rows touched"])
@given(plan=plans(lending_files()), fewest=st.sampled_from([2, FEWEST]))
def test_totals_are_those_of_the_rows_behind_every_step(
    ledgers: Template, whole_from: int, plan: list[Step], fewest: int
):
    with ledgers.ledger() as ledger, work_on_tables_as_a_whole_from(whole_from), micro_batches_from(fewest):
        run = Run(ledger, lending_feeds("keep"), {"rate": initial_card()})
        for step in plan:
            run.take([step])
            assert_totals_are_those_of_the_rows(ledger)


def test_totals_are_those_of_the_rows_where_statements_cost(tmp_path: Path):
    ledger = Ledger(tmp_path / "root", measured(tmp_path / "pipeline"))
    with rows_moved_to_the_engine():
        for name, text in {"customers_2025-10-31.csv": CUSTOMERS, **DAYS}.items():
            ledger.drop(name, text)
            assert_totals_are_those_of_the_rows(ledger)
    assert [len(points(ledger, mart)) for mart in ("account_summary", "customer_profile")] == [4, 4]


def test_each_accepted_drop_has_a_total(ledger: Ledger):
    customers = ledger.drop("customers_2025-10-31.csv", CUSTOMERS).drop.drop_id
    october, november = (ledger.drop(name, DAYS[name]).drop.drop_id for name in (OCTOBER, NOVEMBER))
    assert points(ledger) == [
        ("accepted", customers, 0, 0),
        ("accepted", october, 2, Decimal("155.00")),
        ("accepted", november, 2, Decimal("505.00")),
    ]
    times = (
        "SELECT m.moment, m.measured_at >= l.committed_at FROM mart_total AS m JOIN drop_ledger AS l USING (drop_id)"
    )
    assert ledger.rows(f"{times} WHERE drop_id = ?", [november]) == [(datetime(2025, 11, 30, tzinfo=UTC), True)]


def test_what_changes_no_history_has_no_total(ledger: Ledger):
    filled(ledger)
    before = ledger.table("mart_total")
    assert ledger.drop(OCTOBER, DAYS[OCTOBER]).delivered == Delivered.DUPLICATE
    assert ledger.drop("accounts_2026-01-31.csv", "no header\n").delivered == Delivered.QUARANTINED
    plan_retraction(ledger.runtime, ledger.rows("SELECT max(drop_id) FROM drop_ledger WHERE feed = 'account'")[0][0])
    assert ledger.table("mart_total") == before


def test_retraction_and_restoration_have_totals_of_their_own(ledger: Ledger):
    filled(ledger)
    before = points(ledger)
    december = before[-1][1]
    retract(ledger.runtime, december, "wrong", "the tests")
    restore(ledger.runtime, december, "right", "the tests")
    assert points(ledger) == [
        *before,
        ("retracted", december, *before[-2][2:]),
        ("restored", december, *before[-1][2:]),
    ]


@pytest.mark.parametrize("take", ["backfilled", "together", "as a micro-batch"])
def test_drops_that_are_computed_once_have_one_total(ledger: Ledger, take: str):
    ledger.drop("customers_2025-10-31.csv", CUSTOMERS)
    files = [ledger.put(name, text) for name, text in DAYS.items()]
    if take == "backfilled":
        outcomes = backfill(ledger.runtime, files, lambda _: None)
    else:
        with micro_batches_from(2 if take == "as a micro-batch" else FEWEST):
            outcomes = ledger.process(*files)
    accepted = [outcome.drop.drop_id for outcome in outcomes]
    with_totals = accepted if take == "together" else accepted[-1:]
    assert [drop_id for _, drop_id, *_ in points(ledger)[1:]] == with_totals
    assert_totals_are_those_of_the_rows(ledger)


def test_mart_that_waits_has_its_total_with_the_last_drop(tmp_path: Path):
    ledger = Ledger(tmp_path / "root", measured(tmp_path / "pipeline"))
    ledger.drop("customers_2025-10-31.csv", CUSTOMERS)
    outcomes = ledger.process(*(ledger.put(name, text) for name, text in DAYS.items()))
    assert [drop_id for _, drop_id, *_ in points(ledger, "customer_profile")[1:]] == [outcomes[-1].drop.drop_id]
    assert len(points(ledger)) == 4
    assert_totals_are_those_of_the_rows(ledger)


def test_replay_forgets_no_total_and_adds_none_where_nothing_differs(ledger: Ledger):
    filled(ledger)
    retract(ledger.runtime, points(ledger)[-1][1], "wrong", "the tests")
    before = ledger.table("mart_total")
    replay(ledger.runtime, Selection(), None, quietly)
    assert ledger.table("mart_total") == before


def test_replay_of_a_part_has_the_total_of_that_part(ledger: Ledger, tmp_path: Path):
    filled(ledger)
    first = points(ledger)[1]
    for place, chosen in enumerate(
        (Selection(until=datetime(2025, 10, 31, tzinfo=UTC)), Selection(known_at=ledger.clock()))
    ):
        into = tmp_path / f"{place}.duckdb"
        replay(ledger.runtime, chosen, str(into), quietly)
        other = Ledger(ledger.root, ledger.runtime.pipeline)
        other.database = into
        assert_totals_are_those_of_the_rows(other)
        expected = ("rebuilt", None, *first[2:]) if chosen.until else ("rebuilt", None, *points(ledger)[-1][2:])
        assert points(other)[-1] == expected


def computed_as(folder: Path, earned: str, *, where: str = "TRUE", measure: str = "annual_interest") -> Pipeline:
    """The lending pipeline with another expression for the interest in account_summary, which is its one mart."""
    custom_pipeline(folder, {"marts/account_summary.yaml": {"checks": [], "measure": measure}})
    for ending in ("sql", "touched.sql", "yaml"):
        (folder / "marts" / f"customer_profile.{ending}").unlink()
    path = folder / "marts" / "account_summary.sql"
    before, end = path.read_text(encoding="utf-8").rsplit("SELECT\n    customer_id", 1)
    assert end.count("    annual_interest,\n") == end.count("FROM earned") == 1
    end = end.replace("    annual_interest,", f"    {earned} AS annual_interest,")
    end = end.replace("FROM earned", f"FROM earned WHERE {where}")
    path.write_text(f"{before}SELECT\n    customer_id{end}", encoding="utf-8")
    return load_pipeline(str(folder))


def test_changed_pipeline_has_a_total_of_its_own(ledger: Ledger, tmp_path: Path):
    filled(ledger)
    before = points(ledger)
    only_large = computed_as(tmp_path / "changed", "annual_interest", where="original_balance > 1000")
    changed = Ledger(ledger.root, only_large, ledger.clock)
    drop_id = changed.drop("accounts_2026-01-31.csv", HEADER + "14,2,20000,Savings\n").drop.drop_id
    [rebuilt, behind] = points(changed)[len(before) :]
    assert rebuilt[:3] == ("rebuilt", None, 1)
    assert behind[:3] == ("accepted", drop_id, 2)
    assert_totals_are_those_of_the_rows(changed)
    assert agrees_with_its_archive(changed)


def test_changed_measure_begins_with_what_the_rows_come_to(ledger: Ledger, tmp_path: Path):
    filled(ledger)
    other = computed_as(tmp_path / "changed", "annual_interest", measure="new_balance")
    changed = Ledger(ledger.root, other, ledger.clock)
    changed.drop("accounts_2026-01-31.csv", HEADER + "11,1,20000,Savings\n")
    assert_totals_are_those_of_the_rows(changed)
    again = Ledger(ledger.root, ledger.runtime.pipeline, ledger.clock)
    again.drop("accounts_2026-02-28.csv", HEADER + "11,1,300,Savings\n")
    assert_totals_are_those_of_the_rows(again)
    assert agrees_with_its_archive(again)


def test_value_that_is_missing_counts_as_nothing(tmp_path: Path):
    earned = "CASE WHEN original_balance < 1000 THEN NULL ELSE annual_interest END"
    ledger = Ledger(tmp_path / "root", computed_as(tmp_path / "pipeline", earned))
    filled(ledger)
    assert [found[2:] for found in points(ledger)[1:]] == [(2, 150), (2, 500), (3, 150)]
    assert_totals_are_those_of_the_rows(ledger)


@pytest.mark.parametrize(
    ("kind", "kept"),
    [("BIGINT", True), ("DECIMAL(38, 10)", True), ("DECIMAL(38, 11)", False), ("DOUBLE", False), ("STRING", False)],
)
def test_only_numbers_that_are_summed_exactly_have_totals(tmp_path: Path, kind: str, kept: bool):
    ledger = Ledger(tmp_path / "root", computed_as(tmp_path / "pipeline", f"CAST(annual_interest AS {kind})"))
    filled(ledger)
    assert len(points(ledger)) == (4 if kept else 0)
    if kept:
        assert_totals_are_those_of_the_rows(ledger)


def test_mart_without_measure_has_no_totals(tmp_path: Path):
    ledger = Ledger(tmp_path / "root", measured(tmp_path / "pipeline", None))
    filled(ledger)
    assert points(ledger, "customer_profile") == []


def test_value_too_large_for_a_total_refuses_no_drop(tmp_path: Path):
    """The largest that the type holds, of which two have no sum; the total is there again with the next rebuilding."""
    earned = f"CASE WHEN original_balance = 666 THEN {'9' * 36}.99 ELSE CAST(annual_interest AS DECIMAL(38, 2)) END"
    ledger = Ledger(tmp_path / "root", computed_as(tmp_path / "pipeline", earned))
    filled(ledger)
    rows = HEADER + "11,1,666,Savings\n12,2,666,Savings\n"
    outcome = ledger.drop("accounts_2026-01-31.csv", rows)
    assert (outcome.delivered, outcome.error) == (Delivered.ACCEPTED, None)
    assert points(ledger)[-1][2:] == (3, None)
    ledger.drop("accounts_2026-02-28.csv", HEADER + "11,1,300,Savings\n12,2,300,Savings\n")
    assert points(ledger)[-1][2:] == (3, None)
    replay(ledger.runtime, Selection(), None, quietly)
    assert points(ledger)[-1][:3] == ("rebuilt", None, 3)
    assert_totals_are_those_of_the_rows(ledger)


def test_verify_tells_a_total_that_is_not_that_of_the_rows(ledger: Ledger):
    filled(ledger)
    assert agrees_with_its_archive(ledger)
    with ledger.runtime.warehouse.session() as session:
        session.update_where("mart_total", {"total": "total + 0.01"}, "place = 4")
    live, rebuilt = verify(ledger.runtime, quietly).differences
    assert [(found.table, found.only, found.count) for found in (live, rebuilt)] == [
        ("mart_total", "live", 1),
        ("mart_total", "rebuilt", 1),
    ]
    assert live.rows[0]["total"] - rebuilt.rows[0]["total"] == Decimal("0.01")
    replay(ledger.runtime, Selection(), None, quietly)
    assert agrees_with_its_archive(ledger)
    assert_totals_are_those_of_the_rows(ledger)


def test_refused_drop_leaves_no_total(ledger: Ledger, tmp_path: Path):
    filled(ledger)
    before = points(ledger)
    strict = custom_pipeline(tmp_path / "strict", {})
    (strict.folder / "checks" / "account_summary" / "positive_values.sql").write_text(
        "SELECT * FROM account_summary WHERE new_balance > 20500 /* incremental */ AND account_id IN "
        "(SELECT account_id FROM touched_account_summary) /* end */",
        encoding="utf-8",
    )
    refusing = Ledger(ledger.root, load_pipeline(str(strict.folder)), ledger.clock)
    outcome = refusing.drop("accounts_2026-01-31.csv", HEADER + "11,1,90000,Savings\n")
    assert outcome.delivered == Delivered.QUARANTINED
    assert points(refusing) == before
    assert_totals_are_those_of_the_rows(refusing)


def shown(ledger: Ledger) -> list[tuple[Any, ...]]:
    with ledger.runtime.reading() as session:
        points = totals_over_time(session, ledger.runtime.pipeline)["account_summary"]
    return [(point["cause"], point["row_count"], point["total"], point["change"]) for point in points]


def test_totals_are_shown_with_what_each_change_added(ledger: Ledger):
    filled(ledger)
    retract(ledger.runtime, points(ledger)[-1][1], "wrong", "the tests")
    assert [(cause, rows, str(total), str(change)) for cause, rows, total, change in shown(ledger)] == [
        ("accepted", 0, "0.00", "0.00"),
        ("accepted", 2, "155.00", "155.00"),
        ("accepted", 2, "505.00", "350.00"),
        ("accepted", 3, "157.51", "-347.49"),
        ("retracted", 2, "505.00", "347.49"),
    ]


def test_the_newest_fifty_totals_are_shown_and_what_the_first_of_them_changed(ledger: Ledger):
    named = {"cause": "accepted", "mart": "account_summary", "measure": "annual_interest", "drop_id": "d"}
    with ledger.runtime.warehouse.session() as session:
        session.insert(
            "mart_total",
            [{**named, "place": place, "row_count": place, "total": Decimal(place) * 10**20} for place in range(1, 61)],
        )
    found = shown(ledger)
    assert [rows for _, rows, *_ in found] == list(range(11, 61))
    assert {change for *_, change in found} == {10**20}


def test_total_of_now_is_that_of_the_rows_where_none_was_kept(tmp_path: Path):
    ledger = Ledger(tmp_path / "root", computed_as(tmp_path / "pipeline", "CAST(annual_interest AS DOUBLE)"))
    filled(ledger)
    with ledger.runtime.reading() as session:
        kept = totals_over_time(session, ledger.runtime.pipeline)
        assert kept == {}
        assert mart_totals(session, ledger.runtime.pipeline, kept) == {"account_summary": 157.51}


def test_touched_keys_that_come_twice_count_once(tmp_path: Path):
    pipeline = computed_as(tmp_path / "pipeline", "annual_interest")
    touched = pipeline.folder / "marts" / "account_summary.touched.sql"
    text = touched.read_text(encoding="utf-8")
    touched.write_text(
        f"SELECT * FROM (\n{text}\n) AS one\nUNION ALL\nSELECT * FROM (\n{text}\n) AS other\n", encoding="utf-8"
    )
    ledger = Ledger(tmp_path / "root", load_pipeline(str(pipeline.folder)))
    filled(ledger)
    assert_totals_are_those_of_the_rows(ledger)
    assert agrees_with_its_archive(ledger)


def test_ledger_that_was_lost_has_totals_again(ledger: Ledger):
    filled(ledger)
    ledger.database.unlink()
    replay(ledger.runtime, Selection(), None, quietly)
    assert len(points(ledger)) > 0
    assert_totals_are_those_of_the_rows(ledger)
    assert agrees_with_its_archive(ledger)


def test_marts_whose_touched_keys_are_found_in_their_sql_have_totals(tmp_path: Path):
    pipeline = measured(tmp_path / "pipeline")
    for touched in (pipeline.folder / "marts").glob("*.touched.sql"):
        touched.unlink()
    ledger = Ledger(tmp_path / "root", load_pipeline(str(pipeline.folder)))
    for name, text in {"customers_2025-10-31.csv": CUSTOMERS, **DAYS}.items():
        ledger.drop(name, text)
        assert_totals_are_those_of_the_rows(ledger)
    retract(ledger.runtime, points(ledger)[-1][1], "wrong", "the tests")
    assert_totals_are_those_of_the_rows(ledger)
