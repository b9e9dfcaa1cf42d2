"""Load a million accounts and half a million customers, beside a bare pass of the engine over the same files.

The bare pass reads both CSVs, joins them, computes the interest and writes CSV and Parquet; it keeps no history,
checks nothing and could not say where a figure came from. Both run as whole processes, in turn, on the same
files; the ratio of the medians is what to quote, since absolute times depend on the machine.

    python benchmarks/bare_pass.py [--accounts N] [--rounds N]
"""

import argparse
import filecmp
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

DAY = "2025-10-31"


def make_data(folder: Path, accounts: int) -> tuple[Path, Path]:
    """Deterministic extracts: half as many customers as accounts."""
    customers_file, accounts_file = folder / f"customers_{DAY}.csv", folder / f"accounts_{DAY}.csv"
    customers = accounts // 2
    duckdb.execute(
        f"""COPY (
            SELECT i AS CustomerID, 'Name ' || i AS Name,
                CASE i % 3 WHEN 0 THEN 'Yes' WHEN 1 THEN 'No' ELSE 'None' END AS HasLoan
            FROM range(1, {customers} + 1) AS t(i)
        ) TO '{customers_file}' (HEADER)"""
    )
    duckdb.execute(
        f"""COPY (
            SELECT i AS AccountID, (i * 7) % {customers} + 1 AS CustomerID,
                CAST((i * 137) % 3000000 / 100 AS DECIMAL(18, 2)) AS Balance,
                CASE WHEN i % 4 = 0 THEN 'Checking' ELSE 'Savings' END AS AccountType
            FROM range(1, {accounts} + 1) AS t(i)
        ) TO '{accounts_file}' (HEADER)"""
    )
    return customers_file, accounts_file


BARE = """
import sys
import duckdb

customers, accounts, out = sys.argv[1:]
connection = duckdb.connect()
connection.execute(f'''
    CREATE TABLE summary AS
    WITH rated AS (
        SELECT a.CustomerID, a.AccountID, a.Balance,
            CAST(CASE WHEN a.Balance < 10000 THEN 0.01 WHEN a.Balance < 20000 THEN 0.015 ELSE 0.02 END
                + CASE WHEN c.HasLoan = 'Yes' THEN 0.005 ELSE 0 END AS DECIMAL(9, 6)) AS rate
        FROM read_csv('{accounts}', header = true, columns = {{
            'AccountID': 'BIGINT', 'CustomerID': 'BIGINT', 'Balance': 'DECIMAL(18,2)', 'AccountType': 'VARCHAR'}}) AS a
        JOIN read_csv('{customers}', header = true, columns = {{
            'CustomerID': 'BIGINT', 'Name': 'VARCHAR', 'HasLoan': 'VARCHAR'}}) AS c USING (CustomerID)
        WHERE a.AccountType = 'Savings'
    ), earned AS (
        SELECT *, CAST(round(CAST(Balance AS DECIMAL(28, 2)) * rate, 2) AS DECIMAL(18, 2)) AS interest FROM rated
    )
    SELECT CustomerID AS customer_id, AccountID AS account_id, Balance AS original_balance, rate AS interest_rate,
        interest AS annual_interest, CAST(Balance + interest AS DECIMAL(18, 2)) AS new_balance
    FROM earned
''')
summary = "SELECT * FROM summary ORDER BY account_id"
connection.execute(f"COPY ({summary}) TO '{out}/account_summary.csv' (HEADER)")
connection.execute(f"COPY ({summary}) TO '{out}/account_summary.parquet' (FORMAT parquet)")
"""


def seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    dropledger = str(Path(sys.executable).with_name("dropledger"))
    with tempfile.TemporaryDirectory(prefix="dropledger-bench-") as name:
        folder = Path(name)
        customers, accounts = make_data(folder, options.accounts)
        bare_out, root = folder / "bare", folder / "root"
        bare_out.mkdir()
        times: dict[str, list[float]] = {"bare pass": [], "dropledger": []}
        for round_number in range(options.rounds + 1):
            shutil.rmtree(root, ignore_errors=True)
            bare = seconds([sys.executable, "-c", BARE, str(customers), str(accounts), str(bare_out)])
            ours = seconds([dropledger, "process", str(customers), str(accounts), "--root", str(root), "--quiet"])
            if not filecmp.cmp(
                bare_out / "account_summary.csv", root / "outputs" / "account_summary.csv", shallow=False
            ):
                sys.exit("the two gave different summaries")
            if round_number:  # the first round warms the file cache
                times["bare pass"].append(bare)
                times["dropledger"].append(ours)
        print(f"{options.accounts:,} accounts, {options.accounts // 2:,} customers, {options.rounds} rounds in turn")
        for what, found in times.items():
            print(f"{what:12} median {statistics.median(found):.2f} s, fastest {min(found):.2f} s")
        ratios = [ours / bare for ours, bare in zip(times["dropledger"], times["bare pass"], strict=True)]
        print(f"ratio        median {statistics.median(ratios):.2f}, smallest {min(ratios):.2f}")


if __name__ == "__main__":
    main()
