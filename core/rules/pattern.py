"""The rule `pattern`: a regular expression of RE2 is found in the text."""

from dropledger.core.contracts.contract import Column, Rule
from dropledger.core.rules.cell_text import because, text_of
from dropledger.core.sql.text import literal, quoted

OVER_ROWS = False
BY_TYPING = False


def lacks(rule: Rule) -> str:
    return "" if rule.pattern is not None else "the rule pattern needs pattern"


def unfit(_: Rule, column: Column) -> str:
    fits = column.type == "text" and column.accepted_values is None
    return "" if fits else "the rule pattern goes with text columns that have no accepted_values"


def violated(rule: Rule, column: Column) -> str:
    return f"{text_of(column)} IS NOT NULL AND NOT regexp_like({text_of(column)}, {literal(rule.pattern or '')})"


def reason(rule: Rule, column: Column) -> str:
    return because(column, rule.message or f"does not match {rule.pattern}")


def violated_value(rule: Rule, column: Column) -> str:
    return f"NOT regexp_like({quoted(column.name)}, {literal(rule.pattern or '')})"


def refuses(_: Rule, __: str) -> str:
    return ""  # patterns are for the engine; see `contract_check.refuse_bad_patterns`
