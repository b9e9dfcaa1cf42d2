"""Complete extracts are held against the one before them, and against the keys that are known."""

import random
from pathlib import Path

import pytest
from support.ledger import Ledger, micro_batches_from, without_marts

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.ingest.run import process
from dropledger.core.ledger.ledger import Delivered
from dropledger.core.ledger.outcome import Outcome
from dropledger.core.operations.backfill import backfill
from dropledger.core.operations.replay import Selection, replay
from dropledger.core.operations.retract import retract
from dropledger.core.operations.verify import verify

pytestmark = pytest.mark.slow


def accounts(*keys: object, last: str = "") -> str:
    rows = [f"{key},1,{index}.00,Savings" for index, key in enumerate(keys)]
    return "\n".join(["AccountID,CustomerID,Balance,AccountType", *rows]) + "\n" + last


def day(number: int) -> str:
    return f"accounts_2025-11-{number:02}.csv"


def guards(outcome: Outcome) -> list[str]:
    return [warning for warning in outcome.warnings if not warning.startswith("orphan_account")]


@pytest.fixture(scope="module")
def feeds(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return without_marts(tmp_path_factory.mktemp("pipeline") / "lending")


@pytest.fixture
def ledger(tmp_path: Path, feeds: Pipeline) -> Ledger:
    """Accounts 1 to 10, on the 1st."""
    found = Ledger(tmp_path / "root", feeds)
    assert guards(found.drop(day(1), accounts(*range(1, 11)))) == []
    return found


def volume(rows: int, percent: int, way: str, before: int, name: str) -> str:
    counted = f"{rows} {'row' if rows == 1 else 'rows'}"
    return (
        f"volume ({abs(rows - before)}): {counted}, {percent} % {way} than the {before} of {name}, the drop before it"
    )


def missing(count: int) -> str:
    return f"missing_keys ({count}): known keys that this complete extract lacks; they stay as they were"


def test_far_fewer_rows_are_a_warning_with_counts(ledger: Ledger):
    outcome = ledger.drop(day(2), accounts(1, 2, 3))

    assert outcome.delivered == Delivered.ACCEPTED
    assert guards(outcome) == [volume(3, 70, "fewer", 10, day(1)), missing(7)]
    kept = ledger.rows(
        """SELECT layer, model, check_name, severity, passed, failing_rows
        FROM check_result
        WHERE drop_id = ? AND check_name IN ('volume', 'missing_keys')
        ORDER BY check_name DESC""",
        [outcome.drop.drop_id],
    )
    assert kept == [
        ("staging", "stg_account", "volume", "warn", False, 7),
        ("staging", "stg_account", "missing_keys", "warn", False, 7),
    ]
    # They are kept, as the contract says.
    assert ledger.rows("SELECT count(*) FROM history_account WHERE is_current") == [(10,)]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (4, [volume(4, 60, "fewer", 10, day(1)), missing(6)]),
        (5, [volume(5, 50, "fewer", 10, day(1)), missing(5)]),
        (6, [missing(4)]),
        (10, []),
        (14, []),
        (15, [volume(15, 50, "more", 10, day(1))]),
        (30, [volume(30, 200, "more", 10, day(1))]),
    ],
)
def test_half_of_the_rows_either_way_is_the_edge(ledger: Ledger, rows: int, said: list[str]):
    assert guards(ledger.drop(day(2), accounts(*range(1, rows + 1)))) == said


def test_as_many_rows_with_other_keys_are_missing_keys_alone(ledger: Ledger):
    assert guards(ledger.drop(day(2), accounts(*range(4, 14)))) == [missing(3)]
    # Of 13 known keys.
    assert guards(ledger.drop(day(3), accounts(*range(1, 9)))) == [missing(5)]


def test_rows_alike_count_once(ledger: Ledger):
    twice = accounts(*range(1, 11)) + accounts(*range(1, 11)).partition("\n")[2]

    outcome = ledger.drop(day(2), twice)

    assert outcome.rows_duplicate == 10
    assert guards(outcome) == []


def test_refused_row_is_no_missing_key(ledger: Ledger):
    refused = ledger.drop(day(2), accounts(*range(1, 9), last="9,1,-1,Savings\n10,1,x,Savings\n"))
    unreadable = ledger.drop(day(3), accounts(*range(1, 9), last="nine,1,1.00,Savings\n"))
    unknown = ledger.drop(day(4), accounts(*range(1, 9), last="77,1,-1,Savings\n"))

    assert (refused.rows_rejected, guards(refused)) == (2, [])
    # Its key may be either 9 or 10, not both.
    assert (unreadable.rows_rejected, guards(unreadable)) == (1, [missing(1)])
    assert (unknown.rows_rejected, guards(unknown)) == (1, [missing(2)])


def test_late_extract_is_held_against_the_one_before_it_by_as_of(ledger: Ledger):
    ledger.drop(day(20), accounts(*range(1, 41)))

    late = ledger.drop(day(10), accounts(*range(1, 12)))
    fewer = ledger.drop(day(11), accounts(*range(1, 4)))
    first = ledger.drop("accounts_2025-10-01.csv", accounts(1, 99))

    assert guards(late) == []
    # Eleven were known then; what comes later is no matter.
    assert guards(fewer) == [volume(3, 72, "fewer", 11, day(10)), missing(8)]
    assert guards(first) == []


