"""Publishing: artifacts are seen whole or not at all, and the manifest says which bytes belong together."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.definition import Pipeline
from core.drop import Claim
from core.ports import Session, Store
from core.sql import listed, quoted

CHANGES = "changes.csv"
REPORT = "quality_report.json"
REASON = "reason.json"
REJECTS = "rejects.csv"


@dataclass(frozen=True, slots=True)
class Publication:
    """A drop to publish, with the claim in whose workspace its own files were staged, if it is still there."""

    drop_id: str
    claim: Claim | None


def publish(session: Session, store: Store, pipeline: Pipeline, publications: Sequence[Publication]) -> None:
    """Put each drop's own files and the marts' artifacts in place, the manifest last.

    A repeated call for the same drops ends the same: this is how a crash between commit and publish is mended.
    """
    newest = publications[-1].drop_id
    with store.temporary() as folder:
        entries = []
        for publication in publications:
            for staged, name in (
                (CHANGES, f"changes/{publication.drop_id}.csv"),
                (REPORT, f"quality_reports/quality_report_{publication.drop_id}.json"),
            ):
                path = store.workspace(publication.claim) / staged if publication.claim else None
                if path is not None and path.exists():
                    entries.append(_entry(path, name, publication.drop_id))
                    store.put(path, f"outputs/{name}")
                elif store.exists(f"outputs/{name}"):  # put there before a crash
                    entries.append(_entry(store.local_copy(f"outputs/{name}"), name, publication.drop_id))
        for mart in pipeline.marts:
            for kind in mart.file.artifacts:
                name = f"{mart.name}.{kind}"
                path = folder / name
                session.export(f"SELECT {listed(mart.file.columns)} FROM {quoted(mart.name)} ORDER BY {listed(mart.file.key)}", path, kind)
                entries.append(_entry(path, name, newest))
                store.put(path, f"outputs/{name}")
        manifest = folder / "manifest.json"
        manifest.write_text(json.dumps({"drop_id": newest, "artifacts": entries}, indent=2) + "\n", encoding="utf-8")
        store.put(manifest, "outputs/manifest.json")


def _entry(path: Path, name: str, drop_id: str) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    return {"name": name, "size_bytes": path.stat().st_size, "sha256": digest.hexdigest(), "drop_id": drop_id}
