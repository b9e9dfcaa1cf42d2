"""What each file of samples/bad must come to, and a root to drop it into."""

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.drop import FileDropped
from dropledger.core.ingest.run import process
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.ledger.outcome import Outcome
from dropledger.infra.duckdb.warehouse import DuckDBWarehouse
from dropledger.infra.local.store import LocalStore

PROJECT = Path(__file__).parents[2]
BAD = PROJECT / "samples" / "bad"
GOOD = PROJECT / "samples" / "day1"
TABLES = (
    "history_customer",
    "history_account",
    "history_rate",
    "account_summary",
    "customer_profile",
    "src_customer",
    "src_account",
    "src_rate",
)


class Root:
    """A root folder with the lending pipeline on it, put together as `dropledger.handlers.wiring` does."""

    def __init__(self, folder: Path, pipeline: Pipeline) -> None:
        self.folder = folder
        self.store = LocalStore(folder, lambda: datetime.now(UTC))
        self.store.prepare()
        self.warehouse = DuckDBWarehouse(folder / "warehouse" / "ledger.duckdb", "lending", wait_seconds=5.0)
        self.runtime = Runtime(pipeline, self.store, self.warehouse, lambda: datetime.now(UTC), wait_seconds=5.0)

    def land(self, name: str, content: bytes, *, feed: str = "") -> None:
        """Put a file into the inbox."""
        path = self.folder / "inbox" / feed / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)

    def process(self, *facts: FileDropped) -> list[Outcome]:
        """Take files through the pipeline; all that lie in the inbox if none is named."""
        return process(self.runtime, facts or self.store.arrivals(), lambda _: None)

    def drop(self, name: str, content: bytes, *, feed: str = "") -> Outcome:
        """Take one file through the pipeline."""
        self.land(name, content, feed=feed)
        (outcome,) = self.process()
        return outcome

    def rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        with self.warehouse.session(read_only=True) as session:
            return [tuple(row.values()) for row in session.query(sql, parameters)]

    def files(self, folder: str) -> set[str]:
        """The files below a folder of the root."""
        top = self.folder / folder
        return {str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()}

    def bytes_of(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def reason(self, name: str) -> dict[str, Any]:
        """What stands beside a quarantined file."""
        reason: dict[str, Any] = json.loads(self.bytes_of(f"quarantine/{name}.reason.json"))
        return reason

    def rejects(self, name: str) -> list[list[str]]:
        """The rows of NAME.rejects.csv, the header included."""
        return list(csv.reader(io.StringIO(self.bytes_of(f"quarantine/{name}.rejects.csv").decode(), newline="")))

    def figures(self) -> dict[str, Any]:
        """All that a refused file must leave alone: the rows of the tables and the artifacts that show them."""
        with self.warehouse.session(read_only=True) as session:
            tables = {name: session.query(f'SELECT * FROM "{name}" ORDER BY ALL') for name in TABLES}
            names = session.query(
                "SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT temporary ORDER BY ALL"
            )
        artifacts = {
            name: self.bytes_of(f"outputs/{name}")
            for name in self.files("outputs")
            if not name.startswith("quality_reports/")
        }
        return {**tables, **artifacts, "tables": names}


@dataclass(frozen=True)
class Rejected:
    """A rejected row, as the ledger must keep it."""

    line: int
    column: str | None
    rule: str
    raw: str


@dataclass(frozen=True)
class Expected:
    """What a file must come to; `rule` is why it is quarantined, `versions` are the rows that it puts into history."""

    read: int = 0
    accepted: int = 0
    rejected: int = 0
    duplicate: int = 0
    rule: str | None = None
    rows: tuple[Rejected, ...] = ()
    warnings: tuple[str, ...] = ()
    versions: tuple[tuple[Any, ...], ...] = ()

    @property
    def quarantined(self) -> bool:
        return self.rule is not None


def account(line: int, account_id: int, customer_id: int, balance: str) -> tuple[Any, ...]:
    return (line, account_id, customer_id, Decimal(balance), "Savings")


def _refused(rule: str) -> Expected:
    return Expected(rule=rule)


def _cell(rule: str, cell: str, column: str = "balance") -> Expected:
    """The accounts file whose middle one of three rows has a bad balance."""
    return _one_row(rule, f"1002,1,{cell},Savings", column)


def _one_row(rule: str, raw: str, column: str) -> Expected:
    """The accounts file whose middle one of three rows is bad."""
    return Expected(
        read=3,
        accepted=2,
        rejected=1,
        rows=(Rejected(3, column, rule, raw),),
        versions=(account(2, 1001, 1, "9500.00"), account(4, 1003, 2, "20100.00")),
    )


_TWO_ACCOUNTS = Expected(read=2, accepted=2, versions=(account(2, 1001, 1, "9500.00"), account(3, 1002, 1, "10250.00")))
_TWO_CUSTOMERS = Expected(read=2, accepted=2, versions=((2, 1, "Amara Okafor", False), (3, 4, "Tomás Herrera", False)))

EXPECTED: Mapping[str, Expected] = {
    # Refused whole, unread
    "accounts_2025-12-31_empty.csv": _refused("empty_file"),
    "accounts_2025-12-31_header_only.csv": _refused("no_rows"),
    "accounts_2025-12-31_missing_column.csv": _refused("missing_column"),
    "accounts_2025-12-31_repeated_column.csv": _refused("repeated_column"),
    "accounts_2025-12-31_nul_byte.csv": _refused("control_characters"),
    "accounts_2025-10-31_to_2025-12-31.csv": _refused("ambiguous_as_of"),
    "balances_2025-12-31.csv": _refused("unknown_feed"),
    "customers_2025-12-31_latin1.csv": _refused("not_utf8"),
    "customers_2025-12-31_utf16.csv": _refused("not_utf8"),
    "customers_2025-12-31_unbalanced_quotes.csv": _refused("unbalanced_quotes"),
    # Read, and then refused whole
    "accounts_2025-12-31_mostly_bad.csv": Expected(
        read=4,
        rejected=4,
        rule="too_many_rejected",
        rows=(
            Rejected(3, "balance", "type", "1002,1,n/a,Savings"),
            Rejected(4, "balance", "type", "1003,2,n/a,Savings"),
            Rejected(5, "balance", "not_null", "1004,2,,Savings"),
        ),
    ),
    "rates_2025-12-31_one_bad_tier.csv": Expected(
        read=3,
        rejected=3,
        rule="too_many_rejected",
        rows=(Rejected(3, "rate", "rate_is_a_fraction", "10000,1.7,0.005,whole_balance"),),
    ),
    "rates_2025-12-31_no_tier_from_zero.csv": Expected(read=2, rejected=2, rule="check_failed"),
    # Rows refused
    "customers_2025-12-31_ragged_rows.csv": Expected(
        read=5,
        accepted=3,
        rejected=2,
        rows=(
            Rejected(3, None, "ragged_row", "2,Jonas Berg"),
            Rejected(5, None, "ragged_row", "4,Tomás Herrera,Yes,moved,2025-12-01"),
        ),
        versions=((2, 1, "Amara Okafor", False),),
    ),
    "customers_2025-12-31_stray_quote.csv": Expected(
        read=3,
        accepted=2,
        rejected=1,
        rows=(Rejected(3, None, "malformed_quotes", '2,"Jonas "Jo" Berg",Yes'),),
        versions=((2, 1, "Amara Okafor", False),),
    ),
    "accounts_2025-12-31_key_missing.csv": _one_row("not_null", ",1,10250.00,Savings", "account_id"),
    "accounts_2025-12-31_key_not_a_number.csv": _one_row("type", "A-1002,1,10250.00,Savings", "account_id"),
    "accounts_2025-12-31_unknown_type.csv": _one_row("accepted_values", "1002,1,10250.00,Saving", "account_type"),
    "accounts_2025-12-31_thousands_separator.csv": _cell("type", '"1,234.50"'),
    "accounts_2025-12-31_currency_sign.csv": _cell("type", "$5"),
    "accounts_2025-12-31_exponent.csv": _cell("type", "1e3"),
    "accounts_2025-12-31_nan.csv": _cell("type", "NaN"),
    "accounts_2025-12-31_25_digits.csv": _cell("type", "1234567890123456789012345"),
    "accounts_2025-12-31_three_decimals.csv": _cell("type", "10250.005"),
    "accounts_2025-12-31_negative.csv": _cell("balance >= 0", "-0.01"),
    "accounts_2025-12-31_key_in_conflict.csv": Expected(
        read=4,
        accepted=2,
        rejected=2,
        rows=(
            Rejected(3, "account_id", "conflicting_key", "1002,1,10250.00,Savings"),
            Rejected(4, "account_id", "conflicting_key", "1002,1,10300.00,Savings"),
        ),
        versions=(account(2, 1001, 1, "9500.00"), account(5, 1003, 2, "20100.00")),
    ),
    "accounts_2025-12-31_repeated_rows.csv": Expected(read=4, accepted=2, duplicate=2, versions=_TWO_ACCOUNTS.versions),
    "accounts_2025-12-31_repeated_bad_rows.csv": Expected(
        read=4,
        accepted=2,
        rejected=1,
        duplicate=1,
        rows=(Rejected(3, "balance", "type", "1002,1,$5,Savings"),),
        versions=(account(2, 1001, 1, "9500.00"), account(5, 1003, 2, "20100.00")),
    ),
    # Odd, and fine
    "customers_2025-12-31_excel_bom.csv": _TWO_CUSTOMERS,
    "customers_2025-12-31_crlf.csv": _TWO_CUSTOMERS,
    "customers_2025-12-31_mixed_line_ends.csv": Expected(
        read=3, accepted=3, versions=(*_TWO_CUSTOMERS.versions, (4, 5, "Priya Nair", True))
    ),
    "customers_2025-12-31_line_break_in_cell.csv": Expected(
        read=2, accepted=2, versions=((2, 1, "Amara\nOkafor", False), (4, 4, 'Herrera, Tomás "Tom"', False))
    ),
    "accounts_2025-12-31_semicolons.csv": _TWO_ACCOUNTS,
    "accounts_2025-12-31_blank_lines.csv": Expected(
        read=2, accepted=2, versions=(account(3, 1001, 1, "9500.00"), account(6, 1002, 1, "10250.00"))
    ),
    "accounts_2025-12-31_trailing_comma.csv": _TWO_ACCOUNTS,
    "accounts_2025-12-31_more_columns.csv": Expected(
        read=2, accepted=2, warnings=("expected_columns",), versions=_TWO_ACCOUNTS.versions
    ),
}
