"""Take the same three days of files by dropledger, by dbt, by dlt, by SQLMesh, and by a bare pass of the engine.

    python benchmarks/bench.py [--accounts N] [--rounds N] [--days N] [--tools A,B,...] [--json FILE] [--chart FILE]
    python benchmarks/bench.py --pipeline engagement [--events N] [--small-files N] [--tools A,B,...] [--json FILE]

Each load is one whole process, with account_summary.csv and .parquet written; the tools take it in turn. Each round
begins with nothing and its order is another, the first is not counted, and after each load the summaries are
compared. A ratio is the median of what each round's time, or CPU time, is to that of the round's bare pass; it is what
to quote, since seconds depend on the machine. With --days so many daily full extracts are taken once, one after the
other, from nothing. benchmarks/README.md says how each tool is set up.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import engagement
from chart import draw
from measured import HERE, Measured, interpreter, measure, summed_up

LOADS = ("first", "changed", "delta")
RATIOS = ("ratio", "cpu_ratio")
PACKAGES = {
    "dropledger": ("dropledger", "duckdb"),
    "dbt": ("dbt-core", "dbt-duckdb", "duckdb"),
    "dlt": ("dlt", "duckdb", "pyarrow"),
    "sqlmesh": ("sqlmesh", "duckdb"),
    "bare": ("duckdb",),
}
ASK_VERSIONS = """
import json, platform, sys
from importlib.metadata import version
print(json.dumps({"python": platform.python_version()} | {name: version(name) for name in sys.argv[1:]}))
"""


def take(tool: str, load: str, data: Path, work: Path) -> Measured:
    """Have a tool take a load's files, in its own folder."""
    folder, project = work / tool, HERE / "dbt"
    files = sorted((data / load).iterdir(), reverse=True)  # customers before accounts
    command: list[str | Path]
    match tool:
        case "dropledger":
            script = interpreter(tool).with_name("dropledger")
            command = [script, "process", *files, "--root", folder / "root", "--quiet"]
        case "dbt":
            # At one and the same place, as dbt parses its project again when a path in it changes.
            landing = folder / "landing"
            landing.unlink(missing_ok=True)
            landing.symlink_to(data / load)
            command = [interpreter(tool).with_name("dbt"), "build", "--project-dir", project, "--profiles-dir", project]
            command += ["--target-path", work / "dbt-target", "--log-path", folder / "logs"]
            command += ["--select", "stg_accounts+"] if load == "delta" else []
        case "dlt" | "sqlmesh":
            command = [interpreter(tool), HERE / tool / "load.py", folder, *files]
        case _:
            # The delta alone would not do: its yardstick is a pass over all there is.
            customers, accounts = sorted((data / "changed").iterdir(), reverse=True) if load == "delta" else files
            command = [interpreter(tool), HERE / "bare.py", customers, accounts, folder]
    os.sync()  # or a process waits for what the one before it wrote
    return measure(command, folder=folder, BENCH_FOLDER=str(folder))


def compare(tools: Sequence[str], load: str, work: Path) -> None:
    """End if the tools have come to different summaries."""
    # The bare pass of the delta is over the files of the day before.
    artifacts = [
        work / tool / "root" / "outputs" if tool == "dropledger" else work / tool
        for tool in tools
        if (tool, load) != ("bare", "delta")
    ]
    measure([sys.executable, HERE / "summaries.py", *artifacts])


def begin_with_nothing(tools: Sequence[str], work: Path) -> None:
    """Give each tool an empty folder."""
    for tool in tools:
        shutil.rmtree(work / tool, ignore_errors=True)
        (work / tool).mkdir(parents=True)


def kept(tools: Sequence[str], work: Path) -> dict[str, dict[str, int]]:
    """What each tool has on disk, in megabytes: its database, and all of its folder."""
    found = {}
    for tool in tools:
        sizes = {path: path.stat().st_size for path in (work / tool).rglob("*") if path.is_file()}
        databases = sum(size for path, size in sizes.items() if path.suffix == ".duckdb")
        found[tool] = {"database_megabytes": databases >> 20, "folder_megabytes": sum(sizes.values()) >> 20}
    return found


def run_days(tools: list[str], days: int, data: Path, work: Path) -> dict[str, list[Measured]]:
    """What each tool took for each of the daily full extracts."""
    begin_with_nothing(tools, work)
    found: dict[str, list[Measured]] = {tool: [] for tool in tools}
    for number in range(1, days + 1):
        print(f"day {number} of {days}", file=sys.stderr)
        load, first = f"day{number:02}", number % len(tools)
        for tool in tools[first:] + tools[:first]:
            found[tool].append(take(tool, load, data, work))
        compare(tools, load, work)
    return found


def run(tools: list[str], rounds: int, data: Path, work: Path) -> dict[str, dict[str, list[Measured]]]:
    """What each tool took for each load in each round that counts."""
    found: dict[str, dict[str, list[Measured]]] = {load: {tool: [] for tool in tools} for load in LOADS}
    for number in range(rounds + 1):
        print("warming up" if number == 0 else f"round {number} of {rounds}", file=sys.stderr)
        begin_with_nothing(tools, work)
        first = number % len(tools)
        for load in LOADS:
            for tool in tools[first:] + tools[:first]:
                measured = take(tool, load, data, work)
                if number:
                    found[load][tool].append(measured)
            compare(tools, load, work)
    return found


