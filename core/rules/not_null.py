"""The rule `not_null`: the cell is not empty."""

from dropledger.core.contracts.contract import Column, Rule
from dropledger.core.rules.cell_text import text_of
from dropledger.core.sql.text import literal, quoted

OVER_ROWS = False
BY_TYPING = True


def lacks(_: Rule) -> str:
    return ""


def unfit(_: Rule, __: Column) -> str:
    return ""


def violated(_: Rule, column: Column) -> str:
    return f"{text_of(column)} IS NULL"


def reason(rule: Rule, column: Column) -> str:
    return literal(rule.message or f"{column.name} is empty")


def violated_value(_: Rule, column: Column) -> str:
    return f"{quoted(column.name)} IS NULL"


def refuses(_: Rule, text: str) -> str:
    return "" if text else "is empty, and the column has the rule not_null"
