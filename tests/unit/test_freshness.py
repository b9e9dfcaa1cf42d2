"""How old a feed is: hours of days that count, what is late by them, and what a contract may say of it."""

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.ledger import custom_pipeline

from dropledger.core.contracts.contract_changes import contract_changes
from dropledger.core.contracts.freshness import Calendar, Freshness, FreshnessState, counted, reached, stands
from dropledger.core.contracts.kept_pipeline import keep, kept
from dropledger.core.contracts.meaning import meaning_sha256
from dropledger.core.contracts.pipeline_spec import load_pipeline
from dropledger.core.errors import ContractError

EVERY = Calendar(every_day=True)
WEEK = Calendar(every_day=False)
BANK = Calendar(every_day=False, holidays=frozenset({date(2026, 12, 25), date(2026, 12, 26)}))  # a Friday, a Saturday


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


@pytest.mark.parametrize(
    ("calendar", "since", "until", "length"),
    [
        (EVERY, "2026-11-28T10:00", "2026-11-29T12:00", 26),
        (EVERY, "2026-11-28T10:00", "2026-11-28T10:00", 0),
        (EVERY, "2026-11-28T10:00", "2026-11-28T09:00", 0),  # what is true from tomorrow on is not old
        (WEEK, "2026-11-27T10:00", "2026-11-30T10:00", 24),  # Friday to Monday
        (WEEK, "2026-11-28T10:00", "2026-11-29T23:00", 0),  # within a weekend
        (WEEK, "2026-11-28T10:00", "2026-11-30T01:30", 1.5),  # out of one
        (WEEK, "2026-11-26T10:00", "2026-11-28T10:00", 38),  # into one: Thursday to Saturday
        (WEEK, "2026-11-02T00:00", "2026-11-30T00:00", 20 * 24),
        (BANK, "2026-12-24T12:00", "2026-12-28T12:00", 24),  # a holiday and a weekend lie between
        (BANK, "2026-12-25T12:00", "2026-12-28T12:00", 12),  # from within the holiday
        (EVERY, "0001-01-01T00:00", "9999-12-31T00:00", 3652058 * 24),
    ],
)
def test_hours_of_days_that_do_not_count_are_not_counted(calendar: Calendar, since: str, until: str, length: float):
    assert counted(at(since), at(until), calendar) == hours(length)


def test_a_day_is_one_of_utc():
    madrid = timezone(timedelta(hours=2))
    friday_night = datetime(2026, 11, 28, 1, 0, tzinfo=madrid)  # still Friday in UTC
    assert counted(friday_night, at("2026-11-30T00:00"), WEEK) == hours(1)


@pytest.mark.parametrize(
    ("calendar", "since", "length", "moment"),
    [
        (EVERY, "2026-11-28T10:00", 26, "2026-11-29T12:00"),
        (WEEK, "2026-11-27T10:00", 26, "2026-11-30T12:00"),
        (WEEK, "2026-11-28T10:00", 26, "2026-12-01T02:00"),
        (WEEK, "2026-11-27T00:00", 24, "2026-11-30T00:00"),  # it gets no older in between
        (BANK, "2026-12-24T12:00", 26, "2026-12-28T14:00"),
    ],
)
def test_next_drop_is_expected_when_so_much_has_been_counted(
    calendar: Calendar, since: str, length: float, moment: str
):
    assert reached(at(since), hours(length), calendar) == at(moment)


def test_next_drop_of_a_feed_at_the_end_of_all_calendars_is_never_expected():
    assert reached(at("9999-12-30T00:00"), hours(300), EVERY) is None


DAYS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1))


@given(DAYS, st.integers(0, 400), st.sampled_from([EVERY, WEEK, BANK]), st.integers(0, 3000))
def test_what_is_reached_has_been_counted(since: datetime, days: int, calendar: Calendar, minutes: int):
    since, length = since.replace(tzinfo=UTC), timedelta(days=days, minutes=minutes)
    moment = reached(since, length, calendar)
    assert moment is not None
    assert counted(since, moment, calendar) == length
    assert counted(since, moment + timedelta(minutes=1), calendar) > length


@given(DAYS, DAYS)
def test_days_are_counted_as_one_by_one(first: datetime, end: datetime):
    first_day, end_day = min(first, end).date(), max(first, end).date()
    some = min((end_day - first_day).days, 900)
    end_day = first_day + timedelta(days=some)
    one_by_one = sum(BANK.counts(first_day + timedelta(days=place)) for place in range(some))
    assert BANK.days(first_day, end_day) == one_by_one


FRIDAY = at("2026-11-27T10:00")


@pytest.mark.parametrize(
    ("until", "state"),
    [
        ("2026-11-29T23:00", "fresh"),
        ("2026-11-30T12:00", "fresh"),  # as old as it may be
        ("2026-11-30T12:01", "warn"),
        ("2026-12-01T12:00", "warn"),
        ("2026-12-01T12:01", "late"),
    ],
)
def test_feed_is_late_when_it_is_older_than_it_may_be(until: str, state: str):
    standing = stands(Freshness(26 * 3600, 50 * 3600, "received_at", "weekdays"), FRIDAY, at(until), WEEK)
    assert standing.state == state
    assert (standing.due, standing.late_at) == (at("2026-11-30T12:00"), at("2026-12-01T12:00"))


