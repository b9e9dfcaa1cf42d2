"""A pipeline as its folder defines it, in plain values; `pipeline_file` checks the files that say so."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from hashlib import sha256
from pathlib import Path
from typing import Literal

from dropledger.core.contracts.contract import CheckDefinition, Contract
from dropledger.core.errors import ConfigurationError, ContractError, DataRefused
from dropledger.core.sql.text import full_refresh, listed, quoted

BUILT_IN = Path(__file__).parents[1] / "pipelines"


@dataclass(frozen=True, slots=True)
class PipelineFile:
    """`pipeline.yaml`: the name, the schema of the tables, the feeds that move the mart's moment, what becomes of texts
    in CSV files that a spreadsheet program would run, and the holidays of each calendar of its own.
    """

    pipeline: str
    db_schema: str
    moment: tuple[str, ...]
    csv_formulas: Literal["harmless", "as_they_are"]
    calendars: Mapping[str, tuple[date, ...]]

    @property
    def makes_texts_harmless(self) -> bool:
        """Whether CSV files get texts that no spreadsheet program runs."""
        return self.csv_formulas == "harmless"


@dataclass(frozen=True, slots=True)
class MartFile:
    """`marts/<mart>.yaml`: its key, what its artifacts hold, its checks, and what it and its columns are, in words."""

    mart: str
    description: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    artifacts: tuple[Literal["csv", "parquet"], ...]
    changes: bool
    measure: str | None
    descriptions: Mapping[str, str]
    checks: tuple[CheckDefinition, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """A check with its SQL, which selects the failing rows."""

    model: str
    definition: CheckDefinition
    sql: str


@dataclass(frozen=True, slots=True)
class Model:
    """An intermediate view; `intermediate/<name>.yaml` says what it and its columns are, where there is one."""

    name: str
    sql: str
    description: str
    descriptions: Mapping[str, str]

    @property
    def words(self) -> str:
        """What it is: its description, or the comment that its SQL begins with."""
        return self.description or first_words(self.sql)


@dataclass(frozen=True, slots=True)
class TouchedKeys:
    """The keys of a mart that a change touches, as its SQL tells.

    `selects` has an entry for each table that the mart reads: what selects the keys that a change of the table touches,
    where they may come more than once; None where these may be any, and `reasons` then says why.
    """

    selects: Mapping[str, str | None]
    reasons: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Mart:
    """A business table: `sql` selects its rows, `touched_sql` the keys to recompute.

    `touched_sql` is None where `marts/<mart>.touched.sql` is not there; `touched_keys` says then what its SQL tells.
    `waits` is whether it may be computed once for several drops: it has no change file, and no mart reads it.
    """

    name: str
    file: MartFile
    sql: str
    touched_sql: str | None
    touched_keys: TouchedKeys | None
    checks: tuple[Check, ...]
    waits: bool

    @property
    def whole_sql(self) -> str:
        """Selects all rows."""
        return full_refresh(self.sql)

    @property
    def touched_rows_sql(self) -> str:
        """Selects the rows of the keys in `touched_<mart>`, and those without a key, for the checks to find."""
        if self.touched_keys is None:
            return self.sql
        key = listed(self.file.key)
        touched = f"SELECT {key} FROM {quoted(f'touched_{self.name}')}"
        without = "".join(f" OR {quoted(name)} IS NULL" for name in self.file.key)
        return f"SELECT *\nFROM (\n{self.sql}\n) AS computed\nWHERE ({key}) IN ({touched}){without}"

    @property
    def selects_of_touched(self) -> list[str]:
        """Whatever selects touched keys of it."""
        of_tables = self.touched_keys.selects.values() if self.touched_keys else ()
        return [select for select in (self.touched_sql, *of_tables) if select is not None]

    def touched_by(self, tables: Collection[str]) -> str | None:
        """Selects the keys that changes of these tables may touch, each once; None where they may be any."""
        if self.touched_keys is None:
            return self.touched_sql
        selects = [select for table, select in self.touched_keys.selects.items() if table in tables]
        if None in selects:
            return None
        key = self.file.key
        none = f"SELECT {listed(key)} FROM {quoted(self.name)} WHERE FALSE"
        found = "\nUNION ALL\n".join(filter(None, selects)) or none
        not_null = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in key)
        return f"SELECT DISTINCT {listed(key)}\nFROM (\n{found}\n) AS touched\nWHERE {not_null}"

    @property
    def words(self) -> str:
        """What it is: its description, or the comment that its SQL begins with."""
        return self.file.description or first_words(self.sql)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of what explains a figure: a select, and the sentence that people see for each of its rows.

    `says` has the names of columns in braces. `many` is whether it may have more rows than one.
    """

    name: str
    sql: str
    says: str
    many: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """`explain/<mart>.yaml`: how a row of a mart came about.

    The key that is asked for is one of the feed `of`; where that is None, it is the mart's alone. The selects come in
    this order: `sections`, `parts`, `figure`; each may name those before it. `figure` has a row with the text
    `no_figure` where there is none, else with columns of the mart, which are held against it. `arithmetic` is its
    calculation as a sentence.
    """

    of: str | None
    sections: tuple[Section, ...]
    parts: tuple[Section, ...]
    figure: Section
    arithmetic: str


