"""What a contract's YAML file says of the form of its files, and of them as a whole."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

import dropledger.core.contracts.contract as plain
from dropledger.core.contracts.contract import Severity
from dropledger.core.contracts.form_check import known_comment, known_suffix, refuse_unfit_name_form
from dropledger.core.drop import AsOfSource

Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
_PERCENT = re.compile(r"([0-9]{1,6}(?:[.][0-9]{1,4})?) ?%")


def _percent(given: object) -> object:
    match = _PERCENT.fullmatch(given) if isinstance(given, str) else None
    if match is None:
        raise ValueError(f"'{given}' is no share; write it like 10%")
    return Decimal(match[1])


Percent = Annotated[Decimal, BeforeValidator(_percent)]


class AsOfEntry(BaseModel):
    """The entry `as_of` where it says how file names bear it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sources: tuple[AsOfSource, ...] = tuple(AsOfSource)
    file_name: str | None = None
    pattern: str | None = None
    timezone: str | None = None

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        if self.in_name is not None:
            refuse_unfit_name_form(self.in_name)
        return self

    @property
    def in_name(self) -> plain.NameForm | None:
        said = self.file_name, self.pattern, self.timezone
        return plain.NameForm(*said) if any(said) else None


def as_sources(given: object) -> object:
    return {"sources": given} if isinstance(given, list) else given


class Preamble(BaseModel):
    """The lines before the header."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lines: int | None = Field(default=None, ge=1, le=1000)
    until_header: Literal[True] | None = None

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Self:
        if (self.lines is None) == (self.until_header is None):
            raise ValueError("say either lines, how many there are, or until_header: true")
        return self

    def checked(self) -> plain.Preamble:
        return plain.Preamble(self.lines)


Comment = Annotated[str, AfterValidator(known_comment)]
_Place = Annotated[int, Field(ge=1, le=1000)]


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern} is no regular expression: {error}") from error
    return pattern


_Pattern = Annotated[str, Field(min_length=1), AfterValidator(_compiles)]


class Trailer(BaseModel):
    """A last line that is no row."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pattern: _Pattern
    rows: _Place | None = None
    sums: Mapping[Identifier, _Place] = Field(default_factory=dict)

    def checked(self) -> plain.Trailer:
        return plain.Trailer(**dict(self))


class ControlFile(BaseModel):
    """A file beside each data file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    suffix: Annotated[str, AfterValidator(known_suffix)]
    pattern: _Pattern | None = None
    rows: _Place | None = None
    sums: Mapping[Identifier, _Place] = Field(default_factory=dict)
    sha256: _Place | None = None

    def checked(self) -> plain.ControlFile:
        return plain.ControlFile(**dict(self))


class Limits(BaseModel):
    """From what share on a difference is warned of, or refuses the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    warn: Percent | None = None
    error: Percent | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.warn is None and self.error is None:
            raise ValueError("say from what share on: warn: 10%, or error: 50%")
        if self.warn is not None and self.error is not None and self.warn >= self.error:
            raise ValueError("warn must be a smaller share than error, or nothing would be warned of")
        return self

    def checked(self) -> plain.Limits:
        return plain.Limits(self.warn, self.error)


class VolumeEntry(BaseModel):
    """How many rows a file may have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_rows: int | None = Field(default=None, ge=1)
    fewer_than_before: Limits = Limits.model_construct(warn=Decimal(50), error=None)
    more_than_before: Limits = Limits.model_construct(warn=Decimal(50), error=None)

    def checked(self) -> plain.VolumeLimits:
        return plain.VolumeLimits(self.min_rows, self.fewer_than_before.checked(), self.more_than_before.checked())


class Drift(BaseModel):
    """How far a column's total, or its share of NULLs, may move."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: Identifier
    sum: Percent | None = None
    nulls: Percent | None = None
    severity: Severity = Severity.WARN

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.sum is None and self.nulls is None:
            raise ValueError("say how far it may move: sum: 30%, or nulls: 5%")
        return self

    def checked(self) -> plain.Drift:
        return plain.Drift(self.column, self.sum, self.nulls, self.severity)
