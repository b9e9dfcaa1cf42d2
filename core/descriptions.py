"""What tables, views and columns are, said in the warehouse itself, so that any client of it shows it."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from core.contract import Contract
from core.definition import Pipeline
from core.ports import Session


@cache
def text() -> str:
    """The descriptions of the ledger's own tables."""
    return files("core").joinpath("sql", "descriptions.toml").read_text(encoding="utf-8")


@cache
def _ours() -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads(text())


def describe_all(session: Session, pipeline: Pipeline) -> None:
    """Describe what a ledger of this pipeline has, but for the source layer, which each drop makes anew."""
    ours = _ours()
    for name, described in ours.items():
        if "" in described:
            session.describe(name, described[""], {column: said for column, said in described.items() if column})
    for contract in pipeline.contracts.values():
        _describe_feed(session, contract, ours["history"], ours["staging"])
    for model in pipeline.intermediate:
        session.describe(model.name, _first_words(model.sql), {})
    for mart in pipeline.marts:
        session.describe(mart.name, _first_words(mart.sql), mart.file.descriptions)


def _describe_feed(
    session: Session, contract: Contract, history: Mapping[str, str], staging: Mapping[str, str]
) -> None:
    columns = {
        column.name: f"{' or '.join(column.aliases or (column.name,))} in the files, {column.type}"
        for column in contract.columns
    }
    in_key = {name: f"Key: {columns[name]}" for name in contract.key}
    stored = {column.name: columns[column.name] for column in contract.values}
    said = f" {contract.description}" if contract.description else ""
    feed = contract.feed
    session.describe(f"history_{feed}", f"Every version of every {feed}.{said}", {**stored, **in_key, **history})
    session.describe(f"stg_{feed}", f"The accepted rows of the newest drop of the feed {feed}, typed.{said}", staging)


def _first_words(sql: str) -> str:
    """The comment that a model's SQL begins with."""
    lines = []
    for line in sql.splitlines():
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--").strip())
    return " ".join(lines)
