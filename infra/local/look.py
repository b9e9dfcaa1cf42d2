"""What can be seen of a local root without changing anything: for the store, and for `doctor`."""

import os
from pathlib import Path

from dropledger.core.ledger.fault import COMPLETE, FAILED, read_note
from dropledger.infra.local import claim_folder
from dropledger.infra.local.inbox import may

FOLDERS = ("inbox", "work", "archive", "quarantine", "outputs", "warehouse")


def listed(folder: Path) -> list[Path]:
    """What lies in a folder, in order of name."""
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:  # gone, as folders that people drop into may be for a while
        return []


def stuck(root: Path) -> list[tuple[str, str]]:
    """What was claimed and does not go on by itself, each with what to try."""
    found, unfinished = [], 0
    for claim_id, content in claim_folder.claims_in(root / "work"):
        try:
            note = read_note(claim_folder.place(root / "work", claim_id, FAILED).read_bytes())
        except OSError:
            unfinished += 1
            continue
        hint = (
            f"{COMPLETE}, also after an upgrade; report it if it fails again; to do without the file, move {content} "
            f"away: {claim_folder.JOURNAL} beside it says what it was"
        )
        found.append((f"{note.get('error')}, at {note.get('failed_at')} in {note.get('dropledger')}", hint))
    if unfinished:
        found.insert(0, (f"{unfinished} claims are unfinished", COMPLETE))
    return found


def problems(root: Path) -> list[tuple[str, str]]:
    """What would keep the root's folders from being used, each with what to try; of its inbox `Inbox` tells."""
    there = [root / folder for folder in FOLDERS if (root / folder).is_dir()]
    found = [
        (f"{folder} cannot be written to", "give this user the right to write there")
        for folder in (there if len(there) == len(FOLDERS) else [root, *there])
        if not may(folder, os.W_OK | os.X_OK)
    ]
    found += [
        (
            f"{path} is for the group {path.stat().st_gid}, which this user is not in, so its files are not",
            "add this user to the group",
        )
        for path in there
        if path.stat().st_mode & 0o040 and not _in_group(path.stat().st_gid)
    ]
    return found


def _in_group(group: int) -> bool:
    return os.geteuid() == 0 or group in {os.getegid(), *os.getgroups()}
