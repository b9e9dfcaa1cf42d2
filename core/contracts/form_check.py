"""What a contract may not say of the form of its files, as it says something else too."""

import codecs
import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dropledger.core.compression import unpacked_name
from dropledger.core.contracts.contract import Column, Contract, NameForm, Severity
from dropledger.core.drop import is_temporary
from dropledger.core.ledger.files import BESIDE
from dropledger.core.rules.moments import moment_format, refuse_unfit_formats

_NO_TEXT = frozenset({"utf-7", "idna", "punycode", "unicode_escape", "raw_unicode_escape", "mbcs", "oem", "undefined"})


def known_encoding(name: str) -> str:
    """An encoding by the name that it has here, whatever its case.

    Raises:
        ValueError: there is none of this name.
    """
    try:
        found = codecs.lookup(name)
        codecs.getincrementaldecoder(name)
        "a,;".encode(name)  # what is no encoding of texts fails here
    except (LookupError, UnicodeError, TypeError, AttributeError) as error:
        raise ValueError(_unknown(name)) from error
    if found.name in _NO_TEXT:
        raise ValueError(_unknown(name))
    return "utf-8" if found.name in {"utf-8", "utf-8-sig"} else name.lower()


def _unknown(name: str) -> str:
    return f"there is no encoding '{name}'; use its IANA name, like utf-8, utf-16, windows-1252 or iso-8859-15"


def refuse_unfit_form(contract: Contract) -> None:
    """Refuse what contradicts itself.

    Raises:
        ValueError: with what to mend.
    """
    _refuse_beside_format(contract)
    if contract.escape is not None and contract.quote == "none":
        raise ValueError("escape is read within quoted cells, and quote: none says that there are none")
    if contract.header == "none":
        _refuse_beside_no_header(contract)
    if contract.comment is not None and contract.quote_mark and contract.comment.startswith(contract.quote_mark):
        raise ValueError("comment begins with the quote, and so may rows; name what only comments begin with")
    for entry, said in (("trailer", contract.trailer), ("control_file", contract.control_file)):
        for name in said.sums if said else ():
            column = next((column for column in contract.columns if column.name == name), None)
            if column is None:
                raise ValueError(f"{entry}.sums names '{name}', which is not among the columns")
            if column.type != "bigint" and column.decimal is None:
                raise ValueError(f"{entry}.sums names '{name}', which is no number")


def known_suffix(suffix: str) -> str:
    """What the names of control files end in, behind the whole name of the data file.

    Raises:
        ValueError: a file of such a name would be taken for something else.
    """
    name = f"data.csv{suffix}"
    if not suffix.strip() or "/" in suffix or "\0" in suffix:
        raise ValueError(f"'{suffix}' is no suffix; write it like .ctl, for accounts.csv.ctl beside accounts.csv")
    if is_temporary(name) or name.casefold().endswith(BESIDE) or unpacked_name(name) != name:
        raise ValueError(f"'{suffix}' is what temporary, packed or refused files end in; use another, like .ctl")
    return suffix


def known_comment(text: str) -> str:
    """What lines begin with that are passed over.

    Raises:
        ValueError: rows may begin so too.
    """
    if not text.strip() or text[0].isspace() or text[0] in ",;|" or not text.isprintable():
        raise ValueError(f"'{text}' is what rows may begin with too; name what only comments begin with, like '#'")
    return text


def refuse_unfit_reading(column: Column) -> None:
    """Refuse what a column says of how its cells are read, where that contradicts itself or its type.

    Raises:
        ValueError: with what to mend.
    """
    is_number = column.type == "bigint" or column.decimal is not None
    has_fraction = column.decimal is not None and column.decimal[1] > 0
    for entry, fits, goes_with in (
        ("date_format", column.type == "date", "a date"),
        ("timestamp_format", column.type == "timestamp", "a timestamp"),
        ("timezone", column.type == "timestamp", "a timestamp"),
        ("decimal_mark", has_fraction, "a decimal with a fraction"),
        ("group_mark", is_number, "a number"),
        ("strip", is_number, "a number"),
        ("negative", is_number, "a number"),
    ):
        if getattr(column, entry) and not fits:
            raise ValueError(f"{entry} goes with {goes_with}, and the column is {column.type}")
    if column.group_mark is not None and has_fraction and column.group_mark == (column.decimal_mark or "."):
        raise ValueError(f"'{column.group_mark}' parts thousands and the fraction as well; name another decimal_mark")
    for word in column.strip:
        if not word.strip() or re.search(r"[0-9()+-]", word):
            raise ValueError(f"strip takes away '{word}', which may be part of a number; name a sign or word")
    _refuse_unfit_zone(column)
    _refuse_unfit_presence(column)
    refuse_unfit_formats(column)


