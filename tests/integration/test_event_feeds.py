"""Feeds of events: each row is a fact, of each key the one received first stands, and no other file is asked for it."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.event_feed import event_pipeline, events
from support.ledger import Ledger, Record, micro_batches_from

from dropledger.core.contracts.pipeline_spec import Pipeline, load_pipeline
from dropledger.core.errors import ConfigurationError
from dropledger.core.ingest import micro_batch
from dropledger.core.lineage.pipeline import read_lineage
from dropledger.core.operations.plan import plan
from dropledger.core.operations.replay import Selection, replay
from dropledger.core.operations.retract import plan_retraction, restore, retract
from dropledger.core.operations.verify import verify
from dropledger.infra.duckdb.session import DuckDBSession

EVENT = {"mode": "event"}
FACTS = "event_id, amount, valid_from, valid_to, is_current, line"
ONE_BY_ONE = 10_000
A_MOMENT, ANOTHER = "2025-01-02T10:00", "2025-01-01T09:00"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return event_pipeline(tmp_path_factory.mktemp("pipeline") / "events", EVENT)


@pytest.fixture
def ledger(tmp_path: Path, pipeline: Pipeline) -> Ledger:
    return Ledger(tmp_path / "root", pipeline)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def counts(outcome: Any) -> tuple[int, int, int, int]:
    return outcome.rows_read, outcome.rows_accepted, outcome.rows_rejected, outcome.rows_duplicate


def amounts(ledger: Ledger) -> dict[str, int]:
    return {key: int(amount) for key, amount in ledger.rows("SELECT event_id, amount FROM history_event")}


def refused(ledger: Ledger) -> list[Record]:
    return ledger.rows(
        """SELECT l.name, r.line, r.column_name, r.rule, r.raw
        FROM rejected_row AS r
        INNER JOIN drop_ledger AS l ON l.drop_id = r.drop_id AND l.sequence = r.sequence
        ORDER BY ALL"""
    )


def assert_verified(ledger: Ledger) -> None:
    found = verify(ledger.runtime, lambda *_: None)
    assert found.differences == ()


# What goes in


def test_event_goes_in_whatever_came_before_and_never_ends(ledger: Ledger):
    ledger.drop("events_2.csv", events(("A", "1", "2025-01-02T10:00"), ("B", "2", "2025-01-04")))
    outcome = ledger.drop("events_1.csv", events(("C", "3", "2025-01-01"), ("D", "4", "2025-01-03")))

    assert counts(outcome) == (2, 2, 0, 0)
    assert (outcome.versions_opened, outcome.versions_closed) == (2, 0)
    assert ledger.table("history_event", FACTS) == [
        ("A", 1, moment("2025-01-02T10:00"), None, True, 2),
        ("B", 2, moment("2025-01-04"), None, True, 3),
        ("C", 3, moment("2025-01-01"), None, True, 2),
        ("D", 4, moment("2025-01-03"), None, True, 3),
    ]
    assert_verified(ledger)


def test_known_event_is_a_duplicate_and_one_that_contradicts_it_is_refused(ledger: Ledger):
    ledger.drop("events_1.csv", events(("A", "1", A_MOMENT), ("B", "1", A_MOMENT), ("C", "1", A_MOMENT)))
    outcome = ledger.drop(
        "events_2.csv", events(("A", "1", A_MOMENT), ("B", "2", A_MOMENT), ("C", "1", ANOTHER), ("D", "1", A_MOMENT))
    )

    assert counts(outcome) == (4, 1, 2, 1)
    assert outcome.versions_opened == 1
    assert amounts(ledger) == {"A": 1, "B": 1, "C": 1, "D": 1}
    assert refused(ledger) == [
        ("events_2.csv", 3, "event_id", "conflicting_key", f"B,2,{A_MOMENT}"),
        ("events_2.csv", 4, "event_id", "conflicting_key", f"C,1,{ANOTHER}"),
    ]
    [rejects] = (ledger.root / "quarantine").iterdir()
    assert [line.split(",")[0] for line in rejects.read_text().splitlines()] == ["line", "3", "4"]
    assert ledger.rows("SELECT event_id FROM stg_event") == [("D",)]
    assert_verified(ledger)


def test_events_of_one_key_that_differ_within_a_file_are_all_refused(ledger: Ledger):
    ledger.drop("events_1.csv", events(("A", "1", A_MOMENT)))
    rows = [("A", "1", A_MOMENT), ("A", "2", A_MOMENT), ("B", "1", A_MOMENT), ("B", "1", ANOTHER)]
    outcome = ledger.drop(
        "events_2.csv", events(*rows, *(("C", "1", A_MOMENT),) * 3, *((key, "1", A_MOMENT) for key in "DEF"))
    )

    assert counts(outcome) == (10, 4, 4, 2)
    assert sorted(amounts(ledger)) == ["A", "C", "D", "E", "F"]
    assert [line for _, line, *_ in refused(ledger)] == [2, 3, 4, 5]
    assert_verified(ledger)


def test_file_that_contradicts_history_in_each_row_is_no_bad_file(ledger: Ledger):
    ledger.drop("events_1.csv", events(("A", "1", A_MOMENT)))
    outcome = ledger.drop("events_2.csv", events(("A", "2", A_MOMENT)))

    assert (outcome.delivered, counts(outcome)) == ("accepted", (1, 0, 1, 0))
    assert_verified(ledger)


def test_empty_amount_is_a_value_like_another(tmp_path: Path):
    columns = [{"name": "event_id", "rules": ["not_null"]}, {"name": "amount"}, {"name": "at", "type": "date"}]
    ledger = Ledger(tmp_path / "root", event_pipeline(tmp_path / "pipeline", {**EVENT, "columns": columns}))
    ledger.drop("events_1.csv", events(("A", "", "2025-01-01"), ("B", "1", "2025-01-01")))
    outcome = ledger.drop("events_2.csv", events(("A", "", "2025-01-01"), ("B", "", "2025-01-01")))
    assert counts(outcome) == (2, 0, 1, 1)


# Times


def test_as_of_by_hand_moves_no_event_and_makes_no_other_drop(ledger: Ledger):
    text = events(("A", "1", A_MOMENT))
    outcome = ledger.drop("events.csv", text, as_of=datetime(2026, 6, 1, tzinfo=UTC))
    again = [ledger.drop("events.csv", text), ledger.drop("events_2025-03-01.csv", text)]

    assert outcome.delivered == "accepted"
    assert ledger.rows("SELECT valid_from FROM history_event") == [(moment(A_MOMENT),)]
    assert {(one.delivered, one.drop.drop_id) for one in again} == {("duplicate", outcome.drop.drop_id)}


def test_event_far_ahead_is_refused_even_where_the_as_of_is_given_by_hand(ledger: Ledger):
    ahead = (ledger.clock.moment + timedelta(days=3)).strftime("%Y-%m-%dT%H:%M")
    text = events(("A", "1", A_MOMENT), ("B", "1", ahead))
    outcome = ledger.drop("events.csv", text, as_of=ledger.clock.moment + timedelta(days=400))

    assert counts(outcome) == (2, 1, 1, 0)
    assert [rule for _, _, _, rule, _ in refused(ledger)] == ["as_of_in_future"]
    ledger.clock.moment += timedelta(days=9)
    assert_verified(ledger)


def test_no_drop_of_events_is_late(ledger: Ledger):
    ledger.drop("events_1.csv", events(("A", "1", A_MOMENT)))
    assert not ledger.drop("events_2.csv", events(("B", "1", ANOTHER))).late
    with ledger.runtime.session() as session:
        from dropledger.core.views.drops import select_late

        assert session.query(*select_late(ledger.runtime.pipeline)) == []


def test_moment_counts_what_was_set_apart_too(ledger: Ledger):
    ledger.drop("events_1.csv", events(("A", "1", ANOTHER)))
    ledger.drop("events_2.csv", events(("A", "2", A_MOMENT)))
    assert ledger.rows("SELECT moment FROM mart_moment") == [(moment(A_MOMENT),)]


def test_time_of_an_event_may_be_part_of_its_key(tmp_path: Path):
    columns = [{"name": name, "rules": ["not_null"]} for name in ("event_id", "amount")]
    changes = {
        **EVENT,
        "key": ["event_id", "at"],
        "columns": [*columns, {"name": "at", "type": "date", "rules": ["not_null"]}],
    }
    ledger = Ledger(tmp_path / "root", event_pipeline(tmp_path / "pipeline", changes))
    first = ledger.drop("events_1.csv", events(("A", "1", "2025-01-01"), ("A", "2", "2025-01-02"))).drop.drop_id
    rows = events(("A", "3", "2025-01-01"), ("A", "2", "2025-01-02"), ("A", "4", "2025-01-03"))
    assert counts(ledger.drop("events_2.csv", rows)) == (3, 1, 1, 1)
    take_back(ledger, first)
    assert ledger.rows('SELECT "at", amount, valid_from FROM history_event ORDER BY 1') == [
        (moment(f"2025-01-0{day}").date(), amount, moment(f"2025-01-0{day}"))
        for day, amount in ((1, "3"), (2, "2"), (3, "4"))
    ]
    take_in_again(ledger, first)
    with micro_batches_from(2):
        at = [("B", "1", f"2025-01-0{day}") for day in (1, 2, 1)]
        ledger.process(
            *(
                ledger.put(f"events_{place}.csv", events(row, (f"{place}", "1", "2025-01-01")))
                for place, row in enumerate(at)
            )
        )
    assert len(ledger.rows("SELECT 1 FROM history_event WHERE event_id = 'B'")) == 2
    assert_verified(ledger)


# Taken back, and in again


def dropped(ledger: Ledger, *amounts_of_a: str) -> list[str]:
    """A file for each amount of A; their drop_ids. Beside A each has an event of its own."""
    return [
        ledger.drop(
            f"events_{place}.csv", events(("A", amount, A_MOMENT), (f"own {place}", "9", A_MOMENT))
        ).drop.drop_id
        for place, amount in enumerate(amounts_of_a)
    ]


def take_back(ledger: Ledger, drop_id: str) -> Any:
    changed = retract(ledger.runtime, drop_id, "wrong", "the tests")
    assert_verified(ledger)
    return changed


def take_in_again(ledger: Ledger, drop_id: str) -> Any:
    changed = restore(ledger.runtime, drop_id, "right", "the tests")
    assert_verified(ledger)
    return changed


def test_event_that_was_refused_stands_when_the_one_before_it_is_taken_back(ledger: Ledger):
    first, second = dropped(ledger, "1", "2")
    changed = take_back(ledger, first)

    assert (changed.versions_opened, changed.versions_closed) == (1, 2)
    assert amounts(ledger) == {"A": 2, "own 1": 9}
    assert ledger.rows("SELECT drop_id FROM history_event WHERE event_id = 'A'") == [(second,)]
    assert [name for name, *_ in refused(ledger)] == ["events_1.csv"]  # what was refused stays told
    assert sorted(ledger.rows("SELECT event_id FROM stg_event")) == [("A",), ("own 1",)]
    take_in_again(ledger, first)
    assert amounts(ledger) == {"A": 1, "own 0": 9, "own 1": 9}
    assert ledger.rows("SELECT event_id FROM stg_event") == [("own 1",)]
    replay(ledger.runtime, Selection(), None, lambda *_: None)
    assert amounts(ledger)["A"] == 1
    assert [name for name, *_ in refused(ledger)] == ["events_1.csv"]


def test_event_that_came_twice_stands_when_one_of_its_files_is_taken_back(ledger: Ledger):
    first, second = dropped(ledger, "1", "1")
    take_back(ledger, first)
    assert ledger.rows("SELECT event_id, drop_id FROM history_event ORDER BY 1") == [("A", second), ("own 1", second)]
    take_back(ledger, second)
    assert amounts(ledger) == {}


def test_event_accepted_meanwhile_gives_way_to_the_one_received_before_it(ledger: Ledger):
    [first] = dropped(ledger, "1")
    take_back(ledger, first)
    text = events(("A", "2", A_MOMENT), ("B", "2", A_MOMENT))
    second = ledger.drop("events_b.csv", text)
    third = ledger.drop("events_c.csv", events(("A", "1", A_MOMENT), ("C", "2", A_MOMENT)))
    assert (counts(second), counts(third)) == ((2, 2, 0, 0), (2, 1, 1, 0))

    changed = take_in_again(ledger, first)

    assert (changed.versions_opened, changed.versions_closed) == (2, 1)
    assert amounts(ledger) == {"A": 1, "B": 2, "C": 2, "own 0": 9}
    assert [(name, raw) for name, *_, raw in refused(ledger)] == [
        ("events_b.csv", f"A,2,{A_MOMENT}"),
        ("events_c.csv", f"A,1,{A_MOMENT}"),
    ]
    replay(ledger.runtime, Selection(), None, lambda *_: None)
    assert_verified(ledger)
    take_back(ledger, first)
    assert amounts(ledger) == {"A": 2, "B": 2, "C": 2}


def test_drop_restored_behind_another_that_was_away_too_is_refused_what_that_one_says(ledger: Ledger):
    [first] = dropped(ledger, "1")
    take_back(ledger, first)
    second = ledger.drop("events_b.csv", events(("A", "2", A_MOMENT), ("B", "2", A_MOMENT))).drop.drop_id
    take_back(ledger, second)
    take_in_again(ledger, first)
    assert refused(ledger) == []
    take_in_again(ledger, second)
    assert amounts(ledger) == {"A": 1, "B": 2, "own 0": 9}
    assert [raw for *_, raw in refused(ledger)] == [f"A,2,{A_MOMENT}"]


def test_known_at_decides_by_the_drops_that_were_known(ledger: Ledger, tmp_path: Path):
    first, _ = dropped(ledger, "1", "2")
    before = ledger.clock()
    retract(ledger.runtime, first, "wrong", "the tests")
    between = ledger.clock()
    restore(ledger.runtime, first, "right", "the tests")

    for name, known_at, amount in (("before", before, 1), ("between", between, 2), ("now", ledger.clock(), 1)):
        into = tmp_path / f"{name}.duckdb"
        replay(ledger.runtime, Selection(known_at=known_at), str(into), lambda *_: None)
        with ledger.runtime.warehouse.at(str(into)).session(read_only=True) as session:
            [found] = session.query("SELECT amount FROM history_event WHERE event_id = 'A'")
        assert found["amount"] == amount, name


def test_plan_tells_what_would_be_refused_and_changes_nothing(ledger: Ledger):
    dropped(ledger, "1")
    found = plan(ledger.runtime, ledger.put("events_x.csv", events(("A", "2", A_MOMENT), ("B", "2", A_MOMENT))))
    assert counts(found.outcome) == (2, 1, 1, 0)
    assert [row["rule"] for row in found.rejects] == ["conflicting_key"]
    assert sorted(amounts(ledger)) == ["A", "own 0"]


# Many small files


def odd_files() -> Iterator[tuple[str, str]]:
    for place in range(6):
        at = f"2025-01-{9 - place:02}"  # each before the one before it
        yield f"events-{place}.csv", events((f"{place}", "1", at), (f"{place // 2} shared", f"{place}", "2025-01-01"))
    yield "events-6.csv", events(("0", "1", "2025-01-09"), ("1", "1", "2025-01-08"))  # nothing new
    yield "events-7a.csv", events(("7", "bad", "2025-01-01"), ("7 too", "1", "2025-01-01"), ("0", "2", "2025-01-09"))
    yield "events-7b.csv", events(("7", "1", "2025-01-01"))
    yield "events-7c.csv", events(("7 ahead", "1", "2031-01-01"), ("7 now", "1", "2025-01-01"))
    for place in range(8, 15):
        yield f"events-{place}.csv", events((f"{place % 9}", "8", "2025-02-01"), (f"{place}", "8", "2025-01-31"))


PER_DROP = """name, sequence, status, rows_read, rows_accepted, rows_rejected, rows_duplicate, versions_opened,
    versions_closed, first_effective, last_effective"""


def taken(root: Path, pipeline: Pipeline, fewest: int) -> dict[str, Any]:
    ledger = Ledger(root, pipeline)
    modified_at = datetime(2025, 3, 1, tzinfo=UTC)
    ledger.drop("events.csv", events(("9", "7", "2025-01-01")))
    with micro_batches_from(fewest):
        facts = [ledger.put(name, text, modified_at=modified_at) for name, text in odd_files()]
        outcomes = ledger.process(*facts)
    assert_verified(ledger)
    return {
        "outcomes": [(one.drop.name, one.delivered, counts(one), one.versions_opened) for one in outcomes],
        "ledger": ledger.table("drop_ledger", PER_DROP),
        "history": ledger.table("history_event"),
        "refused": ledger.table("rejected_row"),
        "staged": ledger.table("stg_event"),
        "checks": ledger.rows("SELECT * EXCLUDE (sequence) FROM check_result WHERE layer = 'staging' ORDER BY ALL"),
        "quarantine": {path.name: path.read_bytes() for path in (root / "quarantine").glob("*.csv")},
    }


def test_small_files_together_are_as_if_taken_one_by_one(tmp_path: Path, pipeline: Pipeline):
    together = taken(tmp_path / "together", pipeline, 2)
    one_by_one = taken(tmp_path / "one by one", pipeline, ONE_BY_ONE)

    for name, found in one_by_one.items():
        assert together[name] == found, name
    assert {rule for _, _, _, rule, *_ in together["refused"]} >= {"conflicting_key", "type", "as_of_in_future"}
    assert len(together["quarantine"]) > 3


# Marts


def with_daily_totals(folder: Path) -> Pipeline:
    """The pipeline with a mart of the total of each day, of which the days of changed events are computed."""
    event_pipeline(folder, EVENT)
    day = "CAST(h.valid_from AS DATE)"
    (folder / "marts" / "daily.yaml").write_text(
        "mart: daily\nkey: [day]\ncolumns: [day, events, total]\nartifacts: [csv]\n"
    )
    (folder / "marts" / "daily.touched.sql").write_text(
        f"""SELECT DISTINCT {day} AS day
        FROM history_event AS h
        INNER JOIN changed_event AS c ON c.event_id = h.event_id
        UNION
        SELECT CAST(changed_from AS DATE) FROM changed_event
        """
    )
    (folder / "marts" / "daily.sql").write_text(
        f"""SELECT {day} AS day, count(*) AS events, sum(h.amount) AS total
        FROM history_event AS h
        /* incremental */ WHERE {day} IN (SELECT day FROM touched_daily) /* end */
        GROUP BY {day}
        """
    )
    (folder / "marts" / "shown.yaml").write_text("mart: shown\nkey: [event_id]\ncolumns: [event_id, amount]\n")
    (folder / "marts" / "shown.touched.sql").write_text("SELECT event_id FROM changed_event")
    (folder / "marts" / "shown.sql").write_text(
        """SELECT h.event_id, h.amount
        FROM history_event AS h
        /* incremental */ INNER JOIN touched_shown AS t ON t.event_id = h.event_id /* end */
        """
    )
    return load_pipeline(str(folder))


def test_marts_follow_late_events_and_those_that_are_taken_back(tmp_path: Path):
    ledger = Ledger(tmp_path / "root", with_daily_totals(tmp_path / "pipeline"))

    def daily() -> list[Record]:
        return ledger.rows("SELECT day(day), events, CAST(total AS INTEGER) FROM daily ORDER BY 1")

    first = ledger.drop("events_1.csv", events(("A", "1", "2025-01-03"), ("B", "2", "2025-01-02"))).drop.drop_id
    outcome = ledger.drop("events_2.csv", events(("A", "7", "2025-01-01"), ("C", "4", "2025-01-02T12:00")))
    assert dict(outcome.recomputed) == {"daily": 1, "shown": 1}
    assert daily() == [(2, 2, 6), (3, 1, 1)]
    ledger.drop("events_3.csv", events(("B", "2", "2025-01-02"), ("A", "1", "2025-01-03")))  # nothing new
    with micro_batches_from(2):
        ledger.process(
            *(ledger.put(f"events_{at}.csv", events((f"late {at}", "10", f"2025-01-0{at}T01:00"))) for at in (4, 3, 2))
        )
    assert daily() == [(2, 3, 16), (3, 2, 11), (4, 1, 10)]
    planned = plan_retraction(ledger.runtime, first)
    assert (planned.versions_opened, planned.versions_closed) == (2, 2)
    take_back(ledger, first)  # A is of another day then, and B stands by another file
    assert daily() == [(1, 1, 7), (2, 3, 16), (3, 1, 10), (4, 1, 10)]
    assert ledger.rows("SELECT amount FROM shown WHERE event_id = 'A'") == [(7,)]
    take_in_again(ledger, first)
    assert daily() == [(2, 3, 16), (3, 2, 11), (4, 1, 10)]


# What it costs


class Statements:
    """Counts the statements that sessions run."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.count = 0
        run = DuckDBSession._engine

        def counting(session: Any, sql: str, parameters: Any = None) -> Any:
            self.count += 1
            return run(session, sql, parameters)

        patch.setattr(DuckDBSession, "_engine", counting)


