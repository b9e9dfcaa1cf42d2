"""How records of a JSON file are usually spelled, as far as the engine reads such a spelling to the letter."""

import json
import re
from collections.abc import Iterable, Mapping

from dropledger.core.ports.session import RecordLayout, Within

_MOST = 8
_MOST_NAMES = 200
_BETWEEN = " *: *"
_TEXT = r'"[^"\\]*"'
_WORDS = "true|false|null"
_WHOLE = "0|-?[1-9][0-9]{0,17}"
# Of at most 15 digits, which a double keeps; the zeros at its end may be lost.
_FRACTION = r"(?:0|-?[1-9][0-9]{0,8})\.[0-9]{1,6}|-?[1-9][0-9]{9,11}\.[0-9]{1,3}"
_ANY = rf"(?:{_TEXT}|{_WORDS}|-?[0-9]+(?:\.[0-9]+)?)"
_PLAIN_NAME = re.compile(r'[^"\\\x00-\x1f\ud800-\udfff]*')  # which SQL can hold
_Pairs = tuple[tuple[str, object], ...]


def usual_spelling(lines: Iterable[str], layout: RecordLayout) -> str | None:
    """A regular expression (RE2) of records with the names that some lines have, in their order; None without any.

    What it matches whole has no name twice, no value of a column that is an object or array, and no value that is
    written otherwise than the engine's text of it, but for zeros at the end of fractions in columns of numbers.
    """
    wanted = {within: layout.types[name] for name, paths in layout.positions.items() for within in paths}
    found: dict[str, None] = {}
    names = 0
    for line in lines:
        try:
            record = json.loads(line, object_pairs_hook=tuple)
            spelled = _object(record, (), wanted) if isinstance(record, tuple) else None
        except (ValueError, RecursionError):
            continue
        if spelled is None or spelled in found:
            continue
        names += spelled.count(_BETWEEN)
        if len(found) == _MOST or names > _MOST_NAMES:
            break
        found[spelled] = None
    return f" *(?:{'|'.join(found)}) *" if found else None


def _object(pairs: _Pairs, within: Within, wanted: Mapping[Within, str]) -> str | None:
    """The spelling of an object; None if there is none that is usual."""
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names) or not all(map(_PLAIN_NAME.fullmatch, names)):
        return None
    parts = []
    for name, value in pairs:
        spelled = _value(value, (*within, name), wanted)
        if spelled is None:
            return None
        parts.append(f'"{re.escape(name)}"{_BETWEEN}{spelled}')
    return rf"\{{ *{' *, *'.join(parts)} *\}}"


def _value(value: object, within: Within, wanted: Mapping[Within, str]) -> str | None:
    if within in wanted:
        return _scalar(wanted[within])
    if isinstance(value, tuple):
        return _object(value, within, wanted)
    return rf"\[ *(?:{_ANY}(?: *, *{_ANY})*)? *\]" if isinstance(value, list) else _ANY


def _scalar(kind: str) -> str:
    if kind == "json":  # which has texts in their quotes
        return f"(?:{_WHOLE}|{_WORDS})"
    return f"(?:{_TEXT}|{_WHOLE}|{_WORDS})" if kind == "text" else f"(?:{_TEXT}|{_WHOLE}|{_FRACTION}|{_WORDS})"
