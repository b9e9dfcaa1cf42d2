"""A pipeline as its folder defines it: contracts in YAML, models and checks in SQL."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.contract import CheckDefinition, Contract, Identifier, load_contract
from core.errors import ConfigurationError, ContractError
from core.sql import statements
from core.yaml_file import load_yaml

BUILT_IN = Path(__file__).parent / "pipelines"
_LAYERS_BELOW = ("src_", "received_src_", "stg_", "history_")
_WORK_TABLES = frozenset(
    {
        "added_version",
        "change",
        "concerned",
        "cut",
        "difference",
        "effect",
        "incoming",
        "incoming_together",
        "initial",
        "left_out",
        "line",
        "micro_batch",
        "missing",
        "observation",
        "observed",
        "parsed",
        "parsed_again",
        "raw_row",
        "removed_version",
        "source_again",
        "step",
        "superseded",
        "woven",
        "woven_observation",
    }
)
"""The relations that a drop's statements pass on to one another, but for those named after feeds and marts."""


class PipelineFile(BaseModel):
    """`pipeline.yaml`: the name, the schema of the tables, the feeds that move the mart's moment, and what becomes of
    texts in CSV files that a spreadsheet program would run.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    pipeline: Identifier
    db_schema: Annotated[Identifier, Field(alias="schema")]
    moment: tuple[Identifier, ...] = Field(min_length=1)
    csv_formulas: Literal["harmless", "as_they_are"] = "harmless"

    @property
    def makes_texts_harmless(self) -> bool:
        """Whether CSV files get texts that no spreadsheet program runs."""
        return self.csv_formulas == "harmless"


class MartFile(BaseModel):
    """`marts/<mart>.yaml`: its key, what its artifacts hold, and its checks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mart: Identifier
    key: tuple[Identifier, ...] = Field(min_length=1)
    columns: tuple[Identifier, ...] = Field(min_length=1)
    artifacts: tuple[Literal["csv", "parquet"], ...] = ()
    changes: bool = False
    measure: Identifier | None = None
    checks: tuple[CheckDefinition, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """A check with its SQL, which selects the failing rows."""

    model: str
    definition: CheckDefinition
    sql: str


@dataclass(frozen=True, slots=True)
class Model:
    """An intermediate view."""

    name: str
    sql: str


@dataclass(frozen=True, slots=True)
class Mart:
    """A business table: `touched_sql` selects the keys to recompute, `sql` their rows.

    `waits` is whether it may be computed once for several drops: it has no change file, and no mart reads it.
    """

    name: str
    file: MartFile
    sql: str
    touched_sql: str
    checks: tuple[Check, ...]
    waits: bool


@dataclass(frozen=True)
class Pipeline:
    """Everything that a pipeline's folder says."""

    folder: Path
    file: PipelineFile
    contracts: Mapping[str, Contract]
    intermediate: tuple[Model, ...]
    marts: tuple[Mart, ...]
    feed_checks: Mapping[str, tuple[Check, ...]]

    @property
    def name(self) -> str:
        return self.file.pipeline

    @cached_property
    def sha256(self) -> str:
        """Changes whenever a contract, a model or a check does; the warehouse is then brought in line."""
        digest = hashlib.sha256()
        for path in sorted(self.folder.rglob("*")):
            if path.suffix in {".yaml", ".sql", ".csv"}:
                digest.update(f"{path.relative_to(self.folder)}\0".encode() + path.read_bytes() + b"\0")
        return digest.hexdigest()

    @cached_property
    def feed_order(self) -> tuple[str, ...]:
        """The feeds with parents before children, so that drops of one as_of raise no false orphans."""
        return tuple(
            _ordered({feed: contract.parents & self.contracts.keys() for feed, contract in self.contracts.items()})
        )

    def contract(self, feed: str) -> Contract:
        try:
            return self.contracts[feed]
        except KeyError:
            raise ConfigurationError(
                f"the pipeline {self.name} has no feed '{feed}'", hint=f"use one of: {', '.join(self.feed_order)}"
            ) from None

    def initial_rows(self) -> list[tuple[Contract, Path, datetime]]:
        """The rows that stand before any drop: contract, file, and the as_of in the file's name."""
        from core.drop import as_of_in_name

        found = []
        for contract in self.contracts.values():
            if contract.initial is not None:
                as_of = as_of_in_name(contract.initial)
                if as_of is None:
                    raise ContractError(
                        self.folder / f"{contract.feed}.yaml",
                        1,
                        f"the initial file '{contract.initial}' bears no date",
                        hint="name it like rates_1970-01-01.csv",
                    )
                found.append((contract, self.folder / contract.initial, as_of))
        return found


def load_pipeline(name_or_folder: str) -> Pipeline:
    """A built-in pipeline by name, or any pipeline by its folder.

    Raises:
        ConfigurationError: there is no such pipeline, or (as ContractError) one of its files is wrong.
    """
    built_in = BUILT_IN / name_or_folder
    folder = built_in if (built_in / "pipeline.yaml").is_file() else Path(name_or_folder).resolve()
    if not (folder / "pipeline.yaml").is_file():
        known = ", ".join(sorted(path.parent.name for path in BUILT_IN.glob("*/pipeline.yaml")))
        raise ConfigurationError(
            f"there is no pipeline '{name_or_folder}'",
            why="it is neither built in nor a folder with a pipeline.yaml",
            hint=f"set DROPLEDGER_PIPELINE to one of: {known}; or to a folder",
        )
    file = load_yaml(folder / "pipeline.yaml", PipelineFile)
    contracts = {}
    for path in sorted(folder.glob("*.yaml")):
        if path.name != "pipeline.yaml":
            contract = load_contract(path)
            if contract.feed in contracts:
                raise ContractError(
                    path, 1, f"the feed '{contract.feed}' is defined twice", hint="rename one of the two"
                )
            contracts[contract.feed] = contract
    for feed in file.moment:
        if feed not in contracts:
            raise ContractError(
                folder / "pipeline.yaml", 1, f"moment names the unknown feed '{feed}'", hint="name feeds of this folder"
            )
    for contract in contracts.values():
        _check_relationships(folder, contract, contracts)
    intermediate, marts = _intermediate(folder), _marts(folder)
    _refuse_taken_names(folder, contracts, intermediate, marts)
    told = [mart.name for mart in marts if mart.file.changes]
    if len(told) > 1:
        raise ContractError(
            folder / "marts" / f"{told[-1]}.yaml",
            1,
            f"changes: true stands in {' and '.join(told)}, and a drop has one change file",
            hint="leave it in one mart",
        )
    return Pipeline(
        folder=folder,
        file=file,
        contracts=contracts,
        intermediate=intermediate,
        marts=marts,
        feed_checks={feed: _checks(folder, feed, contract.checks) for feed, contract in contracts.items()},
    )


def _check_relationships(folder: Path, contract: Contract, contracts: Mapping[str, Contract]) -> None:
    for column in contract.columns:
        for rule in column.rules:
            if rule.to is not None:
                feed, key = rule.to.split(".")
                if feed not in contracts or contracts[feed].key != (key,):
                    raise ContractError(
                        folder / f"{contract.feed}.yaml",
                        1,
                        f"{column.name}: the relationship leads to '{rule.to}', which is not the key of a feed",
                        hint="name another feed's single key column, like customer.customer_id",
                    )


def _intermediate(folder: Path) -> tuple[Model, ...]:
    sql = {path.stem: path.read_text(encoding="utf-8") for path in (folder / "intermediate").glob("*.sql")}
    return tuple(Model(name, sql[name]) for name in _ordered(_references(sql)))


def _marts(folder: Path) -> tuple[Mart, ...]:
    files = {file.mart: file for path in (folder / "marts").glob("*.yaml") for file in [load_yaml(path, MartFile)]}
    sql = {name: _sql(folder / "marts" / f"{name}.sql") for name in files}
    touched_sql = {name: _sql(folder / "marts" / f"{name}.touched.sql") for name in files}
    references = _references({name: sql[name] + touched_sql[name] for name in files})
    read_by_others = set().union(*references.values())
    return tuple(
        Mart(
            name=name,
            file=files[name],
            sql=sql[name],
            touched_sql=touched_sql[name],
            checks=_checks(folder, name, files[name].checks),
            waits=not files[name].changes and name not in read_by_others,
        )
        for name in _ordered(references)
    )


def _refuse_taken_names(
    folder: Path, feeds: Iterable[str], intermediate: Iterable[Model], marts: Iterable[Mart]
) -> None:
    """A mart is made by replacing what has its name, which must not be the ledger or a history."""
    taken = {
        *(ddl.removeprefix("CREATE TABLE IF NOT EXISTS ").split()[0] for ddl in statements("ledger_tables")),
        *("mart_moment", "complete_drop", "writer", "held"),
        *_WORK_TABLES,
        *(f"{kind}_{feed}" for feed in feeds for kind in ("changed", "all_changed", "keys_of", "together")),
        *(f"{kind}_{mart.name}" for mart in marts for kind in ("touched", "before", "due", "planned")),
    }
    files = [
        *((model.name, folder / "intermediate" / f"{model.name}.sql") for model in intermediate),
        *((mart.name, folder / "marts" / f"{mart.name}.yaml") for mart in marts),
    ]
    for name, path in files:
        if name in taken or name.startswith(_LAYERS_BELOW):
            raise ContractError(path, 1, f"'{name}' is the name of another table or view", hint="choose another name")
        taken.add(name)


def _checks(folder: Path, model: str, definitions: Iterable[CheckDefinition]) -> tuple[Check, ...]:
    return tuple(
        Check(model, definition, _sql(folder / "checks" / model / f"{definition.name}.sql"))
        for definition in definitions
    )


def _sql(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ContractError(path, 1, "is missing", hint="add this file, see docs/contracts.md") from None


def _references(sql: Mapping[str, str]) -> dict[str, set[str]]:
    """Which of the models each model's text names."""
    return {
        name: {other for other in sql if other != name and re.search(rf"\b{re.escape(other)}\b", text)}
        for name, text in sql.items()
    }


def _ordered(graph: Mapping[str, Iterable[str]]) -> list[str]:
    try:
        return list(TopologicalSorter({name: sorted(graph[name]) for name in sorted(graph)}).static_order())
    except CycleError as error:
        raise ConfigurationError(
            "the pipeline's files refer to each other in a circle",
            why=" -> ".join(error.args[1]),
            hint="break the circle",
        ) from None