def test_with_one_limit_alone_a_feed_is_just_warned_of_or_just_late():
    later = at("2027-01-01T00:00")
    assert stands(Freshness(60, None, "as_of", "every_day"), FRIDAY, later, EVERY).state == FreshnessState.WARN
    only_late = stands(Freshness(None, 60, "as_of", "every_day"), FRIDAY, later, EVERY)
    assert (only_late.state, only_late.due) == (FreshnessState.LATE, FRIDAY + timedelta(minutes=1))


# What contracts say


def load(folder: Path, freshness: Any, **of_pipeline: Any) -> Any:
    changes = {"account.yaml": {"freshness": freshness}, "pipeline.yaml": of_pipeline}
    return custom_pipeline(folder / "pipeline", changes)


def test_contract_says_how_old_a_feed_may_become(tmp_path: Path):
    entry = {"warn_after": "26h", "error_after": "2d", "of": "as_of", "calendar": "bank_days"}
    pipeline = load(tmp_path, entry, calendars={"bank_days": [date(2026, 12, 25), "2027-01-01"]})
    assert pipeline.contract("account").freshness == Freshness(26 * 3600, 48 * 3600, "as_of", "bank_days")
    assert pipeline.file.calendars == {"bank_days": (date(2026, 12, 25), date(2027, 1, 1))}
    assert pipeline.contract("customer").freshness is None
    keep(tmp_path / "cache", pipeline)
    assert kept(tmp_path / "cache", pipeline.folder, pipeline.sha256) == pipeline


def test_freshness_is_no_part_of_what_tables_hold(tmp_path: Path):
    (tmp_path / "a").mkdir()
    plain = custom_pipeline(tmp_path / "a" / "pipeline", {})
    fresh = load(tmp_path, {"warn_after": "26h"}, calendars={"mine": ["2026-12-25"]})
    assert meaning_sha256(plain) == meaning_sha256(fresh)
    changes = contract_changes(plain.contract("account"), fresh.contract("account"))
    assert [change.what for change in changes if change.breaks] == []
    assert any(change.what.startswith("freshness") for change in changes)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"warn_after": "26 hours"}, "'26 hours' is no length of time; write it like 30m, 26h or 2d"),
        ({"warn_after": 26}, "'26' is no length of time"),
        ({"warn_after": "0h"}, "'0h' is no length of time"),
        ({"warn_after": "-1h"}, "'-1h' is no length of time"),
        ({"error_after": "9999d"}, "'9999d' is more than 366 days"),
        ({"warn_after": "50h", "error_after": "26h"}, "warn_after must be shorter than error_after"),
        ({"warn_after": "2d", "error_after": "48h"}, "warn_after must be shorter than error_after"),
        ({}, "say after how long: warn_after: 26h, or error_after: 50h"),
        ({"warn_after": "26h", "of": "published_at"}, "freshness.of: Input should be 'received_at' or 'as_of'"),
        ({"warn_after": "26h", "calendar": "weekday"}, "there is no calendar 'weekday'; did you mean 'weekdays'?"),
        ({"warn_after": "26h", "calender": "weekdays"}, "did you mean 'calendar'?"),
        ("26h", "freshness"),
    ],
)
def test_wrong_entry_is_an_error_with_its_line(tmp_path: Path, entry: Any, says: str):
    with pytest.raises(ContractError) as raised:
        load(tmp_path, entry)
    assert says in str(raised.value)
    assert raised.value.hint
    lines = raised.value.file.read_text(encoding="utf-8").splitlines()
    below = next(place for place, text in enumerate(lines, 1) if text.startswith("freshness"))
    assert below <= raised.value.line <= below + 4


@pytest.mark.parametrize(
    ("calendars", "says"),
    [
        ({"weekdays": ["2026-12-25"]}, "'weekdays' is a calendar already; choose another name"),
        ({"mine": ["25.12.2026"]}, "'25.12.2026' is no date; write it like 2026-12-25"),
        ({"mine": [20261]}, "no date"),
        ({"mine": [datetime(2026, 12, 25, 10)]}, "no date"),
        ({"Mine": ["2026-12-25"]}, "calendars"),
        ({"mine": "2026-12-25"}, "calendars.mine: should be a list"),
    ],
)
def test_wrong_calendar_is_an_error_with_its_line(tmp_path: Path, calendars: Any, says: str):
    with pytest.raises(ContractError) as raised:
        load(tmp_path, {"warn_after": "26h"}, calendars=calendars)
    assert says in str(raised.value)
    lines = raised.value.file.read_text(encoding="utf-8").splitlines()
    assert raised.value.line >= next(place for place, text in enumerate(lines, 1) if text.startswith("calendars"))


def test_pipeline_without_freshness_has_none(tmp_path: Path):
    assert load_pipeline("lending").file.calendars == {}
