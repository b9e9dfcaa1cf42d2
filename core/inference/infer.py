"""Contracts by sample files: read as loading reads them, looked at in the engine, and proved by reading again."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dropledger.core.as_of_in_name import as_of_in_name
from dropledger.core.contracts.contract import Contract
from dropledger.core.drop import AsOf, AsOfSource
from dropledger.core.errors import DataRefused
from dropledger.core.formats.as_of_form import declared_as_of
from dropledger.core.formats.extract import Extract
from dropledger.core.inference.columns import infer_columns
from dropledger.core.inference.contract_text import contract_of_draft
from dropledger.core.inference.draft import FeedDraft, Said
from dropledger.core.inference.files import feeds_of, named
from dropledger.core.inference.readings import column_read
from dropledger.core.inference.rows import infer_relationships, infer_rows, infer_trailer, type_rows
from dropledger.core.ports.session import Session
from dropledger.core.sql.text import quoted
from dropledger.core.steps.intake import read_again
from dropledger.core.steps.validate import validate

LOOKED_AT = 1_000_000
"""The most rows of a feed that are looked at."""

_NO_MOMENT = AsOf(datetime(2000, 1, 1, tzinfo=UTC), AsOfSource.MODIFIED)


def infer_feeds(session: Session, files: Sequence[Path], now: datetime) -> list[FeedDraft]:
    """The feeds that files are of, in the order in which they are named.

    The session is one of a warehouse that nobody needs: it gets scratch relations alone.

    Raises:
        ConfigurationError: names do not tell which feed a file is of.
        DataRefused: a file cannot be read; it is named.
    """
    feeds = feeds_of(files)
    typed = []
    for number, feed in enumerate(feeds):
        cells = _loaded(session, feed, f"_dl_feed_{number}")
        infer_columns(session, feed, f"_dl_feed_{number}")
        _days_of_parquet(session, feed, f"_dl_feed_{number}")
        typed.append((feed, f"_dl_typed_{number}"))
        type_rows(session, contract_of_draft(feed), f"_dl_feed_{number}", f"_dl_typed_{number}")
        infer_rows(session, feed, f"_dl_typed_{number}", now)
        _say_future(feed, now)
        if cells is not None:
            _say_totals(session, feed, f"_dl_typed_{number}", cells)
    infer_relationships(session, typed)
    for feed in feeds:
        feed.rejected = sum(_rejected(session, path, contract_of_draft(feed)) for path in feed.files)
    return feeds


def _extract(path: Path, contract: Contract) -> Extract:
    try:
        return read_again(path, contract, _NO_MOMENT)[0]
    except DataRefused as refusal:
        raise named(refusal, path) from refusal


def _loaded(session: Session, feed: FeedDraft, into: str) -> Sequence[str] | None:
    """Put the texts of all files of a feed in the view `into`, with `_file` and `_line`; the cells of its trailer."""
    contract = contract_of_draft(feed, typed=False)
    parts = []
    for number, path in enumerate(feed.files):
        extract = _extract(path, contract)
        source, read = "_dl_source", f"{into}_{number}"
        session.load(path, extract.layout, source, drop_id=extract.drop_id)
        rows = session.select_rows(source, read, f"SELECT * FROM {quoted(source)}")
        feed.rows += rows
        parts.append(f"SELECT CAST({number} AS BIGINT) AS _file, * FROM {quoted(read)}")
    limit = f" LIMIT {LOOKED_AT}" if feed.rows > LOOKED_AT else ""
    session.view(into, f"SELECT * FROM ({' UNION ALL '.join(parts)}) AS part{limit}")
    feed.looked_at = session.count(into)
    return feed.totals


def _say_future(feed: FeedDraft, now: datetime) -> None:
    """Let files in whose names bear a day to come."""
    contract = contract_of_draft(feed)
    if AsOfSource.FILE_NAME not in contract.as_of:
        return
    form = contract.as_of_in_name
    for path in feed.files:
        moment = as_of_in_name(path.name) if form is None else declared_as_of(path.name, form)
        if moment is not None and moment > now + timedelta(days=1):
            feed.future = f"{path.name} is of a day to come"


def _days_of_parquet(session: Session, feed: FeedDraft, relation: str) -> None:
    """Times that are midnights alone are days, as pandas has no other type for them."""
    if feed.form.get("format", Said("")).value != "parquet":
        return
    for column in feed.columns:
        if column.type == "timestamp" and column.reading is not None and not column.reading.timestamp_format:
            text = quoted(column.name)
            found = session.query(
                f"SELECT count(*) AS times FROM {quoted(relation)} WHERE {text} NOT LIKE '% 00:00:00'"
            )
            if found[0]["times"] == 0:
                column.type, column.reading = "date", column_read(column.name, "date")
                column.type_why = "times, all of them midnights"


def _say_totals(session: Session, feed: FeedDraft, typed: str, cells: Sequence[str]) -> None:
    said = feed.form["trailer"]
    totals = infer_trailer(session, feed, typed, cells)
    value = dict(said.value) if isinstance(said.value, dict) else {}
    feed.form["trailer"] = replace(said, value={**value, **totals})


def _rejected(session: Session, path: Path, contract: Contract) -> int:
    extract = _extract(path, contract)
    session.load(path, extract.layout, "_dl_proved", drop_id=extract.drop_id)
    return validate(session, extract, "_dl_proved").rows_rejected
