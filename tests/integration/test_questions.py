"""What a drop did is asked in one statement, and yet a question that does not work is told by its name."""

from pathlib import Path

import pytest
from support.ledger import Ledger, custom_pipeline

from dropledger.core.contracts.pipeline_spec import load_pipeline
from dropledger.core.errors import PipelineError
from dropledger.core.steps.questions import Question, Unanswered, ask
from dropledger.infra.duckdb.session import DuckDBSession

CUSTOMERS = "CustomerID,Name,HasLoan\n1,Ann,Yes\n2,Bo,No\n"


def of(select: str, *columns: str, about: str = "numbers") -> Question[list[int]]:
    return Question(about, select, columns, lambda counts: [counts[name] for name in columns])


def ran(session: DuckDBSession, patch: pytest.MonkeyPatch) -> list[str]:
    texts: list[str] = []
    run = session._engine
    patch.setattr(session, "_engine", lambda sql, parameters=None: texts.append(sql) or run(sql, parameters))
    return texts


def test_questions_of_several_counts_and_parameters_are_one_statement(ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    bound = Question("one", "SELECT CAST(:given AS BIGINT) AS n", ("n",), lambda counts: [counts["n"]], {"given": 7})
    with ledger.runtime.session() as session:
        texts = ran(session, monkeypatch)
        assert ask(session, [of("SELECT 1 AS a, 2 AS b", "b", "a"), bound, of("SELECT 3 AS c", "c")]) == [
            [2, 1],
            [7],
            [3],
        ]
        assert len(texts) == 1
        assert ask(session, [of("SELECT 1 AS a", "a"), bound], rows=2_000_000) == [[1], [7]]
        assert len(texts) == 3


def test_question_that_does_not_work_is_told_by_its_name_where_it_is_asked_alone(ledger: Ledger):
    questions = [
        of("SELECT 1 AS a", "a"),
        of("SELECT no_such_column AS n FROM delivery", "n", about="the check x.wrong"),
    ]
    with ledger.runtime.session() as session:
        with pytest.raises(Unanswered):
            ask(session, questions)
        with pytest.raises(PipelineError, match=r"^the check x\.wrong: .*no_such_column"):
            ask(session, questions, together=False)


@pytest.mark.parametrize("files", [1, 2])
def test_wrong_sql_of_a_check_is_told_by_the_name_of_the_check(tmp_path: Path, files: int):
    pipeline = custom_pipeline(tmp_path / "pipeline", {})
    wrong = tmp_path / "pipeline" / "checks" / "customer_profile" / "totals_agree.sql"
    wrong.write_text("SELECT no_such_column FROM customer_profile", encoding="utf-8")
    ledger = Ledger(tmp_path / "root", load_pipeline(str(pipeline.folder)))
    landed = [ledger.put(f"customers_2025-10-{day}.csv", f"{CUSTOMERS}{day},Cy,No\n") for day in range(30, 30 + files)]
    outcomes = ledger.process(*landed)
    assert len(outcomes) == files
    for outcome in outcomes:
        assert "cannot be taken: the check customer_profile.totals_agree: " in str(outcome.failure)
    assert ledger.rows("SELECT count(*) FROM drop_ledger") == [(0,)]
