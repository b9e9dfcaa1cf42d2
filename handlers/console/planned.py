"""Files that were planned and wait to be landed: a few, for a while, in a folder of this process."""

import shutil
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from secrets import token_urlsafe
from tempfile import mkdtemp
from threading import Lock
from typing import BinaryIO

from dropledger.core.errors import ConfigurationError

_KEPT = 5


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was uploaded: its `path`, whose name is its own, and the `feed` that was named for it, if any."""

    path: Path
    feed: str | None


class Uploads:
    """The newest uploads, by an id that nobody guesses; `close` removes them."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._kept: OrderedDict[str, Upload] = OrderedDict()
        self._alone = Lock()

    def keep(self, name: str, content: BinaryIO, feed: str | None) -> tuple[str, Upload]:
        """Copy a file to the disk; its id.

        Raises:
            ConfigurationError: its name is none that a file in the inbox can have.
        """
        fit = name.replace("\\", "/").rpartition("/")[2]
        if not fit or fit.startswith(".") or not fit.isprintable() or len(fit.encode()) > 200:
            raise ConfigurationError(f"a file cannot be named {name!r}"[:300], hint="rename it, and plan it again")
        with self._alone:
            if self._folder is None:
                self._folder = Path(mkdtemp(prefix="dropledger-console-"))
            upload_id = token_urlsafe(12)
            place = self._folder / upload_id
            place.mkdir()
            upload = Upload(place / fit, feed)
            with upload.path.open("wb") as file:
                shutil.copyfileobj(content, file, 1 << 20)
            self._kept[upload_id] = upload
            while len(self._kept) > _KEPT:
                _, oldest = self._kept.popitem(last=False)
                shutil.rmtree(oldest.path.parent, ignore_errors=True)
        return upload_id, upload

    def take(self, upload_id: str) -> Upload:
        """An upload, which is its caller's from now on.

        Raises:
            ConfigurationError: it is not there any more.
        """
        with self._alone:
            upload = self._kept.pop(upload_id, None)
        if upload is None:
            raise ConfigurationError("that file is not here any more", hint="plan it again")
        return upload

    def close(self) -> None:
        """Remove all."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
