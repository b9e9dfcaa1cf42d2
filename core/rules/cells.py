"""How a cell is typed: the text that is a value of its column, and the SQL that makes it one."""

from dropledger.core.contracts.contract import Column, Contract
from dropledger.core.rules.accepted_values import stored
from dropledger.core.rules.cell_text import because
from dropledger.core.rules.moments import formats_of, moment_sql, read_as, utc_sql
from dropledger.core.rules.numbers import number_pattern, plain_number, written_like
from dropledger.core.sql.text import engine_type, literal, quoted

_YEAR = "([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"  # from 0001 to 9999, as in Python
_DAY = f"{_YEAR}-[0-9]{{2}}-[0-9]{{2}}"
_TIME_OF_DAY = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,6})?)?"  # no 24:00, which one engine reads
_PLAIN_SCALE = 6  # up to which Spark writes each decimal without an exponent


def cleaned(column: Column) -> str:
    """The cell as received, blanks around it removed; NULL (or the default) where nothing is left."""
    cleaned = f"nullif(trim(s.{quoted(column.name)}), '')"
    return f"coalesce({cleaned}, {literal(column.default)})" if column.default is not None else cleaned


def cell_pattern(column: Column) -> str:
    """The regular expression, the same in all engines, of what may be a value of a column with a type but text."""
    if column.decimal is not None or column.type == "bigint":
        return number_pattern(column)
    return {
        "date": _DAY,
        "timestamp": f"{_DAY}([T ]{_TIME_OF_DAY}Z?)?",
    }[column.type]


def typed_cell(column: Column) -> str:
    """SQL that types a cell; NULL where the text is no such value, however lenient the engine's own cast is."""
    text = cleaned(column)
    if column.accepted_values is not None:
        return stored(column.accepted_values, column, text)
    if column.is_text:
        return text
    if _is_read_beside(column):
        return _moment_read(column)
    if column.default is None:
        # Blanks around a number need not be cut off first: the pattern lets them pass, and so does the cast.
        text = f"s.{quoted(column.name)}"
    is_such = f"regexp_like({text}, {literal(f'^ *{cell_pattern(column)} *$')})"
    # The zone is always UTC here; a TIMESTAMP without zone is what both engines store.
    castable = f"replace(trim({text}), 'Z', '')" if column.type == "timestamp" else plain_number(column, text)
    if castable == text and (
        column.type == "bigint" or (column.decimal is not None and column.decimal[1] <= _PLAIN_SCALE)
    ):
        # What reads as the engine writes it is plain, and told so at less cost than by the pattern.
        value = f"try_cast({text} AS {engine_type(column.type)})"
        return f"CASE WHEN CAST({value} AS STRING) = {text} OR {is_such} THEN {value} END"
    return f"try_cast(CASE WHEN {is_such} THEN {castable} END AS {engine_type(column.type)})"


def _is_read_beside(column: Column) -> bool:
    """Whether `source_of` has the moment that a cell says."""
    return bool(column.date_format or column.timestamp_format or column.timezone)


def _moment_read(column: Column) -> str:
    moment = f"s.{read_as(column)}"
    if column.timezone is not None:
        return utc_sql(column, moment)
    return f"CAST({moment} AS DATE)" if column.type == "date" else moment


def moments_read(column: Column) -> str | None:
    """SQL for the moment that a cell says, before its zone is looked at; None where `typed_cell` needs none.

    It is at hand as `read_as` names it.
    """
    text = cleaned(column)
    if formats := formats_of(column):
        read = [moment_sql(text, form) for form in formats]
        return read[0] if len(read) == 1 else f"coalesce({', '.join(read)})"
    if column.timezone is None:
        return None
    is_such = f"regexp_like({text}, {literal(f'^{_DAY}([T ]{_TIME_OF_DAY})?$')})"
    return f"try_cast(CASE WHEN {is_such} THEN {text} END AS TIMESTAMP)"


def source_of(contract: Contract, relation: str) -> str:
    """A relation with cells as text, beside which are the moments that they say, where `typed_cell` needs those."""
    read = {read_as(column): moments_read(column) for column in contract.columns}
    moments = ", ".join(f"{sql} AS {name}" for name, sql in read.items() if sql is not None)
    return f"(SELECT s.*, {moments} FROM {relation} AS s)" if moments else relation


def _no_value(column: Column) -> str:
    if formats := column.date_format or column.timestamp_format:
        return f"is no {column.type} as the contract has it: {' or '.join(formats)}"
    if column.timezone is not None:
        return f"is not a timestamp; write it like 2025-10-31T10:30:00, in the time of {column.timezone}"
    if plain_number(column, "x") != "x":
        digits = (
            f"{column.decimal[0] - column.decimal[1]} digits before and {column.decimal[1]} after the mark"
            if (column.decimal)
            else "64 bits"
        )
        return f"is not a number of at most {digits}, written like {written_like(column)}"
    if column.decimal is not None:
        precision, scale = column.decimal
        return (
            f"is not a plain decimal number of at most {precision - scale} digits before and {scale} after the point; "
            "write it like 1234.50, without currency signs, thousands separators or exponents"
        )
    return {
        "bigint": "is not a whole number of 64 bits; write digits alone",
        "date": "is not a date; write it like 2025-10-31",
        "timestamp": "is not a timestamp in UTC; write it like 2025-10-31T10:30:00Z",
        "boolean": f"is none of: {', '.join((column.accepted_values and column.accepted_values.values) or ())}",
    }[column.type]


def type_reason(column: Column) -> str:
    """What the refused row is told whose cell is no value of its column, as SQL."""
    return because(column, _no_value(column))
