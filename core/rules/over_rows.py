"""What kinds of rules have in common that it takes several rows to break."""

from collections.abc import Callable

from dropledger.core.contracts.contract import Column, Rule


class OverRows:
    """A `Kind` that no row breaks by itself. `lacks` is what such a rule says is missing in it."""

    OVER_ROWS = True
    BY_TYPING = False

    def __init__(self, lacks: Callable[[Rule], str] = lambda _: "") -> None:
        self.lacks = lacks

    def unfit(self, rule: Rule, column: Column) -> str:
        del rule, column
        return ""

    def violated(self, rule: Rule, column: Column) -> str:
        del rule, column
        return "FALSE"

    def reason(self, rule: Rule, column: Column) -> str:
        del rule, column
        return "''"

    def violated_value(self, rule: Rule, column: Column) -> str:
        return self.violated(rule, column)

    def refuses(self, rule: Rule, text: str) -> str:
        del rule, text
        return ""
