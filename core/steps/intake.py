"""Intake: which drop is it by its bytes, and can they be rows at all."""

import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from dropledger.core.compression import Compression, compression_of, unpacked
from dropledger.core.contracts.contract import Contract, brings_times
from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.drop import AsOf, AsOfSource, Claim, DropHash, sha256_of
from dropledger.core.errors import DataRefused
from dropledger.core.formats.csv_header import columns_in_order, read_header
from dropledger.core.formats.extract import Drop, Extract
from dropledger.core.formats.text_scan import MAX_HEADER, Beginning, TextScan
from dropledger.core.ports.session import Layout
from dropledger.core.steps.address import addressed

_CHUNK = 1 << 20
_MOST_COLUMNS = 16_384
_LINE_END = re.compile(r"\r|\n")


def identify(claim: Claim, pipeline: Pipeline, *, accepted_before: bool = False) -> Drop:
    """Find feed and as_of, hash the bytes, and read header and control file; a refusal is noted on the drop, not
    raised. One that was accepted before may be without the control file that the contract wants by now.
    """
    contract, as_of, refusal = addressed(claim.dropped, pipeline)
    if claim.damage:
        contract, refusal = None, _damaged(claim)
    feed = contract.feed if contract else ""
    moment = None if brings_times(contract, as_of) else as_of.moment
    identity, text = _read_through(claim.path, feed, moment, contract)
    extract = None
    if contract is not None and refusal is None:
        try:
            extract = _extract(claim.path, identity.drop_id, contract, as_of, text)
            if contract.control_file is not None and not (accepted_before and claim.control is None):
                extract = _controlled(extract, claim.control, identity.sha256)
        except DataRefused as error:
            extract, refusal = None, error
    control = sha256_of(claim.control) if claim.control is not None else None
    return Drop(
        claim, identity.drop_id, feed, contract, as_of, identity.size, identity.sha256, extract, refusal, control
    )


def _controlled(extract: Extract, control: Path | None, sha256: str) -> Extract:
    """The extract, told what its control file says.

    Raises:
        DataRefused: that cannot be read, or is of other bytes.
    """
    from dropledger.core.formats.control_totals import totals_beside  # which few contracts need

    totals = totals_beside(control, extract, sha256)
    return extract if totals is None else replace(extract, controls=(*extract.controls, totals))


def _damaged(claim: Claim) -> DataRefused:
    return DataRefused(
        "damaged_claim",
        f"what is known of this file was lost on its way in work/: {claim.damage}",
        hint="look whose it is, and drop it again under its own name",
    )


def read_again(path: Path, contract: Contract, as_of: AsOf, drop_id: str | None = None) -> tuple[Extract, str]:
    """A file that is no new delivery, and the SHA-256 of its bytes; its own drop_id unless one is given.

    Raises:
        DataRefused: it cannot be read under the contract.
    """
    identity, text = _read_through(path, contract.feed, as_of.moment, contract)
    return _extract(path, drop_id or identity.drop_id, contract, as_of, text), identity.sha256


def initial_extract(contract: Contract, path: Path, as_of: datetime) -> Extract:
    """A feed's initial rows as an extract, with the drop_id that their bytes give them."""
    return read_again(path, contract, AsOf(as_of, AsOfSource.FILE_NAME))[0]


def _read_through(
    path: Path, feed: str, as_of: datetime | None, contract: Contract | None
) -> tuple[DropHash, TextScan | Beginning]:
    identity = DropHash(feed, as_of)
    text = _scan_for(contract) if contract is None or contract.format == "csv" else Beginning()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            identity.update(chunk)
            text.update(chunk)
    return identity, text


def _scan_for(contract: Contract | None) -> TextScan:
    return TextScan(contract.quote_mark, contract.escape or "") if contract is not None else TextScan()


def _unpacked_text(path: Path, compression: Compression, contract: Contract) -> TextScan:
    """The text in a packed file, as far as it is one.

    Raises:
        DataRefused: it cannot be unpacked, or what it unpacks to is packed again.
    """
    text = _scan_for(contract)
    for chunk in unpacked(path, compression):
        text.update(chunk)
        if text.spoiled:
            break
    if compression_of(text.beginning) is not None:
        raise DataRefused(
            "packed_twice",
            f"the {compression} file holds another compressed file",
            hint="pack the CSV once, or not at all",
        )
    return text


def _extract(path: Path, drop_id: str, contract: Contract, as_of: AsOf, read: TextScan | Beginning) -> Extract:
    """The file, and how it is read.

    Raises:
        DataRefused: it is of another format than the contract says, or does not say where all columns are.
    """
    if isinstance(read, TextScan):
        return _delimited(path, drop_id, contract, as_of, read)
    from dropledger.core.formats.record_files import LAYOUTS  # which few contracts need

    layout, size, unexpected = LAYOUTS[contract.format](path, read.beginning, contract)
    return Extract(drop_id, contract, path, layout, as_of, size, unexpected)


def _delimited(path: Path, drop_id: str, contract: Contract, as_of: AsOf, text: TextScan) -> Extract:
    """The file's layout by its header.

    Raises:
        DataRefused: it is no text, or the header does not say where all columns are.
    """
    compression = compression_of(text.beginning)
    part = None
    if contract.is_plain_text:
        if compression is not None:
            text = _unpacked_text(path, compression, contract)
        text.refuse_unless_text()
        beginning = text.beginning.decode("utf-8-sig", "ignore")
    else:
        from dropledger.core.formats.text_part import read_part  # which few contracts need

        text, part = read_part(path, compression, contract, _scan_for(contract))
        beginning = part.beginning
    if len(text.beginning) == MAX_HEADER and not _LINE_END.search(beginning):
        raise DataRefused(
            "line_too_long",
            f"the header is longer than {MAX_HEADER >> 20} MiB",
            hint="check that the file begins with a header, and that the header has a line end",
        )
    header = (read_header if contract.header == "required" else columns_in_order)(beginning, contract)
    if header.width > _MOST_COLUMNS:
        raise DataRefused(
            "too_many_columns",
            f"the header has {header.width:,} columns, more than {_MOST_COLUMNS:,}",
            hint="export the columns of the contract alone",
        )
    layout = Layout(
        header.delimiter,
        header.width,
        header.row_cells,
        header.positions,
        text.lines,
        text.lines_end_alike,
        text.plainly_quoted(header.delimiter),
        compression,
        has_long_lines=text.has_long_lines,
        quote=contract.quote_mark,
        escape=contract.escape or "",
        has_header=contract.header == "required",
    )
    extract = Extract(drop_id, contract, path, layout, as_of, text.size, header.unexpected)
    return extract if part is None else part.told_to(extract, layout)
