"""A file that meets a bug, as people meet it: named by every command, and no other is kept by it."""

import json
from pathlib import Path

import pytest
from support.console import Console, until
from support.odd_check import with_odd_check

pytestmark = pytest.mark.slow

SOUND, ODD = "CustomerID,Name,HasLoan\n1,day,No\n", "CustomerID,Name,HasLoan\n2,timezone,No\n"


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return Console(tmp_path, {"DROPLEDGER_PIPELINE": str(with_odd_check(tmp_path / "pipeline").folder)})


def test_process_names_it_with_a_traceback_and_doctor_says_how_to_get_past_it(console: Console):
    files = [console.file("customers_2026-01-01.csv", ODD), console.file("customers_2026-01-02.csv", SOUND)]
    done = console.run("process", *files, "--json")
    assert (done.code, [entry["outcome"] for entry in done.json["outcomes"]]) == (1, ["failed", "accepted"])
    assert "Traceback" in done.err
    assert "timezone" not in done.out + done.err
    problems = json.loads(console.run("doctor", "--json").out)["problems"]
    (problem,) = [found for found in problems if "customers_2026-01-01.csv" in found["problem"]]
    (workspace,) = console.root.glob("work/*/")
    assert str(workspace) in problem["try"]
    told = console.run("watch", "--once")
    assert (told.code, "customers_2026-01-01.csv: failed: " in told.out) == (1, True)


def test_watch_logs_it_once_with_its_frames_and_goes_on(console: Console):
    with console.watch() as watching:
        (watching.inbox / "customers_2026-01-01.csv").write_text(ODD)
        failed = watching.line("customers_2026-01-01.csv")
        for day in (2, 3):
            (watching.inbox / f"customers_2026-01-0{day}.csv").write_text(SOUND)
            assert watching.line(f"customers_2026-01-0{day}.csv")["event"] == "accepted"
        until(lambda: not list(watching.inbox.glob("*.csv")))
        assert (failed["event"], failed["level"]) == ("failed", "error")
        assert "in _engine" in failed["frames"]
        assert len([line for line in watching.lines if line["event"] == "failed"]) == 1
