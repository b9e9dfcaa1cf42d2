"""The engagement pipeline's figures are those of a model in plain Python, whatever happens to its ledger."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.engagement_files import FEEDS, expected_marts, files
from support.ledger import Template, micro_batches_from, work_on_tables_as_a_whole_from
from support.plans import Run, Step, assert_same, plans

from dropledger.core.contracts.pipeline_spec import Pipeline, load_pipeline
from dropledger.core.ingest import micro_batch
from dropledger.core.steps.marts import WHOLE_FROM

# A failure is shrunk for up to 300 seconds.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400 + 5 * settings().max_examples)]

ENGAGEMENT = load_pipeline("engagement")


@pytest.fixture(scope="module")
def ledgers(template: Callable[[Pipeline], Template]) -> Template:
    return template(ENGAGEMENT)


@given(
    plan=plans(files(ENGAGEMENT)),
    fewest=st.sampled_from([1, micro_batch.FEWEST]),
    whole_from=st.sampled_from([0, WHOLE_FROM]),
)
def test_figures_are_what_the_model_makes_of_the_set_of_drops(
    ledgers: Template, plan: list[Step], fewest: int, whole_from: int
):
    with ledgers.ledger() as ledger, work_on_tables_as_a_whole_from(whole_from), micro_batches_from(fewest):
        run = Run(ledger, FEEDS)
        run.take(plan)
        expected = expected_marts(ENGAGEMENT, run)
        tables = run.tables(*expected)
    assert_same(tables, {**run.expected_history(), **expected})
