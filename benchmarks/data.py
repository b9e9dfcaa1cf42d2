"""Deterministic files for the benchmarks: extracts of two days, and of a third day the changed accounts alone.

    python benchmarks/data.py FOLDER ACCOUNTS [DAYS]

Below FOLDER are `first` and `changed`, each with a full extract of half as many customers as accounts and one of the
accounts, and `delta` with an account file; with DAYS also `day01` and so on, each with both extracts. From one day to
the next only balances change, those of one account in a hundred.
"""

import sys
from datetime import date, timedelta
from pathlib import Path

import duckdb

FIRST, CHANGED, DELTA = "2025-10-31", "2025-11-30", "2025-12-31"
DELTA_ROWS = 1000


def extracts(folder: Path, day: str, accounts: int, *, added: str = "0") -> tuple[Path, Path]:
    """Files of all customers and of all accounts; `added` to the balance of account `i` is an expression in SQL."""
    customers = folder / f"customers_{day}.csv"
    duckdb.execute(
        f"""COPY (
            SELECT i AS CustomerID, 'Name ' || i AS Name,
                CASE i % 3 WHEN 0 THEN 'Yes' WHEN 1 THEN 'No' ELSE 'None' END AS HasLoan
            FROM range(1, {accounts // 2} + 1) AS t(i)
        ) TO '{customers}' (HEADER)"""
    )
    return customers, _accounts(folder, day, accounts, f"SELECT * FROM range(1, {accounts} + 1)", added)


def _accounts(folder: Path, day: str, accounts: int, which: str, added: str) -> Path:
    path = folder / f"accounts_{day}.csv"
    duckdb.execute(
        f"""COPY (
            SELECT i AS AccountID, (i * 7) % {accounts // 2} + 1 AS CustomerID,
                CAST((i * 1234577) % 3000000 / 100 AS DECIMAL(18, 2)) + CAST({added} AS DECIMAL(18, 2)) AS Balance,
                CASE WHEN i % 4 = 0 THEN 'Checking' ELSE 'Savings' END AS AccountType
            FROM ({which}) AS t(i)
        ) TO '{path}' (HEADER)"""
    )
    return path


def new_balances(path: Path, accounts: int, changed: int, seed: int) -> None:
    """A file of some of the accounts, spread over all, with balances that depend on the seed."""
    step = accounts // changed
    duckdb.execute(
        f"""COPY (
            SELECT i * {step} + 1 AS AccountID, (i * {step} * 7 + 7) % {accounts // 2} + 1 AS CustomerID,
                CAST(1000 + (i * 31 + {seed} * 17) % 20000 AS DECIMAL(18, 2)) AS Balance, 'Savings' AS AccountType
            FROM range({changed}) AS t(i)
        ) TO '{path}' (HEADER)"""
    )


def make(folder: Path, accounts: int) -> None:
    """The files of all three days."""
    for load in ("first", "changed", "delta"):
        (folder / load).mkdir(parents=True)
    of_a_hundred = "CASE WHEN i % 100 = i // 100 % 100 THEN 250.25 ELSE 0 END"  # one, and not always of one type
    extracts(folder / "first", FIRST, accounts)
    extracts(folder / "changed", CHANGED, accounts, added=of_a_hundred)
    step = accounts // DELTA_ROWS
    some = f"SELECT i * {step} + i % {step} + 1 FROM range({DELTA_ROWS}) AS t(i)"
    _accounts(folder / "delta", DELTA, accounts, some, f"{of_a_hundred} + 1000.50")


def make_days(folder: Path, accounts: int, days: int) -> None:
    """Full extracts of so many days in a row, 99 at most."""
    for day in range(1, days + 1):
        of_day = folder / f"day{day:02}"
        of_day.mkdir(parents=True)
        changed_by_now = f"CASE WHEN (i + 100 - i // 100 % 100) % 100 BETWEEN 1 AND {day - 1} THEN 250.25 ELSE 0 END"
        extracts(of_day, (date(2026, 1, 1) + timedelta(day)).isoformat(), accounts, added=changed_by_now)


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]))
    make_days(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if sys.argv[3:] else 0)
