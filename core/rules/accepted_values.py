"""The rule `accepted_values`: the cell is one of some spellings, in any case; each stands for a value."""

from dropledger.core.contracts.contract import Column, Rule, Severity
from dropledger.core.rules.cell_text import because, text_of
from dropledger.core.sql.text import literal, quoted

OVER_ROWS = False
BY_TYPING = True


def lacks(rule: Rule) -> str:
    return "" if rule.values is not None else "the rule accepted_values needs values"


def unfit(rule: Rule, column: Column) -> str:
    if column.type not in {"text", "boolean"}:
        return "the rule accepted_values goes with text and boolean columns"
    wanted, words = (bool, "true or false") if column.type == "boolean" else (str, "texts")
    if all(isinstance(value, wanted) for value in rule.accepted.values()):
        return ""
    return (
        f"the accepted values of a {column.type} column stand for {words}, "
        'which YAML tells apart by quotes: no is false, "no" is a text'
    )


def violated(rule: Rule, column: Column) -> str:
    spellings = ", ".join(literal(spelling) for spelling in rule.accepted)
    return f"{text_of(column)} IS NOT NULL AND lower({text_of(column)}) NOT IN ({spellings})"


def reason(rule: Rule, column: Column) -> str:
    return because(column, rule.message or f"is none of: {', '.join(rule.values or ())}")


def violated_value(rule: Rule, column: Column) -> str:
    stored = ", ".join(_value(value) for value in dict.fromkeys(rule.accepted.values()))
    return f"{quoted(column.name)} NOT IN ({stored})"


def refuses(rule: Rule, text: str) -> str:
    return "" if text.lower() in rule.accepted else f"is none of: {', '.join(rule.values or ())}"


def stored(rule: Rule, column: Column, text: str) -> str:
    """SQL for the value that a cell stands for; `text` is the cell without blanks around it."""
    values = {spelling: _value(value) for spelling, value in rule.accepted.items()}
    arms = " ".join(f"WHEN {literal(spelling)} THEN {value}" for spelling, value in values.items())
    otherwise = f"ELSE {text} " if column.type == "text" and rule.severity == Severity.WARN else ""
    # Most cells are spelled as in the contract, or with a capital; they need no cleaning, which costs the most here.
    usual = " ".join(
        f"WHEN {literal(usual)} THEN {values[spelling.lower()]}"
        for spelling in rule.values or ()
        for usual in dict.fromkeys((spelling, spelling.capitalize()))
    )
    return f"CASE s.{quoted(column.name)} {usual} ELSE CASE lower({text}) {arms} {otherwise}END END"


def _value(value: str | bool) -> str:
    return str(value).upper() if isinstance(value, bool) else literal(value)
