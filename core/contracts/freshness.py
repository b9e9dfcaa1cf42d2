"""How old a feed may become: what a contract says of it, and what that comes to at a moment.

This is the one question beside the ledger's stamps in which the present counts; marts never ask it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Literal

EVERY_DAY, WEEKDAYS = "every_day", "weekdays"
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Freshness:
    """After how many seconds, of the days that count, without a newer drop a feed is warned of, and is late.

    `of` is the time that drops are told by, `calendar` the name of one of the days that count.
    """

    warn_after: int | None
    error_after: int | None
    of: Literal["received_at", "as_of"]
    calendar: str


class FreshnessState(StrEnum):
    """How a feed stands beside what its contract says."""

    FRESH = "fresh"
    WARN = "warn"
    LATE = "late"
    WAITING = "waiting"
    """Nothing was ever dropped in the root, so there is nothing to count from."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """The days, in UTC, whose hours count: all, or those from Monday to Friday without some holidays."""

    every_day: bool
    holidays: frozenset[date] = frozenset()

    def counts(self, day: date) -> bool:
        """Whether the hours of a day count."""
        return self.every_day or (day.weekday() < 5 and day not in self.holidays)

    def days(self, first: date, end: date) -> int:
        """How many days that count there are from the first on, before the end."""
        length = max((end - first).days, 0)
        if self.every_day:
            return length
        weeks, more = divmod(length, 7)
        weekdays = 5 * weeks + sum((first.weekday() + place) % 7 < 5 for place in range(more))
        return weekdays - sum(first <= day < end and day.weekday() < 5 for day in self.holidays)


def calendar_of(name: str, holidays: Mapping[str, Collection[date]]) -> Calendar:
    """The calendar of a name that `Freshness` has; `holidays` are those of the pipeline's own calendars."""
    return Calendar(name == EVERY_DAY, frozenset(holidays.get(name, ())))


def counted(since: datetime, until: datetime, calendar: Calendar) -> timedelta:
    """How long it is from one moment to a later one in days that count; nothing if it is no later."""
    since, until = since.astimezone(UTC), until.astimezone(UTC)
    if until <= since:
        return timedelta()
    begun = _since_midnight(since) if calendar.counts(since.date()) else timedelta()
    ended = _since_midnight(until) if calendar.counts(until.date()) else timedelta()
    return calendar.days(since.date(), until.date()) * _DAY - begun + ended


def reached(since: datetime, length: timedelta, calendar: Calendar) -> datetime | None:
    """The moment after which more than so much is counted since another one; None where no calendar goes that far."""
    day, left = since.astimezone(UTC).date(), length
    begun = _since_midnight(since.astimezone(UTC))
    try:
        while True:
            if calendar.counts(day):
                if left < _DAY - begun:
                    return datetime.combine(day, time(), UTC) + begun + left
                left -= _DAY - begun
            day, begun = day + _DAY, timedelta()
    except OverflowError:
        return None


def _since_midnight(moment: datetime) -> timedelta:
    return moment - datetime.combine(moment.date(), time(), UTC)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a feed stands: its `age` in what counts since its newest drop, and when it is `due` and `late_at`."""

    state: FreshnessState
    since: datetime | None
    age: timedelta | None
    due: datetime | None
    late_at: datetime | None


WAITING = Standing(FreshnessState.WAITING, None, None, None, None)


def stands(freshness: Freshness, since: datetime, now: datetime, calendar: Calendar) -> Standing:
    """How a feed stands now, by the moment since which there was no newer drop."""
    age = counted(since, now, calendar)
    warn, error = (
        None if seconds is None else timedelta(seconds=seconds)
        for seconds in (freshness.warn_after, freshness.error_after)
    )
    state = FreshnessState.FRESH
    if error is not None and age > error:
        state = FreshnessState.LATE
    elif warn is not None and age > warn:
        state = FreshnessState.WARN
    due, late_at = (None if length is None else reached(since, length, calendar) for length in (warn, error))
    return Standing(state, since, age, due or late_at, late_at)
