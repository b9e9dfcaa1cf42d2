"""Take the same accounts as CSV, JSON lines, a JSON array and Parquet, each by a process of its own, in turn.

    python benchmarks/formats.py [--accounts N] [--rounds N] [--formats A,B,...]

A first load into a new root, of a pipeline of this feed alone. The first round is not counted, and each begins with
another format. A ratio is the median of what each round's time, or CPU time, is to that of the round's CSV.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import Measured, begin_with_nothing, interpreter, measure

FORMATS = {"csv": "csv", "ndjson": "jsonl", "json": "json", "parquet": "parquet"}
CONTRACT = """feed: account
files: ["accounts*"]
format: {format}
key: [account_id]
columns:
  - {{name: account_id, {found}: {AccountID}, type: bigint, rules: [not_null]}}
  - {{name: customer_id, {found}: {CustomerID}, type: bigint, rules: [not_null]}}
  - {{name: balance, {found}: {Balance}, type: "decimal(18,2)", rules: [not_null, {{rule: range, min: 0}}]}}
  - {{name: account_type, {found}: {AccountType}, rules: [{{rule: accepted_values, values: [Savings, Checking]}}]}}
"""
NAMES = ("AccountID", "CustomerID", "Balance", "AccountType")
WRITE = """
import duckdb, sys
duckdb.execute("SET enable_progress_bar = FALSE")
sys.path.insert(0, sys.argv[1])
from data import FIRST, extracts
folder, accounts = sys.argv[2], int(sys.argv[3])
from pathlib import Path
_, csv = extracts(Path(folder), FIRST, accounts)
for ending, how in {"jsonl": "FORMAT json", "json": "FORMAT json, ARRAY true", "parquet": "FORMAT parquet"}.items():
    rows = f"FROM read_csv('{csv}', types = {{'Balance': 'DECIMAL(18,2)'}})"
    duckdb.execute(f"COPY ({rows}) TO '{csv.with_suffix('.' + ending)}' ({how})")
"""


def pipeline(folder: Path, form: str) -> Path:
    """A pipeline of accounts in a format."""
    (folder / "marts").mkdir(parents=True)
    found = "path" if "json" in form else "aliases"
    names = {name: name if "json" in form else f"[{name}]" for name in NAMES}
    (folder / "account.yaml").write_text(CONTRACT.format(format=form, found=found, **names))
    (folder / "pipeline.yaml").write_text("pipeline: formats\nschema: formats\nmoment: [account]\n")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5, help="beside the one that is not counted")
    parser.add_argument("--formats", default=",".join(FORMATS), help="some of them, csv first")
    given = parser.parse_args()
    formats = given.formats.split(",")
    command = interpreter("dropledger").with_name("dropledger")
    found: dict[str, list[Measured]] = {form: [] for form in formats}
    with tempfile.TemporaryDirectory(prefix="dropledger-bench-") as name:
        folder, work = Path(name), Path(name) / "work"
        here = str(Path(__file__).parent)
        subprocess.run([sys.executable, "-c", WRITE, here, name, str(given.accounts)], check=True)
        [csv] = folder.glob("accounts*.csv")
        made = {form: pipeline(folder / form, form) for form in formats}
        for number in range(given.rounds + 1):
            begin_with_nothing(formats, work)
            first = number % len(formats)
            for form in formats[first:] + formats[:first]:
                asked = ["--root", work / form / "root", "--pipeline", made[form], "--quiet"]
                measured = measure([command, "process", csv.with_suffix(f".{FORMATS[form]}"), *asked])
                if number:
                    found[form].append(measured)
    show(found)


def show(found: dict[str, list[Measured]]) -> None:
    print(f"{'format':10}{'median':>10}{'CPU':>10}{'ratio':>8}{'of CPU':>8}{'peak memory':>14}")
    for form, runs in found.items():
        of_csv = list(zip(runs, found["csv"], strict=True))
        wall = statistics.median(one.seconds / csv.seconds for one, csv in of_csv)
        cpu = statistics.median(one.cpu_seconds / csv.cpu_seconds for one, csv in of_csv)
        seconds = statistics.median(one.seconds for one in runs)
        worked = statistics.median(one.cpu_seconds for one in runs)
        peak = max(one.megabytes for one in runs)
        print(f"{form:10}{seconds:>8.2f} s{worked:>8.2f} s{wall:>8.2f}{cpu:>8.2f}{peak:>11,} MB")


if __name__ == "__main__":
    main()
