"""The engagement pipeline in a schema of Databricks: the figures worked out by hand, and those of the model."""

import os
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from support.databricks_ledger import RemoteLedger, access_to, new_schema
from support.databricks_server import Server
from support.engagement_files import FEEDS, expected_marts, files
from support.engagement_sample import EXPECTED, published, take_as_backfill
from support.plans import Run, Step, assert_same, plans

from dropledger.core.contracts.pipeline_spec import load_pipeline
from dropledger.core.operations.retract import restore, retract
from dropledger.core.operations.verify import verify
from dropledger.core.views.explain import explain
from dropledger.core.views.keys import write_key

PLANS = int(os.environ.get("DROPLEDGER_TEST_PLANS", "1"))
ENGAGEMENT = load_pipeline("engagement")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600), pytest.mark.xdist_group("databricks")]


def ledger_in(databricks: Server, folder: Path) -> RemoteLedger:
    schema = new_schema()
    return RemoteLedger(folder / schema / "root", ENGAGEMENT, access_to(databricks), schema)


def test_sample_comes_to_the_figures_worked_out_by_hand(databricks: Server, tmp_path: Path):
    ledger = ledger_in(databricks, tmp_path)
    take_as_backfill(ledger)
    assert published(ledger) == EXPECTED
    with ledger.runtime.session() as session:
        for row in EXPECTED["engagement_daily"][1::5]:
            found = explain(session, ENGAGEMENT, None, write_key(row[:8]))
            assert (found["agrees"], len(found["events"])) == (True, int(row[8])), row
        [correction] = session.query("SELECT drop_id FROM drop_ledger WHERE name LIKE '%corrected%'")
        rates = session.query(
            """SELECT completion_rate, seconds_per_activity
            FROM engagement_daily_rate
            WHERE activities_played = 2
            ORDER BY day, country, activity_type"""
        )
    assert [[str(value) for value in row.values()] for row in rates] == [
        ["0.5000", "37.75"],
        ["1.0000", "100.00"],
        ["0.5000", "25.00"],
        ["1.0000", "200.00"],
    ]
    retract(ledger.runtime, correction["drop_id"], "to see", "the tests")
    countries = [row[1] for row in published(ledger)["engagement_daily"]]
    assert (countries.count("ES"), countries.count("MX")) == (3, 2)
    restore(ledger.runtime, correction["drop_id"], "to see", "the tests")
    assert published(ledger) == EXPECTED
    assert verify(ledger.runtime, lambda *_: None).differences == ()


@settings(max_examples=PLANS, phases=[Phase.generate])
@given(plan=plans(files(ENGAGEMENT)))
def test_figures_are_what_the_model_makes_of_the_set_of_drops(
    databricks: Server, tmp_path_factory: pytest.TempPathFactory, plan: list[Step]
):
    run = Run(ledger_in(databricks, tmp_path_factory.mktemp("plan")), FEEDS)
    run.take(plan)
    expected = expected_marts(ENGAGEMENT, run)
    assert_same(run.tables(*expected), {**run.expected_history(), **expected})
