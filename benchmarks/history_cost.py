"""What a drop costs by where it falls in time and by how deep the history is; whole processes, artifacts included.

    python benchmarks/history_cost.py [--keys N] [--depth N] [--rounds N]

A delta feed is what shows it best, so the lending pipeline is used with its account feed in mode `delta`.
Roots: `shallow` has one version a key, `deep` has `--depth` versions a key. The deep history is written by SQL, as
loading so many extracts one by one would take hours; drops in order never read the archive.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import duckdb
from bench import measure
from data import FIRST, extracts, new_balances

PIPELINE = Path(__file__).parent.parent / "core" / "pipelines" / "lending"
ROWS = 1000


def delta_pipeline(folder: Path) -> Path:
    """The lending pipeline with deltas of accounts."""
    shutil.copytree(PIPELINE, folder)
    contract = folder / "account.yaml"
    contract.write_text(contract.read_text().replace("mode: full\nmissing_keys: keep\n", "mode: delta\n"))
    return folder


def deepen(warehouse: Path, depth: int) -> None:
    """Give each account `depth` versions, the newest as it is; as if loaded one round behind the other."""
    connection = duckdb.connect(str(warehouse))
    connection.execute("USE ledger.lending")
    connection.execute("CREATE TEMP TABLE newest AS SELECT * FROM history_account")
    connection.execute("DELETE FROM history_account")
    for place in range(depth - 1):
        connection.execute(
            f"""INSERT INTO history_account
            SELECT account_id, customer_id, balance + {place % 7 + 1}, account_type,
                TIMESTAMP '2020-01-01' + INTERVAL {place} DAY,
                CASE WHEN {place} = {depth - 2} THEN valid_from ELSE TIMESTAMP '2020-01-02' + INTERVAL {place} DAY END,
                FALSE, drop_id, line
            FROM newest"""
        )
    connection.execute("INSERT INTO history_account SELECT * FROM newest")
    connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--depth", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    dropledger = str(Path(sys.executable).with_name("dropledger"))
    with tempfile.TemporaryDirectory(prefix="dropledger-bench-") as name:
        folder = Path(name)
        customers, accounts = extracts(folder, FIRST, options.keys)
        pipeline = delta_pipeline(folder / "pipeline")

        def process(root: Path, *files: Path) -> float:
            command = [dropledger, "process", *files, "--root", root, "--quiet"]
            return measure(command, DROPLEDGER_PIPELINE=str(pipeline)).seconds

        shallow, deep = folder / "shallow", folder / "deep"
        process(shallow, customers, accounts)
        shutil.copytree(shallow, deep)
        deepen(deep / "warehouse" / "ledger.duckdb", options.depth)
        times: dict[str, list[float]] = {}
        for round_number in range(options.rounds + 1):
            late = folder / f"accounts_2025-11-{round_number + 1:02}.csv"
            fresh = folder / f"accounts_2026-01-{round_number + 1:02}.csv"
            new_balances(fresh, options.keys, ROWS, round_number)
            new_balances(late, options.keys, ROWS, round_number + 50)
            found = {
                f"in order, {ROWS} rows, 1 version a key": process(shallow, fresh),
                f"in order, {ROWS} rows, {options.depth} versions a key": process(deep, fresh),
                f"late by {round_number + 1} drops, {ROWS} rows": process(shallow, late),
            }
            if round_number:
                for what, taken in found.items():
                    times.setdefault(what.split(" by ")[0], []).append(taken)
        full = folder / "accounts_2025-10-15.csv"
        shutil.copy(accounts, full)
        late_full = process(shallow, full)
        base = statistics.median(times[f"in order, {ROWS} rows, 1 version a key"])
        print(f"{options.keys:,} keys; medians of {options.rounds} rounds in turn; ratio to the first line")
        for what, taken in times.items():
            print(f"{what:45} {statistics.median(taken):6.2f} s   {statistics.median(taken) / base:5.2f}")
        later = 2 * (options.rounds + 1) + 1
        print(f"{f'late full extract, {later} later drops':45} {late_full:6.2f} s   {late_full / base:5.2f}")
        verify = measure([dropledger, "verify", "--root", shallow], DROPLEDGER_PIPELINE=str(pipeline)).seconds
        print(f"{'verify':45} {verify:6.2f} s")


if __name__ == "__main__":
    main()
