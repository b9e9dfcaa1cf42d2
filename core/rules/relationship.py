"""The rule `relationship`: the value is a key of another feed. See `refuse_unrelated.sql`."""

from dropledger.core.contracts.contract import Rule
from dropledger.core.rules.over_rows import BY_TYPING, OVER_ROWS, reason, refuses, unfit, violated, violated_value

__all__ = ["BY_TYPING", "OVER_ROWS", "lacks", "reason", "refuses", "unfit", "violated", "violated_value"]


def lacks(rule: Rule) -> str:
    return "" if rule.to is not None else "the rule relationship needs to (feed.column)"
