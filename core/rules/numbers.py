"""Numbers as they are written in files: with a decimal comma, thousands apart, currencies, and signs in odd places."""

import re
from decimal import Decimal

from dropledger.core.contracts.contract import Column
from dropledger.core.sql.text import literal

_BLANKS = " \u00a0\u202f"
_SOME_BLANKS = f"[{_BLANKS}]*"
_UNBOUNDED = 38


def number_pattern(column: Column, *, bounded: bool = True) -> str:
    """The regular expression, the same in all engines, of what may be a number of the column.

    Not `bounded`, it may have more digits than the column takes, as the sum of many has.
    """
    number = _digits(column, bounded=bounded)
    if not _is_declared(column):
        return f"[+-]?{number}"
    word = "|".join(re.escape(word) for word in sorted(column.strip, key=len, reverse=True))
    before, behind = (f"(?:(?:{word}){_SOME_BLANKS})?", f"(?:{_SOME_BLANKS}(?:{word}))?") if word else ("", "")
    signs = column.negative or ("minus",)
    front = "[+-]?" if "minus" in signs else "[+]?"
    forms = [f"{before}{front}{_SOME_BLANKS}{before}{number}{behind}"]
    if "trailing_minus" in signs:
        forms.append(f"{before}{number}{_SOME_BLANKS}-{behind}")
    if "parentheses" in signs:
        inner = f"{_SOME_BLANKS}{before}{number}{behind}{_SOME_BLANKS}"
        forms.append(f"{before}[(]{inner}[)]{behind}")
    return f"{_SOME_BLANKS}(?:{'|'.join(forms)}){_SOME_BLANKS}"


def _digits(column: Column, *, bounded: bool) -> str:
    precision, scale = column.decimal or (19, 0)
    most = max(precision - scale, 1) if bounded else _UNBOUNDED
    whole = f"[0-9]{{1,{most}}}"
    if column.group_mark:
        whole = f"(?:[0-9]{{1,3}}(?:{_group(column)}[0-9]{{3}})+|{whole})"
    if not scale:
        return whole
    mark = f"[{column.decimal_mark or '.'}]"
    # Zeros behind the last place change nothing, nor does it matter on which side of the point no digit stands.
    fraction = f"[0-9]{{1,{scale}}}0*"
    return f"({whole}({mark}({fraction})?)?|{mark}{fraction})"


def _group(column: Column) -> str:
    return {" ": f"[{_BLANKS}]", "'": "['\u2019]"}.get(column.group_mark or "", f"[{column.group_mark}]")


def _is_declared(column: Column) -> bool:
    return bool(column.decimal_mark or column.group_mark or column.strip or column.negative)


def plain_number(column: Column, text: str) -> str:
    """SQL that gives a text of the column's pattern as engines cast it."""
    if not _is_declared(column):
        return text
    plain = text
    for word in sorted(column.strip, key=len, reverse=True):
        plain = f"replace({plain}, {literal(word)}, '')"
    gone = _BLANKS + {"'": "'\u2019", " ": "", None: ""}.get(column.group_mark, column.group_mark or "")
    in_parentheses, behind = ("parentheses" in column.negative), ("trailing_minus" in column.negative)
    gone += "()" * in_parentheses + "-" * behind
    bare = f"translate({plain}, {literal(gone)}, '')"
    if column.decimal_mark:
        bare = f"replace({bare}, {literal(column.decimal_mark)}, '.')"
    negative = [f"contains({text}, '(')"] * in_parentheses + [f"contains({text}, '-')"] * behind
    return f"CASE WHEN {' OR '.join(negative)} THEN concat('-', {bare}) ELSE {bare} END" if negative else bare


def number_of(column: Column, text: str, *, bounded: bool = True) -> Decimal | None:
    """The number that a cell of the column stands for; None if it is none."""
    if not re.fullmatch(number_pattern(column, bounded=bounded), text):
        return None
    for word in sorted(column.strip, key=len, reverse=True):
        text = text.replace(word, "")
    negative = "(" in text or "-" in text
    gone = _BLANKS + "()+-" + ("'\u2019" if column.group_mark == "'" else (column.group_mark or "").strip(" "))
    bare = text.translate(str.maketrans("", "", gone)).replace(column.decimal_mark or ".", ".")
    number = -Decimal(bare) if negative else Decimal(bare)
    if bounded and column.decimal is not None:
        precision, scale = column.decimal
        return number if abs(number) < 10 ** (precision - scale) else None
    return number


def written_like(column: Column) -> str:
    """A number of the column as it is written, for people."""
    mark, group = column.decimal_mark or ".", column.group_mark or ""
    sample = f"1{group}234" + (f"{mark}50" if column.decimal and column.decimal[1] else "")
    forms = {"parentheses": f"({sample})", "trailing_minus": f"{sample}-"}
    shown = [f"{column.strip[0]} {sample}" if column.strip else sample]
    shown += [form for sign, form in forms.items() if sign in column.negative]
    return " or ".join(shown)
