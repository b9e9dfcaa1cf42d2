"""What a feed's files must look like: one YAML file a feed, checked when it is loaded."""

import hashlib
import re
from decimal import Decimal
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, field_validator, model_validator

from core.compression import unpacked_name
from core.drop import AsOfSource
from core.errors import ContractError
from core.yaml_file import line_at, load_yaml, parse_yaml

Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
_RESERVED = frozenset({"valid_from", "valid_to", "is_current", "drop_id", "line", "file", "changed_from", "rowid"})
"""What stands beside a feed's columns: in its history, in what `history` shows, in `changed_<feed>`, in the engine."""
_DECIMAL = re.compile(r"decimal\((\d{1,2}),\s*(\d{1,2})\)")

Delimiter = Literal[",", ";", "\t", "|"]


class Severity(StrEnum):
    """What a broken rule or a failed check does: refuse, or report and go on."""

    ERROR = "error"
    WARN = "warn"


class Rule(BaseModel):
    """One thing that must hold for every row; `name` is what rejects and reports call it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: Literal["not_null", "unique", "accepted_values", "range", "pattern", "relationship"]
    name: str = ""
    severity: Severity = Severity.ERROR
    values: dict[str, str | bool] | list[str] | None = None
    min: Decimal | None = None
    max: Decimal | None = None
    pattern: str | None = None
    to: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")
    message: str = ""

    @field_validator("min", "max", mode="before")
    @classmethod
    def _no_float(cls, bound: object) -> object:
        # A YAML float such as 0.1 would drag its binary error into a money bound.
        return str(bound) if isinstance(bound, float) else bound

    @model_validator(mode="after")
    def _has_its_parameters(self) -> Self:
        needs = {
            "accepted_values": (self.values, "values"),
            "range": (self.min if self.min is not None else self.max, "min or max"),
            "pattern": (self.pattern, "pattern"),
            "relationship": (self.to, "to (feed.column)"),
        }
        value, what = needs.get(self.rule, (True, ""))
        if value is None:
            raise ValueError(f"the rule {self.rule} needs {what}")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is above max, so that no value would do")
        return self

    @property
    def label(self) -> str:
        return self.name or self.rule

    @property
    def accepted(self) -> dict[str, str | bool]:
        """Accepted spellings in lower case, each with the value that is stored for it."""
        if isinstance(self.values, dict):
            return {spelling.lower(): value for spelling, value in self.values.items()}
        return {value.lower(): value for value in self.values or ()}


def _rule_shorthand(rules: object) -> object:
    if isinstance(rules, list):
        return [{"rule": rule} if isinstance(rule, str) else rule for rule in rules]
    return rules


class Column(BaseModel):
    """A column of the feed: its name in history, the headers it may have, its type and rules."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Identifier
    aliases: tuple[str, ...] = ()
    type: str = "text"
    default: str | None = None
    rules: Annotated[tuple[Rule, ...], BeforeValidator(_rule_shorthand)] = ()

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, name: str) -> str:
        if name in _RESERVED:
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
        if text in {"bigint", "text", "boolean", "date", "timestamp"}:
            return text
        raise ValueError(
            f"unknown type '{text}': use bigint, decimal(p,s) with p up to 28, text, boolean, date or timestamp"
        )

    @model_validator(mode="after")
    def _boolean_has_values(self) -> Self:
        if self.type == "boolean" and self.accepted_values is None:
            raise ValueError("a boolean column needs an accepted_values rule that maps each spelling to true or false")
        return self

    @model_validator(mode="after")
    def _rules_fit_the_type(self) -> Self:
        for rule in self.rules:
            if rule.rule == "range" and self.decimal is None and self.type != "bigint":
                raise ValueError("the rule range goes with bigint and decimal columns")
            if rule.rule == "accepted_values":
                if self.type not in {"text", "boolean"}:
                    raise ValueError("the rule accepted_values goes with text and boolean columns")
                wanted, words = (bool, "true or false") if self.type == "boolean" else (str, "texts")
                if not all(isinstance(value, wanted) for value in rule.accepted.values()):
                    raise ValueError(
                        f"the accepted values of a {self.type} column stand for {words}, "
                        'which YAML tells apart by quotes: no is false, "no" is a text'
                    )
            if rule.rule == "pattern" and (self.type != "text" or self.accepted_values is not None):
                raise ValueError("the rule pattern goes with text columns that have no accepted_values")
        return self

    @property
    def decimal(self) -> tuple[int, int] | None:
        """Precision and scale of a decimal column."""
        match = _DECIMAL.fullmatch(self.type)
        return (int(match[1]), int(match[2])) if match else None

    @property
    def accepted_values(self) -> Rule | None:
        return next((rule for rule in self.rules if rule.rule == "accepted_values"), None)

    @property
    def headers(self) -> frozenset[str]:
        """Every header that means this column, normalised."""
        return frozenset(normalise_header(header) for header in (self.name, *self.aliases))


class Operation(BaseModel):
    """The column of a delta feed that says what happened to the key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: Identifier
    upsert: tuple[str, ...] = ("I", "U")
    delete: tuple[str, ...] = ("D",)


class CheckDefinition(BaseModel):
    """A check in SQL: `checks/<model>/<name>.sql` selects the rows that fail."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Identifier
    severity: Severity = Severity.ERROR
    message: str = Field(min_length=1)


