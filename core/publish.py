"""Publishing: artifacts are seen whole or not at all, and the manifest says which bytes belong together."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.definition import Mart, Pipeline
from core.mart import texts_to_make_harmless
from core.ports import Session, Store
from core.report import artifacts_of
from core.sql import harmless, listed, quoted

CHANGES = "changes.csv"
INITIAL = "initial"
"""Stands in place of the change file of a drop that filled an empty mart."""

REPORT = "quality_report.json"
REASON = "reason.json"
REJECTS = "rejects.csv"
MANIFEST = "outputs/manifest.json"
STAGED = (CHANGES, INITIAL, REPORT, REASON, REJECTS)
"""What may lie in a claim's workspace, to be put in its place when the drop is committed."""


def publish(
    session: Session,
    store: Store,
    pipeline: Pipeline,
    drops: Mapping[str, str | None],
    newest: str | None,
    *,
    whole: bool,
) -> None:
    """Put each drop's own files and the marts' artifacts in place, the manifest last.

    `drops` are drop_ids in order of receipt, each with the claim_id in whose workspace its own files were staged;
    `newest` is the drop that the artifacts stand for. Unless `whole`, the artifacts stay as they are, and in the
    manifest, with the drop that they were written for. A repeated call for the same drops ends the same: this is how a
    crash between commit and publish is mended.
    """
    entries, files = [], {}
    initial = any(claim_id and (store.workspace(claim_id) / INITIAL).exists() for claim_id in drops.values())
    for drop_id, claim_id in drops.items():
        for staged, name in zip((CHANGES, REPORT), artifacts_of(drop_id), strict=True):
            path = store.workspace(claim_id) / staged if claim_id else None
            if path is not None and path.exists():
                entries.append(_entry(path, name, drop_id))
                files[f"outputs/{name}"] = path
            elif store.exists(f"outputs/{name}"):  # put there before a crash
                entries.append(_entry(store.local_copy(f"outputs/{name}"), name, drop_id))
    store.put(files)
    with store.temporary() as folder:
        if whole:
            exported = export_marts(session, pipeline, folder)
            entries += [_entry(path, name, newest) for name, path in exported.items()]
            store.put({f"outputs/{name}": path for name, path in exported.items()})
        else:
            entries += _listed_before(store, pipeline)
        manifest = folder / "manifest.json"
        document = {"pipeline": pipeline.name, "drop_id": newest, "initial": initial, "artifacts": entries}
        manifest.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        store.put({MANIFEST: manifest})


def published_pipeline(store: Store) -> str | None:
    """The pipeline whose artifacts the root has; None where there are none, or they do not say it."""
    if not store.exists(MANIFEST):
        return None
    with store.open(MANIFEST) as file:
        try:
            document = json.load(file)
        except ValueError:  # damaged, which who publishes next mends
            return None
    name = document.get("pipeline") if isinstance(document, dict) else None
    return name if isinstance(name, str) else None


def _listed_before(store: Store, pipeline: Pipeline) -> list[dict[str, Any]]:
    """The entries of the marts' artifacts in the manifest that is there."""
    listing = read_manifest(store) if store.exists(MANIFEST) else None
    return [entry for entry in listing["artifacts"] if entry["name"] in artifact_names(pipeline)] if listing else []


def artifact_names(pipeline: Pipeline) -> frozenset[str]:
    """The names below outputs/ of the marts' artifacts."""
    return frozenset(f"{mart.name}.{kind}" for mart in pipeline.marts for kind in mart.file.artifacts)


def read_manifest(store: Store) -> dict[str, Any] | None:
    """The manifest that is there; None where it is damaged."""
    try:
        listing = json.loads(store.local_copy(MANIFEST).read_bytes())
        entries = [(entry["name"], entry["sha256"]) for entry in listing["artifacts"]]
    except (FileNotFoundError, IsADirectoryError, ValueError, TypeError, KeyError):
        return None
    whole = "drop_id" in listing and all(isinstance(text, str) for entry in entries for text in entry)
    return listing if whole else None


def export_marts(session: Session, pipeline: Pipeline, folder: Path) -> dict[str, Path]:
    """Write the marts' artifacts into a local folder; the path of each by name."""
    written: dict[str, Path] = {}
    for mart in pipeline.marts:
        paths: dict[str, list[Path]] = {}
        for kind in mart.file.artifacts:
            paths.setdefault(_rows(session, pipeline, mart, kind), []).append(folder / f"{mart.name}.{kind}")
        for select, of_the_same_rows in paths.items():
            session.export(select, *of_the_same_rows)
            written |= {path.name: path for path in of_the_same_rows}
    return written


def _rows(session: Session, pipeline: Pipeline, mart: Mart, kind: str) -> str:
    """The SELECT behind an artifact of a mart: its columns, in the order of its key."""
    texts = texts_to_make_harmless(session, pipeline, mart) if kind == "csv" else frozenset()
    columns = ", ".join(
        f"{harmless(f'm.{quoted(name)}') if name in texts else f'm.{quoted(name)}'} AS {quoted(name)}"
        for name in mart.file.columns
    )
    return f"SELECT {columns} FROM {quoted(mart.name)} AS m ORDER BY {listed(mart.file.key, 'm')}"


def _entry(path: Path, name: str, drop_id: str | None) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    return {"name": name, "size_bytes": path.stat().st_size, "sha256": digest.hexdigest(), "drop_id": drop_id}
