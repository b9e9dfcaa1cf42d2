"""What a feed's files must look like, as plain values; `contract_file` checks the YAML files that say so."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from dropledger.core.compression import unpacked_name
from dropledger.core.contracts.freshness import Freshness
from dropledger.core.drop import AsOf, AsOfSource

_DECIMAL = re.compile(r"decimal\((\d{1,2}),(\d{1,2})\)")

Delimiter = Literal[",", ";", "\t", "|"]
Format = Literal["csv", "ndjson", "json", "parquet"]
Quote = Literal['"', "'", "none"]
Negative = Literal["minus", "parentheses", "trailing_minus"]


class Severity(StrEnum):
    """What a broken rule or a failed check does: refuse, or report and go on."""

    ERROR = "error"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that must hold for every row, of a kind in `KINDS`; `name` is what rejects and reports call it."""

    rule: str
    name: str
    severity: Severity
    values: Mapping[str, str | bool] | tuple[str, ...] | None
    min: Decimal | None
    max: Decimal | None
    pattern: str | None
    to: str | None
    message: str

    @property
    def label(self) -> str:
        return self.name or self.rule

    @property
    def accepted(self) -> Mapping[str, str | bool]:
        """Accepted spellings in lower case, each with the value that is stored for it."""
        if isinstance(self.values, Mapping):
            return {spelling.lower(): value for spelling, value in self.values.items()}
        return {value.lower(): value for value in self.values or ()}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the feed: its name in history, the headers it may have, its type and rules, and what it is, in words.

    `classification` says how confidential it is; what is `restricted` is masked in the console.
    """

    name: str
    aliases: tuple[str, ...]
    type: str
    default: str | None
    optional: bool
    joined: tuple[str, ...]
    path: str | None
    date_format: tuple[str, ...]
    timestamp_format: tuple[str, ...]
    timezone: str | None
    zones: Mapping[str, str]
    dst: Literal["earlier", "later"] | None
    decimal_mark: Literal[",", "."] | None
    group_mark: Literal[",", ".", " ", "'"] | None
    strip: tuple[str, ...]
    negative: tuple[Negative, ...]
    rules: tuple[Rule, ...]
    description: str
    classification: str | None

    @property
    def decimal(self) -> tuple[int, int] | None:
        """Precision and scale of a decimal column."""
        match = _DECIMAL.fullmatch(self.type)
        return (int(match[1]), int(match[2])) if match else None

    @property
    def is_text(self) -> bool:
        """Whether any text is a value."""
        return self.type in {"text", "json"}

    @property
    def accepted_values(self) -> Rule | None:
        return next((rule for rule in self.rules if rule.rule == "accepted_values"), None)

    @property
    def may_lack(self) -> bool:
        """Whether a file may be without the column."""
        return self.default is not None or self.optional

    @property
    def headers(self) -> frozenset[str]:
        """Every header that means this column by itself, normalised."""
        return frozenset() if self.joined else frozenset(map(normalise_header, (self.name, *self.aliases)))

    @property
    def paths(self) -> tuple[tuple[str, ...], ...]:
        """Where a record of names has the column's value, or those that make it together: names, from outside in."""
        return tuple(tuple(path.split(".")) for path in self.joined or (self.path or self.name,))

    @property
    def parts(self) -> tuple[str, ...]:
        """The headers, normalised, whose cells make the column together."""
        return tuple(map(normalise_header, self.joined))


@dataclass(frozen=True, slots=True)
class Operation:
    """The column of a delta feed that says what happened to the key."""

    column: str
    upsert: tuple[str, ...]
    delete: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NameForm:
    """Where a file name bears the as_of and how: in the group `as_of` of a pattern, by words of strptime, in a zone."""

    format: str | None
    pattern: str | None
    timezone: str | None


@dataclass(frozen=True, slots=True)
class Preamble:
    """The lines before the header: so many, or (`lines` is None) all until the line that is the header."""

    lines: int | None


