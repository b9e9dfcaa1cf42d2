"""The files of a pipeline's folder, checked when they are loaded.

The models are named like what they become.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

import dropledger.core.contracts.pipeline_spec as plain
from dropledger.core.contracts.contract import CheckDefinition as PlainCheckDefinition
from dropledger.core.contracts.contract import Contract
from dropledger.core.contracts.contract_check import refuse_bad_defaults
from dropledger.core.contracts.contract_file import CheckDefinition, load_contract
from dropledger.core.contracts.form_file import Identifier
from dropledger.core.contracts.freshness import EVERY_DAY, WEEKDAYS
from dropledger.core.contracts.freshness_file import Day
from dropledger.core.contracts.pipeline_spec import Check, Mart, Model, Pipeline, names, ordered
from dropledger.core.contracts.yaml_file import line_at, load_yaml
from dropledger.core.errors import ContractError
from dropledger.core.ledger.migrations import ledger_tables
from dropledger.core.sql.text import SCRATCH_PREFIX

_LAYERS_BELOW = ("src_", "received_src_", "stg_", "history_")
_PUBLIC = ("mart_moment", "observation", "complete_drop", "writer")


class PipelineFile(BaseModel):
    """`pipeline.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pipeline: Identifier
    db_schema: Annotated[Identifier, Field(alias="schema")]
    moment: tuple[Identifier, ...] = Field(min_length=1)
    csv_formulas: Literal["harmless", "as_they_are"] = "harmless"
    calendars: Mapping[Identifier, tuple[Day, ...]] = Field(default_factory=dict)

    @field_validator("calendars")
    @classmethod
    def _not_taken(cls, calendars: Mapping[str, tuple[date, ...]]) -> Mapping[str, tuple[date, ...]]:
        for name in calendars.keys() & {EVERY_DAY, WEEKDAYS}:
            raise ValueError(f"'{name}' is a calendar already; choose another name for yours")
        return calendars

    def checked(self) -> plain.PipelineFile:
        return plain.PipelineFile(**dict(self))


class MartFile(BaseModel):
    """`marts/<mart>.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mart: Identifier
    description: str = ""
    key: tuple[Identifier, ...] = Field(min_length=1)
    columns: tuple[Identifier, ...] = Field(min_length=1)
    artifacts: tuple[Literal["csv", "parquet"], ...] = ()
    changes: bool = False
    measure: Identifier | None = None
    descriptions: Mapping[str, str] = Field(default_factory=dict)
    checks: tuple[CheckDefinition, ...] = ()

    def checked(self) -> plain.MartFile:
        return plain.MartFile(**{**dict(self), "checks": tuple(check.checked() for check in self.checks)})


class ModelFile(BaseModel):
    """`intermediate/<view>.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str = ""
    descriptions: Mapping[str, str] = Field(default_factory=dict)


class SectionFile(BaseModel):
    """A section or part in `explain/<mart>.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Identifier
    says: str = ""
    many: bool = False


class FigureFile(BaseModel):
    """The entry `figure` of `explain/<mart>.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    parts: tuple[SectionFile, ...] = ()
    arithmetic: str = ""
    says: str = ""