@dataclass(frozen=True)
class Pipeline:
    """Everything that a pipeline's folder says.

    `sha256` changes whenever a contract, a model or a check does; the warehouse is then brought in line.
    """

    folder: Path
    file: PipelineFile
    contracts: Mapping[str, Contract]
    intermediate: tuple[Model, ...]
    marts: tuple[Mart, ...]
    feed_checks: Mapping[str, tuple[Check, ...]]
    explanations: Mapping[str, Explanation]
    sha256: str

    @property
    def name(self) -> str:
        return self.file.pipeline

    @cached_property
    def views_of_marts(self) -> tuple[Model, ...]:
        """The intermediate views that read marts, themselves or by another view; no mart reads one of them."""
        found: list[Model] = []
        known = {mart.name for mart in self.marts}
        for model in self.intermediate:  # each behind those that it reads
            if any(names(_without_comments(model.sql), name) for name in known):
                found.append(model)
                known.add(model.name)
        return tuple(found)

    @cached_property
    def views_for_marts(self) -> tuple[Model, ...]:
        """The other intermediate views."""
        return tuple(model for model in self.intermediate if model not in self.views_of_marts)

    @cached_property
    def feed_order(self) -> tuple[str, ...]:
        """The feeds with parents before children, so that drops of one as_of raise no false orphans."""
        return tuple(
            ordered({feed: contract.parents & self.contracts.keys() for feed, contract in self.contracts.items()})
        )

    def contract(self, feed: str) -> Contract:
        try:
            return self.contracts[feed]
        except KeyError:
            raise ConfigurationError(
                f"the pipeline {self.name} has no feed '{feed}'", hint=f"use one of: {', '.join(self.feed_order)}"
            ) from None

    def mart(self, name: str) -> Mart:
        """The mart of this name.

        Raises:
            ConfigurationError: there is none.
        """
        for mart in self.marts:
            if mart.name == name:
                return mart
        known = ", ".join(mart.name for mart in self.marts) or "no mart, as it has none"
        raise ConfigurationError(f"the pipeline {self.name} has no mart '{name}'", hint=f"use one of: {known}")

    @cached_property
    def shows_before(self) -> frozenset[str]:
        """The feeds whose rows as they were before a change some mart's touched keys are found by."""
        selects = [select for mart in self.marts for select in mart.selects_of_touched]
        return frozenset(feed for feed in self.contracts if any(names(sql, f"before_{feed}") for sql in selects))

    def initial_rows(self) -> list[tuple[Contract, Path, datetime]]:
        """The rows that stand before any drop: contract, file, and the as_of in the file's name."""
        from dropledger.core.as_of_in_name import as_of_in_name

        found = []
        for contract in self.contracts.values():
            if contract.initial is not None:
                try:
                    as_of, why = as_of_in_name(contract.initial), "bears no date"
                except DataRefused as refusal:
                    as_of, why = None, f"bears no date that is read: {refusal}"
                if as_of is None:
                    from dropledger.core.contracts.yaml_file import line_at

                    raise ContractError(
                        contract.file,
                        line_at(contract.file, ["initial"]),
                        f"the initial file '{contract.initial}' {why}",
                        hint="name it like rates_1970-01-01.csv",
                    )
                found.append((contract, self.folder / contract.initial, as_of))
        return found


def first_words(sql: str) -> str:
    """The comment that a model's SQL begins with, as one line."""
    lines = []
    for line in sql.splitlines():
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--").strip())
    return " ".join(lines)


def load_pipeline(name_or_folder: str, cache: Path | None = None) -> Pipeline:
    """A built-in pipeline by name, or any pipeline by its folder.

    With a `cache`, a folder that may or may not be there, a pipeline whose files were checked before is taken from it.

    Raises:
        ConfigurationError: there is no such pipeline, or (as ContractError) one of its files is wrong.
    """
    # Where a kept pipeline is taken, nothing imports pydantic and YAML, which take longer than a small drop.
    from dropledger.core.contracts.kept_pipeline import PACKAGED, keep, kept

    folder = _folder_of(name_or_folder)
    digest = sha256_of(folder)
    places = [] if cache is None else [PACKAGED, cache]
    pipeline = next(filter(None, (kept(place, folder, digest) for place in places)), None)
    if pipeline is None:
        from dropledger.core.contracts.pipeline_file import read_pipeline

        pipeline = read_pipeline(folder, digest)
        if cache is not None:
            keep(cache, pipeline)
    return pipeline


def _folder_of(name_or_folder: str) -> Path:
    built_in = BUILT_IN / name_or_folder
    folder = built_in if (built_in / "pipeline.yaml").is_file() else Path(name_or_folder).resolve()
    if not (folder / "pipeline.yaml").is_file():
        known = ", ".join(sorted(path.parent.name for path in BUILT_IN.glob("*/pipeline.yaml")))
        raise ConfigurationError(
            f"there is no pipeline '{name_or_folder}'",
            why="it is neither built in nor a folder with a pipeline.yaml",
            hint=f"set DROPLEDGER_PIPELINE to one of: {known}; or to a folder",
        )
    return folder


def sha256_of(folder: Path) -> str:
    """Of the names and contents of a pipeline's files."""
    digest = sha256()
    for path in files_of(folder):
        digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def files_of(folder: Path) -> list[Path]:
    """A pipeline's files, in order; also those in folders that are links."""
    found = (path for pattern in ("*", "*/*", "*/*/*") for path in folder.glob(pattern))
    return sorted(path for path in found if path.suffix in {".yaml", ".sql", ".csv"})


def names(sql: str, relation: str) -> bool:
    """Whether an SQL text names a table or view."""
    return re.search(rf"\b{re.escape(relation)}\b", sql) is not None


def _without_comments(sql: str) -> str:
    return re.sub(r"--[^\n]*", "", sql)


def ordered(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """The names in a graph, each behind those that it names.

    Raises:
        ConfigurationError: they name each other in a circle.
    """
    try:
        return list(TopologicalSorter({name: sorted(graph[name]) for name in sorted(graph)}).static_order())
    except CycleError as error:
        raise ConfigurationError(
            "the pipeline's files refer to each other in a circle",
            why=" -> ".join(error.args[1]),
            hint="break the circle",
        ) from None