@dataclass(frozen=True, slots=True)
class Trailer:
    """A last line that is no row; `rows` and `sums` (by column) are the 1-based places of its control totals."""

    pattern: str
    rows: int | None
    sums: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ControlFile:
    """A file beside each data file, named like that and `suffix`; the places are those of the fields of one line.

    That is the first line that `pattern` is found in, or the last one; `sha256` is the place of the data file's digest.
    """

    suffix: str
    pattern: str | None
    rows: int | None
    sums: Mapping[str, int]
    sha256: int | None

    @property
    def says_something(self) -> bool:
        """Whether it is read; else that it is there says that the data file is complete."""
        return bool(self.pattern or self.rows or self.sums or self.sha256)


@dataclass(frozen=True, slots=True)
class Limits:
    """From how many percent on a difference is warned of, or refuses the file."""

    warn: Decimal | None
    error: Decimal | None


@dataclass(frozen=True, slots=True)
class VolumeLimits:
    """How many rows a file must have, and how many fewer or more than the one before."""

    min_rows: int | None
    fewer: Limits
    more: Limits


@dataclass(frozen=True, slots=True)
class Drift:
    """By how many percent a column's total may move, and by how many points its share of NULLs."""

    column: str
    sum: Decimal | None
    nulls: Decimal | None
    severity: Severity


@dataclass(frozen=True, slots=True)
class CheckDefinition:
    """A check in SQL: `checks/<model>/<name>.sql` selects the rows that fail."""

    name: str
    severity: Severity
    message: str


@dataclass(frozen=True, slots=True)
class Contract:
    """A feed's contract.

    `owner` is whom to ask about the feed. `file` is where it stands, for messages, and `yaml` its text; `initial_text`
    is that of its initial rows, if any, `sha256` that of both.
    """

    feed: str
    description: str
    owner: str
    files: tuple[str, ...]
    mode: Literal["full", "delta", "event"]
    missing_keys: Literal["keep", "close"]
    max_rejected: Decimal
    as_of: tuple[AsOfSource, ...]
    as_of_in_name: NameForm | None
    future: Literal["refused", "allowed"]
    effective_column: str | None
    operation: Operation | None
    format: Format
    delimiters: tuple[Delimiter, ...]
    encoding: str
    quote: Quote
    escape: str | None
    header: Literal["required", "none"]
    preamble: Preamble | None
    trailer: Trailer | None
    control_file: ControlFile | None
    comment: str | None
    ignore: tuple[str, ...]
    volume: VolumeLimits
    drift: tuple[Drift, ...]
    freshness: Freshness | None
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    checks: tuple[CheckDefinition, ...]
    initial: str | None
    file: Path
    yaml: str
    initial_text: str | None
    sha256: str

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    @property
    def quote_mark(self) -> str:
        """What cells are quoted by; empty where nothing is."""
        return "" if self.quote == "none" else self.quote

    @property
    def is_plain_text(self) -> bool:
        """Whether its files are UTF-8 that begins with the header, and has nothing but rows behind it."""
        has_more = self.preamble or self.trailer or self.comment
        return self.encoding == "utf-8" and not has_more and self.header == "required"

    @property
    def values(self) -> tuple[Column, ...]:
        """The columns whose change opens a new version: all but key, effective time and operation."""
        apart = {*self.key, self.effective_column, self.operation.column if self.operation else None}
        return tuple(column for column in self.columns if column.name not in apart)

    @property
    def brings_facts(self) -> bool:
        """Whether each row is a fact that never changes, so that of a key the row received first stands."""
        return self.mode == "event"

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


def brings_times(contract: Contract | None, as_of: AsOf) -> bool:
    """Whether rows say from when they are true: their feed has a column for it, and no --as-of goes before that.

    None goes before the time of a fact.
    """
    if contract is None or contract.effective_column is None:
        return False
    return contract.brings_facts or as_of.source != AsOfSource.OPTION
