"""Small files of the lending pipeline, and what came of them."""

import csv
from datetime import UTC, datetime
from pathlib import Path

from support.ledger import Ledger

OCTOBER = datetime(2025, 10, 31, tzinfo=UTC)
NOVEMBER = datetime(2025, 11, 30, tzinfo=UTC)
DECEMBER = datetime(2025, 12, 31, tzinfo=UTC)


def customers(*rows: tuple[int, str]) -> str:
    """A customer file: ids, and whether each has a loan."""
    return "CustomerID,Name,HasLoan\n" + "".join(f"{key},Name {key},{loan}\n" for key, loan in rows)


def accounts(*rows: tuple[int, int, str] | tuple[int, int, str, str]) -> str:
    """An account file: account, customer, balance, and the type where it is not Savings."""
    lines = (",".join(map(str, row if len(row) == 4 else (*row, "Savings"))) for row in rows)
    return "AccountID,CustomerID,Balance,AccountType\n" + "".join(f"{line}\n" for line in lines)


def rates(*rows: tuple[str, str, str], method: str = "whole_balance") -> str:
    """A rate card: floor, rate and loan bonus of each tier."""
    lines = (",".join((*row, method)) for row in rows)
    return "MinBalance,Rate,LoanBonus,Method\n" + "".join(f"{line}\n" for line in lines)


CARD = (("0", "0.01", "0.005"), ("10000", "0.015", "0.005"), ("20000", "0.02", "0.005"))


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file below a folder: its bytes and when it was last changed."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def figures(ledger: Ledger) -> dict[int, tuple[str, ...]]:
    """Rate, interest and new balance of each account in the mart, as text."""
    found = ledger.rows("SELECT account_id, interest_rate, annual_interest, new_balance FROM account_summary")
    return {account: tuple(map(str, rest)) for account, *rest in found}


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def timeline(ledger: Ledger, account: int) -> list[tuple[str, datetime, datetime | None]]:
    found = ledger.rows(
        "SELECT balance, valid_from, valid_to FROM history_account WHERE account_id = ? ORDER BY valid_from", [account]
    )
    return [(str(balance), since, until) for balance, since, until in found]