class Contract(BaseModel):
    """A feed's contract."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    feed: Identifier
    description: str = ""
    files: tuple[str, ...] = Field(min_length=1)
    mode: Literal["full", "delta"] = "full"
    missing_keys: Literal["keep", "close"] = "keep"
    max_rejected: Decimal = Field(default=Decimal("0.5"), ge=0, le=1)
    as_of: tuple[AsOfSource, ...] = tuple(AsOfSource)
    future: Literal["refused", "allowed"] = "refused"
    effective_column: Identifier | None = None
    operation: Operation | None = None
    delimiters: tuple[Delimiter, ...] = (",", ";")
    ignore: tuple[str, ...] = ()
    key: tuple[Identifier, ...] = Field(min_length=1)
    columns: tuple[Column, ...] = Field(min_length=1)
    checks: tuple[CheckDefinition, ...] = ()
    initial: str | None = None
    _yaml: str = PrivateAttr("")
    _initial: str | None = PrivateAttr(None)
    _sha256: str = PrivateAttr("")
    _file: Path = PrivateAttr(Path())

    @field_validator("max_rejected", mode="before")
    @classmethod
    def _no_float(cls, share: object) -> object:
        return str(share) if isinstance(share, float) else share

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [column.name for column in self.columns]
        headers = [header for column in self.columns for header in column.headers]
        if len(set(names)) < len(names):
            raise ValueError("two columns have the same name")
        if len(set(self.key)) < len(self.key):
            raise ValueError("the key names a column twice")
        if len(set(headers)) < len(headers):
            raise ValueError("two columns answer to the same header; change an alias")
        for what, wanted in (("key", self.key), ("effective_column", self._effective), ("operation", self._operation)):
            unknown = set(wanted) - set(names)
            if unknown:
                raise ValueError(f"{what} names '{min(unknown)}', which is not among the columns")
        for part in self.key:
            if not any(rule.rule == "not_null" and rule.severity == Severity.ERROR for rule in self.column(part).rules):
                raise ValueError(f"the key column '{part}' needs the rule not_null with severity error")
        if set(self.key) & {*self._effective, *self._operation}:
            raise ValueError("the key may hold neither the effective nor the operation column")
        return self

    @model_validator(mode="after")
    def _mode_allows_the_rest(self) -> Self:
        if self.mode == "delta" and self.missing_keys == "close":
            raise ValueError("missing_keys: close goes with mode: full; a delta says nothing of the keys that it lacks")
        if self.mode == "full" and self.effective_column is not None:
            raise ValueError("effective_column goes with mode: delta; a full extract is true at one moment")
        if self.mode == "full" and self.operation is not None:
            raise ValueError("operation goes with mode: delta")
        if self.effective_column is not None and self.initial is not None:
            raise ValueError("initial rows are true from the day in their file's name, so there is no effective_column")
        if self.effective_column is not None and self.column(self.effective_column).type not in {"date", "timestamp"}:
            raise ValueError("effective_column must be a date or a timestamp")
        return self

    @property
    def _effective(self) -> tuple[str, ...]:
        return (self.effective_column,) if self.effective_column else ()

    @property
    def _operation(self) -> tuple[str, ...]:
        return (self.operation.column,) if self.operation else ()

    @property
    def sha256(self) -> str:
        """Of the YAML text and of the initial rows, if any."""
        return self._sha256

    @property
    def yaml(self) -> str:
        """The text that it was read from."""
        return self._yaml

    @property
    def initial_text(self) -> str | None:
        """The initial rows, as they stand in their file."""
        return self._initial

    @property
    def file(self) -> Path:
        """Where it stands, for messages."""
        return self._file

    def read_from(self, file: Path, text: str, initial: str | None, digest: str) -> Self:
        """The contract, told its file, its text, its initial rows, and the SHA-256 of both."""
        self._file, self._yaml, self._initial, self._sha256 = file, text, initial, digest
        return self

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    @property
    def values(self) -> tuple[Column, ...]:
        """The columns whose change opens a new version: all but key, effective time and operation."""
        apart = {*self.key, *self._effective, *self._operation}
        return tuple(column for column in self.columns if column.name not in apart)

    @property
    def key_columns(self) -> tuple[Column, ...]:
        return tuple(self.column(name) for name in self.key)

    def takes(self, name: str) -> bool:
        """Whether a file of this name belongs to the feed, without regard to case and to being packed."""
        names = {name.casefold(), unpacked_name(name).casefold()}
        return any(fnmatchcase(spelled, pattern.casefold()) for pattern in self.files for spelled in names)

    def ignores(self, header: str) -> bool:
        """Whether a header is listed as known and not wanted, by name or by pattern."""
        name = normalise_header(header)
        return any(fnmatchcase(name, normalise_header(pattern)) for pattern in self.ignore)

    @property
    def parents(self) -> frozenset[str]:
        """The feeds that this one's relationship rules refer to."""
        return frozenset(
            rule.to.split(".")[0] for column in self.columns for rule in column.rules if rule.to is not None
        )


def normalise_header(header: str) -> str:
    """A header without regard to case, spaces, underscores and a byte order mark."""
    return re.sub(r"[\s_\ufeff]+", "", header).casefold()


def load_contract(path: Path) -> Contract:
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
    return contract.read_from(path, path.read_text(encoding="utf-8"), initial, digest.hexdigest())


@cache
def contract_of(text: str, digest: str) -> Contract:
    """A contract by its text, as a ledger keeps it; without its initial rows.

    Raises:
        ContractError: it is none for this version of dropledger.
    """
    file = Path(f"contract {digest}")
    return parse_yaml(text, file, Contract).read_from(file, text, None, digest)
