"""Loads of the engagement pipeline, by dropledger, by dbt and by a bare pass; `bench.py --pipeline engagement`."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from measured import HERE, Measured, interpreter, measure

TOOLS = ("dropledger", "dbt", "bare")
LOADS = ("first", "day", "late")


def make_files(data: Path, events: int, small_files: int) -> None:
    """What `engagement_data.py` makes."""
    measure([sys.executable, HERE / "engagement_data.py", data, str(events), str(small_files)])


def run(tools: Sequence[str], rounds: int, data: Path, work: Path) -> dict[str, dict[str, list[Measured]]]:
    """What each tool took for each load in each round.

    After each load the daily figures of all tools are compared. A load may take minutes, so no round is left out.
    """
    found: dict[str, dict[str, list[Measured]]] = {load: {tool: [] for tool in tools} for load in LOADS}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        for tool in tools:
            shutil.rmtree(work / tool, ignore_errors=True)
            (work / tool).mkdir(parents=True)
        for place, load in enumerate(LOADS):
            for tool in tools:
                found[load][tool].append(_take(tool, load, data, work))
            compared = [work / tool / "root" / "outputs" if tool == "dropledger" else work / tool for tool in tools]
            if len(tools) > 1:
                measure([sys.executable, HERE / "summaries.py", "--of", "engagement_daily", *compared])
            print(f"load {place + 1} of {len(LOADS)}", file=sys.stderr)
    return found


def take_small(data: Path, work: Path, small_files: int) -> float:
    """Files a second that a watch takes of those that wait in the inbox of the root after the loads."""
    root = work / "dropledger" / "root"
    for path in sorted((data / "small").iterdir()):
        shutil.copy(path, root / "inbox" / path.name)
    script = interpreter("dropledger").with_name("dropledger")
    taken = measure([script, "watch", "--once", "--root", root, "--pipeline", "engagement", "--quiet"])
    return small_files / taken.seconds


def _take(tool: str, load: str, data: Path, work: Path) -> Measured:
    folder = work / tool
    files = sorted((data / load).iterdir(), key=lambda path: (path.name.startswith("events"), path.name))
    command: list[str | Path]
    match tool:
        case "dropledger":
            command = [interpreter(tool).with_name("dropledger"), "process", *files, "--root", folder / "root"]
            command += ["--pipeline", "engagement", "--quiet"]
        case "dbt":
            landing, project = folder / "landing", HERE / "dbt_engagement"
            landing.unlink(missing_ok=True)
            landing.symlink_to(data / load)
            command = [interpreter(tool).with_name("dbt"), "build", "--project-dir", project, "--profiles-dir", project]
            command += ["--target-path", work / "dbt-target", "--log-path", folder / "logs"]
            command += [] if load == "first" else ["--select", "stg_events+"]
        case _:
            so_far = LOADS[: LOADS.index(load) + 1]
            command = [interpreter(tool), HERE / "engagement_bare.py", folder, *(data / one for one in so_far)]
    return measure(command, folder=folder, BENCH_FOLDER=str(folder))
