"""History in a schema of Databricks, held against the reference model as that of DuckDB is."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from support.databricks_ledger import RemoteLedger, access_to, new_schema
from support.databricks_server import Server
from support.holding_feed import (
    MODES,
    STATES,
    Holding,
    Mode,
    every_timeline,
    holding_file,
    holding_files,
    holding_pipeline,
)
from support.ledger import micro_batches_from
from support.plans import Arrival, Run, assert_same, assert_sound_timelines, day, plans

PLANS = int(os.environ.get("DROPLEDGER_TEST_PLANS", "1"))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600), pytest.mark.xdist_group("standin")]


@contextmanager
def holding_run(mode: Mode, databricks: Server, folder: Path) -> Iterator[Run]:
    """A new ledger of the feed `holding`, beside the model."""
    schema = new_schema()
    pipeline = holding_pipeline(mode, folder / f"pipeline_{schema}")
    ledger = RemoteLedger(folder / schema / "root", pipeline, access_to(databricks), schema)
    with ledger.runtime.session():
        pass  # a plan may begin with a replay, which wants a warehouse
    yield Run(ledger, {"holding": mode.feed})
    ledger.runtime.warehouse.remove()


def assert_as_modelled(run: Run) -> None:
    tables = run.tables()
    assert_sound_timelines(tables["history_holding"], key_columns=2)
    assert_same(tables, run.expected_history())


@pytest.mark.parametrize("name", ["full, missing keys closed", "delta with operation"])
def test_every_timeline_of_four_drops_out_of_order(databricks: Server, tmp_path: Path, name: str):
    """Two of the four are late, two observed at the same time; then one that others were built on is taken back."""
    mode = MODES[name]
    first, second, corrected, last = every_timeline(mode, STATES[name], days=[1, 2, 2, 3])
    with holding_run(mode, databricks, tmp_path) as run:
        run.take_one_by_one([second, last, first, corrected])
        assert_as_modelled(run)
        run.retract(second)
        assert_as_modelled(run)


def test_facts_are_decided_by_the_order_of_receipt(databricks: Server, tmp_path: Path):
    """One file alone, some together that repeat and contradict one another and it, and the first taken back and in."""
    mode = MODES["event"]
    files = [
        holding_file(mode, day(9 - place), [Holding("1", "EUR", amount, changed_on=on), Holding(str(place + 2), "USD")])
        for place, (amount, on) in enumerate([("1.00", 1), ("2.00", 1), ("1.00", 1), ("1.00", 2)])
    ]
    with holding_run(mode, databricks, tmp_path) as run, micro_batches_from(2):
        run.take_one_by_one(files[:1])
        run.take([Arrival(files[1:])])
        assert_as_modelled(run)
        for change in (run.retract, run.restore):
            change(files[0])
            assert_as_modelled(run)


@settings(max_examples=PLANS, phases=[Phase.generate])  # to shrink a failure would take hours
@given(data=st.data())
def test_history_is_what_the_model_makes_of_the_set_of_drops(
    databricks: Server, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    mode = MODES[data.draw(st.sampled_from([*MODES]), label="mode")]
    plan = data.draw(plans(holding_files(mode)), label="plan")
    with holding_run(mode, databricks, tmp_path_factory.mktemp("plan")) as run:
        run.take(plan)
        assert_as_modelled(run)
