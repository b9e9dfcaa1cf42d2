"""The rule `range`: the value lies within bounds, which belong to it."""

from decimal import Decimal

from dropledger.core.contracts.contract import Column, Rule
from dropledger.core.rules.cell_text import because
from dropledger.core.sql.text import quoted

OVER_ROWS = False
BY_TYPING = False


def lacks(rule: Rule) -> str:
    if rule.min is None and rule.max is None:
        return "the rule range needs min or max"
    above = rule.min is not None and rule.max is not None and rule.min > rule.max
    return "min is above max, so that no value would do" if above else ""


def unfit(_: Rule, column: Column) -> str:
    fits = column.decimal is not None or column.type == "bigint"
    return "" if fits else "the rule range goes with bigint and decimal columns"


def violated(rule: Rule, column: Column) -> str:
    name = quoted(column.name)
    low = [f"{name} < {rule.min}"] if rule.min is not None else []
    high = [f"{name} > {rule.max}"] if rule.max is not None else []
    return " OR ".join([*low, *high])


def reason(rule: Rule, column: Column) -> str:
    bounds = (("at least", rule.min), ("at most", rule.max))
    words = " and ".join(f"{word} {bound}" for word, bound in bounds if bound is not None)
    return because(column, rule.message or f"must be {words}")


violated_value = violated


def refuses(rule: Rule, text: str) -> str:
    value = Decimal(text)
    outside = (rule.min is not None and value < rule.min) or (rule.max is not None and value > rule.max)
    return "lies outside of the column's range" if outside else ""
