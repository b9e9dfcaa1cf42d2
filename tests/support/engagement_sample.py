"""The engagement sample: its files day by day, and the figures that its README works out by hand."""

import csv
import re
from pathlib import Path

from dropledger.core.ingest.run import process
from dropledger.core.operations.backfill import backfill
from dropledger.infra.local.inbox import dropped_file
from support.engines import PROJECT
from support.ledger import Ledger

SAMPLE = PROJECT / "samples" / "engagement"
DAYS = [sorted(day.iterdir()) for day in sorted(SAMPLE.glob("day*"))]
FILES = [path for day in DAYS for path in day]
MARTS = ("engagement_daily", "q1_completion_rate", "q2_price_tier_engagement", "q3_subscription_impact")


def _by_hand(mart: str) -> list[list[str]]:
    """The table of the README below the heading of a mart, with its header and without its last column, the reason."""
    below = re.split(r"^## ", (SAMPLE / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    [section] = [part for part in below if part.startswith(f"{mart}\n")]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("|")]
    return [row[:-1] for row in (rows[0], *rows[2:])]


EXPECTED = {mart: _by_hand(mart) for mart in MARTS}
"""The lines of each mart's CSV, with the header."""


def take(ledger: Ledger, *paths: Path) -> None:
    """Take files of the sample together, all of which must be accepted."""
    outcomes = process(ledger.runtime, [dropped_file(path, keep_original=True) for path in paths], lambda _: None)
    assert {outcome.delivered for outcome in outcomes} == {"accepted"}


def take_day_by_day(ledger: Ledger) -> None:
    """Take the whole sample as it came."""
    for day in DAYS:
        take(ledger, *day)


def take_as_backfill(ledger: Ledger) -> None:
    """Take the whole sample at once, as old extracts are."""
    backfill(ledger.runtime, [dropped_file(path, keep_original=True) for path in FILES], lambda _: None)


def published(ledger: Ledger) -> dict[str, list[list[str]]]:
    """The lines of each mart's CSV in the root."""
    found = {}
    for mart in MARTS:
        with (ledger.root / "outputs" / f"{mart}.csv").open(encoding="utf-8", newline="") as file:
            found[mart] = list(csv.reader(file))
    return found