def test_correction_of_the_same_day_is_held_against_what_it_corrects(ledger: Ledger):
    assert guards(ledger.drop("accounts_2025-11-01 corrected.csv", accounts(1, 2))) == [
        volume(2, 80, "fewer", 10, day(1)),
        missing(8),
    ]


def test_refused_and_retracted_drops_are_none_to_be_held_against(ledger: Ledger):
    assert ledger.drop(day(2), "AccountID\n1\n").delivered == Delivered.QUARANTINED
    taken_back = ledger.drop(day(3), accounts(*range(1, 101)))
    retract(ledger.runtime, taken_back.drop.drop_id, "a test extract", "the tests")

    assert guards(ledger.drop(day(4), accounts(*range(1, 11)))) == []


def test_closed_keys_are_not_counted_as_kept(tmp_path: Path, feeds: Pipeline):
    cards = Ledger(tmp_path / "root", feeds)
    header = "MinBalance,Rate,LoanBonus,Method\n"
    tiers = [f"{number * 1000},0.01,0.005,whole_balance\n" for number in range(4)]

    assert guards(cards.drop("rates_2025-01-01.csv", header + "".join(tiers))) == []
    assert guards(cards.drop("rates_2025-02-01.csv", header + tiers[0])) == [
        volume(1, 75, "fewer", 4, "rates_2025-01-01.csv")
    ]


def test_delta_is_held_against_nothing(tmp_path: Path):
    pipeline = without_marts(tmp_path / "lending", {"account.yaml": {"mode": "delta"}})
    ledger = Ledger(tmp_path / "root", pipeline)
    ledger.drop(day(1), accounts(*range(1, 11)))

    outcome = ledger.drop(day(2), accounts(1))

    assert guards(outcome) == []
    assert ledger.rows("SELECT 1 FROM check_result WHERE check_name IN ('volume', 'missing_keys')") == []


@pytest.mark.parametrize("fewest", [2, 100])
def test_drops_that_wait_together_are_held_against_each_other(ledger: Ledger, fewest: int):
    files = {
        day(2): accounts(*range(1, 13)),  # two that are new
        day(3): accounts(*range(1, 5)),
        day(4): accounts(*range(1, 5)),
        day(5): accounts(*range(20, 30)),  # ten that are new
        day(6): accounts(*range(1, 13), *range(20, 30)),
    }
    with micro_batches_from(fewest):
        outcomes = ledger.process(*(ledger.put(name, text) for name, text in files.items()))

    assert {outcome.drop.name: guards(outcome) for outcome in outcomes} == {
        day(2): [],
        day(3): [volume(4, 66, "fewer", 12, day(2)), missing(8)],
        day(4): [missing(8)],
        day(5): [volume(10, 150, "more", 4, day(4)), missing(12)],
        day(6): [volume(22, 120, "more", 10, day(5))],
    }


def test_replay_keeps_what_was_found_and_verify_agrees(ledger: Ledger):
    ledger.drop(day(3), accounts(1, 2, 3))
    ledger.drop(day(2), accounts(*range(1, 30)))
    before = ledger.table("check_result")

    assert not verify(ledger.runtime, lambda *_: None).differences
    replay(ledger.runtime, Selection(), None, lambda *_: None)

    assert ledger.table("check_result") == before
    assert ledger.rows(
        """SELECT check_name, failing_rows
        FROM check_result
        WHERE NOT passed AND check_name IN ('volume', 'missing_keys')
        ORDER BY ALL"""
    ) == [
        ("missing_keys", 7),
        ("volume", 7),
        ("volume", 19),
    ]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_counts_are_those_of_a_plain_model_whatever_the_order_and_the_way(tmp_path: Path, feeds: Pipeline, seed: int):
    chance, ledger = random.Random(seed), Ledger(tmp_path / "root", feeds)
    files = {day(number): chance.sample(range(1, 40), chance.randint(1, 30)) for number in range(1, 19)}
    refused = {name: keys[: chance.choice([0, 0, 1])] if len(keys) > 2 else [] for name, keys in files.items()}
    waiting = chance.sample(sorted(files), len(files))
    taken: list[str] = []
    while waiting:
        batch, waiting = waiting[: (count := chance.choice([1, 1, 2, 6]))], waiting[count:]
        facts = []
        for name in batch:
            bad = "".join(f"{key},1,-1,Savings\n" for key in refused[name])
            text = accounts(*(key for key in files[name] if key not in refused[name]), last=bad)
            facts.append(ledger.put(name, text))
        way = chance.choice([process, backfill])
        with micro_batches_from(chance.choice([2, 100])):
            outcomes = {outcome.drop.name: outcome for outcome in way(ledger.runtime, facts, lambda _: None)}
        for name in sorted(batch):  # in order of as_of, as drops are taken that wait together
            before = max((other for other in taken if other < name), default=None)
            known = set().union(*({*files[other]} - {*refused[other]} for other in taken if other < name))
            lacking = known - {*files[name]}
            rows, rows_before = len(files[name]), len(files[before]) if before else 0
            moved = before is not None and abs(rows - rows_before) * 2 >= rows_before
            found = {warning.split(" ")[0]: warning.split(" ")[1] for warning in guards(outcomes[name])}
            expected = {"volume": f"({abs(rows - rows_before)}):"} if moved and rows != rows_before else {}
            expected |= {"missing_keys": f"({len(lacking)}):"} if lacking else {}
            assert found == expected, (name, way.__name__, taken)
            taken.append(name)
