"""What a change costs by its own size and by that of the table, without the artifacts, whose cost follows the table.

    python benchmarks/change_cost.py [--accounts N,N,...] [--changed N,N,...] [--rounds N] [--chart FILE]

Each root is loaded with full extracts; then files of changed accounts are taken by one warm process, with the setting
`outputs = on_demand`. The figures are medians over the rounds.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from chart import draw_lines
from data import FIRST, extracts, new_balances

from dropledger.core.ingest.run import process
from dropledger.handlers.wiring import wire
from dropledger.infra.local.inbox import dropped_file


def measure(folder: Path, accounts: int, sizes: Sequence[int], rounds: int) -> dict[int, float]:
    """Milliseconds by the number of changed accounts, beside so many."""
    runtime = wire(root=str(folder / "root"))
    runtime.store.prepare()

    def take(*paths: Path) -> float:
        facts = [dropped_file(path, keep_original=True) for path in paths]
        began = time.perf_counter()
        process(runtime, facts, lambda _: None)
        return time.perf_counter() - began

    take(*extracts(folder, FIRST, accounts))
    days = 0
    found: dict[int, list[float]] = {}
    for round_number in range(rounds + 1):
        for changed in sizes:
            if changed <= accounts:
                days += 1
                path = folder / f"accounts_{date.fromisoformat(FIRST) + timedelta(days)}.csv"
                new_balances(path, accounts, changed, days)
                seconds = take(path)
                path.unlink()
                if round_number:
                    found.setdefault(changed, []).append(1000 * seconds)
    return {changed: statistics.median(taken) for changed, taken in found.items()}


def numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=numbers, default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--changed", type=numbers, default=[10, 100, 1_000, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=5, help="beside the one that warms up")
    parser.add_argument("--chart", type=Path, help="where to draw the figures, as SVG")
    given = parser.parse_args()
    os.environ["DROPLEDGER_OUTPUTS"] = "on_demand"
    found = {}
    for accounts in given.accounts:
        with tempfile.TemporaryDirectory(prefix="dropledger-bench-") as name:
            found[accounts] = measure(Path(name), accounts, given.changed, given.rounds)
    print(f"{'accounts':>12}" + "".join(f"{f'{changed:,} changed':>18}" for changed in given.changed))
    for accounts, figures in found.items():
        cells = (f"{figures[changed]:,.0f} ms" if changed in figures else "-" for changed in given.changed)
        print(f"{accounts:>12,}" + "".join(f"{cell:>18}" for cell in cells))
    if given.chart:
        given.chart.write_text(draw_lines(found), encoding="utf-8")


if __name__ == "__main__":
    main()
