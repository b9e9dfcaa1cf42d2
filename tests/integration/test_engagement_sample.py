"""The engagement sample comes to the figures that its README works out by hand, however its files arrive."""

import csv
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.engagement_sample import EXPECTED, FILES, published, take, take_as_backfill, take_day_by_day
from support.ledger import Ledger, micro_batches_from

from dropledger.core.contracts.pipeline_spec import Pipeline, load_pipeline
from dropledger.core.operations.export import export
from dropledger.core.operations.replay import Selection, replay
from dropledger.core.operations.retract import restore, retract
from dropledger.core.operations.verify import verify
from dropledger.core.views.explain import explain
from dropledger.core.views.keys import write_key


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return load_pipeline("engagement")


@pytest.fixture
def ledger(tmp_path: Path, pipeline: Pipeline) -> Ledger:
    return Ledger(tmp_path / "root", pipeline)


def filled(ledger: Ledger) -> Ledger:
    Ledger.prepared.fill(ledger, "the engagement sample", take_day_by_day)
    return ledger


def test_sample_comes_to_the_figures_worked_out_by_hand(ledger: Ledger):
    filled(ledger)
    assert published(ledger) == EXPECTED
    assert verify(ledger.runtime, lambda *_: None).differences == ()
    counted = sum(int(row[8]) for row in EXPECTED["engagement_daily"][1:])
    assert ledger.rows("SELECT count(*) FROM history_event WHERE name = 'activity_exit'") == [(counted,)] == [(30,)]


def one_by_one_backwards(ledger: Ledger) -> None:
    """But for the correction, which stands for what it corrects as it comes behind it."""
    [correction] = [path for path in FILES if "corrected" in path.name]
    for path in (*(path for path in reversed(FILES) if path != correction), correction):
        take(ledger, path)


def in_micro_batches(ledger: Ledger) -> None:
    with micro_batches_from(2):
        take_day_by_day(ledger)


def taken_back_and_in_again(ledger: Ledger) -> None:
    filled(ledger)
    drops = [drop_id for (drop_id,) in ledger.rows("SELECT drop_id FROM drop_ledger ORDER BY sequence")]
    order = random.Random(27)
    for change in (retract, restore):
        order.shuffle(drops)
        for drop_id in drops:
            change(ledger.runtime, drop_id, "to see", "the tests")
        if change is retract:
            assert [len(rows) for rows in published(ledger).values()] == [1, 1, 1, 1]


def replayed(ledger: Ledger) -> None:
    filled(ledger)
    replay(ledger.runtime, Selection(), None, lambda *_: None)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arrive", [take_as_backfill, one_by_one_backwards, in_micro_batches, taken_back_and_in_again, replayed]
)
def test_figures_are_the_same_however_files_arrive(ledger: Ledger, arrive):
    arrive(ledger)
    assert published(ledger) == EXPECTED


def test_each_figure_of_the_day_is_explained_down_to_its_events(ledger: Ledger):
    filled(ledger)
    with ledger.runtime.session() as session:
        for row in EXPECTED["engagement_daily"][1:]:
            found = explain(session, ledger.runtime.pipeline, None, write_key(row[:8]))
            assert found["agrees"], row
            assert len(found["events"]) == int(row[8])
            assert all(event["line"] and event["file"].startswith("events") for event in found["events"])
        [late] = [row for row in EXPECTED["engagement_daily"] if row[10] == "200.000" and row[1] == "PT"]
        found = explain(session, ledger.runtime.pipeline, None, write_key(late[:8]))
    assert [(event["event_id"], event["file"], event["line"]) for event in found["events"]] == [
        ("e07", "events_2021-02-01.jsonl", 7),
        ("e28", "events_late_2021-02-03.ndjson", 1),
    ]
    assert [(user["user_id"], user["file"]) for user in found["users"]] == [("u2", "users_corrected_2021-02-01.json")]
    assert found["figure"]["arithmetic"] == (
        "100.25 (1 of events_2021-02-01.jsonl) + 99.75 (1 of events_late_2021-02-03.ndjson) = 200 seconds"
    )


def test_what_is_exported_and_explained_of_a_moment_agrees(ledger: Ledger, tmp_path: Path):
    noon, pipeline = datetime(2021, 2, 2, 12, tzinfo=UTC), ledger.runtime.pipeline
    written = export(filled(ledger).runtime, tmp_path, noon)
    _, *rows = csv.reader(written["engagement_daily.csv"].read_text(encoding="utf-8").splitlines())
    with ledger.runtime.session() as session:
        figures = [explain(session, pipeline, None, write_key(row[:8]), noon)["figure"] for row in rows]
    assert [
        [str(figure[name]) for name in pipeline.mart("engagement_daily").file.columns[8:]] for figure in figures
    ] == [row[8:] for row in rows]
    # u5 and a4 are not told yet, the correction is, and the late events of these days count.
    assert [",".join([row[0], row[1], *row[5:7], row[10]]) for row in rows] == [
        "2021-02-01,BR,free,video,75.500",
        "2021-02-01,MX,subscribed,game,120.500",
        "2021-02-01,MX,subscribed,video,60.000",
        "2021-02-01,PT,trial,game,200.000",
        "2021-02-01,unknown,unknown,video,11.000",
        "2021-02-01,unknown,subscribed,game,10.000",
        "2021-02-02,MX,subscribed,unknown,300.000",
        "2021-02-02,PT,lapsed,game,25.000",
        "2021-02-02,PT,trial,game,50.000",
        "2021-02-02,PT,trial,video,14.500",
        "2021-02-02,unknown,subscribed,game,20.000",
    ]


def test_rates_are_rounded_half_up(ledger: Ledger):
    filled(ledger)
    columns = "day, country, activity_type, activities_played, completion_rate, seconds_per_activity"
    rates = ledger.rows(
        f"SELECT {columns} FROM engagement_daily_rate WHERE activities_played = 2 ORDER BY day, country"
    )
    assert [(country, str(rate), str(seconds)) for _, country, _, _, rate, seconds in rates] == [
        ("BR", "0.5000", "37.75"),
        ("PT", "1.0000", "100.00"),
        ("PT", "0.5000", "25.00"),
        ("FR", "1.0000", "200.00"),
    ]
