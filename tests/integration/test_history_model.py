"""History is a pure function of the set of drops: the real pipeline held against the reference model.

Hypothesis makes up plans: late files, duplicates, corrections of the same day, keys that vanish and return,
refused rows, files that wait together, backfills, retractions and replays; with values so few that A, B, A comes
up all the time. The tests at the end need no chance: they go through every timeline of four drops, in every order
of arrival.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain, combinations, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import model
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
from support.ledger import Template, micro_batches_from, work_on_tables_as_a_whole_from
from support.lending_feeds import (
    BALANCES,
    CARDS,
    account_file,
    card_file,
    customer_file,
    initial_card,
    lending_feeds,
    lending_files,
    lending_pipeline,
)
from support.plans import MARTS, Arrival, Replay, Run, Step, assert_same, assert_sound_timelines, day, plans

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.ingest import micro_batch
from dropledger.core.steps.marts import WHOLE_FROM

# A failure is shrunk for up to 300 seconds.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400 + 5 * settings().max_examples)]

FEWEST = st.sampled_from([1, micro_batch.FEWEST])

Templates = Callable[[Pipeline], Template]


@pytest.fixture(scope="module", params=MODES)
def holding(
    request: pytest.FixtureRequest, template: Templates, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Mode, Template]:
    """A feed in one of the modes, and ledgers of its pipeline."""
    mode = MODES[request.param]
    return mode, template(holding_pipeline(mode, tmp_path_factory.mktemp("pipeline") / "holding"))


@pytest.fixture(scope="module", params=["keep", "close"], ids=["missing keys kept", "missing keys closed"])
def lending_ledgers(
    request: pytest.FixtureRequest, template: Templates, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Mapping[str, model.Feed], Template]:
    """The feeds of the lending pipeline, and ledgers of it."""
    missing = request.param
    folder = tmp_path_factory.mktemp("pipeline") / "lending"
    return lending_feeds(missing), template(lending_pipeline(missing, folder))


@given(data=st.data())
def test_history_is_what_the_model_makes_of_the_set_of_drops(holding: tuple[Mode, Template], data: st.DataObject):
    mode, template = holding
    plan = data.draw(plans(holding_files(mode)), label="plan")
    fewest = data.draw(FEWEST, label="fewest drops of a micro-batch")
    whole_from = data.draw(st.sampled_from([0, WHOLE_FROM]), label="rows of a table that is worked on as a whole")
    with template.ledger() as ledger, micro_batches_from(fewest), work_on_tables_as_a_whole_from(whole_from):
        run = Run(ledger, {"holding": mode.feed})
        run.take(plan)
        tables = run.tables()
    assert_sound_timelines(tables["history_holding"], key_columns=2)
    assert_same(tables, run.expected_history())


@pytest.mark.parametrize("whole_from", [0, WHOLE_FROM], ids=["tables as a whole", "rows touched"])
@given(plan=plans(lending_files()), fewest=FEWEST)
def test_marts_are_what_the_model_makes_of_the_set_of_drops(
    lending_ledgers: tuple[Mapping[str, model.Feed], Template], whole_from: int, plan: list[Step], fewest: int
):
    feeds, template = lending_ledgers
    with template.ledger() as ledger, work_on_tables_as_a_whole_from(whole_from), micro_batches_from(fewest):
        run = Run(ledger, feeds, {"rate": initial_card()})
        run.take(plan)
        tables = run.tables(*MARTS)
    for feed in feeds:
        assert_sound_timelines(tables[f"history_{feed}"], key_columns=1)
    assert_same(tables, {**run.expected_history(), **run.expected_marts()})


@pytest.mark.parametrize("holding", ["delta with operation and effective column"], indirect=True)
def test_replay_lets_the_last_received_stand_where_another_has_the_later_as_of(holding: tuple[Mode, Template]):
    mode, template = holding
    deleted = holding_file(mode, day(2), [Holding("1", "EUR", operation="D", changed_on=1)])
    upserted = holding_file(mode, day(1), [Holding("1", "EUR", operation="U", changed_on=1)])
    with template.ledger() as ledger:
        run = Run(ledger, {"holding": mode.feed})
        run.take([Arrival((deleted,)), Arrival((upserted,)), Replay()])
        assert_same(run.tables(), run.expected_history())


# Every timeline of four drops in every order of arrival

# Where two drops share a day and hold every pair of states between them, one order of the two will do.
ORDERS_OF_A_PAIR = [order for order in permutations(range(4)) if order.index(1) < order.index(2)]


@pytest.fixture
def states(request: pytest.FixtureRequest) -> Sequence[str | None]:
    """What a drop may say of a key in the mode at hand."""
    return STATES[request.node.callspec.params["holding"]]


@pytest.mark.parametrize("holding", STATES, indirect=True)
def test_every_order_of_arrival_of_distinct_times_gives_the_same_history(
    holding: tuple[Mode, Template], states: Sequence[str | None]
):
    mode, template = holding
    files = every_timeline(mode, states, days=[1, 2, 3, 4])
    histories = []
    with template.ledger() as ledger:
        begun = Run(ledger, {"holding": mode.feed})
        for run in begun.in_each_order(list(permutations(files))):
            histories.append(run.tables())
            assert_sound_timelines(histories[-1]["history_holding"], key_columns=2)
            assert_same(histories[-1], run.expected_history())
            assert_same(histories[-1], histories[0])
    assert len(histories) == 24


@pytest.mark.parametrize("holding", STATES, indirect=True)
def test_of_several_drops_at_one_time_the_last_received_stands(
    holding: tuple[Mode, Template], states: Sequence[str | None]
):
    mode, template = holding
    files = every_timeline(mode, states, days=[1, 2, 2, 3])
    with template.ledger() as ledger:
        begun = Run(ledger, {"holding": mode.feed})
        for run in begun.in_each_order([[files[place] for place in order] for order in ORDERS_OF_A_PAIR]):
            tables = run.tables()
            assert_sound_timelines(tables["history_holding"], key_columns=2)
            assert_same(tables, run.expected_history())


@pytest.mark.parametrize("holding", STATES, indirect=True)
def test_history_is_as_if_a_retracted_drop_had_never_come_until_it_is_restored(
    holding: tuple[Mode, Template], states: Sequence[str | None]
):
    """Each pair of the drops is taken back, one after the other, and restored in this order."""

    def assert_as_expected(run: Run) -> None:
        assert_same(run.tables(), run.expected_history())

    mode, template = holding
    files = every_timeline(mode, states, days=[1, 2, 2, 3])
    with template.ledger() as ledger:
        run = Run(ledger, {"holding": mode.feed})
        run.take_one_by_one(files)
        for first in files:
            without = run.copy()
            without.retract(first)
            assert_as_expected(without)
            for second in files:
                if second is not first:
                    without_both = without.copy()
                    without_both.retract(second)
                    assert_as_expected(without_both)
                    for file in (first, second):
                        without_both.restore(file)
                        assert_as_expected(without_both)


@pytest.mark.parametrize("backfilled", [False, True], ids=["processed", "backfilled"])
@pytest.mark.parametrize("holding", STATES, indirect=True)
def test_drops_that_wait_together_give_the_same_history_as_one_by_one(
    holding: tuple[Mode, Template], states: Sequence[str | None], *, backfilled: bool
):
    mode, template = holding
    files = every_timeline(mode, states, days=[1, 2, 2, 3])
    for earlier in chain.from_iterable(combinations(files, count) for count in range(3)):
        with template.ledger() as ledger:
            run = Run(ledger, {"holding": mode.feed})
            run.take_one_by_one(earlier)
            run.take([Arrival([file for file in files if file not in earlier], backfilled)])
            assert_same(run.tables(), run.expected_history())


@pytest.mark.parametrize("lending_ledgers", ["keep"], indirect=True)
def test_every_order_of_arrival_gives_the_same_marts(lending_ledgers: tuple[Mapping[str, model.Feed], Template]):
    feeds, template = lending_ledgers
    accounts = [(account_id, account_id % 3 + 1, balance, "Savings") for account_id, balance in enumerate(BALANCES, 11)]
    moved = [(account_id, 2, balance, kind) for account_id, _, balance, kind in accounts[::2]]
    files = [
        customer_file(day(1), [(1, "Ann", "Yes"), (2, "Bo", "No")]),  # the accounts of customer 3 are orphans
        account_file(day(2), accounts),
        card_file(day(3), CARDS[1]),
        account_file(day(4), [*moved, (99, 1, "10000", "Checking")]),
    ]
    with template.ledger() as ledger:
        begun = Run(ledger, feeds, {"rate": initial_card()})
        for run in begun.in_each_order(list(permutations(files))):
            tables = run.tables(*MARTS)
            assert_same(tables, {**run.expected_history(), **run.expected_marts()})
            assert tables["account_summary"]
