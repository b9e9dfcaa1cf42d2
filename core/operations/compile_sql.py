"""All SQL of a pipeline, compiled by an engine before a file comes."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from dropledger.core.contracts.contract import Contract
from dropledger.core.contracts.fragments import feed_fragments
from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.contracts.sql_file import faults_by_line
from dropledger.core.errors import ContractError
from dropledger.core.lineage.relations import models_sql, moving_word, words_of
from dropledger.core.ports.session import Session
from dropledger.core.sql.text import listed, quoted
from dropledger.core.steps.history import no_changes
from dropledger.core.views.explain import selects_of

_FLOATS = {"DOUBLE", "FLOAT", "REAL"}
_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def compile_sql(session: Session, pipeline: Pipeline) -> int:
    """Have an engine with the pipeline's tables, all empty, compile what is run later; how many SQL texts there are.

    Raises:
        ContractError: one does not work; with its file and line.
    """
    for name, sql in models_sql(pipeline).items():
        folder = "marts" if any(mart.name == name for mart in pipeline.marts) else "intermediate"
        _refuse_clock(pipeline.folder / folder / f"{name}.sql", sql)
    found = len(pipeline.intermediate) + len(pipeline.marts)  # which stand, as the tables do
    no_changes(session, pipeline)
    for mart in pipeline.marts:
        session.scratch(f"touched_{mart.name}", f"SELECT {listed(mart.file.key)} FROM {quoted(mart.name)}")
        session.scratch(f"before_{mart.name}", f"SELECT * FROM {quoted(mart.name)}")
    for file, sql, bound in _texts(pipeline):
        if file.parent.name in pipeline.contracts:
            _nothing_observed(session, pipeline.contracts[file.parent.name])
        with faults_by_line(file):
            session.query(f"SELECT *\nFROM (\n{sql}\n) AS compiled\nWHERE FALSE", bound)
        found += 1
    return found


def _refuse_clock(file: Path, sql: str) -> None:
    """Refuse SQL that gives other rows each time it is asked: no replay would find the same figures."""
    word = moving_word(sql)
    if word:
        lines = file.read_text(encoding="utf-8").casefold().splitlines()
        number = next((place for place, line in enumerate(lines, 1) if word in words_of(line)), 1)
        raise ContractError(
            file,
            number,
            f"{word} gives something else each time",
            hint="use mart_moment.moment for the time that figures are of",
        )


def float_columns(session: Session, pipeline: Pipeline) -> list[str]:
    """The columns of marts that are no exact numbers, as `mart.column`."""
    return [
        f"{mart.name}.{column}"
        for mart in pipeline.marts
        for column, kind in session.columns(mart.name).items()
        if kind in _FLOATS
    ]


def _nothing_observed(session: Session, contract: Contract) -> None:
    """Let the checks of a feed find what they read."""
    columns = feed_fragments(contract)["columns"]
    session.view(
        "observation",
        f"""SELECT line AS _line, {columns}, valid_from AS _effective_at, FALSE AS _absent
        FROM {quoted(f"history_{contract.feed}")}
        WHERE FALSE""",
    )


def _texts(pipeline: Pipeline) -> Iterator[tuple[Path, str, Mapping[str, Any]]]:
    """The SQL texts that are not the tables' and views' own, each with its file and what is bound."""
    for mart in pipeline.marts:
        file = pipeline.folder / "marts" / f"{mart.name}.sql"
        yield file, mart.touched_rows_sql, {}
        if mart.touched_sql is not None:
            yield file.with_suffix(".touched.sql"), mart.touched_sql, {"moment_before": _MOMENT}
        for select in mart.touched_keys.selects.values() if mart.touched_keys else ():
            if select is not None:
                yield file, select, {}
    for check in (*chain(*pipeline.feed_checks.values()), *chain(*(mart.checks for mart in pipeline.marts))):
        yield pipeline.folder / "checks" / check.model / f"{check.definition.name}.sql", check.sql, {}
    for name, explanation in pipeline.explanations.items():
        bound = {**dict.fromkeys(pipeline.mart(name).file.key), "moment": _MOMENT}
        for section, select in selects_of(explanation):
            yield pipeline.folder / "explain" / name / f"{section}.sql", select, bound
