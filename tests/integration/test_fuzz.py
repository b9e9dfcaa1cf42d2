"""Mutated files by the batch: each is in the ledger or in quarantine, and what history shows is what the files say.

DROPLEDGER_TEST_MUTANTS says how many files are tried; without it a few hundred, for everyday runs. What was found is
made again by the seed that Hypothesis prints.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from support.ledger import Ledger, Record, Template, fetch, without_marts
from support.mutants import Mutant, mutant
from support.plain_reading import BRANCH, COLUMNS, LINE_END, Reading, read_plainly, text_of
from support.plans import assert_sound_timelines

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.drop import FileDropped
from dropledger.core.ledger.ledger import Delivered
from dropledger.core.ledger.outcome import Outcome
from dropledger.infra.local.inbox import dropped_file

MUTANTS = int(os.environ.get("DROPLEDGER_TEST_MUTANTS", "200"))
BATCH = 25
SECONDS_FOR_A_FILE = 5.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120 + MUTANTS)]
tally: Counter[str] = Counter()


@dataclass(frozen=True)
class Case:
    """A mutant that went through the pipeline."""

    mutant: Mutant
    outcome: Outcome
    reading: Reading | None

    def __repr__(self) -> str:
        return f"{self.mutant.name!r} {self.mutant.done} {self.outcome.rule} {self.mutant.content[:2000]!r}"


@pytest.fixture(scope="module")
def roots(template: Callable[[Pipeline], Template], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    started = time.monotonic()
    yield template(without_marts(tmp_path_factory.mktemp("fuzz") / "lending", {"branch.yaml": BRANCH}))
    files = sum(tally.values()) - tally["read plainly"]
    print(
        f"\n{files} files, {files / (time.monotonic() - started):.1f} a second: {dict(tally.most_common())}"
    )  # seen with -s


def _land(ledger: Ledger, mutants: Sequence[Mutant]) -> list[FileDropped]:
    facts = []
    for place, made in enumerate(mutants):
        path = ledger.root / "inbox" / made.name
        path.write_bytes(made.content)
        os.utime(path, (1_500_000_000 + place, 1_500_000_000 + place))
        facts.append(dropped_file(path))
    return facts


def _run(ledger: Ledger, mutants: Sequence[Mutant]) -> list[Case]:
    started = time.process_time()
    outcomes = ledger.process(*_land(ledger, mutants))
    assert time.process_time() - started < SECONDS_FOR_A_FILE + len(mutants), "a file held up the others"
    by_name = {outcome.drop.name: outcome for outcome in outcomes}
    assert len(by_name) == len(mutants)
    cases = []
    for made in mutants:
        outcome = by_name[made.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")]
        text = text_of(made.content)
        feed = outcome.drop.feed
        cases.append(Case(made, outcome, read_plainly(text, feed) if text is not None and feed in COLUMNS else None))
    return cases


def _distinct(random: Random, count: int) -> list[Mutant]:
    made = {}
    for number in range(count):
        one = mutant(random, number)
        made.setdefault(one.name.casefold(), one)
    return list(made.values())


@settings(max_examples=max(1, MUTANTS // BATCH), deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(seed=st.integers(0, 2**64))
def test_mutated_files_are_accounted_for_and_read_as_they_are_meant(roots: Template, seed: int):
    random = Random(seed)
    mutants = _distinct(random, BATCH)
    random.shuffle(mutants)
    late = random.choice((0, len(mutants) // 3))
    with roots.ledger() as ledger:
        cases = [*_run(ledger, mutants[late:]), *(_run(ledger, mutants[:late]) if late else ())]
        with ledger.connection() as connection:
            for case in cases:
                rejected = fetch(
                    connection,
                    "SELECT line, raw, rule, reason FROM rejected_row WHERE drop_id = ? ORDER BY line",
                    [case.outcome.drop.drop_id],
                )
                row = fetch(
                    connection,
                    """SELECT status, rows_read, rows_accepted, rows_rejected, rows_duplicate FROM drop_ledger
                    WHERE drop_id = ?""",
                    [case.outcome.drop.drop_id],
                )
                check_outcome(ledger.root, case, row, rejected)
                check_reading(case, rejected)
            for feed in COLUMNS:
                names = ", ".join(COLUMNS[feed])
                rows = fetch(
                    connection, f"SELECT {names}, valid_from, valid_to, is_current, drop_id, line FROM history_{feed}"
                )
                assert_sound_timelines(rows, key_columns=1)
                check_history([case for case in cases if case.outcome.drop.feed == feed], rows)
        left = [path for folder in ("inbox", "work") for path in (ledger.root / folder).rglob("*") if path.is_file()]
        assert [path for path in left if path.name != ".lock"] == []


def check_outcome(root: Path, case: Case, ledger: list[Record], rejected: list[Record]) -> None:
    """The drop is in the ledger, its counts add up, and its bytes are where the outcome says."""
    outcome = case.outcome
    counts = (outcome.rows_read, outcome.rows_accepted, outcome.rows_rejected, outcome.rows_duplicate)
    accepted = outcome.delivered == Delivered.ACCEPTED
    assert accepted or outcome.delivered == Delivered.QUARANTINED, case
    assert ledger == [("published" if accepted else "quarantined", *counts)], case
    assert counts[0] == sum(counts[1:]), case
    assert len(rejected) == outcome.rows_rejected if accepted else len(rejected) <= outcome.rows_rejected, case
    assert (root / outcome.file).read_bytes() == case.mutant.content, case
    if accepted:
        assert outcome.rule is None, case
    else:
        reason = json.loads((root / f"{outcome.file}.reason.json").read_text(encoding="utf-8"))
        assert reason["rule"] == outcome.rule, case
        assert reason["error"], case
        assert reason["fix"], case
        assert outcome.rows_accepted == 0, case
    lines = LINE_END.split(case.mutant.content.decode("utf-8", "replace").removeprefix("\ufeff"))
    for line, raw, rule, reason in rejected:
        assert raw == "\n".join(lines[line - 1 : line + raw.count("\n")]), case
        assert rule, case
        assert reason, case


def check_reading(case: Case, rejected: list[Record]) -> None:
    """The file came to what a plain reading makes of it, where there is one."""
    outcome, reading = case.outcome, case.reading
    tally[str(outcome.rule or outcome.delivered)] += 1
    text = text_of(case.mutant.content)
    if outcome.drop.feed and text is None:
        assert outcome.rule in {"not_utf8", "control_characters", "empty_file", "ambiguous_as_of"}, case
    if reading is None:
        return
    tally["read plainly"] += 1
    match outcome.rule:
        case None:
            assert outcome.rows_accepted == len(reading.accepted), (case, reading)
            assert {row[0] for row in rejected} == reading.rejected, (case, reading)
            assert outcome.rows_duplicate == len(reading.duplicate), (case, reading)
        case "too_many_rejected":
            assert outcome.rows_rejected == reading.judged, (case, reading)
            assert {row[0] for row in rejected} == reading.rejected, (case, reading)
            assert 2 * len(reading.rejected) > reading.judged, (case, reading)
        case "no_rows":
            assert not reading.judged, (case, reading)
        case "malformed_header":  # an empty name over rows that have no cell for it
            assert not reading.accepted, (case, reading)
        case "second_table":
            line = int(outcome.error.split()[1])
            assert line in reading.rejected, (case, reading)
            assert max(reading.accepted) > line, (case, reading)
        case _:
            assert outcome.rule == "ambiguous_as_of", (case, reading)


def check_history(cases: list[Case], rows: list[Record]) -> None:
    """Each version is in the row that it names, and each accepted row is in history at its drop's moment."""
    by_drop = {case.outcome.drop.drop_id: case for case in cases}
    moments = Counter(case.outcome.drop.as_of.moment for case in cases if case.outcome.delivered == Delivered.ACCEPTED)
    for key, *values, _, _, _, drop_id, line in rows:
        case = by_drop[drop_id]
        assert case.outcome.delivered == Delivered.ACCEPTED, case
        if case.reading is not None:
            assert case.reading.accepted.get(line) == (key, *values), (case, line)
        else:
            assert_said_in(case, line, (key, *values))
    for case in cases:
        moment = case.outcome.drop.as_of.moment
        if case.reading is None or moments[moment] != 1 or case.outcome.delivered != Delivered.ACCEPTED:
            continue
        true_then = {row[0]: row[:-5] for row in rows if row[-5] <= moment and (row[-4] is None or moment < row[-4])}
        for values in case.reading.accepted.values():
            assert true_then.get(values[0]) == values, case


def assert_said_in(case: Case, line: int, values: tuple[Any, ...]) -> None:
    """The values stand in the file from this line on, however its quotes are meant."""
    lines = LINE_END.split(case.mutant.content.decode("utf-8").removeprefix("\ufeff"))
    record = "\n".join(lines[line - 1 :]).replace('"', "")
    for value in values:
        match value:
            case None | True | False:
                continue
            case str():
                assert value.replace('"', "").lower() in record.lower(), (case, line, value)
            case _:
                assert (
                    f"{value:f}".rstrip("0").rstrip(".").lstrip("-") in record
                    if "." in str(value)
                    else str(abs(value)) in record
                ), (case, line, value)
