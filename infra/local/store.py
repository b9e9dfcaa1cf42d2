"""The root as a local folder.

A claimed file may bear its last name before it is kept under it, which is `dropledger.infra.local.placed`.

What is done to many files is done by some threads: the file system then makes several durable in one go, where
one by one each would wait for a turn of the disk.
"""

import errno
import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path, PurePosixPath
from tempfile import gettempdir
from typing import BinaryIO

from dropledger.core.drop import Claim, FileDropped, iso
from dropledger.core.errors import ConfigurationError, DropledgerError
from dropledger.core.ledger.files import BESIDE, fitting
from dropledger.core.ports import Clock
from dropledger.core.retry import OnWait, silently
from dropledger.infra.concurrency import for_each
from dropledger.infra.local import claim_folder, file_errors, placed
from dropledger.infra.local import look as local_look
from dropledger.infra.local.claims import LocalClaims
from dropledger.infra.local.file_lock import held
from dropledger.infra.local.file_names import readable
from dropledger.infra.local.folders import PRIVATE, folder_of, share, share_open, temporary_in
from dropledger.infra.local.inbox import Inbox
from dropledger.infra.local.look import FOLDERS, listed
from dropledger.infra.local.private_file import CopySource, copied
from dropledger.infra.partial_failure import Failures


