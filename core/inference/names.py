"""What files, feeds and columns are called, by the names of files and headers."""

import re
import unicodedata
from collections.abc import Collection

from dropledger.core.as_of_in_name import as_of_in_name
from dropledger.core.compression import unpacked_name
from dropledger.core.contracts.contract import NameForm
from dropledger.core.errors import DataRefused
from dropledger.core.formats.as_of_form import declared_as_of
from dropledger.core.inference.draft import Said

LONGEST = 50
_TAKEN_COLUMNS = frozenset({"valid_from", "valid_to", "is_current", "drop_id", "line", "file", "changed_from", "rowid"})
_OF_ENGINES = frozenset({"information_schema", "pg_catalog"})
_DATE = re.compile(
    r"""[-_.\ ]*(?<![0-9])
    (?: [0-9]{1,2} [-_.\ ]? (?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]* [-_.\ ]? [0-9]{4}
      | (?=(?:[^0-9]*[0-9]){6}) [0-9]+ (?:[-_.:\ TZ+]*[0-9]+)* Z? )""",
    re.VERBOSE | re.IGNORECASE,
)
_PACKED = re.compile(r"[.](snappy|zstd|gz|gzip|lz4|brotli)$", re.IGNORECASE)
_DATES = ("%d-%m-%Y", "%d.%m.%Y", "%d_%m_%Y", "%m-%d-%Y", "%m.%d.%Y", "%m_%d_%Y", "%d%m%Y", "%m%d%Y", "%d%b%Y")
_DATES_OF_MONTHS = ("%d-%b-%Y", "%d_%b_%Y", "%d.%b.%Y", "%d %b %Y", "%d-%B-%Y", "%d_%B_%Y", "%d%B%Y", "%d %B %Y")


def stem_of(name: str) -> tuple[str, str, str]:
    """What a file name has before its date, behind it, and its ending; all but the first empty where it has none."""
    unpacked = unpacked_name(name)
    stem, dot, ending = unpacked.rpartition(".")
    if not stem:
        stem, dot, ending = unpacked, "", ""
    dates = list(_DATE.finditer(stem))
    if not dates:
        return stem, "", dot + ending
    return stem[: dates[0].start()], stem[dates[-1].end() :], dot + ending


def pattern_of(name: str, *, narrow: bool = False) -> str:
    """The pattern of the names of a feed, of which one is given; a `narrow` one wants digits where this has them."""
    before, behind, ending = stem_of(name)
    dated = unpacked_name(name) != before + behind + ending
    if narrow and not dated:
        return _literal(before + ending)
    any_text = "*"
    if narrow:
        apart = unpacked_name(name)[len(before) :][:1]
        any_text = "[0-9]*" if apart.isdecimal() else f"{_literal(apart)}[0-9]*"
    return f"{_literal(before)}{any_text}{_literal(behind + ending)}"


def _literal(text: str) -> str:
    """A text in a pattern; what has a meaning there stands for any letter."""
    return re.sub(r"[\[\]*?]", "?", text)


def identifier(text: str, otherwise: str) -> str:
    """A name for tables and columns that is like a text: lower case ASCII letters, digits, underscores."""
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss").replace("ø", "o").replace("æ", "ae"))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", plain)
    name = re.sub(r"[^a-z0-9]+", "_", parted.encode("ascii", "ignore").decode().lower()).strip("_")[:LONGEST]
    if not name:
        return otherwise
    return name if name[0].isalpha() else f"{otherwise}_{name}"[:LONGEST]


def feed_name(name: str) -> str:
    """What the feed of a file is called: its name without a date, of one thing rather than many."""
    before, behind, _ = stem_of(name)
    found = identifier(_PACKED.sub("", f"{before} {behind}").strip(), "feed")
    if found.endswith("ies"):
        found = found.removesuffix("ies") + "y"
    elif len(found) > 3 and found.endswith("s") and not found.endswith(("ss", "us", "is")):
        found = found.removesuffix("s")
    return f"{found}_feed" if found == "pipeline" else found


def pipeline_name(folder: str) -> str:
    """What a pipeline in a folder of this name is called, and the schema of its tables."""
    found = identifier(folder, "mine")
    return f"{found}_pipeline" if found in _OF_ENGINES else found


def column_name(text: str, feed: str, taken: Collection[str], place: int) -> str:
    """What a column is called whose header, or place in a record, is given."""
    name = identifier(text, f"column_{place}")
    if name in _TAKEN_COLUMNS:
        name = f"{feed}_{name}"[:LONGEST]
    number, free = 2, name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free


def as_of_of(names: Collection[str]) -> Said | None:
    """What a contract says of the dates in file names, if it has to say anything."""
    try:
        found = [as_of_in_name(name) for name in names]
    except DataRefused as refusal:
        return _declared(names, str(refusal))
    if all(found):
        return None
    return Said("", "no date in the name: rows are true from when the file was modified; better names have a date")


def _declared(names: Collection[str], why: str) -> Said:
    fits = [form for form in (*_DATES, *_DATES_OF_MONTHS) if all(_has_date(name, form) for name in names)]
    if not fits:
        return Said(["option", "metadata", "modified"], f"{why}; so names are not asked for a date")
    others = f"; {fits[1]} fits as well" if len(fits) > 1 else ""
    return Said({"file_name": fits[0]}, f"as in {min(names)}{others}")


def _has_date(name: str, form: str) -> bool:
    try:
        return declared_as_of(name, NameForm(form, None, None)) is not None
    except DataRefused:
        return False
