"""Accounts on three days, and what ledgers of them are held against."""

from dropledger.core.operations.verify import verify
from support.ledger import Ledger

CUSTOMERS = "CustomerID,Name,HasLoan\n1,Ann,Yes\n2,Bob,No\n"
HEADER = "AccountID,CustomerID,Balance,AccountType\n"
DAYS = {
    "accounts_2025-10-31.csv": HEADER + "11,1,9999.99,Savings\n12,2,500,Savings\n",
    "accounts_2025-11-30.csv": HEADER + "11,1,20000,Savings\n12,2,500,Savings\n13,2,1,Checking\n",
    "accounts_2025-12-31.csv": HEADER + "11,1,9999.99,Savings\n12,2,750,Savings\n13,2,1,Savings\n",
}
TABLES = ("history_customer", "history_account", "history_rate", "account_summary", "customer_profile", "rejected_row")


def filled(ledger: Ledger, names: tuple[str, ...] = tuple(DAYS)) -> Ledger:
    """The ledger with the customers and these days."""

    def drop(new: Ledger) -> None:
        new.drop("customers_2025-10-31.csv", CUSTOMERS)
        for name in names:
            new.drop(name, DAYS[name])

    Ledger.prepared.fill(ledger, " ".join(names), drop)
    return ledger


def tables(ledger: Ledger) -> dict[str, list[tuple[object, ...]]]:
    return {name: ledger.table(name) for name in TABLES}


def artifacts(ledger: Ledger) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (ledger.root / "outputs").glob("*.csv")}


def quietly(_done: int, _total: int) -> None:
    pass


def agrees_with_its_archive(ledger: Ledger) -> bool:
    return verify(ledger.runtime, quietly).differences == ()
