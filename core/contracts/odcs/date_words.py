"""Formats of dates and times: the words of strptime, which contracts have, and the standard's, which are Java's."""

import re

_TO_JAVA = {
    "Y": "yyyy",
    "y": "yy",
    "m": "MM",
    "d": "dd",
    "b": "MMM",
    "B": "MMMM",
    "H": "HH",
    "I": "hh",
    "M": "mm",
    "S": "ss",
    "f": "SSSSSS",
    "p": "a",
    "z": "XX",
    "Z": "z",
}
_FROM_JAVA = {
    **{java: word for word, java in _TO_JAVA.items()},
    "uuuu": "Y",
    "uu": "y",
    "M": "m",
    "d": "d",
    "H": "H",
    "h": "I",
    "m": "M",
    "s": "S",
    "SSS": "f",
    "X": "z",
    "XXX": "z",
    "Z": "z",
    "x": "z",
    "xx": "z",
    "xxx": "z",
}
_WORD = re.compile(r"%(.)|([^%]+)", re.DOTALL)
_JAVA = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|([^A-Za-z']+)")


def to_java(text: str) -> str | None:
    """A format of strptime in Java's words; None where these would not lead back to it."""
    parts = []
    for match in _WORD.finditer(text):
        word, between = match[1], match[2]
        if word in _TO_JAVA:
            parts.append(_TO_JAVA[word])
        elif between is not None:
            quoted = between.replace("'", "''")
            parts.append(f"'{quoted}'" if re.search(r"[A-Za-z#{}\[\]]", between) else quoted)
    java = "".join(parts)
    return java if from_java(java) == text else None


def from_java(text: str) -> str | None:
    """A format in Java's words in those of strptime; None where there are none for it."""
    parts, end = [], 0
    for match in _JAVA.finditer(text):
        if match.start() != end:
            return None
        end = match.end()
        quoted, letter, between = match[1], match[2], match[3]
        if letter is not None and match[0] not in _FROM_JAVA:
            return None
        if letter is not None:
            parts.append(f"%{_FROM_JAVA[match[0]]}")
        elif quoted is not None:
            parts.append((quoted or "'").replace("''", "'").replace("%", "%%"))
        elif re.search(r"[#{}\[\]]", between):
            return None
        else:
            parts.append(between.replace("%", "%%"))
    return "".join(parts) if end == len(text) else None
