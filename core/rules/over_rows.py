"""What rules have in common that it takes several rows to break."""

from dropledger.core.contracts.contract import Column, Rule

OVER_ROWS = True
BY_TYPING = False


def unfit(_: Rule, __: Column) -> str:
    return ""


def violated(_: Rule, __: Column) -> str:
    return "FALSE"


def reason(_: Rule, __: Column) -> str:
    return "''"


violated_value = violated


def refuses(_: Rule, __: str) -> str:
    return ""
