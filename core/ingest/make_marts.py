"""The marts of a pipeline, made from nothing when its files have changed."""

from datetime import datetime

from dropledger.core.contracts.pipeline_spec import Mart, Pipeline, names
from dropledger.core.contracts.sql_file import faults_by_line
from dropledger.core.errors import ContractError
from dropledger.core.ports.session import Session
from dropledger.core.sql.text import engine_type, listed, quoted
from dropledger.core.steps.checks import mart_key_check
from dropledger.core.steps.history import all_changed, free_texts, no_changes
from dropledger.core.steps.marts import refresh
from dropledger.core.steps.questions import ask


def make_marts(session: Session, pipeline: Pipeline) -> None:
    """Make the tables of all marts anew, and compute them whole.

    Raises:
        ContractError: the SQL of a mart does not work; or a row of it has no key, or not one of its own.
    """
    no_changes(session, pipeline)
    for mart in pipeline.marts:
        if mart.touched_sql is None:
            _make_empty_mart(session, pipeline, mart)
            session.scratch(f"touched_{mart.name}", f"SELECT {listed(mart.file.key)} FROM {quoted(mart.name)}")
        else:
            for select in _touched_at_first(pipeline, mart, mart.touched_sql):
                with faults_by_line(pipeline.folder / "marts" / f"{mart.name}.touched.sql"):
                    session.scratch(f"touched_{mart.name}", select, {"moment_before": datetime.min})
                _make_empty_mart(session, pipeline, mart)
        session.scratch(f"before_{mart.name}", f"SELECT * FROM {quoted(mart.name)}")
    all_changed(session, pipeline)
    for refreshed in refresh(session, pipeline, None):
        for result in ask(session, [mart_key_check(session, refreshed)])[0]:
            if result.failed:
                raise ContractError(
                    pipeline.folder / "marts" / f"{result.model}.sql",
                    1,
                    f"{result.failing_rows} {result.message}",
                    hint="let the SQL give each row a key of its own, or name another key in the mart's YAML",
                )
    no_changes(session, pipeline)


def _make_empty_mart(session: Session, pipeline: Pipeline, mart: Mart) -> None:
    """A table with the columns that the mart's SQL has; texts of feeds that hardly repeat are kept as in history."""
    texts = set[str]().union(*map(free_texts, pipeline.contracts.values()))
    with faults_by_line(pipeline.folder / "marts" / f"{mart.name}.sql"):
        session.create_table_like(mart.name, mart.whole_sql, mart.file.key, texts)


def _touched_at_first(pipeline: Pipeline, mart: Mart, touched_sql: str) -> list[str]:
    """What selects a mart's touched keys before it is there; first none at all, where that names the mart itself."""
    if not names(touched_sql, mart.name):
        return [touched_sql]
    keys = ", ".join(f"{_no_value(pipeline, key)} AS {quoted(key)}" for key in mart.file.key)
    return [f"SELECT {keys} WHERE FALSE", touched_sql]


def _no_value(pipeline: Pipeline, key: str) -> str:
    """A NULL of the type that the feeds' columns of this name have, if they agree; else of none, which fits to any."""
    types = {
        engine_type(column.type)
        for contract in pipeline.contracts.values()
        for column in contract.columns
        if column.name == key
    }
    return f"CAST(NULL AS {types.pop()})" if len(types) == 1 else "NULL"