def versions(tool: str) -> dict[str, str]:
    """Of what the tool's environment holds."""
    command = [interpreter(tool), "-c", ASK_VERSIONS, *PACKAGES[tool]]
    told: dict[str, str] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return told


def show(report: dict[str, Any]) -> None:
    sizes = ", ".join(f"{report[name]:,} {name}" for name in ("accounts", "customers", "events") if name in report)
    print(f"{sizes}, {report['cpus']} CPUs, rounds in turn: {report['rounds']}")
    for tool, told in report["versions"].items():
        print(f"{tool:12}{', '.join(f'{name} {version}' for name, version in told.items())}")
    head = f"{'median':>10}{'fastest':>10}{'CPU':>10}{'ratio':>8}{'of CPU':>8}{'peak memory':>14}"
    print(f"\n{'load':10}{'tool':12}{head}")
    for load, tools in [*report["loads"].items(), *([("a day", report["days"])] if report.get("days") else [])]:
        for tool, figures in tools.items():
            ratio, cpu_ratio = ("-" if figures[name] is None else f"{figures[name]:.2f}" for name in RATIOS)
            print(
                f"{load:10}{tool:12}{figures['median_seconds']:>8.2f} s{min(figures['seconds']):>8.2f} s"
                f"{figures['median_cpu_seconds']:>8.2f} s{ratio:>8}{cpu_ratio:>8}{figures['peak_megabytes']:>11,} MB"
            )
    if "small_files_a_second" in report:
        print(f"{report['small_files']:,} files of 10 events together: {report['small_files_a_second']} a second")
    for after, tools in report["kept"].items():
        for tool, sizes in tools.items():
            print(f"kept after {after} by {tool}: {sizes['database_megabytes']:,} of {sizes['folder_megabytes']:,} MB")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipeline", choices=["lending", "engagement"], default="lending")
    parser.add_argument("--events", type=int, default=10_000_000, help="of engagement, 1,000 or more")
    parser.add_argument("--small-files", type=int, default=10_000, help="of engagement, with 10 events each")
    parser.add_argument("--accounts", type=int, default=1_000_000, help="1,000 or more; half as many customers")
    parser.add_argument("--rounds", type=int, help="5 beside the one that is not counted, or 1 of engagement")
    parser.add_argument("--days", type=int, default=0, help="of daily full extracts, at most 99; none if not given")
    parser.add_argument("--tools", help="some of dropledger,dbt,dlt,sqlmesh,bare; dlt and sqlmesh for lending alone")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--chart", type=Path, help="where to draw the ratios, as SVG")
    given = parser.parse_args()
    of_engagement = given.pipeline == "engagement"
    there = engagement.TOOLS if of_engagement else tuple(PACKAGES)
    given.tools = given.tools.split(",") if given.tools else list(there)
    given.rounds = (1 if of_engagement else 5) if given.rounds is None else given.rounds
    if unknown := set(given.tools) - set(there):
        parser.error(f"there is no tool {', '.join(sorted(unknown))}")
    if min(given.accounts, given.events) < 1000 or given.rounds < 1:
        parser.error("it takes 1,000 accounts or events and a round")
    if of_engagement and (given.chart or given.days):
        parser.error("the chart and the days are of lending")
    if given.chart and "bare" not in given.tools:
        parser.error("the chart shows ratios to the bare pass, so it must be among the tools")
    for tool in given.tools:
        if not interpreter(tool).exists():
            parser.error(f"{interpreter(tool)} is missing. Try: make bench, which sets it up")
    return given


def report_of(given: argparse.Namespace, data: Path, work: Path) -> dict[str, Any]:
    """The figures of lending."""
    measure([sys.executable, HERE / "data.py", data, str(given.accounts), str(given.days)])
    found = run(given.tools, given.rounds, data, work)
    in_the_end = {"three loads": kept(given.tools, work)}
    of_days = run_days(given.tools, given.days, data, work) if given.days else {}
    if of_days:
        in_the_end[f"{given.days} days"] = kept(given.tools, work)
    return {
        "accounts": given.accounts,
        "customers": given.accounts // 2,
        "bytes": {load: {path.name: path.stat().st_size for path in (data / load).iterdir()} for load in LOADS},
        "loads": {load: summed_up(tools) for load, tools in found.items()},
        "days": summed_up(of_days),
        "kept": in_the_end,
    }


def report_of_engagement(given: argparse.Namespace, data: Path, work: Path) -> dict[str, Any]:
    """The figures of engagement."""
    engagement.make_files(data, given.events, given.small_files)
    found = engagement.run(given.tools, given.rounds, data, work)
    report = {
        "events": given.events,
        "loads": {load: summed_up(tools) for load, tools in found.items()},
        "kept": {"three loads": kept(given.tools, work)},
    }
    if given.small_files and "dropledger" in given.tools:
        rate = round(engagement.take_small(data, work, given.small_files))
        report |= {"small_files": given.small_files, "small_files_a_second": rate}
    return report


def main() -> None:
    given = arguments()
    made_by = report_of_engagement if given.pipeline == "engagement" else report_of
    with tempfile.TemporaryDirectory(prefix="dropledger-bench-") as name:
        report = made_by(given, Path(name) / "data", Path(name) / "work")
    report |= {
        "rounds": given.rounds,
        "cpus": os.cpu_count(),
        "versions": {tool: versions(tool) for tool in given.tools},
    }
    show(report)
    if given.json:
        given.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if given.chart:
        given.chart.write_text(draw(report), encoding="utf-8")


if __name__ == "__main__":
    main()
