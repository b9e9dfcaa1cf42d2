"""The commands on the engagement pipeline, whose marts have keys of their own, and whose feeds are events."""

import csv
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from support.console import Console
from support.engagement_sample import DAYS
from support.engines import PROJECT
from support.served import serving

GRAIN = "2021-02-01,PT,Android,11,7.1,trial,game,c1"
ENGAGEMENT = ("--pipeline", "engagement", "--root", "shown")


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return Console(tmp_path)


@pytest.fixture(scope="module")
def demo_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    console = Console(tmp_path_factory.mktemp("engagement"))
    done = console.run("demo", *ENGAGEMENT, "--quiet")
    assert (done.code, done.err) == (0, "")
    return console.folder / "shown"


@pytest.fixture
def demo(console: Console, demo_root: Path) -> Console:
    """The demo's root, in the folder `shown`."""
    shutil.copytree(demo_root, console.folder / "shown", symlinks=True)
    return console


def daily(folder: Path) -> dict[tuple[str, ...], str]:
    """The seconds played, by the parts of the key."""
    with (folder / "outputs/engagement_daily.csv").open(encoding="utf-8", newline="") as file:
        return {tuple(row[:8]): row[10] for row in csv.reader(file)}


def test_demo_shows_figures_and_how_to_ask_for_them(console: Console):
    done = console.run("demo", "--pipeline", "engagement")
    assert (done.code, done.err) == (0, "")
    for mart in ("engagement_daily", "q1_completion_rate", "q2_price_tier_engagement", "q3_subscription_impact"):
        assert f"outputs/{mart}.csv\n" in done.out
    asked = done.out.splitlines()[-2].split()
    assert asked[-4:] == ["--root", "dropledger-demo", "--pipeline", "engagement"]
    explained = console.run(*asked[1:])
    assert explained.code == 0
    assert "Matches the mart." in explained.out


def test_demo_of_a_pipeline_without_samples_of_its_own_is_that_of_lending(console: Console):
    shutil.copytree(PROJECT / "core/pipelines/lending", console.folder / "mine")
    done = console.run("demo", "--pipeline", "mine", "--json")
    assert done.json["account_summary"][0]["annual_interest"] == "250.00"


def test_figure_is_explained_by_its_events_users_activities_and_files(demo: Console):
    done = demo.run("explain", "engagement_daily", GRAIN, *ENGAGEMENT)
    assert done.code == 0
    assert [line for line in done.out.splitlines() if not line.startswith("    line")] == [
        f"Engagement daily {GRAIN} at 2021-02-04T22:03:00Z",
        "  e07 at 2021-02-01T09:07:00Z: user u2 played a1 for 100.25 seconds, to the end",
        "  e28 at 2021-02-01T20:00:00Z: user u2 played a1 for 99.75 seconds, to the end",
        "  user u2 in PT, trial then, by what is known since 2021-02-01",
        "  activity a1 Count the ducks is of type game, since 2021-02-01",
        "  100.25 (1 of events_2021-02-01.jsonl) + 99.75 (1 of events_late_2021-02-03.ndjson) = 200 seconds",
        "  2 played, 2 to the end, 200.000 seconds; players: 1",
        "  Matches the mart.",
    ]
    assert "line 1 of events_late_2021-02-03.ndjson (drop 4ef922b1d9f24220)" in done.out
    before = demo.run("explain", "engagement_daily", GRAIN, "--as-of", "2021-02-01T12:00", *ENGAGEMENT)
    assert "  1 played, 1 to the end, 100.250 seconds; players: 1\n" in before.out


def test_plan_tells_what_a_late_file_would_do_and_changes_nothing(demo: Console):
    before = daily(demo.folder / "shown")
    text = DAYS[2][2].read_text(encoding="utf-8").splitlines()[0].replace('"e20"', '"e99"').replace("02-03", "02-01")
    late = demo.file("events_2021-02-05.jsonl", f"{text}\n")
    planned = demo.run("plan", late, *ENGAGEMENT, "--json").json
    effect = planned["effects"]["engagement_daily"]
    assert (effect["total_before"], effect["total_after"]) == ("2141.250", "2181.250")
    assert daily(demo.folder / "shown") == before
    assert demo.run("process", late, *ENGAGEMENT).code == 0
    key = ("2021-02-01", *GRAIN.split(",")[1:])
    assert (before[key], daily(demo.folder / "shown")[key]) == ("200.000", "240.000")


