"""Where the files of a drop lie under the root, by their names."""

import json
from datetime import datetime

from dropledger.core.ports.store import Store


def archive_name(feed: str, as_of: datetime, drop_id: str, name: str) -> str:
    """Where a drop is kept under the root; the folder is the day from which its rows are true."""
    return f"archive/{feed}/{as_of.year:04}/{as_of:%m/%d}/{fitting(f'{drop_id}-{name}')}"


def control_name(archived: str) -> str:
    """Where the control file of an archived drop is kept under the root: beside it."""
    folder, _, name = archived.rpartition("/")
    return f"{folder}/{fitting(name, len(CONTROL_FILE))}{CONTROL_FILE}"


def fitting(name: str, room: int = 0) -> str:
    """A file name cut in its middle to the 255 bytes, less `room`, that file systems allow."""
    encoded = name.encode()
    limit = 255 - room
    if len(encoded) <= limit:
        return name
    return encoded[: limit - 40].decode("utf-8", "ignore") + "~" + encoded[-32:].decode("utf-8", "ignore")


def artifacts_of(drop_id: str) -> tuple[str, str]:
    """The names of a drop's own artifacts under `outputs/`."""
    return f"changes/{drop_id}.csv", f"quality_reports/quality_report_{drop_id}.json"


CONTROL_FILE = ".control_file"
"""What the name of a control file ends in where it is kept, whatever its sender calls it."""

BESIDE = (".reason.json", ".rejects.csv", CONTROL_FILE)
"""What the names end in that lie beside a file in quarantine, or in its place."""


def quarantine_names(drop_id: str, name: str) -> tuple[str, str]:
    """Where a refused file is put: under its own name, or, where another lies there, behind its drop_id."""
    room = max(map(len, BESIDE))
    return f"quarantine/{fitting(name, room)}", f"quarantine/{fitting(f'{drop_id}-{name}', room)}"


def files_of(store: Store, drop_id: str, name: str) -> list[str]:
    """The names under the root of what lies in quarantine of a drop whose file has this name."""
    for begins in quarantine_names(drop_id, name):
        if drop_told(store, f"{begins}.reason.json") == drop_id:
            return [f"{begins}{ending}" for ending in ("", *BESIDE) if store.exists(f"{begins}{ending}")]
    return []


def drop_told(store: Store, reason: str) -> str | None:
    """The drop that a reason tells of; None for what is none, as a dropped file of such a name may hold anything."""
    if not store.exists(reason):
        return None
    with store.open(reason) as file:
        try:
            document = json.load(file)
        except ValueError:
            return None
    told = document.get("drop_id") if isinstance(document, dict) else None
    return told if isinstance(told, str) else None
