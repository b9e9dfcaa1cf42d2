"""Files for the feeds of the lending pipeline, made up or given."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from dropledger.core.contracts.pipeline_spec import BUILT_IN, Pipeline
from support import model
from support.ledger import custom_pipeline
from support.plans import File, day

DEFAULT_CARD = ("0,0.01,0.005,whole_balance", "10000,0.015,0.005,whole_balance", "20000,0.02,0.005,whole_balance")
CARDS = (
    DEFAULT_CARD,
    ("0,0.01,0.005,marginal", "10000,0.015,0.0025,marginal", "20000,0.02,0,marginal"),
    ("0,0.0125,0.005,whole_balance",),
    ("0,0,0.005,whole_balance", "10000,0.015,0.005,whole_balance", "15000.50,0.0175,0,whole_balance"),
    ("0,0.01,0,marginal", "100,0.333333,0.1,marginal"),
)
# Either side of each boundary, and cents whose interest ends in half a cent.
BALANCES = ("0", "0.50", "1.00", "33.33", "9999.99", "10000", "10001.00", "15000.50", "19999.99", "20000", "123456.70")


def card_file(as_of: datetime, card: Sequence[str]) -> File:
    cells = [line.split(",") for line in card]
    rows = tuple(
        model.Row(line, key=(Decimal(low),), values=(Decimal(rate), Decimal(bonus), method))
        for line, (low, rate, bonus, method) in enumerate(cells, start=2)
    )
    return File("rate", as_of, "MinBalance,Rate,LoanBonus,Method", tuple(card), rows)


def initial_card() -> model.Drop:
    """The card that stands before any drop, as the drop that its file would be."""
    as_of = datetime(1970, 1, 1, tzinfo=UTC)
    content = (BUILT_IN / "lending" / "rates_1970-01-01.csv").read_bytes()
    return model.Drop(model.drop_id("rate", as_of, content), as_of, 0, card_file(as_of, DEFAULT_CARD).rows)


def customer_file(as_of: datetime, customers: Iterable[tuple[int, str, str]]) -> File:
    customers = list(customers)
    lines = tuple(f"{customer_id},{name},{loan}" for customer_id, name, loan in customers)
    rows = tuple(
        model.Row(line, key=(customer_id,), values=(name, loan == "Yes"))
        for line, (customer_id, name, loan) in enumerate(customers, start=2)
    )
    return File("customer", as_of, "CustomerID,Name,HasLoan", lines, rows)


def account_file(as_of: datetime, accounts: Iterable[tuple[int, int, str, str]]) -> File:
    accounts = list(accounts)
    lines = tuple(f"{account_id},{customer_id},{balance},{kind}" for account_id, customer_id, balance, kind in accounts)
    rows = tuple(
        model.Row(line, key=(account_id,), values=(customer_id, Decimal(balance), kind), sound=Decimal(balance) >= 0)
        for line, (account_id, customer_id, balance, kind) in enumerate(accounts, start=2)
    )
    return File("account", as_of, "AccountID,CustomerID,Balance,AccountType", lines, rows)


def lending_files() -> st.SearchStrategy[File]:
    days = st.integers(1, 5).map(day)
    customers = st.tuples(st.integers(1, 3), st.sampled_from(["Ann", "Bo"]), st.sampled_from(["Yes", "No", "None"]))
    accounts = st.tuples(
        st.integers(11, 14),
        st.integers(1, 3),
        st.sampled_from([*BALANCES, "-1.00"]),
        st.sampled_from(["Savings", "Savings", "Savings", "Checking"]),
    )

    def distinct(rows: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
        return st.lists(rows, min_size=1, max_size=4, unique_by=lambda row: row[0])

    account_files = st.builds(account_file, days, distinct(accounts))
    customer_files = st.builds(customer_file, days, distinct(customers))
    return st.one_of(
        account_files, account_files, customer_files, customer_files, st.builds(card_file, days, st.sampled_from(CARDS))
    )


def lending_feeds(missing: str) -> Mapping[str, model.Feed]:
    """The feeds; `missing` says whether customers and accounts that an extract lacks are kept or closed."""
    return {
        "customer": model.Feed("customer", "full", missing),
        "account": model.Feed("account", "full", missing),
        "rate": model.Feed("rate", "full", "close", max_rejected=Decimal()),
    }


def lending_pipeline(missing: str, folder: Path) -> Pipeline:
    """The lending pipeline with missing customers and accounts kept or closed."""
    changes = {"customer.yaml": {"missing_keys": missing}, "account.yaml": {"missing_keys": missing}}
    return custom_pipeline(folder, changes)