def test_correction_taken_back_moves_figures_to_where_they_were(demo: Console):
    shown = demo.folder / "shown"
    before = daily(shown)
    [drop] = [
        drop["drop_id"]
        for drop in demo.run("drops", *ENGAGEMENT, "--json").json["drops"]
        if drop["name"] == "users_corrected_2021-02-01.json"
    ]
    assert demo.run("retract", drop, "--reason", "u1 had moved", *ENGAGEMENT).code == 0
    moved = {
        (day, {"MX": "ES"}.get(country, country) if day < "2021-02-03" else country, *rest): seconds
        for (day, country, *rest), seconds in before.items()
    }
    assert daily(shown) == moved != before
    assert demo.run("restore", drop, "--reason", "u1 had not", *ENGAGEMENT).code == 0
    assert daily(shown) == before
    assert demo.run("replay", *ENGAGEMENT).code == 0
    assert demo.run("verify", *ENGAGEMENT).code == 0
    assert daily(shown) == before


@pytest.mark.slow
def test_watch_and_backfill_come_to_the_figures_of_the_demo(demo: Console):
    options = ("--pipeline", "engagement")
    inbox = demo.folder / "watched/inbox"
    inbox.mkdir(parents=True)
    old = demo.folder / "old"
    old.mkdir()
    for path in (path for day in DAYS for path in day):
        shutil.copy(path, old)
        if "corrected" not in path.name:
            shutil.copy(path, inbox)
    assert demo.run_script("watch", "--once", "--root", "watched", *options).code == 0
    shutil.copy(old / "users_corrected_2021-02-01.json", inbox)
    assert demo.run_script("watch", "--once", "--root", "watched", *options).code == 0
    assert demo.run("backfill", "old", "--root", "backfilled", *options).code == 0
    assert daily(demo.folder / "watched") == daily(demo.folder / "shown") == daily(demo.folder / "backfilled")


@pytest.mark.slow
def test_console_shows_the_pipeline_and_explains_its_figures(demo: Console):
    with serving(demo, *ENGAGEMENT) as served:
        for path in (
            "/",
            "/models",
            "/lineage",
            "/checks",
            "/drops",
            "/models/engagement_daily_rate",
            "/history/user/u1",
        ):
            assert served.get(path).status == 200, path
        changed = served.get("/drops/4ef922b1d9f24220").text  # of the late file
        assert f"/explain/engagement_daily/{GRAIN}" in unquote(changed)
        page = served.get(f"/explain/engagement_daily/{GRAIN}")
        assert page.status == 200
        assert "matches the mart" in page.text
        assert "History of" not in page.text
        found = served.get(f"/explain/engagement_daily/{GRAIN}.json").json
        assert [event["event_id"] for event in found["events"]] == ["e07", "e28"]


@pytest.mark.slow
def test_figures_by_a_restricted_column_are_not_explained_in_the_console(console: Console):
    folder = Path(shutil.copytree(PROJECT / "core/pipelines/engagement", console.folder / "engagement"))
    contract = yaml.safe_load((folder / "user.yaml").read_text(encoding="utf-8"))
    next(column for column in contract["columns"] if column["name"] == "country_code")["classification"] = "restricted"
    (folder / "user.yaml").write_text(yaml.safe_dump(contract, sort_keys=False), encoding="utf-8")
    options = ("--pipeline", folder, "--root", "shown")
    assert console.run("demo", *options, "--quiet").code == 0
    with serving(console, *map(str, options)) as served:
        refused = served.get(f"/explain/engagement_daily/{GRAIN}.json")
    assert refused.status == 404
    assert "the keys of the mart engagement_daily are restricted" in refused.text
