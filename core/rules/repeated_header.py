"""Rows that are headers: the header once more, as where files were joined, or that of another table.

What these functions give is SQL over typed rows (`core/sql/parse.sql`) or over the text of rows.
"""

import itertools
import re
from collections.abc import Iterable, Mapping

from dropledger.core.contracts.contract import Column, Contract, Severity
from dropledger.core.rules.cell_text import text_of
from dropledger.core.sql.text import literal, quoted

REPEATED, OTHER = "repeated_header", "other_header"
_REASONS = {
    REPEATED: "the row is the header once more, as where files were joined",
    OTHER: "the row looks like the header of another table",
}
_TAB = "\t"
_APART = "\x1f"  # no text holds it: intake refuses those that do
_BLANKS = f" {_TAB}\u00a0\ufeff_"
_WORD = r"^[^0-9]*\p{L}[^0-9]*$"
_NAMED_AT_LEAST = 2
_COMPARED_AT_MOST = 8  # columns; of more, each by its name, no row consists
_TYPED_AT_LEAST = 3  # fewer cells that are no values of their columns may be a row with mistakes


def header_cases(contract: Contract) -> list[tuple[str, str, str]]:
    """When a refused row is a header: predicate, rule and reason, in the order in which they are asked."""
    if contract.format != "csv":  # where no line is a header
        return []
    is_other = f"({_names_all(contract)} OR {_names_some(contract)} OR {_has_names_for_values(contract)})"
    return [
        (_is_repeated(contract), REPEATED, literal(_REASONS[REPEATED])),
        (is_other, OTHER, literal(_REASONS[OTHER])),
    ]


def unless_header(contract: Contract) -> list[str]:
    """What must hold besides the rules, where a header would break none of them.

    Names of some columns are not enough: a code list may well have `Name` and `Description` among its texts.
    """
    if (
        contract.format != "csv"
        or contract.operation is not None
        or any(_is_typed(column) for column in _columns(contract))
    ):
        return []
    return [f"NOT coalesce({_is_repeated(contract)} OR {_names_all(contract)}, FALSE)"]


def malformed_rule(contract: Contract) -> tuple[str, str]:
    """Rule and reason of a row, by `rule`, `reason` and `raw`, which may be a header of another shape."""
    if contract.format != "csv":
        return "rule", "reason"
    text = f"translate(lower(raw), {literal(_BLANKS.replace(_TAB, ''))}, '')"
    named = {
        column.name: f"CASE WHEN regexp_like({text}, {literal(_cell_pattern(column))}) THEN 1 ELSE 0 END"
        for column in contract.columns
    }
    is_header = _sum_is(named, _columns(contract), len(_columns(contract)))
    typed = [column for column in _columns(contract) if _is_typed(column)]
    if typed:  # where texts alone have such names, it may be a row of theirs with a cell too many
        is_header += f" OR ({_sum_is(named, contract.columns, 2)} AND {_sum_is(named, typed, 1)})"
    return (
        f"CASE WHEN {is_header} THEN {literal(OTHER)} ELSE rule END",
        f"CASE WHEN {is_header} THEN {literal(_REASONS[OTHER])} ELSE reason END",
    )


def _sum_is(named: Mapping[str, str], columns: Iterable[Column], at_least: int) -> str:
    return f"{' + '.join(named[column.name] for column in columns)} >= {at_least}"


def _columns(contract: Contract) -> list[Column]:
    """The columns that are in every file."""
    return [column for column in contract.columns if not column.may_lack] or list(contract.key_columns)


def _is_typed(column: Column) -> bool:
    accepted = column.accepted_values
    return not column.is_text or (accepted is not None and accepted.severity == Severity.ERROR)


def _word(column: Column) -> str:
    return f"translate(lower({text_of(column)}), {literal(_BLANKS)}, '')"


def _is_header(column: Column, *columns: Column) -> str:
    """Whether a cell is a header of one of the columns: sought in one text, as engines make room for each of a list."""
    headers = _APART.join(header for other in columns for header in sorted(other.headers))
    return (
        f"contains({literal(_APART + headers + _APART)}, concat({literal(_APART)}, {_word(column)}, {literal(_APART)}))"
    )


def _is_repeated(contract: Contract) -> str:
    return "(" + " AND ".join(_is_header(column, column) for column in _columns(contract)) + ")"


def _names_all(contract: Contract) -> str:
    """Whether each cell is the name of a column, and each column is named, in whatever place."""
    columns = _columns(contract)
    names = [_is_header(cell, *columns) for cell in columns]
    if len(columns) <= _COMPARED_AT_MOST:  # where one name stands twice, as in `NAME,Name`, it may be a row of texts
        names += ["(" + " OR ".join(_is_header(cell, column) for cell in columns) + ")" for column in columns]
    return "(" + " AND ".join(names) + ")"


def _names_some(contract: Contract) -> str:
    """Whether several cells are names of columns, one in the place of a typed cell, and no typed cell is a value."""
    columns = _columns(contract)
    typed = [column for column in columns if _is_typed(column)]
    if not typed or len(columns) < _NAMED_AT_LEAST:
        return "FALSE"
    named = " + ".join(f"CASE WHEN {_is_header(column, *contract.columns)} THEN 1 ELSE 0 END" for column in columns)
    in_place_of_a_value = " OR ".join(_is_header(column, *contract.columns) for column in typed)
    no_values = " AND ".join(f"{text_of(column)} IS NOT NULL AND {quoted(column.name)} IS NULL" for column in typed)
    return f"({named} >= {_NAMED_AT_LEAST} AND ({in_place_of_a_value}) AND {no_values})"


def _has_names_for_values(contract: Contract) -> str:
    """Whether each cell is a word, differs from its neighbour, and is no value of its column."""
    columns = _columns(contract)
    typed = [column for column in columns if _is_typed(column)]
    if len(typed) < _TYPED_AT_LEAST:
        return "FALSE"
    words = [f"regexp_like({text_of(column)}, {literal(_WORD)})" for column in columns]
    differ = [f"{text_of(left)} <> {text_of(right)}" for left, right in itertools.pairwise(columns)]
    no_values = [f"{quoted(column.name)} IS NULL" for column in typed]
    return "(" + " AND ".join([*words, *differ, *no_values]) + ")"


def _cell_pattern(column: Column) -> str:
    """A regular expression for a line that has one of the column's headers as a cell."""
    headers = "|".join(re.escape(header) for header in sorted(column.headers))
    return f'(^|[,;|"\t])({headers})($|[,;|"\t])'
