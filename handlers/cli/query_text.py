"""What the commands that look print for people."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from dropledger.core.contracts.pipeline_spec import Explanation, Mart, Section
from dropledger.core.views.ask import Answer
from dropledger.core.views.explain import sentence
from dropledger.handlers import render

Row = Mapping[str, Any]

_VERSION = frozenset({"valid_from", "valid_to", "is_current", "drop_id", "line", "file"})


def show_status(document: Row) -> None:
    """The state of the root and its ledger."""
    render.line(f"root       {document['root']}")
    render.line(f"warehouse  {document['warehouse']}")
    render.line(f"moment     {render.cell(document['moment']) or 'none yet'}")
    render.line(
        "drops      " + (", ".join(f"{count:,} {status}" for status, count in document["drops"].items()) or "none yet")
    )
    render.line("waiting    " + ", ".join(f"{count:,} in {folder}" for folder, count in document["waiting"].items()))
    for one in document["control_files"]["awaited"]:
        since = render.cell(one["since"])
        render.line(f"           {one['name']} waits for its control file {one['control_file']} since {since}")
    for one in document["control_files"]["alone"]:
        render.line(f"           {one['name']} waits for its data file since {render.cell(one['since'])}")
    if document["feeds"]:
        columns = ["feed", "drops", "late", "as_of from", "newest as_of", "last received", "versions", "current"]
        told = any(row["freshness"] for row in document["feeds"].values())
        rows = [
            [
                feed,
                row["drops"],
                row["late"],
                ", ".join(row["as_of_sources"]),
                row["as_of"],
                row["received_at"],
                row["versions"],
                row["current"],
                *([row["freshness"] and row["freshness"]["state"]] if told else []),
            ]
            for feed, row in document["feeds"].items()
        ]
        render.table("", [*columns, *(["freshness"] if told else [])], rows)
        render.table("", ("mart", "rows"), list(document["marts"].items()))
    for drop in document["warnings"]:
        _show_warnings(drop)


def _show_warnings(drop: Row) -> None:
    for warning in drop["warnings"]:
        render.line(f"{drop['drop_id']} {drop['name']}: warning: {warning}")


def show_freshness(found: Mapping[str, Row]) -> None:
    """How old each feed is, and when its next drop is expected."""
    if not found:
        render.line("No contract has the entry freshness. Try: docs/contracts.md#freshness")
        return
    columns = ("feed", "freshness", "since", "age", "expected by", "late after")
    rows = [
        (feed, row["state"], row["since"], render.age(row["age_seconds"]), row["due_at"], row["late_at"])
        for feed, row in found.items()
    ]
    render.table("", columns, rows)
    for feed, row in found.items():
        if row["since"] is not None and not row["has_drops"]:
            render.line(f"{feed}: no drop of it is in history; it is counted from the first drop of the root.")


def show_drops(found: Iterable[Row]) -> None:
    """The newest drops, and below them what is to be said of some."""
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


def show_drop(found: Row) -> None:
    """All about one drop: its facts, its deliveries, and the checks of the last."""
    drop = found["drop"]
    render.line(f"Drop {drop['drop_id']} ({drop['name']})")
    for name in ("status", "error", "superseded_by", "feed", "as_of", "as_of_source", "sha256", "size_bytes"):
        if drop[name] is not None:
            render.line(f"  {name:<16}{render.cell(drop[name])}")
    counts = ("read", "accepted", "rejected", "duplicate")
    render.line("  rows            " + ", ".join(f"{drop[f'rows_{count}']:,} {count}" for count in counts))
    render.line(f"  versions        {drop['versions_opened']:,} opened, {drop['versions_closed']:,} closed")
    _show_facts(found)
    columns = ("received_at", "outcome", "rows_read", "rows_rejected", "error", "uri")
    render.table("deliveries", columns, [[one[name] for name in columns] for one in found["deliveries"]])
    for delivery in found["deliveries"]:
        _show_failed_checks(delivery)
    passed = sum(check["passed"] for check in found["checks"])
    render.line(f"checks of the last examination: {passed:,} of {len(found['checks']):,} passed")
    if drop["rows_rejected"]:
        render.line(f"Try: dropledger rejects {drop['drop_id']}")


def _show_facts(found: Row) -> None:
    """What is known of it beside its counts: by whom it was taken back, its contract, and its files."""
    for one in found["retractions"]:
        _show_change("retracted", one["retracted_at"], one["retracted_by"], one["reason"])
        if one["restored_at"] is not None:
            _show_change("restored", one["restored_at"], one["restored_by"], one["restored_because"])
    contract = found["contract"]
    if contract["sha256"]:
        force = "in force" if contract["in_force"] else "changed since"
        render.line(f"  contract        {contract['sha256'][:16]} ({force})")
    for folder, names in found["files"].items():
        for name in names:
            render.line(f"  {folder:<16}{name}")


def _show_change(what: str, when: object, who: str, why: str) -> None:
    render.line(f"  {what:<16}{render.cell(when)} by {who}: {why}")


def _show_failed_checks(delivery: Row) -> None:
    for check in delivery["failed_checks"]:
        when, failed = render.cell(delivery["received_at"]), f"{check['model']}.{check['check_name']}"
        render.line(f"{when} {check['severity']}: {failed} ({check['failing_rows']:,}): {check['message']}")


def show_rejects(drop: Row, found: Sequence[Row]) -> None:
    """The refused rows of a drop."""
    if drop["error"]:
        render.line(f"{drop['name']} was quarantined: {drop['error']}")
    if found:
        columns = ("line", "column_name", "rule", "reason", "raw")
        render.table(f"{drop['name']} ({drop['drop_id']})", columns, [[row[name] for name in columns] for row in found])
    else:
        render.line(f"No row of {drop['name']} was rejected.")


def show_timeline(title: str, key: Collection[str], versions: Sequence[Row], last_seen: Row | None) -> None:
    """The versions of a key, and where it was last seen; `key` names its columns, which the title shows."""
    values = [name for name in versions[0] if name not in _VERSION and name not in key]
    columns = ("drop_id", "valid_from", "valid_to", *values, "line", "file")
    render.table(title, columns, [[row[name] for name in columns] for row in versions])
    _show_last_seen(last_seen)


def _show_last_seen(seen: Row | None) -> None:
    if seen is not None:
        file = seen["file"] or "the initial rows of the pipeline"
        later, since = " or later" if seen["or_later"] else "", render.counted(seen["files_since"], "newer file")
        lack = "lacks" if seen["files_since"] == 1 else "lack"
        told = f"{since} came" if seen["or_later"] else f"{since} {lack} it"
        render.line(f"Last seen in {file} on {render.cell(seen['as_of'])}{later}; {told}.")


def show_explanation(mart: Mart, explanation: Explanation, key: str, found: Row) -> None:
    """One figure, with the rows and the arithmetic behind it."""
    figure, what = found["figure"], (explanation.of or mart.name).replace("_", " ").capitalize()
    render.line(f"{what} {key} at {render.cell(found['moment'])}")
    _show_sections(explanation.sections, found)
    if figure is None:
        render.line(f"  {found['verdict']}")
    else:
        _show_sections([part for part in explanation.parts if not part.many], figure)
        for text in (figure["arithmetic"], sentence(explanation.figure.says, figure, render.cell)):
            if text:
                render.line(f"  {text}")
    if found["agrees"] is not None:
        render.line("  Matches the mart." if found["agrees"] else "  Does not match the mart!")
    _show_last_seen(found["last_seen"])
    if found["agrees"] is False:
        render.line("  Try: dropledger verify, which shows all differences; then dropledger replay")


def _show_sections(sections: Iterable[Section], found: Row) -> None:
    """What each row says, and the file and line behind it, unless there is nothing behind it."""
    for section in sections:
        rows = found[section.name] if section.many else [found[section.name]]
        for row in rows if section.says else []:
            if row is None or ("drop_id" in row and row["drop_id"] is None):
                continue
            render.line(f"  {sentence(section.says, row, render.cell)}")
            if "line" in row:
                file = row["file"] or "the initial rows of the pipeline"
                render.line(f"    line {row['line']} of {file} (drop {row['drop_id']})")


def show_answer(answer: Answer, limit: int) -> None:
    """The rows of a query."""
    render.table("", answer.columns, [[row[name] for name in answer.columns] for row in answer.rows])
    if answer.more:
        render.line(f"These are the first {render.counted(limit, 'row')}, and there are more. Try: --limit 0")