class LocalStore:
    """A `dropledger.core.ports.store.Store` in a folder; durable by fsync, atomic by rename.

    `original` copies what stays its owner's.
    """

    atomic_uploads = False

    def __init__(self, root: Path, clock: Clock, on_wait: OnWait = silently, original: CopySource = copied) -> None:
        self._root = root.resolve()
        self._inbox = Inbox(self._root / "inbox")
        self._clock = clock
        self._on_wait = on_wait
        self._failures = Failures()
        self._claims = LocalClaims(self._root, self._inbox, clock, original, self._failures)
        self._placed: dict[str, str] = {}

    @property
    def root(self) -> str:
        return str(self._root)

    @property
    def inbox(self) -> Path:
        return self._inbox.path

    def prepare(self) -> None:
        """Make the folders of the layout.

        Raises:
            ConfigurationError: the root cannot be written to.
            Unavailable: the disk is full.
        """
        try:
            self._root.mkdir(PRIVATE, parents=True, exist_ok=True)
            for folder in FOLDERS:
                (self._root / folder).mkdir(PRIVATE, exist_ok=True)
        except OSError as error:
            if file_errors.is_full(error):
                raise file_errors.unavailable(self._root, error) from error
            raise ConfigurationError(
                f"the root {self._root} cannot be used",
                why=str(error),
                hint="choose a folder that you may write to with --root",
            ) from error

    def refuse_unless_there(self) -> None:
        try:
            why = "" if stat.S_ISDIR(self._root.stat().st_mode) else "it is no folder"
        except (FileNotFoundError, NotADirectoryError):  # of no other error: what may not be seen may be there
            why = "it does not exist"
        if why:
            hint = "name the root with --root; dropledger process FILE makes one"
            raise ConfigurationError(f"there is no root at {self._root}", why=why, hint=hint)

    def _is_at_work(self) -> bool:
        """Whether anybody may be at work in a root that is looked at; in one that was restored nobody was yet."""
        self.refuse_unless_there()
        if not any((self._root / folder).is_dir() for folder in ("work", "archive", "warehouse")):
            raise ConfigurationError(
                f"nothing was ever dropped into {self._root}",
                why="it has none of the folders of a root",
                hint="drop a file first: dropledger process FILE",
            )
        return (self._root / "work").is_dir()

    def is_of_root(self, path: Path) -> bool:
        asked = path.resolve()
        return asked == self._root or any(
            asked.is_relative_to(own)
            for folder in FOLDERS
            for own in (self._root / folder, (self._root / folder).resolve())
        )

    @contextmanager
    def exclusive(self, wait_seconds: float, *, looking: bool = False) -> Iterator[None]:
        if not looking:
            self.prepare()
        elif not self._is_at_work():
            yield
            return
        with (
            file_errors.translated_errors(self._root),
            held(
                self._root / "work" / ".lock",
                f"the root {self._root} is in use",
                f"process {os.getpid()} since {iso(self._clock())}",
                wait_seconds,
                self._on_wait,
            ),
        ):
            self._failures.forget()
            yield

    def arrivals(self, beginning: str = "") -> list[FileDropped]:
        return self._inbox.arrivals(beginning)

    def claim(self, dropped: Sequence[FileDropped]) -> list[Claim]:
        return self._claims.claim(dropped)

    def refused(self) -> DropledgerError | None:
        return self._failures.summary()

    def unfinished(self) -> list[Claim]:
        names = self._names_placed()
        claims = self._claims.unfinished(names)
        self._placed |= {claim.claim_id: names[claim.path] for claim in claims if claim.placed}
        return claims

    def claim_ids(self) -> list[str]:
        return [claim_id for claim_id, _ in claim_folder.claims_in(self._root / "work")]

    def staged(self, claim_id: str, name: str) -> Path:
        return self._claims.staged(claim_id, name)

    def secure(self, claims: Sequence[Claim]) -> None:
        self._claims.secure(claims)

    def temporary(self) -> AbstractContextManager[Path]:
        return temporary_in(self._root / "work" if (self._root / "work").is_dir() else Path(gettempdir()))

    def put(self, files: Mapping[str, Path]) -> None:
        for_each(self._put, list(files.items()))
        for_each(self._sync_folder_of, list({PurePosixPath(name).parent: name for name in files}.values()))

    def _put(self, file: tuple[str, Path]) -> None:
        name, source = file
        with folder_of(self._root, name) as (folder, last):
            share(source, folder)
            try:
                os.replace(source, last, dst_dir_fd=folder)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                # outputs/ may be a mount of its own: copy beside the target first, so that the rename stays atomic
                beside = _copy_beside(source, folder, last)
                os.replace(beside, last, src_dir_fd=folder, dst_dir_fd=folder)
                os.fsync(folder)  # or a crash of the machine may take the copy's name after the file itself
                source.unlink()

    def _sync_folder_of(self, name: str) -> None:
        with folder_of(self._root, name) as (folder, _):
            os.fsync(folder)

    def keep(self, claims: Mapping[str, Claim]) -> None:
        self.put({name: claim.path for name, claim in claims.items() if claim.path.exists()})
        for claim in claims.values():
            claim.path.unlink(missing_ok=True)  # which stays where a file is moved to a name that it has already
            self._placed.pop(claim.claim_id, None)

    def place(self, claim: Claim, name: str) -> None:
        if placed.place(claim.path, self._root, name):
            self._placed[claim.claim_id] = name

    def take_back(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            name = self._placed.pop(claim.claim_id, None)
            if name is not None:
                placed.take_back(claim.path, self._root, name)

    def _names_placed(self) -> dict[Path, str]:
        """The names in the archive of claimed files that are not kept there yet."""
        contents = [content for _, content in claim_folder.claims_in(self._root / "work")]
        return placed.found(contents, self._root, lambda: self._names("archive/"))

    def release(self, claims: Sequence[Claim]) -> None:
        self._claims.release(claims)
        self._inbox.tidy(self._clock())

    def exists(self, name: str) -> bool:
        return (self._root / name).exists()

    def names(self, beginning: str) -> Iterator[str]:
        not_yet = {readable(name) for name in self._names_placed().values()}
        yield from (told for name in self._names(beginning) if (told := readable(name)) not in not_yet)

    def _names(self, beginning: str) -> Iterator[str]:
        for where, _, files in os.walk(self._root / beginning, onerror=_unless_gone):
            folder = Path(where).relative_to(self._root)
            yield from (str(folder / name) for name in files if not name.startswith("."))

    def open(self, name: str) -> BinaryIO:
        return (self._root / name).open("rb")

    def local_copy(self, name: str) -> Path:
        return self._root / name

    def remove(self, name: str) -> None:
        with folder_of(self._root, name) as (folder, last), suppress(FileNotFoundError):
            os.unlink(last, dir_fd=folder)

    def backlog(self) -> dict[str, int]:
        if not self.inbox.is_dir():
            return {"inbox": 0, "work": 0, "quarantine": 0}
        return {
            "inbox": len(self.arrivals()),
            "work": len(self.claim_ids()),
            "quarantine": len(self.quarantined()),
        }

    def quarantined(self) -> list[str]:
        return [path.name for path in listed(self._root / "quarantine") if not path.name.endswith(BESIDE)]

    def stuck(self) -> list[tuple[str, str]]:
        return local_look.stuck(self._root)

    def problems(self) -> list[tuple[str, str]]:
        return local_look.problems(self._root) + self._inbox.problems()


def _unless_gone(error: OSError) -> None:
    """What cannot be listed is not taken for empty, but for folders that were never made."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _copy_beside(source: Path, folder: int, name: str) -> str:
    """Copy a file into a folder of another file system, under a name that nobody takes for complete."""
    beside = fitting(f".{name}.tmp")
    with suppress(FileNotFoundError):
        os.unlink(beside, dir_fd=folder)
    with (
        source.open("rb") as content,
        open(beside, "xb", opener=partial(os.open, mode=0o600, dir_fd=folder)) as copy,
    ):
        shutil.copyfileobj(content, copy, 1 << 20)
        copy.flush()
        share_open(copy.fileno(), folder)
    return beside
