"""What a process takes, and what many took beside one another."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# This process stays small: the peak that the system tells of another begins with the size of who started it. So
# nothing here imports the engine.
HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Measured:
    """Wall and CPU time of a process, and the most memory that it, or any process it waited for, had resident."""

    seconds: float
    cpu_seconds: float
    megabytes: int


def measure(command: Sequence[str | Path], *, folder: Path | None = None, **settings: str) -> Measured:
    """Run a command in a folder, with environment variables; end with its output if it fails."""
    unwanted = ("DROPLEDGER_", "DBT_", "PYTHONDONTWRITEBYTECODE")  # the last would let each start compile anew
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=inherited | settings, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            output.seek(0)
            told = output.read().decode(errors="replace")[-4000:]
            sys.exit(f"{told}\nexit code {process.returncode}: {' '.join(map(str, command))}")
    megabytes = usage.ru_maxrss >> (20 if sys.platform == "darwin" else 10)
    return Measured(seconds, usage.ru_utime + usage.ru_stime, megabytes)


def interpreter(tool: str) -> Path:
    """The Python of a tool's environment."""
    if tool in ("dropledger", "bare"):
        return Path(sys.executable)
    return HERE.parent / f".venv-bench-{tool}" / "bin" / "python"


def summed_up(found: dict[str, list[Measured]]) -> dict[str, Any]:
    """The figures of one load by tool; a ratio is None where the bare pass was not run."""

    def ratio(runs: list[Measured], figure: str) -> float | None:
        if "bare" not in found:
            return None
        pairs = zip(runs, found["bare"], strict=True)
        return round(statistics.median(getattr(one, figure) / getattr(bare, figure) for one, bare in pairs), 2)

    return {
        tool: {
            "seconds": [round(one.seconds, 3) for one in runs],
            "median_seconds": round(statistics.median(one.seconds for one in runs), 3),
            "median_cpu_seconds": round(statistics.median(one.cpu_seconds for one in runs), 3),
            "ratio": ratio(runs, "seconds"),
            "cpu_ratio": ratio(runs, "cpu_seconds"),
            "peak_megabytes": max(one.megabytes for one in runs),
        }
        for tool, runs in found.items()
    }
