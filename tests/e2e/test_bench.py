"""The benchmark at its smallest, with what this environment has: dropledger and the bare pass."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import duckdb
import pytest
from support.console import environment

pytestmark = pytest.mark.slow

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SUMMARY = "SELECT 1 AS account_id, CAST(12.50 AS DECIMAL(18, 2)) AS new_balance"


def run(script: str, *arguments: object, folder: Path = BENCHMARKS) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(folder / script), *map(str, arguments)]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=100, check=False)


def artifacts(folder: Path, *, csv: str = SUMMARY, parquet: str = SUMMARY) -> Path:
    folder.mkdir()
    duckdb.execute(f"COPY ({csv}) TO '{folder}/account_summary.csv' (HEADER)")
    duckdb.execute(f"COPY ({parquet}) TO '{folder}/account_summary.parquet' (FORMAT parquet)")
    return folder


def test_benchmark_reports_three_loads_with_ratios(tmp_path: Path):
    figures, chart = tmp_path / "figures.json", tmp_path / "chart.svg"

    options = ("--tools=dropledger,bare", "--accounts=2000", "--rounds=1", "--days=2")

    done = run("bench.py", *options, "--json", figures, "--chart", chart)

    assert done.returncode == 0, done.stderr
    report = json.loads(figures.read_text(encoding="utf-8"))
    assert (report["accounts"], report["customers"], report["rounds"]) == (2000, 1000, 1)
    assert report["versions"]["bare"]["duckdb"] == duckdb.__version__
    assert list(report["loads"]) == ["first", "changed", "delta"]
    for runs, tools in [*((1, tools) for tools in report["loads"].values()), (2, report["days"])]:
        assert list(tools) == ["dropledger", "bare"]
        assert tools["bare"]["ratio"] == tools["bare"]["cpu_ratio"] == 1
        assert tools["dropledger"]["ratio"] > 0
        for measured in tools.values():
            assert len(measured["seconds"]) == runs
            assert measured["median_cpu_seconds"] > 0
            assert measured["peak_megabytes"] > 0
    assert report["kept"].keys() == {"three loads", "2 days"}
    assert done.stdout.count("dropledger  ") == 5
    assert ET.parse(chart).getroot().tag.endswith("svg")


def test_loads_of_engagement_are_reported(tmp_path: Path):
    figures = tmp_path / "figures.json"

    options = ("--pipeline=engagement", "--tools=dropledger,bare", "--events=2000", "--small-files=20")

    done = run("bench.py", *options, "--json", figures)

    assert done.returncode == 0, done.stderr
    report = json.loads(figures.read_text(encoding="utf-8"))
    assert (report["events"], report["small_files"], report["rounds"]) == (2000, 20, 1)
    assert report["small_files_a_second"] > 0
    assert list(report["loads"]) == ["first", "day", "late"]
    assert all(tools["dropledger"]["ratio"] > 0 for tools in report["loads"].values())


def test_run_ends_where_a_tool_comes_to_other_daily_figures(tmp_path: Path):
    folder = shutil.copytree(BENCHMARKS, tmp_path / "benchmarks")
    bare = folder / "engagement_bare.sql"
    bare.write_text(bare.read_text(encoding="utf-8").replace("'lapsed'", "'free'"), encoding="utf-8")

    options = ("--pipeline=engagement", "--tools=dropledger,bare", "--events=2000", "--small-files=0")

    done = run("bench.py", *options, folder=folder)

    assert done.returncode == 1
    assert "engagement_daily.csv differs from" in done.stderr


def test_run_ends_where_a_tool_comes_to_another_summary(tmp_path: Path):
    figures = tmp_path / "figures.json"
    folder = shutil.copytree(BENCHMARKS, tmp_path / "benchmarks")
    bare = folder / "bare.py"
    bare.write_text(bare.read_text(encoding="utf-8").replace("ELSE 0.02 END", "ELSE 0.03 END"), encoding="utf-8")

    done = run("bench.py", "--tools=dropledger,bare", "--accounts=2000", "--json", figures, folder=folder)

    assert done.returncode == 1
    assert "account_summary.csv differs from" in done.stderr
    assert not figures.exists()


def test_tool_that_is_not_there_is_named():
    done = run("bench.py", "--tools=dropledger,spreadsheet")

    assert done.returncode == 2
    assert "there is no tool spreadsheet" in done.stderr


def test_latency_of_a_watch_is_told():
    done = run("latency.py", "--files=5")

    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"5 files of 10 accounts: median \d+ ms, 99th percentile \d+ ms, longest \d+ ms\n", done.stdout)


def test_cost_of_a_change_is_told_by_both_sizes(tmp_path: Path):
    chart = tmp_path / "chart.svg"

    done = run("change_cost.py", "--accounts=2000,4000", "--changed=10,4000", "--rounds=1", "--chart", chart)

    assert done.returncode == 0, done.stderr
    head, small, large = done.stdout.splitlines()
    assert head.split() == ["accounts", "10", "changed", "4,000", "changed"]
    assert re.fullmatch(r" +2,000 +\d+ ms +-", small)
    assert re.fullmatch(r" +4,000 +\d+ ms +[\d,]+ ms", large)
    lines = ET.parse(chart).getroot().findall("{http://www.w3.org/2000/svg}polyline")
    assert [len(line.attrib["points"].split()) for line in lines] == [1, 2]


def test_statements_of_a_command_are_told(tmp_path: Path):
    files = sorted((BENCHMARKS.parent / "samples" / "day1").glob("*.csv"))

    done = run("statements.py", "process", *files, "--root", tmp_path / "root", "--quiet")

    assert done.returncode == 0, done.stderr
    assert "outside the engine" in done.stdout
    assert re.search(r"\d+ statements: \d+ ms, \d+ ms of it in short ones\nthe whole: \d+ ms", done.stdout)
    assert (tmp_path / "root/outputs/account_summary.csv").exists()


@pytest.mark.parametrize("artifact", ["csv", "parquet"])
@pytest.mark.parametrize(
    "other",
    [
        SUMMARY.replace("12.50", "12.51"),
        SUMMARY.replace("DECIMAL(18, 2)", "DECIMAL(18, 1)"),
        f"{SUMMARY} UNION ALL {SUMMARY}",
        f"{SUMMARY} LIMIT 0",
    ],
    ids=["value", "decimals", "a row more", "a row less"],
)
def test_summaries_that_differ_are_refused(tmp_path: Path, artifact: str, other: str):
    one, same = artifacts(tmp_path / "one"), artifacts(tmp_path / "same")
    differs = artifacts(tmp_path / "differs", **{artifact: other})

    assert run("summaries.py", one, same).returncode == 0
    done = run("summaries.py", one, same, differs)

    assert done.returncode == 1
    assert f"{differs}/account_summary.{artifact} differs" in done.stderr
