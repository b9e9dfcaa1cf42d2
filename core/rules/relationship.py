"""The rule `relationship`: the value is a key of another feed. See `refuse_unrelated.sql`."""

from dropledger.core.contracts.contract import Rule
from dropledger.core.rules.over_rows import OverRows


def _lacks(rule: Rule) -> str:
    return "" if rule.to is not None else "the rule relationship needs to (feed.column)"


KIND = OverRows(_lacks)
