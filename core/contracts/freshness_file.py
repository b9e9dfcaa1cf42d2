"""What a contract's YAML file says of how old its feed may become."""

import re
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

import dropledger.core.contracts.freshness as plain

_LENGTH = re.compile(r"([1-9][0-9]{0,4}) ?([mhd])")
_SECONDS = {"m": 60, "h": 3600, "d": 86400}
_MOST_DAYS = 366


def seconds_of(given: object) -> int:
    """The seconds of a length of time such as 30m, 26h or 2d.

    Raises:
        ValueError: it is none, or is more than 366 days.
    """
    match = _LENGTH.fullmatch(given) if isinstance(given, str) else None
    if match is None:
        raise ValueError(f"'{given}' is no length of time; write it like 30m, 26h or 2d")
    seconds = int(match[1]) * _SECONDS[match[2]]
    if seconds > _MOST_DAYS * _SECONDS["d"]:
        raise ValueError(f"'{given}' is more than {_MOST_DAYS} days")
    return seconds


def _as_day(given: object) -> object:
    # A number would be taken for seconds since 1970, a timestamp at midnight for its day.
    if type(given) is date:
        return given
    try:
        return date.fromisoformat(str(given))
    except ValueError:
        raise ValueError(f"'{given}' is no date; write it like 2026-12-25") from None


Day = Annotated[date, BeforeValidator(_as_day)]
Length = Annotated[int, BeforeValidator(seconds_of)]


class FreshnessEntry(BaseModel):
    """After how long without a newer drop the feed is warned of, and is late."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    warn_after: Length | None = None
    error_after: Length | None = None
    of: Literal["received_at", "as_of"] = "received_at"
    calendar: str = plain.EVERY_DAY

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.warn_after is None and self.error_after is None:
            raise ValueError("say after how long: warn_after: 26h, or error_after: 50h")
        if self.warn_after is not None and self.error_after is not None and self.warn_after >= self.error_after:
            raise ValueError("warn_after must be shorter than error_after, or nothing would be warned of")
        return self

    def checked(self) -> plain.Freshness:
        return plain.Freshness(**dict(self))
