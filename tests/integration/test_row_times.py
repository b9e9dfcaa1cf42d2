"""Rows that bring their own times: what is a time, how far ahead it may lie, and that names and order do not matter."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.event_feed import event_pipeline, events
from support.ledger import Ledger, Template

from dropledger.core.drop import iso
from dropledger.core.ledger.ledger import Delivered
from dropledger.core.operations.replay import Selection, replay
from dropledger.core.operations.retract import restore, retract
from dropledger.core.operations.verify import verify

pytestmark = pytest.mark.slow

LAST = datetime.max.replace(tzinfo=UTC)
HISTORY = "event_id, amount, valid_from, valid_to"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    folder = tmp_path_factory.mktemp("events")
    return Template(folder, event_pipeline(folder / "pipeline", {"future": "allowed"}))


@pytest.fixture
def watchful(tmp_path: Path) -> Ledger:
    """A ledger that lets no time in which lies more than a day ahead."""
    return Ledger(tmp_path / "root", event_pipeline(tmp_path / "pipeline"))


def differences(ledger: Ledger) -> tuple[object, ...]:
    return verify(ledger.runtime, lambda *_: None).differences


@pytest.mark.parametrize("beyond", ["9999-12-31T24:00:00Z", "9999-12-31 24:00", "10000-01-01", "2025-01-01T24:00Z"])
def test_time_that_no_calendar_has_is_refused_and_keeps_no_other_file(template: Template, beyond: str):
    with template.ledger() as ledger:
        outcomes = [
            ledger.drop(f"events_{number}.csv", events((key, "1", at)))
            for number, (key, at) in enumerate([("A", "2025-01-01"), ("B", beyond), ("C", "2025-01-02")])
        ]

        assert [outcome.delivered for outcome in outcomes] == ["accepted", "quarantined", "accepted"]
        assert ledger.rows("SELECT column_name, rule FROM rejected_row") == [("at", "type")]
        assert ledger.rows("SELECT event_id FROM history_event ORDER BY 1") == [("A",), ("C",)]
        assert differences(ledger) == ()


def test_last_moment_of_the_calendar_is_observed_like_any_other(template: Template):
    last, then, between = datetime.max.isoformat(), datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)
    with template.ledger() as ledger:
        for number, row in enumerate([("A", "200", "2024-01-01"), ("A", "100", last), ("A", "100", "2025-01-01")]):
            assert ledger.drop(f"events_{number}.csv", events(row)).delivered == Delivered.ACCEPTED

        assert ledger.table("history_event", HISTORY) == [("A", 100, between, None), ("A", 200, then, between)]
        assert differences(ledger) == ()


def test_as_of_may_be_the_last_moment_of_the_calendar(ledger: Ledger):
    accounts = "AccountID,CustomerID,Balance,AccountType\n1,1,{},Savings\n"
    then, between = datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)
    for balance, as_of in ((200, then), (100, LAST), (100, between)):
        assert ledger.drop("accounts.csv", accounts.format(balance), as_of=as_of).delivered == Delivered.ACCEPTED

    found = ledger.rows("SELECT balance, valid_from, valid_to FROM history_account ORDER BY valid_from")
    assert found == [(200, then, between), (100, between, None)]
    assert differences(ledger) == ()


def test_key_may_begin_with_nothing_but_nulls(tmp_path: Path):
    columns = [{"name": "event_id", "rules": ["not_null"]}, {"name": "amount"}, {"name": "at", "type": "timestamp"}]
    ledger = Ledger(tmp_path / "root", event_pipeline(tmp_path / "pipeline", {"columns": columns}))
    outcome = ledger.drop("events.csv", events(("A", "", "2025-01-01")))

    assert outcome.versions_opened == 1
    assert ledger.table("history_event", HISTORY) == [("A", None, datetime(2025, 1, 1, tzinfo=UTC), None)]


# How far ahead


def test_row_far_ahead_is_refused_and_stays_so_in_a_replay(watchful: Ledger):
    now = watchful.clock.moment
    tomorrow, later = iso(now + timedelta(hours=23)), iso(now + timedelta(hours=25))
    outcome = watchful.drop("events.csv", events(("A", "1", "2025-01-01"), ("B", "1", tomorrow), ("C", "1", later)))

    assert (outcome.rows_accepted, outcome.rows_rejected) == (2, 1)
    refused = watchful.rows("SELECT line, column_name, rule FROM rejected_row")
    assert refused == [(4, "at", "as_of_in_future")]
    watchful.clock.moment += timedelta(days=9)
    assert differences(watchful) == ()
    replay(watchful.runtime, Selection(), None, lambda *_: None)
    assert watchful.rows("SELECT event_id FROM history_event ORDER BY 1") == [("A",), ("B",)]


def test_late_row_is_woven_in_beside_one_that_was_refused_as_too_far_ahead(watchful: Ledger):
    ahead = iso(watchful.clock.moment + timedelta(days=2))
    watchful.drop("events_1.csv", events(("A", "3", "2025-01-03"), ("A", "9", ahead)))
    watchful.drop("events_2.csv", events(("A", "2", "2025-01-02")))

    found = watchful.rows("SELECT amount, valid_from FROM history_event ORDER BY valid_from")
    assert found == [(2, datetime(2025, 1, 2, tzinfo=UTC)), (3, datetime(2025, 1, 3, tzinfo=UTC))]


def test_as_of_by_hand_may_lie_ahead(watchful: Ledger):
    ahead = watchful.clock.moment + timedelta(days=400)
    outcome = watchful.drop("events.csv", events(("A", "1", "2025-01-01")), as_of=ahead)

    assert outcome.rows_accepted == 1
    assert watchful.rows("SELECT valid_from FROM history_event") == [(ahead,)]


# Identity


def test_same_rows_under_another_name_are_the_same_drop(template: Template):
    text = events(("A", "1", "2025-01-01"))
    with template.ledger() as ledger:
        outcomes = [ledger.drop(f"events_2025-01-0{day}.csv", text) for day in (1, 2)]
        by_hand = ledger.drop("events.csv", text, as_of=datetime(2025, 1, 1, tzinfo=UTC))

    assert [outcome.delivered for outcome in (*outcomes, by_hand)] == ["accepted", "duplicate", "accepted"]
    assert outcomes[0].drop.drop_id == outcomes[1].drop.drop_id != by_hand.drop.drop_id


FILES = [
    events(("A", "1", "2025-01-01"), ("B", "1", "2025-01-04")),
    events(("A", "2", "2025-01-02")),
    events(("A", "1", "2025-01-03"), ("B", "2", "2025-01-02T12:00Z")),
    events(("B", "1", "2025-01-03")),
]


@given(order=st.permutations([*range(4), *range(4)]), seed=st.integers(0, 99), together=st.booleans())
def test_order_and_names_of_deliveries_do_not_matter(template: Template, order: list[int], seed: int, together: bool):
    rest = random.Random(seed)
    with template.ledger() as ledger:
        facts = [
            ledger.put(f"events-{number}_2025-01-{rest.randint(1, 9):02}.csv", FILES[place])
            for number, place in enumerate(order)
        ]
        for some in [facts] if together else [[fact] for fact in facts]:
            ledger.process(*some)
        found = ledger.table("history_event", HISTORY)
        assert ledger.rows("SELECT count(*) FROM drop_ledger") == [(4,)]

    day1, day2, noon2, day3 = (datetime(2025, 1, *at, tzinfo=UTC) for at in ((1,), (2,), (2, 12), (3,)))
    assert found == [
        ("A", 1, day1, day2),
        ("A", 1, day3, None),
        ("A", 2, day2, day3),
        ("B", 1, day3, None),
        ("B", 2, noon2, day3),
    ]


def with_older_drop_ids(ledger: Ledger) -> str:
    """Give the one drop that there is the drop_id of earlier versions, which had its as_of in it."""
    older = "0123456789abcdef"
    [(drop_id,)] = ledger.rows("SELECT drop_id FROM drop_ledger")
    with ledger.runtime.session() as session, session.transaction():
        for table in ("drop_ledger", "delivery", "history_event"):
            session.update_where(table, {"drop_id": ":older"}, "TRUE", {"older": older})
    [archived] = (ledger.root / "archive").rglob(f"{drop_id}-*")
    archived.rename(archived.with_name(archived.name.replace(drop_id, older)))
    return older


def test_drop_of_an_earlier_version_is_known_again_by_its_bytes(template: Template):
    text = events(("A", "1", "2025-01-01"))
    with template.ledger() as ledger:
        ledger.drop("events_2025-01-01.csv", text)
        older = with_older_drop_ids(ledger)
        again = ledger.drop("events_2025-01-05.csv", text)

        assert (again.delivered, again.drop.drop_id) == ("duplicate", older)
        late = ledger.drop("events_0.csv", events(("A", "0", "2024-01-01")))
        assert late.late
        assert differences(ledger) == ()
        replay(ledger.runtime, Selection(), None, lambda *_: None)
        assert ledger.rows("SELECT drop_id FROM history_event WHERE amount = 1") == [(older,)]
        retract(ledger.runtime, older, "wrong", "somebody")
        assert ledger.rows("SELECT amount FROM history_event") == [(0,)]


def test_value_that_must_be_unique_may_stay_with_its_own_key(tmp_path: Path):
    columns = [
        {"name": "event_id", "rules": ["not_null"]},
        {"name": "amount", "type": "decimal(18,2)", "rules": ["unique"]},
        {"name": "at", "type": "timestamp"},
    ]
    ledger = Ledger(tmp_path / "root", event_pipeline(tmp_path / "pipeline", {"columns": columns}))
    rows = [("A", "1", "2025-01-01"), ("A", "1", "2025-01-02"), ("A", "2", "2025-01-03"), ("B", "2", "2025-01-04")]
    assert ledger.drop("events.csv", events(*rows, ("C", "3", "2025-01-04"))).delivered == Delivered.ACCEPTED
    assert ledger.rows("SELECT line, column_name, rule FROM rejected_row") == [
        (4, "amount", "unique"),
        (5, "amount", "unique"),
    ]


def test_retraction_takes_back_a_key_from_the_first_of_its_times_on(template: Template):
    day1, day2, day3 = (datetime(2025, 1, day, tzinfo=UTC) for day in (1, 2, 3))
    with template.ledger() as ledger:
        gone = ledger.drop("events_1.csv", events(("A", "1", "2025-01-01"), ("A", "3", "2025-01-03")))
        ledger.drop("events_2.csv", events(("A", "2", "2025-01-02")))
        before = [("A", 1, day1, day2), ("A", 2, day2, day3), ("A", 3, day3, None)]
        assert ledger.table("history_event", HISTORY) == before

        retract(ledger.runtime, gone.drop.drop_id, "wrong", "somebody")
        assert ledger.table("history_event", HISTORY) == [("A", 2, day2, None)]
        restore(ledger.runtime, gone.drop.drop_id, "right", "somebody")
        assert ledger.table("history_event", HISTORY) == before
