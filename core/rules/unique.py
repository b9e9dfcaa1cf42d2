"""The rule `unique`: no other row of the file has the same value. See `refuse_not_unique.sql`."""

from dropledger.core.contracts.contract import Rule
from dropledger.core.rules.over_rows import BY_TYPING, OVER_ROWS, reason, refuses, unfit, violated, violated_value

__all__ = ["BY_TYPING", "OVER_ROWS", "lacks", "reason", "refuses", "unfit", "violated", "violated_value"]


def lacks(_: Rule) -> str:
    return ""
