"""The inbox of a root in a folder: files at any depth below it, the folders of feeds and of dates among them."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dropledger.core.drop import FileDropped, is_temporary
from dropledger.core.errors import ConfigurationError
from dropledger.core.steps.address import feed_of_folders, is_dated
from dropledger.infra.local.file_names import path_of, readable

_REST = timedelta(days=1)


def dropped_file(
    path: Path, *, feed: str | None = None, as_of: datetime | None = None, keep_original: bool = False
) -> FileDropped:
    """The fact that the file at `path` landed.

    Raises:
        FileNotFoundError: it is gone.
        ConfigurationError: it was changed at a time that no calendar has.
    """
    return FileDropped(
        uri=readable(str(path)),
        name=readable(path.name),
        modified_at=modified_at(path),
        feed=feed,
        as_of=as_of,
        keep_original=keep_original,
    )


def modified_at(path: Path) -> datetime:
    """When a file was last changed.

    Raises:
        FileNotFoundError: it is gone.
        ConfigurationError: no calendar has that time.
    """
    modified_ns = path.stat().st_mtime_ns
    try:
        moment = datetime.fromtimestamp(modified_ns // 1_000_000_000, UTC)
    except (ValueError, OverflowError) as error:
        raise ConfigurationError(
            f"{path} was changed at a time that no calendar has", hint="give it another one: touch FILE"
        ) from error
    return moment.replace(microsecond=modified_ns // 1000 % 1_000_000)


class Inbox:
    """A folder that files land in. Links, and folders with temporary names, are never followed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tidied: datetime | None = None

    def arrivals(self, beginning: str = "") -> list[FileDropped]:
        """The regular files, by folder, whose paths in the inbox begin so; whose feed a folder may name.

        Raises:
            PermissionError: the inbox itself cannot be listed; of a folder in it, `problems` tells.
        """
        found = []
        for folder, names in self._walk():
            feed, feed_if_known = feed_of_folders([*map(readable, folder.relative_to(self.path).parts)])
            for name in names:
                path = folder / name
                if is_temporary(name) or not str(path.relative_to(self.path)).startswith(beginning):
                    continue
                # Taken by its owner between the listing and now; or of no time, or out of reach, as `problems` says.
                with suppress(FileNotFoundError, PermissionError, ConfigurationError):
                    if stat.S_ISREG(path.lstat().st_mode):
                        found.append(replace(dropped_file(path, feed=feed), feed_if_known=feed_if_known))
        return found

    def _walk(self) -> Iterator[tuple[Path, list[str]]]:
        """Each folder with the names in it that are no folders, in order of name."""
        pending = [self.path]  # no recursion: folders may be nested deeper than Python's calls
        while pending:
            folder = pending.pop()
            try:
                with os.scandir(folder) as entries:
                    listed = sorted(entries, key=lambda entry: entry.name)
            except FileNotFoundError:  # as folders that people drop into may be for a while
                continue
            except OSError:  # as lost+found where the inbox is a file system of its own
                if folder == self.path:
                    raise
                continue
            folders = {entry.name: None for entry in listed if entry.is_dir(follow_symlinks=False)}
            yield folder, [entry.name for entry in listed if entry.name not in folders]
            pending += [folder / name for name in reversed(folders) if not is_temporary(name)]

    def source_of(self, dropped: FileDropped) -> Path:
        """Where a file lies that landed here.

        Raises:
            FileNotFoundError: a folder above it is gone, or a link out of the inbox has taken its place.
        """
        source = path_of(dropped.uri)
        if source.parent != self.path and not source.parent.resolve(strict=True).is_relative_to(self.path.resolve()):
            raise FileNotFoundError(f"{source} does not lie in {self.path}")
        return source

    def tidy(self, now: datetime) -> None:
        """Delete folders of dates that are empty and were left alone for a day; newer ones may be about to be filled.

        Looks once a day, since it goes through all that lies here.
        """
        if self._tidied is not None and now - self._tidied < _REST:
            return
        self._tidied = now
        for folder, _ in reversed([*self._walk()]):
            if folder != self.path and is_dated(folder.name):
                # It may be filled, or gone, by now: what is not empty stays.
                with suppress(OSError, OverflowError, ValueError):
                    if datetime.fromtimestamp(folder.stat().st_mtime, UTC) < now - _REST:
                        folder.rmdir()

    def problems(self) -> list[tuple[str, str]]:
        """Why what lies here will not be taken, each with what to try."""
        found = []
        pending = [self.path]
        while pending:
            folder = pending.pop()
            if not folder.exists():  # tidied away by now
                continue
            if not may(folder, os.R_OK | os.X_OK):
                found.append((f"{folder} cannot be listed, so nothing in it will be taken", "let this user list it"))
                continue
            for path in sorted(folder.iterdir()):
                if path.is_dir() and not path.is_symlink():
                    pending += [] if is_temporary(path.name) else [path]
                    continue
                problem = _problem_of(path)
                found += [problem] if problem else []
        return found


def _problem_of(path: Path) -> tuple[str, str] | None:
    """Why what lies in the inbox will not be taken, and what to do about it."""
    try:
        if stat.S_ISREG(path.lstat().st_mode):
            modified_at(path)
            return None if may(path, os.R_OK) else (f"{readable(str(path))} cannot be read", "let this user read it")
    except FileNotFoundError:  # taken by now
        return None
    except ConfigurationError as error:
        return error.what, error.hint
    return f"{readable(str(path))} is not a regular file and will never be loaded", "drop the file itself"


def may(path: Path, mode: int) -> bool:
    """Whether the user that acts here has these rights, not the one that it was started by."""
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)
