"""Questions about numbers of rows, asked together: an engine spends more on a statement than on such a count."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from dropledger.core.errors import PipelineError
from dropledger.core.ports.session import Parameters, Session
from dropledger.core.sql.text import quoted

T = TypeVar("T")

TOGETHER_UP_TO = 1_000_000
"""Up to so many rows questions are asked together: of more rows each needs the memory for itself."""

Counts = Mapping[str, int]


class Unanswered(PipelineError):
    """One of several questions that were asked together does not work; asked one by one, it is told by its name."""


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """A select of one row of whole numbers, and what they mean; `about` is what people call it."""

    about: str
    select: str
    columns: tuple[str, ...]
    meaning: Callable[[Counts], T]
    bound: Parameters = field(default_factory=dict)


def ask(session: Session, questions: Sequence[Question[T]], *, rows: int = 0, together: bool = True) -> list[T]:
    """What each question comes to; `rows` is how many rows they are about.

    Raises:
        Unanswered: one of them does not work; an engine may want a transaction rolled back before it is asked again.
        PipelineError: the same, of questions that were not asked `together`, by what it is about.
    """
    if len(questions) > 1 and together and rows <= TOGETHER_UP_TO:
        try:
            return _together(session, questions)
        except PipelineError as error:
            raise Unanswered(error.what, why=error.why, hint=error.hint) from error
    return [_alone(session, question) for question in questions]


def _alone(session: Session, question: Question[T]) -> T:
    try:
        return question.meaning(session.query(question.select, question.bound)[0])
    except PipelineError as error:
        raise PipelineError(f"{question.about}: {error.what}", why=error.why, hint=error.hint) from error


def _together(session: Session, questions: Sequence[Question[T]]) -> list[T]:
    width = max(len(question.columns) for question in questions)
    selects: list[str] = []
    bound: dict[str, Any] = {}
    for place, question in enumerate(questions):
        bound.update(question.bound)
        counts = [quoted(name) for name in question.columns] + ["NULL"] * (width - len(question.columns))
        cells = ", ".join(f"CAST({count} AS BIGINT) AS _count_{number}" for number, count in enumerate(counts))
        selects.append(f"SELECT {place} AS _question, {cells}\nFROM (\n{question.select}\n) AS counted")
    found: dict[int, dict[str, Any]] = {
        int(row["_question"]): row for row in session.query("\nUNION ALL\n".join(selects), bound)
    }
    return [
        question.meaning({name: int(found[place][f"_count_{n}"]) for n, name in enumerate(question.columns)})
        for place, question in enumerate(questions)
    ]
