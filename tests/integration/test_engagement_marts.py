"""Which rows of the engagement pipeline's marts a drop computes anew, and where figures go."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.ledger import Ledger

from dropledger.core.contracts.pipeline_spec import load_pipeline
from dropledger.core.ledger.outcome import Outcome
from dropledger.core.operations.retract import restore, retract

USAGE = "event_id,user_id,activity_id,event_type,created_at,duration_seconds,completed\n"
CATALOG = "activity_id,activity_name,theme,price_tier\n"
SUBSCRIPTIONS = "user_id,subscription_date,platform,price_usd\n"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "root", load_pipeline("engagement"))


def lines(*records: dict[str, Any]) -> str:
    return "".join(f"{json.dumps(record)}\n" for record in records)


def exits(*days: int, user: str = "u1", activity: str = "a1") -> str:
    """A file with an activity played at noon of each day, for as many seconds as the day has as its number."""
    return lines(
        *(
            {
                "event_id": f"{user} {day}",
                "name": "activity_exit",
                "occurred_at": f"2021-02-{day:02} 12:00:00.000",
                "user_id": user,
                "data": {"activity_id": activity, "duration": day},
            }
            for day in days
        )
    )


def user(ledger: Ledger, day: int, country: str, **periods: str) -> Outcome:
    text = lines({"user_id": "u1", "country_code": country, **periods})
    return ledger.drop(f"users_2021-02-{day:02}.json", text)


def activity(ledger: Ledger, day: int, kind: str) -> Outcome:
    return ledger.drop(f"activities_2021-02-{day:02}.json", lines({"activity_id": "a1", "type": kind}))


def shown(ledger: Ledger, column: str) -> list[str]:
    """Day, a column, and the seconds played."""
    rows = ledger.rows(
        f"SELECT day, {column}, seconds_played FROM engagement_daily ORDER BY day, {column}, seconds_played"
    )
    return [f"{day.day} {value} {seconds:.0f}" for day, value, seconds in rows]


def computed(outcome: Any) -> tuple[int, int]:
    return outcome.recomputed["activity_event"], outcome.recomputed["engagement_daily"]


def take_back(ledger: Ledger, outcome: Outcome) -> Any:
    return retract(ledger.runtime, outcome.drop.drop_id, "to see", "the tests")


def test_late_events_compute_their_own_grains_alone(ledger: Ledger):
    user(ledger, 1, "PT")
    ledger.drop("events_1.json", exits(1, 2, 3))
    assert shown(ledger, "country") == ["1 PT 1", "2 PT 2", "3 PT 3"]
    late = ledger.drop("events_2.json", exits(2, user="u2"))
    assert computed(late) == (1, 1)
    assert shown(ledger, "country") == ["1 PT 1", "2 PT 2", "2 unknown 2", "3 PT 3"]
    take_back(ledger, late)
    assert shown(ledger, "country") == ["1 PT 1", "2 PT 2", "3 PT 3"]


def test_user_who_moves_takes_along_the_events_since(ledger: Ledger):
    first = user(ledger, 1, "PT")
    ledger.drop("events_1.json", exits(1, 2, 3, 4))
    assert computed(user(ledger, 3, "MX")) == (2, 2)
    assert shown(ledger, "country") == ["1 PT 1", "2 PT 2", "3 MX 3", "4 MX 4"]
    between = user(ledger, 2, "ES")  # late
    assert shown(ledger, "country") == ["1 PT 1", "2 ES 2", "3 MX 3", "4 MX 4"]
    take_back(ledger, first)  # the late one is the first then, and holds before its time
    assert shown(ledger, "country") == ["1 ES 1", "2 ES 2", "3 MX 3", "4 MX 4"]
    take_back(ledger, between)
    assert shown(ledger, "country") == ["1 MX 1", "2 MX 2", "3 MX 3", "4 MX 4"]
    restore(ledger.runtime, first.drop.drop_id, "to see", "the tests")
    assert shown(ledger, "country") == ["1 PT 1", "2 PT 2", "3 MX 3", "4 MX 4"]


def test_subscription_told_late_moves_the_events_in_it(ledger: Ledger):
    ledger.drop("events_1.json", exits(1, 2, 3, 4, 5))
    assert shown(ledger, "subscription_status") == [f"{day} unknown {day}" for day in (1, 2, 3, 4, 5)]
    noon = {"trial_start_at": "2021-02-02 12:00:00", "trial_end_at": "2021-02-03 12:00:00"}
    user(ledger, 9, "PT", **noon, subscription_start_at="2021-02-04 12:00:00")
    assert shown(ledger, "subscription_status") == [
        "1 free 1",
        "2 trial 2",
        "3 lapsed 3",
        "4 subscribed 4",
        "5 subscribed 5",
    ]
    user(ledger, 5, "PT", **noon, subscription_start_at="2021-02-03 12:00:00")
    assert shown(ledger, "subscription_status")[2] == "3 subscribed 3"


def test_activity_of_another_type_moves_all_its_events(ledger: Ledger):
    ledger.drop("events_1.json", exits(1, 2) + exits(1, user="u2", activity="a2"))
    game = activity(ledger, 1, "game")
    assert computed(game) == (2, 3)  # with what is left under unknown
    activity(ledger, 2, "video")
    assert shown(ledger, "activity_type") == ["1 unknown 1", "1 video 1", "2 video 2"]
    assert computed(activity(ledger, 3, "video")) == (0, 0)


def test_events_that_are_not_played_are_in_no_day(ledger: Ledger):
    text = exits(1).replace("activity_exit", "activity_enter")
    outcome = ledger.drop("events_1.json", text)
    assert computed(outcome) == (1, 0)
    assert shown(ledger, "country") == []


def test_theme_that_no_activity_has_any_more_goes(ledger: Ledger):
    ledger.drop("catalog_2021-02-01.csv", f"{CATALOG}a1,Ducks,Birds,free\n")
    used = ledger.drop("usage.csv", f"{USAGE}x1,u1,a1,exit,2021-02-01 10:00:00,3,true\n")
    ledger.drop("catalog_2021-02-02.csv", f"{CATALOG}a1,Ducks,Numbers,basic\n")
    assert ledger.rows("SELECT theme, exits FROM q1_completion_rate") == [("Numbers", 1)]
    assert ledger.rows("SELECT price_tier, exits FROM q2_price_tier_engagement") == [("basic", 1)]
    take_back(ledger, used)
    assert ledger.rows("SELECT 1 FROM q1_completion_rate UNION ALL SELECT 1 FROM q2_price_tier_engagement") == []


def test_week_around_a_subscription_crosses_months(ledger: Ledger):
    def impact() -> list[tuple[Any, ...]]:
        return ledger.rows(
            """SELECT month, platform, activities_before, activities_after
            FROM q3_subscription_impact
            ORDER BY month, platform"""
        )

    ledger.drop("subscriptions_1.csv", f"{SUBSCRIPTIONS}u1,2021-01-31,apple,9.99\nu1,2021-03-01,google,9.99\n")
    in_between = ledger.drop(
        "usage_1.csv",
        USAGE + "".join(f"x{day},u1,a1,exit,2021-02-{day:02} 23:59:59.999,,\n" for day in (7, 8, 21, 22)),
    )
    assert in_between.recomputed["q3_subscription_impact"] == 2
    assert impact() == [("2021-01", "apple", 0, 1), ("2021-03", "google", 1, 0)]
    again = ledger.drop("subscriptions_2.csv", f"{SUBSCRIPTIONS}u1,2021-02-01,apple,9.99\n")
    assert again.recomputed["q3_subscription_impact"] == 1
    assert impact()[1] == ("2021-02", "apple", 0, 2)
    take_back(ledger, again)
    take_back(ledger, in_between)
    assert impact() == [("2021-01", "apple", 0, 0), ("2021-03", "google", 0, 0)]
