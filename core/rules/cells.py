"""How a cell is typed: the text that is a value of its column, and the SQL that makes it one."""

from dropledger.core.contracts.contract import Column
from dropledger.core.rules.accepted_values import stored
from dropledger.core.rules.cell_text import because
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
    if column.decimal is not None:
        precision, scale = column.decimal
        # Zeros behind the last place change nothing, nor does it matter on which side of the point no digit stands.
        whole, fraction = f"[0-9]{{1,{max(precision - scale, 1)}}}", f"[0-9]{{1,{scale}}}0*"
        return f"[+-]?({whole}([.]({fraction})?)?|[.]{fraction})" if scale else f"[+-]?{whole}"
    return {
        "bigint": "[+-]?[0-9]{1,19}",
        "date": _DAY,
        "timestamp": f"{_DAY}([T ]{_TIME_OF_DAY}Z?)?",
    }[column.type]


def typed_cell(column: Column) -> str:
    """SQL that types a cell; NULL where the text is no such value, however lenient the engine's own cast is."""
    text = cleaned(column)
    if column.accepted_values is not None:
        return stored(column.accepted_values, column, text)
    if column.type == "text":
        return text
    if column.default is None:
        # Blanks around a number need not be cut off first: the pattern lets them pass, and so does the cast.
        text = f"s.{quoted(column.name)}"
    is_such = f"regexp_like({text}, {literal(f'^ *{cell_pattern(column)} *$')})"
    # The zone is always UTC here; a TIMESTAMP without zone is what both engines store.
    castable = f"replace(trim({text}), 'Z', '')" if column.type == "timestamp" else text
    if column.type == "bigint" or (column.decimal is not None and column.decimal[1] <= _PLAIN_SCALE):
        # What reads as the engine writes it is plain, and told so at less cost than by the pattern.
        value = f"try_cast({text} AS {engine_type(column.type)})"
        return f"CASE WHEN CAST({value} AS STRING) = {text} OR {is_such} THEN {value} END"
    return f"try_cast(CASE WHEN {is_such} THEN {castable} END AS {engine_type(column.type)})"


def _no_value(column: Column) -> str:
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
