"""The commands that only look: status, drops, rejects, history, explain."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from dropledger.core import __version__
from dropledger.core.contracts.pipeline_spec import Explanation, Section
from dropledger.core.errors import Different
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.steps.soundness import refuse_lost_warehouse
from dropledger.core.views import explain as explaining
from dropledger.core.views.drops import find_drop, list_drops, list_rejects
from dropledger.core.views.status import read_status
from dropledger.core.views.timeline import find_timeline
from dropledger.handlers import render
from dropledger.handlers.wiring import wire_existing


def status(*, root: str | None, warehouse: str | None, json: bool, quiet: bool) -> int:
    """The state of the root and its ledger; zeros where nothing was ever dropped."""
    runtime = wire_existing(root=root, warehouse=warehouse, on_wait=render.on_wait(quiet=quiet))
    found: dict[str, Any] = {"drops": {}, "deliveries": 0, "moment": None, "feeds": {}, "marts": {}, "warnings": []}
    if runtime.warehouse.exists():
        with runtime.reading() as session:
            found = read_status(session, runtime.pipeline)
    else:
        refuse_lost_warehouse(runtime.store, runtime.warehouse)
    document = {
        "command": "status",
        "dropledger": __version__,
        "root": runtime.store.root,
        "warehouse": runtime.warehouse.location,
        "pipeline": runtime.pipeline.name,
        **found,
        "waiting": runtime.store.backlog(),
    }
    if json:
        render.as_json(document)
    elif not quiet:
        _show_status(document)
    return 0


def _show_status(document: dict[str, Any]) -> None:
    render.line(f"root       {document['root']}")
    render.line(f"warehouse  {document['warehouse']}")
    render.line(f"moment     {render.cell(document['moment']) or 'none yet'}")
    render.line(
        "drops      " + (", ".join(f"{count:,} {status}" for status, count in document["drops"].items()) or "none yet")
    )
    render.line("waiting    " + ", ".join(f"{count:,} in {folder}" for folder, count in document["waiting"].items()))
    if document["feeds"]:
        render.table(
            "",
            ("feed", "drops", "late", "as_of from", "newest as_of", "last received", "versions", "current"),
            [
                (
                    feed,
                    row["drops"],
                    row["late"],
                    ", ".join(row["as_of_sources"]),
                    row["as_of"],
                    row["received_at"],
                    row["versions"],
                    row["current"],
                )
                for feed, row in document["feeds"].items()
            ],
        )
        render.table("", ("mart", "rows"), list(document["marts"].items()))
    for drop in document["warnings"]:
        _show_warnings(drop)


def _show_warnings(drop: dict[str, Any]) -> None:
    for warning in drop["warnings"]:
        render.line(f"{drop['drop_id']} {drop['name']}: warning: {warning}")


def drops(*, feed: str | None, limit: int, root: str | None, warehouse: str | None, json: bool, quiet: bool) -> int:
    """The newest drops."""
    runtime = wire_existing(root=root, warehouse=warehouse, on_wait=render.on_wait(quiet=quiet))
    if feed is not None:
        runtime.pipeline.contract(feed)
    with runtime.reading() as session:
        found = list_drops(session, feed, limit, runtime.pipeline)
    if json:
        render.as_json({"command": "drops", "drops": found})
    elif not quiet:
        columns = {"drop_id": "drop_id", "feed": "feed", "name": "file", "as_of": "as_of", "status": "status"}
        columns |= {"rows_read": "rows", "rows_rejected": "rejected"}
        render.table("", list(columns.values()), [[row[name] for name in columns] for row in found])
        for row in found:
            if row["superseded_by"]:
                render.line(f"{row['drop_id']} {row['name']}: superseded by {row['superseded_by']}; {row['error']}")
            elif row["retracted_by"]:
                who, when = row["retracted_by"], render.cell(row["retracted_at"])
                render.line(f"{row['drop_id']} {row['name']}: {who} took it back at {when}: {row['retracted_because']}")
            elif row["error"]:
                render.line(f"{row['drop_id']} {row['name']}: {row['error']}")
            render.origin(row["name"], row["as_of"], row["as_of_source"], late=row["late"])
            _show_warnings(row)
    return 0


def rejects(*, drop_id: str, limit: int, root: str | None, warehouse: str | None, json: bool, quiet: bool) -> int:
    """The refused rows of a drop."""
    runtime = wire_existing(root=root, warehouse=warehouse, on_wait=render.on_wait(quiet=quiet))
    with runtime.reading() as session:
        drop = find_drop(session, drop_id)
        found = list_rejects(session, drop["drop_id"], limit)
    if json:
        render.as_json({"command": "rejects", "drop": drop, "rejects": found})
    elif not quiet:
        if drop["error"]:
            render.line(f"{drop['name']} was quarantined: {drop['error']}")
        if found:
            columns = ("line", "column_name", "rule", "reason", "raw")
            render.table(
                f"{drop['name']} ({drop['drop_id']})", columns, [[row[name] for name in columns] for row in found]
            )
        else:
            render.line(f"No row of {drop['name']} was rejected.")
    return 0


def history(*, feed: str, key: str, root: str | None, warehouse: str | None, json: bool, quiet: bool) -> int:
    """The timeline of a key."""
    runtime = wire_existing(root=root, warehouse=warehouse, on_wait=render.on_wait(quiet=quiet))
    runtime.pipeline.contract(feed)
    with runtime.reading() as session:
        found = find_timeline(session, runtime.pipeline, feed, key)
    if json:
        render.as_json({"command": "history", "feed": feed, "key": key, "versions": found})
    elif not quiet:
        values = [name for name in found[0] if name not in {*_VERSION, *runtime.pipeline.contract(feed).key}]
        columns = ("drop_id", "valid_from", "valid_to", *values, "line", "file")
        render.table(f"{feed} {key}", columns, [[row[name] for name in columns] for row in found])
    return 0


_VERSION = frozenset({"valid_from", "valid_to", "is_current", "drop_id", "line", "file"})


def explain(
    *,
    mart: str | None,
    key: str,
    as_of: datetime | None,
    root: str | None,
    warehouse: str | None,
    json: bool,
    quiet: bool,
) -> int:
    """One figure, taken apart."""
    runtime: Runtime = wire_existing(root=root, warehouse=warehouse, on_wait=render.on_wait(quiet=quiet))
    with runtime.reading() as session:
        found = explaining.explain(session, runtime.pipeline, mart, key, as_of)
    if json:
        render.as_json({"command": "explain", **found})
    elif not quiet:
        _show_explanation(explaining.explanation_of(runtime.pipeline, mart)[1], key, found)
    return Different.exit_code if found["agrees"] is False else 0


def _show_explanation(explanation: Explanation, key: str, found: dict[str, Any]) -> None:
    figure = found["figure"]
    render.line(f"{explanation.of.replace('_', ' ').capitalize()} {key} at {render.cell(found['moment'])}")
    _show_sections(explanation.sections, found)
    if figure is None:
        render.line(f"  {found['verdict']}")
    else:
        _show_sections([part for part in explanation.parts if not part.many], figure)
        for text in (figure["arithmetic"], explaining.sentence(explanation.figure.says, figure, render.cell)):
            if text:
                render.line(f"  {text}")
    if found["agrees"] is not None:
        render.line("  Matches the mart." if found["agrees"] else "  Does not match the mart!")
    if found["agrees"] is False:
        render.line("  Try: dropledger verify, which shows all differences; then dropledger replay")


def _show_sections(sections: Iterable[Section], found: Mapping[str, Any]) -> None:
    """What each row says, and the file and line behind it, unless there is nothing behind it."""
    for section in sections:
        rows = found[section.name] if section.many else [found[section.name]]
        for row in rows if section.says else []:
            if row is None or ("drop_id" in row and row["drop_id"] is None):
                continue
            render.line(f"  {explaining.sentence(section.says, row, render.cell)}")
            if "line" in row:
                file = row["file"] or "the initial rows of the pipeline"
                render.line(f"    line {row['line']} of {file} (drop {row['drop_id']})")
