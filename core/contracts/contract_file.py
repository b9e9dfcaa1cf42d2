"""A contract's YAML file, checked when it is loaded.

Its models are named like what they become: errors of pydantic name them.
"""

import hashlib
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

import dropledger.core.contracts.contract as plain
from dropledger.core.contracts.contract import Delimiter, Format, Negative, Quote, Severity
from dropledger.core.contracts.form_check import (
    known_encoding,
    refuse_unfit_form,
    refuse_unfit_guards,
    refuse_unfit_reading,
)
from dropledger.core.contracts.form_file import (
    AsOfEntry,
    Comment,
    ControlFile,
    Drift,
    Identifier,
    Preamble,
    Trailer,
    VolumeEntry,
    as_sources,
)
from dropledger.core.contracts.freshness_file import FreshnessEntry
from dropledger.core.contracts.yaml_file import ENTRY_ERROR, line_at, load_yaml, parse_yaml
from dropledger.core.errors import ContractError
from dropledger.core.rules.kinds import KINDS

RESERVED = frozenset({"valid_from", "valid_to", "is_current", "drop_id", "line", "file", "changed_from", "rowid"})
"""What stands beside a feed's columns: in its history, in what `history` shows, in `changed_<feed>`, in the engine."""
if TYPE_CHECKING:
    RuleName = str
else:
    RuleName = Literal[tuple(KINDS)]
_DECIMAL = re.compile(r"decimal\((\d{1,2}),\s*(\d{1,2})\)")


class Rule(BaseModel):
    """A rule of a column."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: RuleName
    name: str = ""
    severity: Severity = Severity.ERROR
    values: dict[str, str | bool] | list[str] | None = None
    min: Decimal | None = None
    max: Decimal | None = None
    pattern: str | None = None
    to: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")
    message: str = ""

    @model_validator(mode="after")
    def _has_its_parameters(self) -> Self:
        if lacks := KINDS[self.rule].lacks(self.checked()):
            raise ValueError(lacks)
        return self

    def checked(self) -> plain.Rule:
        values = tuple(self.values) if isinstance(self.values, list) else self.values
        return plain.Rule(**{**dict(self), "values": values})


def _rule_shorthand(rules: object) -> object:
    if isinstance(rules, list):
        return [{"rule": rule} if isinstance(rule, str) else rule for rule in rules]
    return rules


def _as_list(given: object) -> object:
    return [given] if isinstance(given, str) else given


Listed = Annotated[tuple[str, ...], BeforeValidator(_as_list)]
"""A list of texts, or one of them."""


class Column(BaseModel):
    """A column of the feed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Identifier
    aliases: tuple[str, ...] = ()
    type: str = "text"
    default: str | None = None
    optional: bool = False
    joined: tuple[str, ...] = ()
    path: str | None = None
    date_format: Listed = ()
    timestamp_format: Listed = ()
    timezone: str | None = None
    zones: Mapping[str, str] = Field(default_factory=dict)
    dst: Literal["earlier", "later"] | None = None
    decimal_mark: Literal[",", "."] | None = None
    group_mark: Literal[",", ".", " ", "'"] | None = None
    strip: Listed = ()
    negative: Annotated[tuple[Negative, ...], BeforeValidator(_as_list)] = ()
    rules: Annotated[tuple[Rule, ...], BeforeValidator(_rule_shorthand)] = ()
    description: str = ""
    classification: str | None = Field(default=None, min_length=1)

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, name: str) -> str:
        if name in RESERVED:
            raise ValueError(f"'{name}' is a column of dropledger's own; choose another name and list this as an alias")
        return name

    @field_validator("type")
    @classmethod
    def _known_type(cls, text: str) -> str:
        cut = re.fullmatch(r"decimal\((\d+)", text)
        if cut:  # `{name: x, type: decimal(12,2)}` has the entries `type: decimal(12` and `2)`
            raise ValueError(f"YAML cuts the type at its comma, between braces; quote it, like 'decimal({cut[1]},2)'")
        match = _DECIMAL.fullmatch(text)
        if match and int(match[2]) <= int(match[1]) <= 28:
            return f"decimal({match[1]},{match[2]})"
        if text in {"bigint", "text", "boolean", "date", "timestamp", "json"}:
            return text
        raise ValueError(
            f"unknown type '{text}': use bigint, decimal(p,s) with p up to 28, text, boolean, date, timestamp or json"
        )

    @model_validator(mode="after")
    def _rules_fit_the_type(self) -> Self:
        column = self.checked()
        refuse_unfit_reading(column)
        if column.type == "boolean" and column.accepted_values is None:
            raise ValueError("a boolean column needs an accepted_values rule that maps each spelling to true or false")
        for rule in column.rules:
            if unfit := KINDS[rule.rule].unfit(rule, column):
                raise ValueError(unfit)
        return self

    def checked(self) -> plain.Column:
        return plain.Column(**{**dict(self), "rules": tuple(rule.checked() for rule in self.rules)})


