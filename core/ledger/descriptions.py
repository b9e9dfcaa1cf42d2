"""What tables, views and columns are, said in the warehouse itself, so that any client of it shows it."""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib.resources import files

from dropledger.core.contracts.contract import Column, Contract
from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.errors import ContractError
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


def ledger_words() -> dict[str, Said]:
    """What the ledger's own tables and `mart_moment` are, and each of their columns in order."""
    return {
        name: (described[""], {column: words for column, words in described.items() if column})
        for name, described in _ours().items()
        if "" in described
    }


def feed_words(contract: Contract) -> dict[str, Said]:
    """What `src_<feed>`, `stg_<feed>` and `history_<feed>` are, and each of their columns in order."""
    feed, ours = contract.feed, _ours()
    more = f" {contract.description}" if contract.description else ""
    columns = {column.name: column.description for column in contract.columns}
    stored = {column.name: column.description for column in (*contract.key_columns, *contract.values)}
    return {
        f"src_{feed}": (
            f"The rows of the newest drop of the feed {feed}, as text.{more}",
            {**ours["staging"], **columns, **ours["source"]},
        ),
        f"stg_{feed}": (
            f"The accepted rows of the newest drop of the feed {feed}, typed.{more}",
            {**ours["staging"], **columns},
        ),
        f"history_{feed}": (f"Every version of every {feed}.{more}", {**stored, **ours["history"]}),
    }


def describe_all(session: Session, pipeline: Pipeline) -> None:
    """Describe what a ledger of this pipeline has, but for the source layer, which each drop makes anew.

    Raises:
        ContractError: a file of the pipeline describes a column that its view or mart has not.
    """
    said = ledger_words()
    for contract in pipeline.contracts.values():
        said.update(_of_feed(contract))
    models = {model.name: ("intermediate", model.words, model.descriptions) for model in pipeline.intermediate}
    marts = {mart.name: ("marts", mart.words, mart.file.descriptions) for mart in pipeline.marts}
    for name, (folder, words, columns) in {**models, **marts}.items():
        _refuse_unknown_columns(session, pipeline, folder, name, columns)
        said[name] = words, columns
    session.describe(said)


def _of_feed(contract: Contract) -> dict[str, Said]:
    """What the warehouse says of a feed's relations: of stored columns also what they are in the files."""
    said = feed_words(contract)
    del said[f"src_{contract.feed}"]
    table, columns = said[f"history_{contract.feed}"]
    stored = {column.name: column for column in (*contract.key_columns, *contract.values)}
    in_files = {
        name: f"{words} {_in_files(contract, stored[name])}".lstrip() if name in stored else words
        for name, words in columns.items()
    }
    said[f"history_{contract.feed}"] = table, in_files
    return {
        name: (words, {column: told for column, told in columns.items() if told})
        for name, (words, columns) in said.items()
    }


def _in_files(contract: Contract, column: Column) -> str:
    in_key = "Key: " if column.name in contract.key else ""
    return f"{in_key}{' or '.join(column.aliases or (column.name,))} in the files, {column.type}"


def _refuse_unknown_columns(
    session: Session, pipeline: Pipeline, folder: str, name: str, described: Mapping[str, str]
) -> None:
    """Stop at words that no engine could put anywhere."""
    columns = list(session.columns(name)) if described else []
    for column in described:
        if column not in columns:
            from dropledger.core.contracts.yaml_file import line_at

            file = pipeline.folder / folder / f"{name}.yaml"
            near = get_close_matches(column, columns, 1)
            raise ContractError(
                file,
                line_at(file, ["descriptions", column]),
                f"descriptions names '{column}', which is no column of {name}",
                hint=f"did you mean {near[0]}?" if near else f"its columns are {', '.join(columns)}",
            )
