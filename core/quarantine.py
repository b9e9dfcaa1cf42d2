"""Quarantine: a refused file is set apart whole, with what is wrong and how to mend it beside it."""

import json
from datetime import datetime
from filecmp import cmp
from typing import Any

from core.definition import Pipeline
from core.drop import iso
from core.errors import DataRefused
from core.intake import Drop, fitting
from core.ports import Session, Store
from core.publish import REASON, REJECTS, REPORT
from core.report import artifacts_of
from core.sql import harmless, literal

BESIDE = (".reason.json", ".rejects.csv")
"""What the names end in that lie beside a file in quarantine, or in its place."""

_ROOM = len(".reason.json")


def stage_reason(store: Store, drop: Drop, refusal: DataRefused, at: datetime) -> None:
    """Write the reason into the claim's workspace, before the outcome is recorded."""
    reason: dict[str, Any] = {
        "drop_id": drop.drop_id,
        "name": drop.name,
        "feed": drop.feed or None,
        "as_of": iso(drop.as_of.moment),
        "sha256": drop.sha256,
        "size_bytes": drop.size_bytes,
        "quarantined_at": iso(at),
        "rule": refusal.rule,
        "error": f"{refusal.what}: {refusal.detail}" if refusal.detail else refusal.what,
        "fix": refusal.hint,
    }
    path = store.workspace(drop.claim.claim_id) / REASON
    path.write_text(json.dumps(reason, indent=2) + "\n", encoding="utf-8")


def stage_rejects(session: Session, store: Store, drop: Drop, pipeline: Pipeline) -> None:
    """Write the refused rows of the drop, in order of line, into the claim's workspace."""
    raw = harmless("raw") if pipeline.file.makes_texts_harmless else "raw"
    session.export(
        f"""SELECT line, column_name, rule, reason, {raw} AS raw
        FROM rejected_row
        WHERE drop_id = {literal(drop.drop_id)}
        ORDER BY line""",
        store.workspace(drop.claim.claim_id) / REJECTS,
        "csv",
    )


def file_name(store: Store, drop: Drop) -> str:
    """The drop's name under `quarantine/`: its own, unless something of another drop has it already."""
    name = f"quarantine/{fitting(drop.name, _ROOM)}"
    taken = [ending for ending in ("", *BESIDE) if store.exists(f"{name}{ending}")]
    if not taken or _tells_of(store, f"{name}.reason.json", drop):
        return name
    if taken == [".rejects.csv"] and _holds_rejects_of(store, f"{name}.rejects.csv", drop):
        return name
    return f"quarantine/{fitting(f'{drop.drop_id}-{drop.name}', _ROOM)}"


def _holds_rejects_of(store: Store, name: str, drop: Drop) -> bool:
    """Whether a file has the staged refused rows of this drop, put there by a process that died or is as far."""
    path = store.workspace(drop.claim.claim_id) / REJECTS
    return path.exists() and cmp(store.local_copy(name), path, shallow=False)


def _tells_of(store: Store, reason: str, drop: Drop) -> bool:
    """Whether a file is the reason of this drop; a dropped file may bear such a name too, and hold anything."""
    if not store.exists(reason):
        return False
    with store.open(reason) as file:
        try:
            document = json.load(file)
        except ValueError:
            return False
    return isinstance(document, dict) and document.get("drop_id") == drop.drop_id


def place_rejects(store: Store, drop: Drop) -> None:
    """Put the staged refused rows where those of a file of this name would be in quarantine."""
    path = store.workspace(drop.claim.claim_id) / REJECTS
    if path.exists():
        store.put({f"{file_name(store, drop)}.rejects.csv": path})


def set_apart(store: Store, drop: Drop) -> str:
    """Move the file and what was staged for it to quarantine; a repeated call changes nothing."""
    name, workspace = file_name(store, drop), store.workspace(drop.claim.claim_id)
    staged = {f"{name}.reason.json": workspace / REASON, f"outputs/{artifacts_of(drop.drop_id)[1]}": workspace / REPORT}
    store.put({target: path for target, path in staged.items() if path.exists()})
    place_rejects(store, drop)
    store.keep({name: drop.claim})
    return name
