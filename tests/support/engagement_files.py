"""Files of the engagement pipeline's feeds for plans: few users, activities and times, so that they meet."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from dropledger.core.contracts.contract import Contract
from dropledger.core.contracts.pipeline_spec import Pipeline
from support import engagement_model, model
from support.ledger import Record
from support.plans import File, Run, day

Cells = dict[str, Any]
"""A row by the names of its columns, its values as history has them."""

FEEDS = {
    "event": model.Feed("event", "event"),
    "usage": model.Feed("usage", "event"),
    "subscription": model.Feed("subscription", "event"),
    "user": model.Feed("user"),
    "activity": model.Feed("activity"),
    "catalog": model.Feed("catalog"),
}
NAMES = {"event": "events", "user": "users", "activity": "activities", "subscription": "subscriptions"}

USERS, ACTIVITIES, DAYS = ("u1", "u2"), ("a1", "a2"), (1, 2, 3)
MOMENTS = [
    day(number) + part
    for number in DAYS
    for part in (timedelta(), timedelta(hours=12), timedelta(days=1, milliseconds=-1))
]
WINDOW = [timedelta(days=-8), timedelta(days=-7), timedelta(milliseconds=-1), timedelta(), timedelta(days=1)]
WINDOW += [timedelta(days=8, milliseconds=-1), timedelta(days=8)]


def of(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


moments = st.sampled_from(MOMENTS)
periods = st.none() | moments
seconds = of(None, Decimal(0), Decimal("1.005"), Decimal("2.5"), Decimal("0.125"))

ROWS: Mapping[str, st.SearchStrategy[Cells]] = {
    "event": st.fixed_dictionaries(
        {
            "event_id": of(*"ABCDEFGH"),
            "name": of("activity_exit", "activity_exit", "activity_exit", "app_open"),
            "occurred_at": moments,
            "user_id": of(*USERS, *USERS, "u9", None),
            "activity_id": of(*ACTIVITIES, *ACTIVITIES, "a9", None),
            "duration": seconds,
            "completed": of(True, False, None),
            "collection_id": of(None, "c1"),
            "os_name": of("iOS", None),
        }
    ),
    "user": st.fixed_dictionaries(
        {
            "user_id": of(*USERS),
            "country_code": of("PT", "MX", None),
            "trial_start_at": periods,
            "trial_end_at": periods,
            "subscription_start_at": periods,
            "subscription_expire_at": periods,
        }
    ),
    "activity": st.fixed_dictionaries({"activity_id": of(*ACTIVITIES), "type": of("game", "video", None)}),
    "catalog": st.fixed_dictionaries(
        {"activity_id": of(*ACTIVITIES), "theme": of("Space", "Bees", None), "price_tier": of("free", "basic", None)}
    ),
    "usage": st.fixed_dictionaries(
        {
            "event_id": of(*"ABCDEFGH"),
            "user_id": of(*USERS),
            "activity_id": of(*ACTIVITIES, "a9"),
            "event_type": of("exit", "exit", "enter"),
            "created_at": st.builds(lambda number, part: day(number) + part, of(28, 29, 30), of(*WINDOW)),
            "duration_seconds": seconds,
            "completed": of(True, False, None),
        }
    ),
    "subscription": st.fixed_dictionaries(
        {
            "user_id": of(*USERS),
            "subscription_date": of(date(2025, 1, 28), date(2025, 1, 30), date(2025, 2, 1)),
            "platform": of("apple", "google"),
            "price_usd": of(Decimal("9.99"), Decimal("5.00")),
        }
    ),
}


def files(pipeline: Pipeline) -> st.SearchStrategy[File]:
    """Files of all feeds, of one to five rows, mostly of events."""
    made = {feed: _of_feed(pipeline.contract(feed)) for feed in FEEDS}
    often = ["event"] * 4 + ["user"] * 3 + ["usage"] * 2 + ["activity", "catalog", "subscription"]
    return st.sampled_from(often).flatmap(lambda feed: made[feed])


def _of_feed(contract: Contract) -> st.SearchStrategy[File]:
    rows = st.lists(ROWS[contract.feed], min_size=1, max_size=5)
    return st.builds(lambda number, cells: _file(contract, day(number), cells), st.sampled_from(DAYS), rows)


def _file(contract: Contract, as_of: datetime, rows: Sequence[Cells]) -> File:
    """A file in the form that the contract asks for."""
    is_json = contract.format == "ndjson"
    text: Callable[[Contract, Cells], str] = _object if is_json else _line
    return File(
        feed=contract.feed,
        as_of=as_of,
        header="" if is_json else ",".join(column.name for column in contract.columns),
        lines=tuple(text(contract, cells) for cells in rows),
        rows=tuple(_row(contract, number, cells) for number, cells in enumerate(rows, 1 if is_json else 2)),
        brings_times=contract.effective_column is not None,
        brings_facts=contract.brings_facts,
        name=NAMES.get(contract.feed, contract.feed),
        ending=".jsonl" if is_json else ".csv",
    )


def _row(contract: Contract, number: int, cells: Cells) -> model.Row:
    at = cells.get(contract.effective_column or "")
    effective = datetime(at.year, at.month, at.day, tzinfo=UTC) if at and not isinstance(at, datetime) else at
    key = tuple(cells[name] for name in contract.key)
    return model.Row(number, key, tuple(cells.get(column.name) for column in contract.values), effective)


def _line(contract: Contract, cells: Cells) -> str:
    return ",".join(_text(cells.get(column.name)) for column in contract.columns)


def _object(contract: Contract, cells: Cells) -> str:
    """A record with the values at their paths; one that is empty is left out."""
    record: Cells = {}
    for column in contract.columns:
        value = cells.get(column.name)
        if value is not None:
            [path] = column.paths
            place = record
            for name in path[:-1]:
                place = place.setdefault(name, {})
            place[path[-1]] = float(value) if isinstance(value, Decimal) else value
    return json.dumps(record, default=_text)


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def expected_marts(pipeline: Pipeline, run: Run) -> dict[str, list[Record]]:
    """What the model makes of a run's drops."""
    histories = {
        name: engagement_model.told(pipeline.contract(name), model.history(feed, run.drops_of(name)))
        for name, feed in FEEDS.items()
    }
    return engagement_model.marts(histories)
