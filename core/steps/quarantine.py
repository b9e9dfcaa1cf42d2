"""Quarantine: a refused file is set apart whole, with what is wrong and how to mend it beside it."""

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from filecmp import cmp
from typing import Any

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.drop import iso
from dropledger.core.errors import DataRefused
from dropledger.core.formats.extract import Drop
from dropledger.core.ledger.files import BESIDE, CONTROL_FILE, artifacts_of, drop_told, quarantine_names
from dropledger.core.ports.session import Session
from dropledger.core.ports.store import DropStore, Store
from dropledger.core.sql.text import escape_formula, literal, statement
from dropledger.core.steps.publish import REASON, REJECTS, REPORT


def stage_reason(store: DropStore, drop: Drop, refusal: DataRefused, at: datetime) -> None:
    """Stage the reason, before the outcome is recorded."""
    reason: dict[str, Any] = {
        "drop_id": drop.drop_id,
        "name": drop.name,
        "feed": drop.feed or None,
        "as_of": iso(drop.as_of.moment),
        "as_of_source": str(drop.as_of.source),
        "sha256": drop.sha256,
        "size_bytes": drop.size_bytes,
        "quarantined_at": iso(at),
        "rule": refusal.rule,
        "error": f"{refusal.what}: {refusal.detail}" if refusal.detail else refusal.what,
        "fix": refusal.hint,
    }
    path = store.staged(drop.claim.claim_id, REASON)
    path.write_text(json.dumps(reason, indent=2) + "\n", encoding="utf-8")


def record_rejects(session: Session, source: str, drop_id: str, sequence: int) -> None:
    """Keep in the ledger the rows of `source` that `_dl_left_out` has, with their text as received."""
    session.raw_rows(source, "_dl_left_out", "_dl_raw_row")
    session.insert_select(
        "rejected_row",
        ("drop_id", "sequence", "line", "column_name", "rule", "reason", "raw"),
        statement("rejected_rows"),
        {"drop_id": drop_id, "sequence": sequence},
    )


def stage_rejects(session: Session, store: DropStore, drop: Drop, sequence: int, pipeline: Pipeline) -> None:
    """Stage the refused rows of the delivery, in order of line."""
    raw = escape_formula("raw") if pipeline.file.makes_texts_harmless else "raw"
    session.export(
        f"""SELECT line, column_name, rule, reason, {raw} AS raw
        FROM rejected_row
        WHERE drop_id = {literal(drop.drop_id)}
            AND sequence = {sequence}
        ORDER BY line""",
        store.staged(drop.claim.claim_id, REJECTS),
    )


def file_name(store: Store, drop: Drop) -> str:
    """The drop's name under `quarantine/`: its own, unless something of another drop has it already."""
    name, other = quarantine_names(drop.drop_id, drop.name)
    taken = [ending for ending in ("", *BESIDE) if store.exists(f"{name}{ending}")]
    if not taken or drop_told(store, f"{name}.reason.json") == drop.drop_id:
        return name
    if taken == [".rejects.csv"] and _holds_rejects_of(store, f"{name}.rejects.csv", drop):
        return name
    return other


def unresolved(store: Store, superseded: Callable[[Iterable[str]], set[str]]) -> list[str]:
    """The names of the refused files that still wait for somebody; `superseded` tells which drops do not."""
    told = {name: drop_told(store, f"quarantine/{name}.reason.json") for name in store.quarantined()}
    settled = superseded({drop_id for drop_id in told.values() if drop_id is not None})
    return [name for name, drop_id in told.items() if drop_id not in settled]


def _holds_rejects_of(store: Store, name: str, drop: Drop) -> bool:
    """Whether a file has the staged refused rows of this drop, put there by a process that died or is as far."""
    path = store.staged(drop.claim.claim_id, REJECTS)
    return path.exists() and cmp(store.local_copy(name), path, shallow=False)


def place_rejects(store: Store, drop: Drop) -> None:
    """Put the staged refused rows where those of a file of this name would be in quarantine."""
    path = store.staged(drop.claim.claim_id, REJECTS)
    if path.exists():
        store.put({f"{file_name(store, drop)}.rejects.csv": path})


def set_apart(store: Store, drop: Drop) -> str:
    """Move the file, its control file and what was staged for it to quarantine; a repeated call changes nothing."""
    name, claim_id = file_name(store, drop), drop.claim.claim_id
    staged = {
        f"{name}.reason.json": store.staged(claim_id, REASON),
        f"outputs/{artifacts_of(drop.drop_id)[1]}": store.staged(claim_id, REPORT),
    }
    store.put({target: path for target, path in staged.items() if path.exists()})
    if drop.claim.control is not None:  # behind the reason, by which the name is found again
        store.put({f"{name}{CONTROL_FILE}": drop.claim.control})
    place_rejects(store, drop)
    store.keep({name: drop.claim})
    return name