def statements_of(work: Any) -> int:
    with pytest.MonkeyPatch.context() as patch:
        counted = Statements(patch)
        work()
    return counted.count


def overlapping(place: int) -> str:
    """Events of a file whose times lie among those of all others."""
    return events(*((f"{place}-{row}", "1", f"2025-01-{row + 1:02}T{place % 24:02}:00") for row in range(20)))


def test_each_of_many_overlapping_files_costs_the_same_and_reads_no_archived_file(ledger: Ledger):
    costs = []
    for place in range(12):
        costs.append(statements_of(lambda place=place: ledger.drop(f"events-{place}.csv", overlapping(place))))
        for archived in (ledger.root / "archive").rglob(f"*-events-{place - 1}.csv"):
            archived.unlink()
    assert len(set(costs[2:])) == 1


def test_overlapping_files_that_wait_together_share_their_statements(ledger: Ledger):
    def take(first: int, count: int) -> None:
        ledger.process(*(ledger.put(name, text) for name, text in files(first, count)))

    def files(first: int, count: int) -> Sequence[tuple[str, str]]:
        return [(f"events-{place}.csv", overlapping(place)) for place in range(first, first + count)]

    take(0, micro_batch.FEWEST)
    few, many = (statements_of(lambda start=start, n=n: take(start, n)) for start, n in ((100, 10), (200, 40)))
    assert many - few <= 30  # less than one for each file more


