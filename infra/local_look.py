"""What can be seen of a local root without changing anything: for the store, and for `doctor`."""

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

from core.drop import is_temporary
from core.errors import ConfigurationError
from core.fault import COMPLETE, FAILED, read_note
from infra.file_names import readable

FOLDERS = ("inbox", "work", "archive", "quarantine", "outputs", "warehouse")


def modified_at(path: Path) -> datetime:
    """When a file was last changed (UTC).

    Raises:
        ConfigurationError: at a time that no calendar has.
    """
    modified_ns = path.stat().st_mtime_ns
    try:
        moment = datetime.fromtimestamp(modified_ns // 1_000_000_000, UTC)
    except (ValueError, OverflowError) as error:
        raise ConfigurationError(
            f"{path} was changed at a time that no calendar has", hint="give it another one: touch FILE"
        ) from error
    return moment.replace(microsecond=modified_ns // 1000 % 1_000_000)


def feed_folders(inbox: Path) -> list[Path]:
    """The folders right in the inbox."""
    return [path for path in listed(inbox) if path.is_dir() and not path.is_symlink() and not is_temporary(path.name)]


def listed(folder: Path) -> list[Path]:
    """What lies in a folder, in order of name."""
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:  # gone, as folders that people drop into may be for a while
        return []


def stuck(root: Path) -> list[tuple[str, str]]:
    """What was claimed and does not go on by itself, each with what to try."""
    found, unfinished = [], 0
    for workspace in (path for path in listed(root / "work") if path.is_dir()):
        try:
            note = read_note((workspace / FAILED).read_bytes())
        except OSError:
            unfinished += 1
            continue
        hint = (
            f"{COMPLETE}, also after an upgrade; report it if it fails again; to do without the file, move the "
            f"folder {workspace} away: content is the file, claim.json says what it was"
        )
        found.append((f"{note.get('error')}, at {note.get('failed_at')} in {note.get('dropledger')}", hint))
    if unfinished:
        found.insert(0, (f"{unfinished} claims are unfinished", COMPLETE))
    return found


def problems(root: Path) -> list[tuple[str, str]]:
    """What would keep the root from working, each with what to try."""
    inbox = root / "inbox"
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
    for folder in [inbox, *feed_folders(inbox)] if inbox in there else []:
        if not may(folder, os.R_OK | os.X_OK):
            found.append((f"{folder} cannot be listed, so nothing in it will be taken", "let this user list it"))
            continue
        problems = [_problem_of(path, nested=folder != inbox) for path in listed(folder)]
        found += [problem for problem in problems if problem is not None]
    return found


def _problem_of(path: Path, *, nested: bool) -> tuple[str, str] | None:
    """Why what lies in the inbox, or `nested` in a folder there, will not be taken, and what to do about it."""
    try:
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode):
            modified_at(path)
            return None if may(path, os.R_OK) else (f"{readable(str(path))} cannot be read", "let this user read it")
    except FileNotFoundError:  # taken by now
        return None
    except ConfigurationError as error:
        return error.what, error.hint
    if stat.S_ISDIR(mode) and not nested:
        return None
    return f"{readable(str(path))} is not a regular file and will never be loaded", "drop the file itself"


def may(path: Path, mode: int) -> bool:
    """Whether the user that acts here has these rights, not the one that it was started by."""
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _in_group(group: int) -> bool:
    return os.geteuid() == 0 or group in {os.getegid(), *os.getgroups()}
