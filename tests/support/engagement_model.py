"""What the engagement pipeline's marts must be, from the histories of its feeds, in plain Python: no SQL, no changes.

It follows the words of docs/engagement.md. Histories are versions as `support.model` makes them, by feed.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from dropledger.core.contracts.contract import Contract
from support.model import Version

Row = tuple[Any, ...]
Named = Mapping[str, Any]

UNKNOWN = "unknown"
DAYS_AROUND = 7
"""So many days before and after a subscription are looked at."""


@dataclass(frozen=True)
class Told:
    """A version with its columns by name."""

    valid_from: datetime
    is_current: bool
    columns: Named

    def __getitem__(self, name: str) -> Any:
        return self.columns[name]


def told(contract: Contract, versions: Iterable[Version]) -> list[Told]:
    """Versions with the names that the contract gives their columns."""
    names = [column.name for column in (*contract.key_columns, *contract.values)]
    return [
        Told(one.valid_from, one.is_current, dict(zip(names, (*one.key, *one.values), strict=True))) for one in versions
    ]


def marts(history: Mapping[str, Sequence[Told]]) -> dict[str, list[Row]]:
    """The rows of each mart, and of the view of rates."""
    events = [_placed(event, history) for event in history["event"]]
    daily = _daily(events)
    return {
        "engagement_daily": daily,
        "engagement_daily_rate": [
            (*row[:9], _rounded(row[9], row[8], 4), _rounded(row[10], row[8], 2)) for row in daily
        ],
        "q1_completion_rate": _completion(history),
        "q2_price_tier_engagement": _price_tiers(history),
        "q3_subscription_impact": _impact(history),
    }


# Events


def _placed(event: Told, history: Mapping[str, Sequence[Told]]) -> dict[str, Any]:
    """An event with the grain that it is in."""
    user = _user_as_of(event, history["user"])
    activity = _current(history["activity"], "activity_id", event["activity_id"])
    return {
        "event": event,
        "grain": (
            event.valid_from.date(),
            (user and user["country_code"]) or UNKNOWN,
            event["os_name"] or UNKNOWN,
            event["os_version"] or UNKNOWN,
            event["app_version"] or UNKNOWN,
            _status(user, event.valid_from),
            (activity and activity["type"]) or UNKNOWN,
            event["collection_id"] or UNKNOWN,
        ),
    }


def _user_as_of(event: Told, users: Iterable[Told]) -> Told | None:
    """The version of the event's user at its time; before the first one that one."""
    versions = sorted((one for one in users if one["user_id"] == event["user_id"]), key=lambda one: one.valid_from)
    before = [one for one in versions if one.valid_from <= event.valid_from]
    return before[-1] if before else versions[0] if versions else None


def _status(user: Told | None, at: datetime) -> str:
    if user is None:
        return UNKNOWN
    if _holds(user["subscription_start_at"], user["subscription_expire_at"], at):
        return "subscribed"
    if _holds(user["trial_start_at"], user["trial_end_at"], at):
        return "trial"
    begun = [start for start in (user["subscription_start_at"], user["trial_start_at"]) if start and start <= at]
    return "lapsed" if begun else "free"


def _holds(start: datetime | None, end: datetime | None, at: datetime) -> bool:
    return start is not None and start <= at and (end is None or at < end)


def _daily(placed: Iterable[Mapping[str, Any]]) -> list[Row]:
    grains = defaultdict(list)
    for one in placed:
        if one["event"]["name"] == "activity_exit":
            grains[one["grain"]].append(one["event"])
    return [
        (
            *grain,
            len(events),
            sum(event["completed"] is True for event in events),
            sum((event["duration"] or Decimal(0) for event in events), Decimal(0)),
            len({event["user_id"] for event in events} - {None}),
        )
        for grain, events in grains.items()
    ]


# Questions


def _completion(history: Mapping[str, Sequence[Told]]) -> list[Row]:
    themes = defaultdict(list)
    for event in history["usage"]:
        if event["event_type"] == "exit":
            themes[_of_catalog(history, event, "theme")].append(event["completed"] is True)
    return [(theme, len(ends), sum(ends), _rounded(sum(ends), len(ends), 4)) for theme, ends in themes.items()]


def _price_tiers(history: Mapping[str, Sequence[Told]]) -> list[Row]:
    tiers = defaultdict(list)
    for event in history["usage"]:
        tiers[_of_catalog(history, event, "price_tier")].append(event)
    found = []
    for tier, events in tiers.items():
        exits = [event for event in events if event["event_type"] == "exit"]
        seconds = [event["duration_seconds"] for event in exits if event["duration_seconds"] is not None]
        average = _rounded(sum(seconds), len(seconds), 2) if seconds else None
        found.append((tier, len(events) - len(exits), len(exits), average))
    return found


def _impact(history: Mapping[str, Sequence[Told]]) -> list[Row]:
    first: dict[tuple[str, str, str], date] = {}
    for one in history["subscription"]:
        on = one["subscription_date"]
        group = (f"{on:%Y-%m}", one["platform"], one["user_id"])
        first[group] = min(on, first.get(group, on))
    subscribers = defaultdict(list)
    for (month, platform, user), on in first.items():
        subscribers[month, platform].append((user, on))
    return [
        (*group, len(users), before, after, _rounded(before, len(users), 2), _rounded(after, len(users), 2))
        for group, users in subscribers.items()
        for before, after in [
            (_exits(history, users, range(-DAYS_AROUND, 0)), _exits(history, users, range(1, DAYS_AROUND + 1)))
        ]
    ]


def _exits(history: Mapping[str, Sequence[Told]], users: Iterable[tuple[str, date]], days: range) -> int:
    """How many activities the users left on these days, counted from that of their subscription."""
    wanted = {(user, on + timedelta(days=days_after)) for user, on in users for days_after in days}
    return sum(
        (event["user_id"], event.valid_from.date()) in wanted
        for event in history["usage"]
        if event["event_type"] == "exit"
    )


def _of_catalog(history: Mapping[str, Sequence[Told]], event: Told, column: str) -> str:
    entry = _current(history["catalog"], "activity_id", event["activity_id"])
    return (entry and entry[column]) or UNKNOWN


def _current(versions: Iterable[Told], key: str, value: str | None) -> Told | None:
    return next((one for one in versions if one.is_current and one[key] == value), None)


def _rounded(amount: Decimal | int, by: int, places: int) -> Decimal:
    return (Decimal(amount) / by).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
