"""What a change did is examined in one statement: its checks, the rows that marts got, and the rows of models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.ports.session import Session
from dropledger.core.steps.checks import CheckQuestion, CheckResult, mart_checks
from dropledger.core.steps.marts import Refreshed, counted, rows_computed
from dropledger.core.steps.questions import Question, ask
from dropledger.core.steps.report import intermediate_rows


@dataclass(frozen=True, slots=True)
class Examined:
    """The results of the checks in the order in which they were asked, those of the marts last.

    `refreshed` are the marts with all rows counted; `intermediate` has the rows of each model, where they were asked.
    """

    results: list[CheckResult]
    refreshed: list[Refreshed]
    intermediate: Mapping[str, int]


def examine(
    session: Session,
    questions: Sequence[CheckQuestion],
    refreshed: Sequence[Refreshed],
    *,
    opened: int = 0,
    reported: Pipeline | None = None,
    together: bool = True,
) -> Examined:
    """Answer the questions, check the marts that were refreshed, and count; as `ask` asks.

    `opened` is how many versions were opened; `reported` the pipeline whose models a report shows.
    """
    asked = [*questions, *mart_checks(session, refreshed)]
    counts = rows_computed(refreshed)
    models = intermediate_rows(session, reported, refreshed) if reported else []
    rows = opened + sum(found.exchanged if found.rows is None else found.rows for found in refreshed)
    everything: list[Question[Any]] = [*asked, *counts, *models]
    answers = ask(session, everything, rows=rows, together=together)
    behind = len(asked) + len(counts)
    return Examined(
        [result for of_one in answers[: len(asked)] for result in of_one],
        counted(refreshed, answers[len(asked) : behind]),
        answers[behind] if models else {},
    )
