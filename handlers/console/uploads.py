"""Uploads: files that were planned and may be landed; a few, for a while, in a folder of this process."""

import os
import re
import shutil
from collections import OrderedDict
from pathlib import Path
from secrets import token_hex
from tempfile import gettempdir, mkdtemp
from threading import Lock
from typing import BinaryIO

from dropledger.core.drop import is_temporary
from dropledger.core.errors import ConfigurationError, Unavailable
from dropledger.infra.local.file_lock import is_alive

_KEPT = 10
_FOLDER = "dropledger-console"
_OF_PROCESS = re.compile(rf"{_FOLDER}-(\d+)-.*")


class Uploads:
    """The newest uploads, by an id that nobody guesses; `close` removes them.

    What a process that was killed has left goes when another one begins.
    """

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._kept: OrderedDict[str, Path] = OrderedDict()
        self._alone = Lock()
        for folder in Path(gettempdir()).glob(f"{_FOLDER}-*"):
            process = _OF_PROCESS.fullmatch(folder.name)
            if process and folder.stat().st_uid == os.geteuid() and not is_alive(int(process[1])):
                shutil.rmtree(folder, ignore_errors=True)

    def keep(self, name: str, content: BinaryIO) -> tuple[str, Path]:
        """Copy a file to the disk; its id, and its path there, which ends in its name.

        Raises:
            ConfigurationError: its name is none that a file in the inbox can have.
            Unavailable: there is no room for it.
        """
        fit = name.replace("\\", "/").rpartition("/")[2]
        if not fit or is_temporary(fit) or not fit.isprintable() or len(fit.encode()) > 200:
            raise ConfigurationError(
                f"a file in the inbox cannot be named {name!r}"[:300],
                why="watch passes over names of files that are still being written, and names that no disk takes",
                hint="rename it, and plan it again",
            )
        upload_id = token_hex(8)
        try:
            path = self._place(upload_id) / fit
            with path.open("wb") as file:
                shutil.copyfileobj(content, file, 1 << 20)
        except OSError as error:
            raise no_room(error) from error
        with self._alone:
            self._kept[upload_id] = path
            while len(self._kept) > _KEPT:
                _, oldest = self._kept.popitem(last=False)
                shutil.rmtree(oldest.parent, ignore_errors=True)
        return upload_id, path

    def _place(self, upload_id: str) -> Path:
        with self._alone:
            if self._folder is None:
                self._folder = Path(mkdtemp(prefix=f"{_FOLDER}-{os.getpid()}-"))
        place = self._folder / upload_id
        place.mkdir()
        return place

    def take(self, upload_id: str) -> Path:
        """The path of an upload, which is its caller's from now on.

        Raises:
            ConfigurationError: it is not there any more.
        """
        with self._alone:
            path = self._kept.pop(upload_id, None)
        if path is None:
            raise ConfigurationError("that file is not here any more", hint="plan it again")
        return path

    def close(self) -> None:
        """Remove all."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def no_room(error: OSError) -> Unavailable:
    """What to tell where an upload cannot be written to the disk."""
    return Unavailable(
        "the upload cannot be kept",
        why=error.strerror or type(error).__name__,
        hint=f"free disk space in {gettempdir()}, or name another folder with TMPDIR",
    )