class ExplanationFile(BaseModel):
    """`explain/<mart>.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    of: Identifier | None = None
    sections: tuple[SectionFile, ...] = Field(min_length=1)
    figure: FigureFile

    def checked(self, folder: Path) -> plain.Explanation:
        """With the selects that lie in the folder."""

        def section(file: SectionFile) -> plain.Section:
            return plain.Section(file.name, _sql(folder / f"{file.name}.sql"), file.says, file.many)

        return plain.Explanation(
            of=self.of,
            sections=tuple(map(section, self.sections)),
            parts=tuple(map(section, self.figure.parts)),
            figure=section(SectionFile(name="figure", says=self.figure.says)),
            arithmetic=self.figure.arithmetic,
        )


def read_pipeline(folder: Path, sha256: str) -> Pipeline:
    """The pipeline in a folder whose files have this digest.

    Raises:
        ConfigurationError: (mostly as ContractError) one of its files is wrong.
    """
    file = load_yaml(folder / "pipeline.yaml", PipelineFile).checked()
    contracts = _contracts(folder, file.moment)
    for contract in contracts.values():
        _check_relationships(contract, contracts)
        _check_calendar(contract, file)
    intermediate, marts = _intermediate(folder), _marts(folder)
    _refuse_taken_names(folder, contracts, intermediate, marts)
    if any(mart.touched_sql is None for mart in marts):
        from dropledger.core.lineage.touched_keys import with_touched_keys

        marts = with_touched_keys(contracts, intermediate, marts)
    told = [mart.name for mart in marts if mart.file.changes]
    if len(told) > 1:
        raise ContractError(
            folder / "marts" / f"{told[-1]}.yaml",
            line_at(folder / "marts" / f"{told[-1]}.yaml", ["changes"]),
            f"changes: true stands in {' and '.join(told)}, and a drop has one change file",
            hint="leave it in one mart",
        )
    pipeline = Pipeline(
        folder=folder,
        file=file,
        contracts=contracts,
        intermediate=intermediate,
        marts=marts,
        explanations=_explanations(folder, marts, contracts),
        feed_checks={feed: _checks(folder, feed, contract.checks) for feed, contract in contracts.items()},
        sha256=sha256,
    )
    _refuse_circles(pipeline)
    pipeline.initial_rows()  # for a file without a date to be told before any drop is taken
    return pipeline


def _contracts(folder: Path, moment: Iterable[str]) -> dict[str, Contract]:
    """The contracts of a folder, by feed; the feeds in `moment` must be among them."""
    contracts: dict[str, Contract] = {}
    for path in sorted(folder.glob("*.yaml")):
        if path.name != "pipeline.yaml":
            contract = load_contract(path)
            if contract.feed in contracts:
                line = line_at(path, ["feed"])
                raise ContractError(
                    path, line, f"the feed '{contract.feed}' is defined twice", hint="rename one of the two"
                )
            refuse_bad_defaults(contract)
            contracts[contract.feed] = contract
    for feed in moment:
        if feed not in contracts:
            path = folder / "pipeline.yaml"
            line = line_at(path, ["moment"])
            raise ContractError(path, line, f"moment names the unknown feed '{feed}'", hint="name feeds of this folder")
    return contracts


def _check_relationships(contract: Contract, contracts: Mapping[str, Contract]) -> None:
    for place, column in enumerate(contract.columns):
        for number, rule in enumerate(column.rules):
            if rule.to is not None:
                feed, key = rule.to.split(".")
                if feed not in contracts or contracts[feed].key != (key,):
                    raise ContractError(
                        contract.file,
                        line_at(contract.file, ["columns", place, "rules", number, "to"]),
                        f"{column.name}: the relationship leads to '{rule.to}', which is not the key of a feed",
                        hint="name another feed's single key column, like customer.customer_id",
                    )


def _check_calendar(contract: Contract, file: plain.PipelineFile) -> None:
    known = [EVERY_DAY, WEEKDAYS, *file.calendars]
    if contract.freshness is not None and contract.freshness.calendar not in known:
        name = contract.freshness.calendar
        near = get_close_matches(name, known, 1)
        raise ContractError(
            contract.file,
            line_at(contract.file, ["freshness", "calendar"]),
            f"there is no calendar '{name}'" + (f"; did you mean '{near[0]}'?" if near else ""),
            hint=f"name one of {', '.join(known)}, or list its holidays as calendars: in pipeline.yaml",
        )


def _intermediate(folder: Path) -> tuple[Model, ...]:
    sql = {path.stem: path.read_text(encoding="utf-8") for path in (folder / "intermediate").glob("*.sql")}
    said = {path.stem: path for path in sorted((folder / "intermediate").glob("*.yaml"))}
    for name in said.keys() - sql.keys():
        raise ContractError(said[name], 1, f"there is no view '{name}' to describe", hint="name the file like a view")
    words = {name: load_yaml(said[name], ModelFile) if name in said else ModelFile() for name in sql}
    return tuple(
        Model(name, sql[name], words[name].description, words[name].descriptions) for name in ordered(_references(sql))
    )


def _marts(folder: Path) -> tuple[Mart, ...]:
    files: dict[str, plain.MartFile] = {}
    for path in sorted((folder / "marts").glob("*.yaml")):
        file = load_yaml(path, MartFile).checked()
        if file.mart in files:
            line = line_at(path, ["mart"])
            raise ContractError(path, line, f"the mart '{file.mart}' is defined twice", hint="rename one of the two")
        files[file.mart] = file
    sql = {name: _sql(folder / "marts" / f"{name}.sql") for name in files}
    by_hand = {name: folder / "marts" / f"{name}.touched.sql" for name in files}
    touched_sql = {name: _sql(path) if path.exists() else None for name, path in by_hand.items()}
    references = _references({name: f"{sql[name]}\n{touched_sql[name] or ''}" for name in files})
    read_by_others = set().union(*references.values())
    return tuple(
        Mart(
            name=name,
            file=files[name],
            sql=sql[name],
            touched_sql=touched_sql[name],
            touched_keys=None,
            checks=_checks(folder, name, files[name].checks),
            waits=not files[name].changes and name not in read_by_others,
        )
        for name in ordered(references)
    )


def _explanations(
    folder: Path, marts: Iterable[Mart], contracts: Mapping[str, Contract]
) -> dict[str, plain.Explanation]:
    """What explains the rows of marts, by mart, in their order."""
    found = {path.stem: path for path in sorted((folder / "explain").glob("*.yaml"))}
    keys = {mart.name: mart.file.key for mart in marts}
    explanations = {}
    for name in [*(name for name in keys if name in found), *(name for name in found if name not in keys)]:
        path = found[name]
        if name not in keys:
            raise ContractError(path, 1, f"there is no mart '{name}' to explain", hint="name the file like a mart")
        file = load_yaml(path, ExplanationFile)
        if file.of is not None and (file.of not in contracts or len(contracts[file.of].key) != len(keys[name])):
            raise ContractError(
                path,
                line_at(path, ["of"]),
                f"'{file.of}' is no feed with a key of as many columns as that of {name}",
                hint="name the feed whose keys the mart has; leave it out where the mart's key is none of a feed",
            )
        explanations[name] = file.checked(folder / "explain" / name)
    return explanations


def _refuse_taken_names(
    folder: Path, feeds: Collection[str], intermediate: Iterable[Model], marts: Iterable[Mart]
) -> None:
    """A mart is made by replacing what has its name, which must not be the ledger, a history, or what SQL may name."""
    for mart in marts:
        if mart.name in feeds:
            path = folder / "marts" / f"{mart.name}.yaml"
            hint = f"choose another name: before_{mart.name} has the rows of either as they were"
            raise ContractError(path, line_at(path, ["mart"]), f"'{mart.name}' is the name of a feed", hint=hint)
    taken = {
        *ledger_tables(),
        *_PUBLIC,
        *(f"{kind}_{feed}" for feed in feeds for kind in ("changed", "before")),
        *(f"{kind}_{mart.name}" for mart in marts for kind in ("touched", "before")),
    }
    files = [
        *((model.name, folder / "intermediate" / f"{model.name}.sql") for model in intermediate),
        *((mart.name, folder / "marts" / f"{mart.name}.yaml") for mart in marts),
    ]
    for given, path in files:
        name = given.casefold()  # as engines compare names
        if name.startswith(SCRATCH_PREFIX):
            raise ContractError(
                path, 1, f"'{given}' begins like the relations of dropledger's own", hint="choose another name"
            )
        if name in taken or name.startswith(_LAYERS_BELOW):
            raise ContractError(path, 1, f"'{given}' is the name of another table or view", hint="choose another name")
        taken.add(name)


def _refuse_circles(pipeline: Pipeline) -> None:
    """Views of marts are made when the marts are there."""
    for mart in pipeline.marts:
        for view in pipeline.views_of_marts:
            if names(f"{mart.sql}\n{mart.touched_sql or ''}", view.name):
                raise ContractError(
                    pipeline.folder / "marts" / f"{mart.name}.sql",
                    1,
                    f"{mart.name} reads the view {view.name}, which reads a mart itself",
                    hint="let the mart read that mart, or make a mart of the view",
                )


def _checks(folder: Path, model: str, definitions: Iterable[PlainCheckDefinition]) -> tuple[Check, ...]:
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
    return {name: {other for other in sql if other != name and names(text, other)} for name, text in sql.items()}