def _refuse_unfit_zone(column: Column) -> None:
    if column.dst is not None and column.timezone is None:
        raise ValueError("dst says which of two moments is meant in a timezone, and none is named")
    if column.timezone is not None and not _is_zone(column.timezone):
        raise ValueError(f"there is no time zone '{column.timezone}'; use its name in tz, like Europe/Madrid")
    if column.zones and not any("%Z" in form for form in column.timestamp_format):
        raise ValueError("zones says what %Z means, and no timestamp_format has that")


def _refuse_unfit_presence(column: Column) -> None:
    if column.joined and (column.aliases or len(column.joined) < 2):
        raise ValueError("joined lists the two or more headers whose cells make the column; aliases say nothing then")
    if column.optional and any(rule.rule == "not_null" and rule.severity == Severity.ERROR for rule in column.rules):
        raise ValueError("an optional column is empty where a file lacks it, and not_null would refuse each row then")
    if column.optional and column.default is not None:
        raise ValueError("a column with a default may be missing anyway; leave out optional")


def refuse_unfit_name_form(form: NameForm) -> None:
    """Refuse what cannot be read of the way in which file names bear the as_of.

    Raises:
        ValueError: with what to mend.
    """
    if form.format is not None:
        moment_format(form.format)
    if form.pattern is not None:
        try:
            groups = re.compile(form.pattern).groupindex
        except re.error as error:
            raise ValueError(f"{form.pattern} is no regular expression: {error}") from error
        if "as_of" not in groups:
            raise ValueError(f"the pattern {form.pattern} needs a group (?P<as_of>...) around the date")
    if form.timezone is not None and not _is_zone(form.timezone):
        raise ValueError(f"there is no time zone '{form.timezone}'; use its name in tz, like Europe/Madrid")


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def refuse_unfit_guards(contract: Contract) -> None:
    """Refuse guards that no file can be held against.

    Raises:
        ValueError: with what to mend.
    """
    if contract.drift and contract.mode == "delta":
        raise ValueError("drift goes with mode: full; a delta holds what changed, whose total says nothing")
    for drift in contract.drift:
        column = next((column for column in contract.values if column.name == drift.column), None)
        if column is None:
            raise ValueError(f"drift names '{drift.column}', which is not among the columns beside the key")
        if drift.sum is not None and column.type != "bigint" and column.decimal is None:
            raise ValueError(f"drift names the sum of '{drift.column}', which is no number")


def _refuse_beside_format(contract: Contract) -> None:
    """Refuse what goes with another format than the contract's."""
    if contract.format == "csv":
        for column in contract.columns:
            if column.path is not None or column.type == "json":
                what = "path" if column.path is not None else "the type json"
                raise ValueError(f"{column.name}: {what} goes with the formats ndjson, json and parquet")
        return
    of_csv = {
        "quote": contract.quote != '"',
        "escape": contract.escape is not None,
        "header": contract.header == "none",
        "preamble": contract.preamble is not None,
        "trailer": contract.trailer is not None,
        "comment": contract.comment is not None,
        "encoding": contract.format == "parquet" and contract.encoding != "utf-8",
    }
    if entry := next((entry for entry, said in of_csv.items() if said), None):
        raise ValueError(f"{entry} does not go with format: {contract.format}")
    for column in contract.columns:
        if contract.format != "parquet" and column.aliases:
            raise ValueError(f"{column.name}: say by path where a record has it; aliases are other headers of a table")
        for name in (name for path in column.paths for name in path):
            if not name or '"' in name or "\\" in name:
                raise ValueError(f"{column.name}: a path is names parted by points, like data.activity_id")


def _refuse_beside_no_header(contract: Contract) -> None:
    if contract.preamble is not None and contract.preamble.lines is None:
        raise ValueError("preamble: {until_header: true} looks for a header, and header: none says that there is none")
    if absent := next((column for column in contract.columns if column.may_lack or column.joined), None):
        raise ValueError(f"header: none wants each column in its place; {absent.name} is optional, or joined")
    if contract.ignore:
        raise ValueError("ignore names headers, and header: none says that there are none")
