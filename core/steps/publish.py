"""Publishing: artifacts are seen whole or not at all, and the manifest says which bytes belong together."""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dropledger.core.contracts.pipeline_spec import Mart, Pipeline
from dropledger.core.drop import sha256_of
from dropledger.core.ledger.files import artifacts_of
from dropledger.core.ports.session import Session
from dropledger.core.ports.store import Store
from dropledger.core.sql.text import escape_formula, listed, quoted
from dropledger.core.steps import patch
from dropledger.core.steps.marts import texts_to_escape

CHANGES = "changes.csv"
INITIAL = "initial"
"""Stands in place of the change file of a drop that filled an empty mart."""

REPORT = "quality_report.json"
REASON = "reason.json"
REJECTS = "rejects.csv"
MANIFEST = "outputs/manifest.json"
STAGED = (CHANGES, INITIAL, REPORT, REASON, REJECTS)
"""What may be staged for a claim, to be put in its place when the drop is committed."""

_THREADS = 2
"""So many files are hashed or copied at a time; others take their turns."""


@dataclass(frozen=True, slots=True)
class Published:
    """What was published last: the SHA-256 of its manifest, and for each mart the relation with the keys that were
    computed since, or None where these are not known.
    """

    manifest_sha256: str
    touched: Callable[[Mart], str | None]


def publish(
    session: Session,
    store: Store,
    pipeline: Pipeline,
    drops: Mapping[str, str | None],
    newest: str | None,
    last: Published | None = None,
    filled: Collection[str] = frozenset(),
    *,
    whole: bool,
) -> str | None:
    """Put each drop's own files and the marts' artifacts in place, the manifest last.

    `drops` are drop_ids in order of receipt, each with the claim_id that its own files were staged for;
    `newest` is the drop that the artifacts stand for. Unless `whole`, the artifacts stay as they are, and in the
    manifest, with the drop that they were written for. A repeated call for the same drops ends the same: this is how a
    crash between commit and publish is mended. Where it is known what was published `last`, large CSVs are brought up
    to date by their changed lines; the SHA-256 of the manifest is given for the next time, where that may be worth it.
    Marts that were `filled` just now may lie in order already.
    """
    entries, files = [], {}
    initial = any(claim_id and store.staged(claim_id, INITIAL).exists() for claim_id in drops.values())
    for drop_id, claim_id in drops.items():
        for staged, name in zip((CHANGES, REPORT), artifacts_of(drop_id), strict=True):
            path = store.staged(claim_id, staged) if claim_id else None
            if path is not None and path.exists():
                entries.append(_entry(path, name, drop_id))
                files[f"outputs/{name}"] = path
            elif store.exists(f"outputs/{name}"):  # put there before a crash
                entries.append(_entry(store.local_copy(f"outputs/{name}"), name, drop_id))
    store.put(files)
    with store.temporary() as folder:
        if whole:
            digests = _write_marts(session, store, pipeline, folder, last, filled)
            of_marts = [_entry(folder / name, name, newest, digests[name]) for name in artifact_names(pipeline)]
            store.put({f"outputs/{name}": folder / name for name in digests})
        else:
            of_marts = _listed_before(store, pipeline)
        manifest = folder / "manifest.json"
        listed_all = [*entries, *of_marts]
        document = {"pipeline": pipeline.name, "drop_id": newest, "initial": initial, "artifacts": listed_all}
        content = (json.dumps(document, indent=2) + "\n").encode()
        manifest.write_bytes(content)
        store.put({MANIFEST: manifest})
    large = any(entry["name"].endswith(".csv") and entry["size_bytes"] >= patch.SMALLEST_BYTES for entry in of_marts)
    return hashlib.sha256(content).hexdigest() if whole and large and session.capabilities.reads_in_place else None


def _write_marts(
    session: Session,
    store: Store,
    pipeline: Pipeline,
    folder: Path,
    last: Published | None,
    filled: Collection[str],
) -> dict[str, str]:
    """Write the marts' artifacts into a folder; the SHA-256 of each by name."""
    patches = _patches(session, store, pipeline, folder, last) if last else {}
    if not patches:
        return _digests([*export_marts(session, pipeline, folder, filled=filled).values()])
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_THREADS) as beside:  # what stays of the CSVs is copied while the engine writes the others
        begun = {name: beside.submit(found.write, folder / name) for name, found in patches.items()}
        exported = export_marts(session, pipeline, folder, but=begun)
    written = {name: done.result() for name, done in begun.items()}
    patched = {name: digest for name, digest in written.items() if digest}
    exported |= export_marts(session, pipeline, folder, but=patched.keys() | exported.keys())
    return patched | _digests([*exported.values()])


