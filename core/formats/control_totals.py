"""Control totals: what a line says that a file holds, whether it ends the file or stands in one beside it."""

import csv
import re
from pathlib import Path

from dropledger.core.contracts.contract import Contract, ControlFile, Trailer
from dropledger.core.errors import DataRefused
from dropledger.core.formats.extract import ControlTotals, Extract
from dropledger.core.ports.session import Layout
from dropledger.core.rules.numbers import number_of

_LARGEST = 1 << 16
_SHOWN = 60
_SHA256 = re.compile("[0-9a-fA-F]{64}")


def totals_in(line: str, entry: str, said: Trailer | ControlFile, delimiter: str, contract: Contract) -> ControlTotals:
    """The control totals that a line has where the contract's `entry` says, its fields parted like cells.

    Raises:
        DataRefused: it lacks one of them, or has no number in its place.
    """
    fields = _fields(line, delimiter, contract)
    rows, sums = None, {}
    if said.rows is not None:
        text = _field(fields, said.rows)
        if not re.fullmatch("[0-9]{1,15}", text):
            raise _no_total(entry, "rows", said.rows, text)
        rows = int(text)
    for name, place in said.sums.items():
        number = number_of(contract.column(name), _field(fields, place), bounded=False)
        if number is None:
            raise _no_total(entry, f"sums.{name}", place, _field(fields, place))
        sums[name] = number
    return ControlTotals(entry, rows, sums)


def _fields(line: str, delimiter: str, contract: Contract) -> list[str]:
    if delimiter == " ":
        return line.split()
    quoted = contract.quote_mark and contract.quote_mark in line
    cells = next(csv.reader([line], delimiter=delimiter, quotechar=contract.quote_mark)) if quoted else None
    return [cell.strip() for cell in cells or line.split(delimiter)]


def _field(fields: list[str], place: int) -> str:
    return fields[place - 1] if place <= len(fields) else ""


def _no_total(entry: str, what: str, place: int, text: str) -> DataRefused:
    means, called = "SHA-256" if what == "sha256" else "number", entry.replace("_", " ")
    return DataRefused(
        "control_total",
        f"field {place} of the {called} is no {means}; the contract says that it is the total of {entry}.{what}",
        detail=f"it is '{text[:_SHOWN]}'" if text else "it is empty",
        hint=f"export the file again; or correct the entry {entry} of the contract",
    )


def totals_beside(path: Path | None, extract: Extract, sha256: str) -> ControlTotals | None:
    """What a control file says of the data file, whose bytes have this SHA-256; None where it need only be there.

    Its fields are parted as the cells of the data file are; where its line has no such separator, by blanks.

    Raises:
        DataRefused: it is not there, or cannot be read (`incomplete`), or the data file is another one
            (`control_total`).
    """
    contract, said = extract.contract, extract.contract.control_file
    if said is None:
        return None
    if path is None:
        raise _unread("it is not there", f"drop the file again, and its control file, named like it and {said.suffix}")
    if not said.says_something:
        return None
    line = _line(path, said, contract)
    delimiter = _delimiter(line, extract)
    if said.sha256 is not None:
        _refuse_other_bytes(_field(_fields(line, delimiter, contract), said.sha256), said.sha256, sha256)
    return totals_in(line, "control_file", said, delimiter, contract)


def _line(path: Path, said: ControlFile, contract: Contract) -> str:
    hint = "send it and the file again; or correct the entry control_file of the contract"
    size = path.stat().st_size
    if size > _LARGEST:
        raise _unread(f"it has {size:,} bytes, and a control file at most {_LARGEST:,}", hint)
    encoding = "utf-8-sig" if contract.encoding == "utf-8" else contract.encoding
    try:
        text = path.read_bytes().decode(encoding)
    except UnicodeDecodeError as error:
        raise _unread(f"it is no text in {contract.encoding}", hint) from error
    lines = [line for line in re.split("\r\n|\r|\n", text) if line.strip(" \t\0")]
    if not lines:
        raise _unread("it is empty", hint)
    if said.pattern is None:
        return lines[-1]
    found = next((line for line in lines if re.search(said.pattern, line)), None)
    if found is None:
        raise _unread(f"no line of it is like {said.pattern}", hint, f"it begins with '{lines[0][:_SHOWN]}'")
    return found


def _delimiter(line: str, extract: Extract) -> str:
    layout, listed = extract.layout, extract.contract.delimiters
    delimiter = layout.delimiter if isinstance(layout, Layout) else max(listed, key=line.count)
    return delimiter if delimiter in line else " "


def _refuse_other_bytes(text: str, place: int, sha256: str) -> None:
    if not _SHA256.fullmatch(text):
        raise _no_total("control_file", "sha256", place, text)
    if text.casefold() != sha256:
        raise DataRefused(
            "control_total",
            f"the control file says that the file has the SHA-256 {text.casefold()}, and it has {sha256}",
            hint="transfer the file again, with its control file",
        )


def _unread(why: str, hint: str, detail: str = "") -> DataRefused:
    return DataRefused(
        "incomplete", f"the control file cannot be held against the file: {why}", hint=hint, detail=detail
    )
