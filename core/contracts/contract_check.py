"""What is wrong with a contract by itself, before any file is read: defaults that no row could hold, bad patterns.

Not part of reading a contract, since one that a ledger keeps holds for what was accepted under it, whatever is asked of
new ones.
"""

import re
from datetime import date, datetime

from dropledger.core.contracts.contract import Column, Contract, Severity
from dropledger.core.errors import ContractError
from dropledger.core.ports.session import Matches
from dropledger.core.rules.cells import cell_pattern
from dropledger.core.rules.kinds import KINDS
from dropledger.core.rules.moments import formats_of, moment_of
from dropledger.core.rules.numbers import number_of

_BIGINT = range(-(2**63), 2**63)


def refuse_bad_defaults(contract: Contract) -> None:
    """Hold each default against what a cell of its column must be.

    Raises:
        ContractError: with file and line; a row with an empty cell would be refused for a text that is not in the file.
    """
    for place, column in enumerate(contract.columns):
        if column.default is not None:
            why = (
                _no_type(column, column.default)
                or _broken_rule(column, column.default)
                or _no_operation(contract, column, column.default)
            )
            if why:
                raise _error(contract, ("columns", place, "default"), f"the default '{column.default}' {why}")


def refuse_bad_patterns(contract: Contract, matches: Matches) -> None:
    """Let the engine compile each pattern, and hold the column's default against it.

    Raises:
        ContractError: with file and line; each file would be refused for what no file can help.
    """
    for place, column in enumerate(contract.columns):
        for number, rule in enumerate(column.rules):
            if rule.pattern is None:
                continue
            try:
                fits = matches(rule.pattern, column.default or "")
            except ValueError as error:
                what = f"the pattern {rule.pattern} does not compile as RE2: {error}"
                raise _error(contract, ("columns", place, "rules", number, "pattern"), what) from error
            if column.default is not None and not fits and rule.severity == Severity.ERROR:
                what = f"the default '{column.default}' does not match {rule.pattern}"
                raise _error(contract, ("columns", place, "default"), what)


def _error(contract: Contract, location: tuple[str, int, *tuple[str | int, ...]], what: str) -> ContractError:
    from dropledger.core.contracts.yaml_file import line_at

    column = contract.columns[location[1]]
    line = line_at(contract.file, location)
    hint = "correct this entry; docs/contracts.md lists what each may hold"
    return ContractError(contract.file, line, f"{column.name}: {what}", hint=hint)


def _no_operation(contract: Contract, column: Column, text: str) -> str:
    operation = contract.operation
    if operation is None or operation.column != column.name:
        return ""
    words = (*operation.upsert, *operation.delete)
    known = {word.upper() for word in words}
    return "" if text.strip(" ").upper() in known else f"is none of: {', '.join(words)}"


def _no_type(column: Column, text: str) -> str:
    """Why a text is no value of the column, in the way that cells are read; empty if it is one."""
    if column.accepted_values is not None or column.is_text:
        return ""
    text = text.strip(" ")
    what = f"is no {column.type} as it is written in files"
    if column.decimal is not None or column.type == "bigint":
        number = number_of(column, text)
        return what if number is None or (column.type == "bigint" and int(number) not in _BIGINT) else ""
    if formats := formats_of(column):
        fits = any(moment_of(text, form) for form in formats)
        return "" if fits else f"is none of: {', '.join(form.text for form in formats)}"
    if not re.fullmatch(cell_pattern(column), text):
        return what
    try:
        if column.type == "date":
            date.fromisoformat(text)
        elif column.type == "timestamp":
            datetime.fromisoformat(text.removesuffix("Z"))
    except ValueError:
        return what
    return ""


def _broken_rule(column: Column, text: str) -> str:
    """Which error rule of the column a value breaks by itself; empty if none. Patterns are for the engine."""
    # Words that are not accepted have no value to stand for, whatever the severity.
    binding = [rule for rule in column.rules if rule.severity == Severity.ERROR or rule.rule == "accepted_values"]
    number = None if column.is_text else number_of(column, text.strip(" "))
    plain = text.strip(" ") if number is None else str(number)
    refused = (KINDS[rule.rule].refuses(rule, plain) for rule in binding)
    return next(filter(None, refused), "")