def _digests(paths: Sequence[Path]) -> dict[str, str]:
    """The SHA-256 of files, by name."""
    if sum(path.stat().st_size for path in paths) < patch.SMALLEST_BYTES:
        return {path.name: sha256_of(path) for path in paths}
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_THREADS) as threads:
        return dict(zip([path.name for path in paths], threads.map(sha256_of, paths), strict=True))


def _patches(
    session: Session, store: Store, pipeline: Pipeline, folder: Path, last: Published
) -> dict[str, patch.Patch]:
    """What brings CSVs up to date that few lines have changed in, by name, as far as the session is needed for it."""
    try:
        if sha256_of(store.local_copy(MANIFEST)) != last.manifest_sha256:
            return {}
    except OSError:
        return {}
    published = {entry["name"]: entry for entry in _listed_before(store, pipeline)}
    found = {}
    for mart in pipeline.marts:
        name, touched = f"{mart.name}.csv", last.touched(mart)
        entry = published.get(name)
        if entry and touched and entry["size_bytes"] >= patch.SMALLEST_BYTES:
            columns = _columns(session, pipeline, mart, "csv")
            with suppress(OSError):  # it is gone, or cannot be read: then it is written whole
                path, lines = store.local_copy(f"outputs/{name}"), folder / f"changed_{name}"
                of_mart = patch.patch_of(session, mart, columns, touched, path, entry["sha256"], lines)
                if of_mart:
                    found[name] = of_mart
    return found


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


def artifact_names(pipeline: Pipeline) -> list[str]:
    """The names below outputs/ of the marts' artifacts."""
    return [f"{mart.name}.{kind}" for mart in pipeline.marts for kind in mart.file.artifacts]


def read_manifest(store: Store) -> dict[str, Any] | None:
    """The manifest that is there; None where it is damaged."""
    try:
        listing = json.loads(store.local_copy(MANIFEST).read_bytes())
        entries = [(entry["name"], entry["sha256"]) for entry in listing["artifacts"]]
    except (FileNotFoundError, IsADirectoryError, ValueError, TypeError, KeyError):
        return None
    whole = "drop_id" in listing and all(isinstance(text, str) for entry in entries for text in entry)
    return listing if whole else None


def export_marts(
    session: Session,
    pipeline: Pipeline,
    folder: Path,
    but: Collection[str] = frozenset(),
    filled: Collection[str] = frozenset(),
) -> dict[str, Path]:
    """Write the marts' artifacts into a local folder, `but` for some names; the path of each by name.

    Of marts that were just `filled` it is asked whether they lie in order already, so that no file waits for another.
    """
    results: dict[str, list[Path]] = {}
    at_once = False
    for mart in pipeline.marts:
        in_order = mart.name in filled and session.rises(mart.name, mart.file.key)
        at_once = at_once or in_order
        order = "" if in_order else f" ORDER BY {listed(mart.file.key, 'm')}"
        for path in (folder / f"{mart.name}.{kind}" for kind in mart.file.artifacts):
            if path.name not in but:
                columns = _columns(session, pipeline, mart, path.suffix[1:])
                select = f"SELECT {columns} FROM {quoted(mart.name)} AS m{order}"
                results.setdefault(select, []).append(path)
    if at_once:
        session.export_at_once([(select, path) for select, paths in results.items() for path in paths])
    else:
        for select, paths in results.items():
            session.export(select, *paths)
    return {path.name: path for paths in results.values() for path in paths}


def _columns(session: Session, pipeline: Pipeline, mart: Mart, kind: str) -> str:
    """The columns of an artifact in SQL, of the mart as `m`."""
    texts = texts_to_escape(session, pipeline, mart) if kind == "csv" else frozenset()
    return ", ".join(
        f"{escape_formula(f'm.{quoted(name)}') if name in texts else f'm.{quoted(name)}'} AS {quoted(name)}"
        for name in mart.file.columns
    )


def _entry(path: Path, name: str, drop_id: str | None, sha256: str | None = None) -> dict[str, Any]:
    digest = sha256 or sha256_of(path)
    return {"name": name, "size_bytes": path.stat().st_size, "sha256": digest, "drop_id": drop_id}