def test_verify_costs_the_same_for_each_drop(ledger: Ledger):
    costs = []
    for ten in range(3):
        for place in range(10 * ten, 10 * ten + 10):
            ledger.drop(f"events-{place}.csv", overlapping(place))
        costs.append(statements_of(lambda: assert_verified(ledger)))
    assert costs[2] - costs[1] == costs[1] - costs[0]


def test_retraction_reads_each_later_file_once(ledger: Ledger):
    drops = [ledger.drop(f"events-{place}.csv", overlapping(place)).drop.drop_id for place in range(15)]
    costs = [statements_of(lambda nth=nth: take_back_alone(ledger, drops[nth])) for nth in (9, 4, 0)]
    # Of those that are in history 5 were received later, then 9, then 12.
    assert (costs[1] - costs[0]) * 3 == (costs[2] - costs[1]) * 4


def take_back_alone(ledger: Ledger, drop_id: str) -> None:
    retract(ledger.runtime, drop_id, "wrong", "the tests")


# A contract that becomes one of events


def test_feed_of_changes_becomes_one_of_events_by_a_replay(tmp_path: Path):
    before = event_pipeline(tmp_path / "delta")
    ledger = Ledger(tmp_path / "root", before)
    ledger.drop("events_1.csv", events(("A", "1", "2025-01-01")))
    ledger.drop("events_2.csv", events(("A", "2", "2025-01-02")))
    after = Ledger(tmp_path / "root", event_pipeline(tmp_path / "event", EVENT))

    with pytest.raises(ConfigurationError) as found:
        after.drop("events_3.csv", events(("B", "1", "2025-01-01")))
    assert "dropledger replay" in (found.value.hint or "")
    (after.root / "inbox" / "events_3.csv").unlink()
    replay(after.runtime, Selection(), None, lambda *_: None)
    assert amounts(after) == {"A": 1}
    assert [name for name, *_ in refused(after)] == ["events_2.csv"]
    assert_verified(after)


# Lineage


def test_lineage_of_facts_is_their_row_and_the_order_of_receipt(pipeline: Pipeline):
    columns = read_lineage(pipeline)["history_event"].columns

    assert {name: [str(ref.column) for ref in column.direct] for name, column in columns.items()} == {
        "event_id": ["event_id"],
        "amount": ["amount"],
        "valid_from": ["at"],
        "valid_to": [],
        "is_current": [],
        "drop_id": ["_drop_id"],
        "line": ["_line"],
    }
    assert {(decider.table, decider.column) for decider in columns["amount"].indirect} == {
        ("drop_ledger", "sequence"),
        ("stg_event", "event_id"),
    }
