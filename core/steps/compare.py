"""A complete extract of which most lines are those of the one before: only the others are typed, checked and folded.

A line that stood in the feed's newest drop, read under the same contract and accepted with all others, observes what
its key's open version says. So it opens and closes nothing, breaks no rule that refuses rows, and shares its key with
no other line of that drop. docs/performance.md lists the conditions; where one fails, the file is read as any other.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from dropledger.core.compression import compression_of, unpacked
from dropledger.core.contracts.contract import Contract, Severity
from dropledger.core.contracts.fragments import feed_fragments
from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.drop import sha256_of
from dropledger.core.errors import DataRefused, Postponed
from dropledger.core.formats.extract import Extract
from dropledger.core.formats.line_difference import differing_lines
from dropledger.core.formats.text_scan import TextScan
from dropledger.core.ledger import ledger
from dropledger.core.ledger.ledger import LedgerRow
from dropledger.core.ports.session import Layout, Place, Session
from dropledger.core.rules.fragments import parse_fragments, rules_over_rows, staging_predicates
from dropledger.core.sql.text import same, statement
from dropledger.core.steps.archive import Archive
from dropledger.core.steps.validate import Compared, Validated, effective_times, is_clean, overview

FEWEST_BYTES = 1 << 20
"""From so much text on, comparing costs less than reading."""

_ALWAYS_ALLOWED, _ALLOWED_SHARE = 1_000, 20
"""So many lines may differ, and one in so many of those passed: looking at each costs more than typing it."""

_SOURCE = "_dl_differing"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class _Before:
    """The drop that a file is compared with: where its bytes are, how many rows it had, and what its checks found."""

    path: Path
    rows: int
    failing: Mapping[str, int]


def read_differing(
    archive: Archive,
    session: Session,
    extract: Extract,
    source: str,
    lines: Path,
    until: datetime | None,
) -> Validated | None:
    """Leave in `observation` what an extract observes otherwise than the drop before it; None if all is to be read.

    The whole file is loaded as `source` then, and `_dl_parsed` and `_dl_gone` have the rows that only it and only the
    drop before it has. `lines` is a place for the lines on their way; `until` the latest effective time observed.
    """
    contract, layout = extract.contract, extract.layout
    if not (
        session.capabilities.reads_in_place
        and extract.text_bytes >= FEWEST_BYTES
        and isinstance(layout, Layout)
        and layout.is_usual
        and layout.line_per_row
        and not extract.controls
        and _may_be_compared(archive.pipeline, contract)
    ):
        return None
    before = _drop_before(archive, session, extract, until)
    if before is None:
        return None
    try:
        differing = _write_differing(before, extract, layout, lines)
        found = None if differing is None else _type(session, extract, lines, differing)
        if found is None:
            return None
    except DataRefused as error:
        if error.rule == "not_computable":  # the transaction is over
            raise
        return None
    finally:
        lines.unlink(missing_ok=True)
    compared = _compared(archive.pipeline, session, contract, before)
    if compared is None:
        return None
    session.load(extract.path, replace(layout, each_line_is_a_row=True), source, drop_id=extract.drop_id)
    rows, at = layout.physical_lines - 1, extract.as_of.moment
    return Validated(rows, rows, 0, 0, 0, at, at, compared, rule_counts={**found, "repeated": 0})


def _may_be_compared(pipeline: Pipeline, contract: Contract) -> bool:
    """Whether a row is judged by itself, so that one which is as it was is judged as it was."""
    over_rows = (("unique", Severity.ERROR), ("unique", Severity.WARN), ("relationship", Severity.ERROR))
    return (
        contract.mode == "full"
        and not contract.drift
        and not pipeline.feed_checks[contract.feed]
        and not any(any(rules_over_rows(contract, kind, severity)) for kind, severity in over_rows)
    )


def _drop_before(archive: Archive, session: Session, extract: Extract, until: datetime | None) -> _Before | None:
    """The newest drop of the feed, if it was read under this contract, all its rows went in, and its file is whole."""
    contract, as_of = extract.contract, extract.as_of.moment
    found = session.query(statement("drop_before", {"columns": ledger.COLUMNS}), {"feed": contract.feed})
    if not found:
        return None
    row, drop = found[0], ledger.row_of(found[0])
    if (
        until is None
        or not drop.as_of == until < as_of
        or drop.contract_sha256 != contract.sha256
        or row["rows_read"] != row["rows_accepted"]
        or row["retractions_since"]
    ):
        return None
    failing = _failing(session, contract, drop)
    if failing is None:
        return None
    try:
        path = archive.path_of(drop)
        return _Before(path, int(row["rows_read"]), failing) if sha256_of(path) == drop.sha256 else None
    except (OSError, Postponed):  # who needs that file more will say so
        return None


def _failing(session: Session, contract: Contract, drop: LedgerRow) -> dict[str, int] | None:
    """How many rows of a drop failed each check of the staging layer; None where two checks share a name and failed."""
    found = session.query(
        """SELECT check_name, sum(failing_rows) AS failing, count(*) AS checks
        FROM check_result
        WHERE drop_id = :drop_id
            AND sequence = :sequence
            AND layer = 'staging'
        GROUP BY check_name""",
        {"drop_id": drop.drop_id, "sequence": drop.sequence},
    )
    failing = {check["check_name"]: int(check["failing"]) for check in found}
    asked = {name for _, name in staging_predicates(contract)}
    shared = {check["check_name"] for check in found if check["checks"] > 1 and check["failing"]}
    return failing if asked <= failing.keys() and not asked & shared else None


def _write_differing(before: _Before, extract: Extract, of_file: Layout, path: Path) -> Layout | None:
    """Write the lines in which the files differ to `path`, each behind its place, below a header; how they are read.

    None where they are too many or not plain, or the header is another, or lines of the drop before were no rows.
    """
    came = gone = 0
    header = next(_text(extract.path)).split(b"\n", 1)[0]
    line_end = b"\r\n" if header.endswith(b"\r") else b"\n"
    with path.open("wb") as file:
        file.write(b"place" + line_end)
        for place, line in differing_lines(_text(before.path), _text(extract.path)):
            passed = abs(place)
            came, gone = came + (place > 0), gone + (place < 0)
            too_many = came + gone > _ALWAYS_ALLOWED + passed // _ALLOWED_SHARE
            if passed == 1 or too_many or not line.strip():
                return None
            row = line if line.endswith(b"\n") else line + line_end
            file.write(b"%d%b%b" % (place, of_file.delimiter.encode(), row))
    if before.rows != of_file.physical_lines - came + gone - 1:
        return None
    scan = TextScan()
    for chunk in _text(path):
        scan.update(chunk)
    layout = Layout(
        delimiter=of_file.delimiter,
        width=of_file.width + 1,
        row_cells=None if of_file.row_cells is None else of_file.row_cells + 1,
        positions={
            "_dl_place": 0,
            **{name: _behind(place) for name, place in of_file.positions.items()},
        },
        physical_lines=scan.lines,
        lines_end_alike=scan.lines_end_alike,
        plainly_quoted=scan.plainly_quoted(of_file.delimiter),
        has_long_lines=scan.has_long_lines,
    )
    return layout if layout.line_per_row else None


def _behind(place: Place | None) -> Place | None:
    """The place of a cell behind another one."""
    if isinstance(place, tuple):
        return tuple(each + 1 for each in place)
    return None if place is None else place + 1


def _text(path: Path) -> Iterator[bytes]:
    """The text of a file in chunks, unpacked where it is packed."""
    with path.open("rb") as file:
        chunk = file.read(_CHUNK)
        compression = compression_of(chunk)
        if compression is not None:
            yield from unpacked(path, compression)
            return
        while chunk:
            yield chunk
            chunk = file.read(_CHUNK)


def _type(session: Session, extract: Extract, path: Path, layout: Layout) -> Mapping[str, Any] | None:
    """Type the differing lines into `_dl_parsed` and `_dl_gone`; the `overview` of the newer ones.

    None where one is no row, or a newer one does not go in.
    """
    contract = extract.contract
    session.load(path, layout, _SOURCE, drop_id=extract.drop_id)
    fragments = {
        **feed_fragments(contract),
        **parse_fragments(contract, _SOURCE),
        "file": "_dl_place,",
    }
    typed = session.select_rows(_SOURCE, "_dl_compared", statement("parse", fragments), effective_times(extract))
    if typed != layout.physical_lines - 1:
        return None
    for name, side in (("_dl_parsed", ">"), ("_dl_gone", "<")):
        session.view(
            name,
            f"""SELECT abs(CAST(_dl_place AS BIGINT)) AS _line, {fragments["columns"]}, _effective_at, _absent, _valid
            FROM _dl_compared
            WHERE CAST(_dl_place AS BIGINT) {side} 0""",
        )
    session.view("observation", "SELECT * FROM _dl_parsed")
    found = overview(session, contract, _SOURCE)
    return found if is_clean(contract, found) else None


def _compared(pipeline: Pipeline, session: Session, contract: Contract, before: _Before) -> Compared | None:
    """What is known of the lines that both files have; None where they cannot be told apart from the differing ones."""
    fragments = feed_fragments(contract)
    fragments["same_as_gone"] = same(contract.key, "g", "o")
    keys = session.query(statement("compared_keys", fragments))[0]
    if keys["known"]:
        return None
    orphans_may_be_among_them = any(
        before.failing.get(rule.name or f"relationship_{column.name}", 1) or not _stays(pipeline, rule.to or "")
        for column, rule in rules_over_rows(contract, "relationship", Severity.WARN)
    )
    if orphans_may_be_among_them:
        lacks_none = not keys["missing"] and not before.failing.get("missing_keys", 1)
        if contract.missing_keys == "keep" and not lacks_none:
            return None
    return Compared(before.failing, orphans_may_be_among_them)


def _stays(pipeline: Pipeline, to: str) -> bool:
    """Whether a key of a parent feed stays known once it is."""
    parent = pipeline.contracts[to.split(".", maxsplit=1)[0]]
    return parent.missing_keys == "keep" and parent.operation is None
