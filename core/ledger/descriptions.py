"""What tables, views and columns are, said in the warehouse itself, so that any client of it shows it."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from dropledger.core.contracts.contract import Contract
from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.ports.session import Session


@cache
def text() -> str:
    """The descriptions of the ledger's own tables."""
    return files("dropledger.core").joinpath("sql", "descriptions.toml").read_text(encoding="utf-8")


@cache
def _ours() -> Mapping[str, Mapping[str, str]]:
    import tomllib

    return tomllib.loads(text())


Said = tuple[str, Mapping[str, str]]
"""What a table or view is, and what columns of it are."""


def describe_all(session: Session, pipeline: Pipeline) -> None:
    """Describe what a ledger of this pipeline has, but for the source layer, which each drop makes anew."""
    ours = _ours()
    said: dict[str, Said] = {
        name: (described[""], {column: words for column, words in described.items() if column})
        for name, described in ours.items()
        if "" in described
    }
    for contract in pipeline.contracts.values():
        said.update(_of_feed(contract, ours["history"], ours["staging"]))
    said.update({model.name: (_first_words(model.sql), {}) for model in pipeline.intermediate})
    said.update({mart.name: (_first_words(mart.sql), mart.file.descriptions) for mart in pipeline.marts})
    session.describe(said)


def _of_feed(contract: Contract, history: Mapping[str, str], staging: Mapping[str, str]) -> Mapping[str, Said]:
    columns = {
        column.name: f"{' or '.join(column.aliases or (column.name,))} in the files, {column.type}"
        for column in contract.columns
    }
    in_key = {name: f"Key: {columns[name]}" for name in contract.key}
    stored = {column.name: columns[column.name] for column in contract.values}
    more = f" {contract.description}" if contract.description else ""
    feed = contract.feed
    return {
        f"history_{feed}": (f"Every version of every {feed}.{more}", {**stored, **in_key, **history}),
        f"stg_{feed}": (f"The accepted rows of the newest drop of the feed {feed}, typed.{more}", staging),
    }


def _first_words(sql: str) -> str:
    """The comment that a model's SQL begins with."""
    lines = []
    for line in sql.splitlines():
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--").strip())
    return " ".join(lines)