class Operation(BaseModel):
    """The column of a delta feed that says what happened to the key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: Identifier
    upsert: tuple[str, ...] = ("I", "U")
    delete: tuple[str, ...] = ("D",)

    def checked(self) -> plain.Operation:
        return plain.Operation(**dict(self))


class CheckDefinition(BaseModel):
    """A check in SQL."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Identifier
    severity: Severity = Severity.ERROR
    message: str = Field(min_length=1)

    def checked(self) -> plain.CheckDefinition:
        return plain.CheckDefinition(**dict(self))


class Contract(BaseModel):
    """A feed's contract."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    feed: Identifier
    description: str = ""
    owner: str = ""
    files: tuple[str, ...] = Field(min_length=1)
    mode: Literal["full", "delta", "event"] = "full"
    missing_keys: Literal["keep", "close"] = "keep"
    max_rejected: Decimal = Field(default=Decimal("0.5"), ge=0, le=1)
    as_of: Annotated[AsOfEntry, BeforeValidator(as_sources)] = AsOfEntry()
    future: Literal["refused", "allowed"] = "refused"
    effective_column: Identifier | None = None
    operation: Operation | None = None
    format: Format = "csv"
    delimiters: tuple[Delimiter, ...] = Field(default=(",", ";"), min_length=1)
    encoding: str = "utf-8"
    quote: Quote = '"'
    escape: Literal["\\"] | None = None
    header: Literal["required", "none"] = "required"
    preamble: Preamble | None = None
    trailer: Trailer | None = None
    control_file: ControlFile | None = None
    comment: Comment | None = None
    ignore: tuple[str, ...] = ()
    volume: VolumeEntry = VolumeEntry()
    drift: tuple[Drift, ...] = ()
    freshness: FreshnessEntry | None = None
    key: tuple[Identifier, ...] = Field(min_length=1)
    columns: tuple[Column, ...] = Field(min_length=1)
    checks: tuple[CheckDefinition, ...] = ()
    initial: str | None = None

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, name: str) -> str:
        return known_encoding(name)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        contract = self.checked(Path(), "", None, "")
        refuse_unfit_form(contract)
        _refuse_unfit_columns(contract)
        refuse_unfit_guards(contract)
        _refuse_beside_mode(contract)
        return self

    def checked(self, file: Path, text: str, initial: str | None, digest: str) -> plain.Contract:
        """The contract, told its file, its text, its initial rows, and the SHA-256 of both."""
        made = {
            "operation": self.operation and self.operation.checked(),
            "as_of": self.as_of.sources,
            "as_of_in_name": self.as_of.in_name,
            "preamble": self.preamble and self.preamble.checked(),
            "trailer": self.trailer and self.trailer.checked(),
            "control_file": self.control_file and self.control_file.checked(),
            "volume": self.volume.checked(),
            "drift": tuple(drift.checked() for drift in self.drift),
            "freshness": self.freshness and self.freshness.checked(),
            "columns": tuple(column.checked() for column in self.columns),
            "checks": tuple(check.checked() for check in self.checks),
        }
        read = {"file": file, "yaml": text, "initial_text": initial, "sha256": digest}
        return plain.Contract(**{**dict(self), **made, **read})


def _refuse_unfit_columns(contract: plain.Contract) -> None:
    names = [column.name for column in contract.columns]
    headers = [header for column in contract.columns for header in column.headers]
    if len(set(names)) < len(names):
        raise ValueError("two columns have the same name")
    if len(set(contract.key)) < len(contract.key):
        raise ValueError("the key names a column twice")
    if len(set(headers)) < len(headers):
        raise ValueError("two columns answer to the same header; change an alias")
    effective, operation = contract.effective_column, contract.operation.column if contract.operation else None
    for what, wanted in (("key", contract.key), ("effective_column", (effective,)), ("operation", (operation,))):
        unknown = {name for name in wanted if name is not None} - set(names)
        if unknown:
            raise ValueError(f"{what} names '{min(unknown)}', which is not among the columns")
    for part in contract.key_columns:
        if not any(rule.rule == "not_null" and rule.severity == Severity.ERROR for rule in part.rules):
            raise ValueError(f"the key column '{part.name}' needs the rule not_null with severity error")
    if not contract.brings_facts and {effective, operation} & set(contract.key):
        raise ValueError("the key may hold neither the effective nor the operation column")


def _refuse_beside_mode(contract: plain.Contract) -> None:
    if contract.mode == "delta" and contract.missing_keys == "close":
        raise ValueError("missing_keys: close goes with mode: full; a delta says nothing of the keys that it lacks")
    if contract.brings_facts:
        _refuse_beside_events(contract)
    if contract.mode == "full" and contract.effective_column is not None:
        raise ValueError("effective_column goes with mode: delta or event; a full extract is true at one moment")
    if contract.mode == "full" and contract.operation is not None:
        raise ValueError("operation goes with mode: delta")
    if contract.effective_column is not None and contract.initial is not None:
        raise ValueError("initial rows are true from the day in their file's name, so there is no effective_column")
    effective = [column for column in contract.columns if column.name == contract.effective_column]
    if effective and effective[0].type not in {"date", "timestamp"}:
        raise ValueError("effective_column must be a date or a timestamp")


def _refuse_beside_events(contract: plain.Contract) -> None:
    """Refuse, at the line of each, what says that facts change, end, or are true from another time than their own."""
    if contract.effective_column is None:
        raise _at("mode", "event needs effective_column, the column that says when each event happened")
    if contract.missing_keys == "close":
        raise _at("missing_keys", "close goes with mode: full; an event that a file lacks still happened")
    if contract.operation is not None:
        why = "an event is neither changed nor deleted; retract takes back a whole file"
        raise _at("operation", f"goes with mode: delta; {why}")
    if contract.initial is not None:
        raise _at("initial", "goes with mode: full or delta; drop the first events as a file")


def _at(entry: str, message: str) -> PydanticCustomError:
    """An error of the contract as a whole that is told with the line of one of its entries."""
    return PydanticCustomError(ENTRY_ERROR, "{message}", {"message": message, "entry": entry})


def load_contract(path: Path) -> plain.Contract:
    """The contract in a YAML file.

    Raises:
        ContractError: with file, line and what to mend.
    """
    contract = load_yaml(path, Contract)
    digest = hashlib.sha256(path.read_bytes())
    initial = None
    if contract.initial is not None:
        try:
            content = (path.parent / contract.initial).read_bytes()
        except OSError as error:
            raise ContractError(
                path,
                line_at(path, ["initial"]),
                f"the initial file '{contract.initial}' cannot be read: {error.strerror}",
                hint="put it beside the contract",
            ) from error
        digest.update(b"\0" + content)
        initial = content.decode(errors="replace")
    return contract.checked(path, path.read_text(encoding="utf-8"), initial, digest.hexdigest())


@cache
def contract_of(text: str, digest: str) -> plain.Contract:
    """A contract by its text, as a ledger keeps it; without its initial rows.

    Raises:
        ContractError: it is none for this version of dropledger.
    """
    file = Path(f"contract {digest}")
    return parse_yaml(text, file, Contract).checked(file, text, None, digest)
