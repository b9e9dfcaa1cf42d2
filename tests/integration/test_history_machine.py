"""History step by step: after each delivery, retraction, replay or backfill, all that must hold of any state.

`test_history_model.py` makes up whole plans and looks at their end; here Hypothesis chooses each step on the state
at hand, the state is looked at after each, and `verify` is among the steps.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from support.holding_feed import MODES, holding_files, holding_pipeline
from support.ledger import Template, micro_batches_from
from support.lending_feeds import initial_card, lending_feeds, lending_files, lending_pipeline
from support.plans import (
    MARTS,
    Again,
    Arrival,
    File,
    Replay,
    Restoration,
    Retraction,
    Run,
    Step,
    assert_same,
    assert_sound_timelines,
)
from support.totals import assert_totals_are_those_of_the_rows

from dropledger.core.ingest import micro_batch
from dropledger.core.operations.verify import verify

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600 + 5 * settings().max_examples)]

HOLDING_KEY, LENDING_KEY = 2, 1


@dataclass(frozen=True)
class Scene:
    """Where a machine works: its ledgers, the model's feeds, and the files that are dropped."""

    template: Template
    feeds: dict[str, Any]
    initial: dict[str, Any]
    files: st.SearchStrategy[File]
    key_columns: int
    marts: tuple[str, ...] = ()


class LedgerMachine(RuleBasedStateMachine):
    """A ledger that takes any step at any time, beside the model."""

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self.scene = scene
        self.stack = ExitStack()
        self.run = Run(self.stack.enter_context(scene.template.ledger()), scene.feeds, scene.initial)

    def teardown(self) -> None:
        self.stack.close()

    def take(self, step: Step) -> None:
        self.run.take([step])

    @rule(data=st.data())
    def a_file_lands(self, data: st.DataObject) -> None:
        self.take(Arrival((data.draw(self.scene.files, label="file"),)))

    @rule(data=st.data(), backfilled=st.booleans())
    def files_land_together(self, data: st.DataObject, backfilled: bool) -> None:
        files = data.draw(st.lists(self.scene.files, min_size=2, max_size=3), label="files")
        with micro_batches_from(data.draw(st.sampled_from([2, micro_batch.FEWEST]), label="fewest of a micro-batch")):
            self.take(Arrival(files, backfilled=backfilled))

    @precondition(lambda self: self.run.delivered)
    @rule(nth=st.integers(0, 4))
    def a_file_lands_again(self, nth: int) -> None:
        self.take(Arrival((Again(nth),)))

    @precondition(lambda self: self.run.drops)
    @rule(nth=st.integers(0, 4))
    def a_drop_is_retracted(self, nth: int) -> None:
        self.take(Retraction(nth))

    @precondition(lambda self: self.run.taken_back)
    @rule(nth=st.integers(0, 4))
    def a_drop_is_restored(self, nth: int) -> None:
        self.take(Restoration(nth))

    @precondition(lambda self: self.run.drops)
    @rule()
    def the_warehouse_is_replayed(self) -> None:
        self.take(Replay())

    @precondition(lambda self: self.run.drops)
    @rule()
    def the_warehouse_is_verified(self) -> None:
        assert verify(self.run.ledger.runtime, lambda *_: None).differences == ()

    @invariant()
    def tables_are_what_the_model_makes_of_the_drops(self) -> None:
        tables = self.run.tables(*self.scene.marts)
        for feed in self.scene.feeds:
            assert_sound_timelines(tables[f"history_{feed}"], self.scene.key_columns)
        expected_marts = self.run.expected_marts() if self.scene.marts else {}
        assert_same(tables, {**self.run.expected_history(), **expected_marts})
        assert self.run.untold() == set()

    @invariant()
    def totals_are_those_of_the_rows(self) -> None:
        assert_totals_are_those_of_the_rows(self.run.ledger)


@pytest.fixture(scope="module", params=[*MODES, "lending, missing keys kept", "lending, missing keys closed"])
def scene(request: pytest.FixtureRequest, template: Any, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("pipeline") / "pipeline"
    if request.param in MODES:
        mode = MODES[request.param]
        ledgers = template(holding_pipeline(mode, folder))
        return Scene(ledgers, {"holding": mode.feed}, {}, holding_files(mode), HOLDING_KEY)
    missing = "close" if "closed" in request.param else "keep"
    ledgers = template(lending_pipeline(missing, folder))
    return Scene(
        ledgers, dict(lending_feeds(missing)), {"rate": initial_card()}, lending_files(), LENDING_KEY, marts=MARTS
    )


def test_every_state_is_what_the_model_makes_of_the_drops(scene: Scene):
    examples = max(3, settings().max_examples // 4)  # an example here costs several of a plan
    run_state_machine_as_test(
        lambda: LedgerMachine(scene), settings=settings(max_examples=examples, stateful_step_count=8)
    )
