"""Guards that contracts declare: volume with severities, the smallest number of rows, and drift of totals and NULLs."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from support.ledger import Ledger, extracts_compared_from, micro_batches_from
from support.one_feed import ENTRY, one_feed, refused

from dropledger.core.errors import ContractError
from dropledger.core.ledger.ledger import Delivered
from dropledger.core.operations.verify import verify

BASE = (
    ENTRY
    + """  - {name: text}
  - {name: amount, type: "decimal(12,2)"}
"""
)
New = Callable[..., Ledger]


@pytest.fixture
def new(tmp_path: Path) -> New:
    """A ledger whose contract has these entries beside."""
    return lambda entries: Ledger(tmp_path / "root", one_feed(tmp_path / "one", BASE + entries))


def rows(count: int, amount: str = "1.00", empty: int = 0) -> str:
    return "id,text,amount\n" + "".join(f"{number},a,{'' if number < empty else amount}\n" for number in range(count))


def day(number: int) -> str:
    return f"entries_2025-11-{number:02}.csv"


VOLUME = "volume: {fewer_than_before: {warn: 10%, error: 50%}, more_than_before: {error: 100%}}\n"


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (100, None),
        (91, None),
        (90, "volume (10): 90 rows, 10 % fewer than the 100 of entries_2025-11-01.csv, the drop before it"),
        (51, "volume (49): 51 rows, 49 % fewer"),
        (50, "error"),
        (199, None),
        (200, "error"),
    ],
)
def test_volume_warns_or_refuses_from_the_declared_shares_on(new: New, count, said):
    ledger = new(VOLUME)
    ledger.drop(day(1), rows(100))

    outcome = ledger.drop(day(2), rows(count))

    if said == "error":
        assert "volume" in refused(outcome)
        assert "the 100 of entries_2025-11-01.csv" in refused(outcome)
        assert ledger.rows("SELECT count(*) FROM history_entry") == [(100,)]
    else:
        assert outcome.delivered == Delivered.ACCEPTED
        found = [warning for warning in outcome.warnings if "volume" in warning]
        assert found == [] if said is None else found[0].startswith(said)


def test_each_side_has_its_default(new: New):
    ledger = new("volume: {fewer_than_before: {error: 90%}}\n")
    ledger.drop(day(1), rows(100))
    assert [w.split(" ")[0] for w in ledger.drop(day(2), rows(150)).warnings] == ["volume"]
    assert [w.split(" ")[0] for w in ledger.drop(day(3), rows(50)).warnings] == ["missing_keys"]


@pytest.mark.parametrize("mode", ["full", "delta"])
def test_a_file_has_the_smallest_number_of_rows(new: New, mode):
    ledger = new(f"mode: {mode}\nvolume: {{min_rows: 3}}\n")
    assert ledger.drop(day(1), rows(3)).delivered == Delivered.ACCEPTED
    assert "2 rows, and the contract says min_rows: 3" in refused(ledger.drop(day(2), rows(2)))


@pytest.mark.parametrize(
    ("entry", "content", "said"),
    [
        ("sum: 30%", rows(10, "1.30"), None),
        (
            "sum: 30%",
            rows(10, "1.31"),
            "drift_sum_amount (10): amount sums up to 13.10, before to 10.00: more than 30 % apart",
        ),
        ("sum: 30%", rows(10, "-1.00"), "drift_sum_amount (10): amount sums up to -10.00"),
        (
            "nulls: 5%",
            rows(10, empty=1),
            "drift_nulls_amount (10): 10.0 % of amount are empty, before 0.0 %: more than 5 points",
        ),
        ("nulls: 10%", rows(10, empty=1), None),
    ],
)
@pytest.mark.parametrize("severity", ["warn", "error"])
def test_drift_warns_or_refuses(new: New, entry, content, said, severity):
    ledger = new(f"drift: [{{column: amount, {entry}, severity: {severity}}}]\n")
    with extracts_compared_from(1):
        ledger.drop(day(1), rows(10))

        outcome = ledger.drop(day(2), content)

    if said is not None and severity == "error":
        assert said.partition(" ")[2].partition(": ")[2] in refused(outcome)
        assert ledger.rows("SELECT DISTINCT amount FROM history_entry") == ledger.rows("SELECT 1.00")
    else:
        found = [warning for warning in outcome.warnings if "drift" in warning]
        assert found == [] if said is None else found[0].startswith(said)
    assert not verify(ledger.runtime, lambda *_: None).differences


def outcomes(ledger: Ledger, files: Sequence[str]) -> list[str]:
    return [
        str(outcome.delivered) for outcome in ledger.process(*(ledger.put(day(n), f) for n, f in enumerate(files, 1)))
    ]


def test_many_that_wait_together_are_held_against_one_another(new: New):
    ledger = new(VOLUME + "drift: [{column: amount, sum: 50%, severity: error}]\n")
    files = [rows(100), rows(40), rows(100, "1.10"), rows(100, "9.00"), rows(99, "1.20"), rows(99, "1.30")]
    with micro_batches_from(2):
        found = outcomes(ledger, files)
    assert found == ["accepted", "quarantined", "accepted", "quarantined", "accepted", "accepted"]


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ("volume: {min_rows: 0}\n", "volume.min_rows: "),
        ("volume: {fewer_than_before: {warn: 10}}\n", "'10' is no share; write it like 10%"),
        ("volume: {fewer_than_before: {}}\n", "say from what share on"),
        ("volume: {fewer_than_before: {warn: 50%, error: 10%}}\n", "warn must be a smaller share than error"),
        ("drift: [{column: amount}]\n", "say how far it may move"),
        ("drift: [{column: ammount, sum: 1%}]\n", "drift names 'ammount'"),
        ("drift: [{column: text, sum: 1%}]\n", "drift names the sum of 'text', which is no number"),
        ("mode: delta\ndrift: [{column: amount, sum: 1%}]\n", "drift goes with mode: full"),
    ],
)
def test_guards_that_cannot_hold_are_told(new: New, entries, reason):
    with pytest.raises(ContractError) as error:
        new(entries)
    assert reason in str(error.value)
