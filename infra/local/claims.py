"""Claims in a local root: files taken into `work/`.

`claim.json` is made durable first; the move of a file to its place beside it is the claim, and the move of the bytes to
their last place ends it. Files that are claimed together share a folder and a `claim.json`: for each small file a
folder of its own would cost more than all else that is done to it, as the file system looks for a free place among
those that have just been given back.
"""

import errno
import os
import shutil
import stat
from collections.abc import Container, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from filecmp import cmp
from pathlib import Path
from secrets import token_hex

from dropledger.core.drop import CONTROL, Claim, FileDropped, described, restored
from dropledger.core.ports import Clock
from dropledger.infra.concurrency import for_each
from dropledger.infra.local import claim_folder, file_errors
from dropledger.infra.local.claim_folder import CONTENT, JOURNAL
from dropledger.infra.local.file_names import path_of, readable
from dropledger.infra.local.folders import PRIVATE
from dropledger.infra.local.inbox import Inbox, dropped_file, may, modified_at
from dropledger.infra.local.private_file import CopySource, copy_at_rest, make_private, sync
from dropledger.infra.partial_failure import Failures

_TOGETHER = 200
_COPY = "copy"


class LocalClaims:
    """The claims of a root; those who call hold it alone.

    `original` copies what stays its owner's.
    """

    def __init__(self, root: Path, inbox: Inbox, clock: Clock, original: CopySource, refusals: Failures) -> None:
        self._root = root
        self._work = root / "work"
        self._inbox = inbox
        self._clock = clock
        self._copy_source = original
        self._failures = refusals

    def claim(self, dropped: Sequence[FileDropped]) -> list[Claim]:
        claims = []
        for first in range(0, len(dropped), _TOGETHER):
            claims += self._claim_together(dropped[first : first + _TOGETHER])
        # What a folder lists is made durable once for all of them, where they are before where they were.
        if claims:
            sync(self._work)
        for folder in {path_of(fact.uri).parent for fact in dropped if not fact.keep_original}:
            with suppress(FileNotFoundError):  # the inbox may go when the files are out of it
                sync(folder)
        return claims

    def _claim_together(self, dropped: Sequence[FileDropped]) -> list[Claim]:
        folder = self._new_folder()
        try:
            wanted = list(zip(claim_folder.new_claim_ids(folder, len(dropped)), dropped, strict=True))
            copied = dict(zip((claim_id for claim_id, _ in wanted), for_each(self._copied, wanted), strict=True))
            journal = [described(copied[claim_id] or fact) for claim_id, fact in wanted]
            _write_durably(folder / JOURNAL, b"\n".join(journal))
            there = [(claim_id, fact) for claim_id, fact in copied.items() if fact is not None]
            claims = [claim for claim in for_each(self._taken, there) if claim is not None]
            sync(folder)
        finally:
            with suppress(OSError):
                claim_folder.tidy(folder)
        return claims

    def _new_folder(self) -> Path:
        folder = self._work / f"{self._clock():%Y%m%dT%H%M%S%f}-{token_hex(4)}"
        try:
            folder.mkdir(PRIVATE)
        except PermissionError as error:  # which is that of the root, not of a file that is to be taken
            raise file_errors.unavailable(self._root, error) from error
        return folder

    def _copied(self, wanted: tuple[str, FileDropped]) -> FileDropped | None:
        """What dropped, a copy of it made where it stays its owner's, and one of its control file in any case.

        None if it is gone, or cannot be copied.
        """
        claim_id, dropped = wanted
        try:
            if dropped.control is not None:
                self._copy_control(claim_id, dropped.control)
            if not dropped.keep_original:
                return dropped
            return replace(self._copy_source(dropped, self.staged(claim_id, _COPY)), control=None)
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001 - one file keeps no other; what would is raised again
            self._failures.add(dropped.uri, error)
            return None

    def _copy_control(self, claim_id: str, control: FileDropped) -> None:
        copy = self.staged(claim_id, CONTROL)
        if control.keep_original:
            self._copy_source(control, copy)
        else:
            copy_at_rest(self._inbox.source_of(control), copy)

    def _with_control(self, claim: Claim) -> Claim:
        """The claim with the copy of its control file; what was copied goes from the inbox, now that it is claimed."""
        copy, control = self.staged(claim.claim_id, CONTROL), claim.dropped.control
        if not copy.exists():
            return claim
        if control is not None:
            with suppress(FileNotFoundError):
                source = self._inbox.source_of(control)
                # What has taken its place since is that of another drop.
                if source.stat().st_mtime_ns == copy.stat().st_mtime_ns and cmp(source, copy, shallow=False):
                    source.unlink()
        return replace(claim, control=copy)

    def _taken(self, wanted: tuple[str, FileDropped]) -> Claim | None:
        """The claim of a file that `claim.json` has; None if another file is in its place, or it cannot be taken."""
        claim_id, dropped = wanted
        content = self.staged(claim_id, CONTENT)
        try:
            if dropped.keep_original:
                os.replace(self.staged(claim_id, _COPY), content)
            elif self._has_moved(dropped, content):
                make_private(content)
            else:
                return None
            # Another file may have taken the place of the one that landed.
            return self._with_control(_as_it_is(Claim(claim_id, content, replace(dropped, keep_original=False))))
        except Exception as error:  # noqa: BLE001 - one file keeps no other; what would is raised again
            self._failures.add(dropped.uri, error)
            return None

    def _has_moved(self, dropped: FileDropped, content: Path) -> bool:
        """Move a file that landed to its claim, if it is there still and nothing else has taken its place."""
        try:
            source = self._inbox.source_of(dropped)
            if dropped_file(source).modified_at != dropped.modified_at:
                return False  # another file by now, which may still be written to
        except FileNotFoundError:
            return False
        if not may(source, os.R_OK):  # then not even a copy could be made of it
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(source))
        try:
            _move(source, content)
        except OSError as error:
            if not content.exists():  # network mounts tell of errors of what they have done
                if isinstance(error, FileNotFoundError):
                    return False
                raise
        if stat.S_ISREG(content.lstat().st_mode):
            return True
        # A link that took the file's place would lead out of the inbox.
        try:
            os.rename(content, source)
        except OSError:
            shutil.rmtree(content, ignore_errors=True)
            content.unlink(missing_ok=True)
        return False

    def unfinished(self, placed: Container[Path]) -> list[Claim]:
        """What an earlier process left; the files in `placed` bear their last name already, and were private then."""
        found = []
        for folder in claim_folder.folders(self._work):
            try:
                left = self._left(folder)
            except Exception as error:  # noqa: BLE001 - one file keeps no other; what would is raised again
                self._failures.add(str(folder), error)
                continue
            for claim in left:
                try:
                    is_placed = claim.path in placed
                    if not is_placed:
                        make_private(claim.path)
                    found.append(self._with_control(_as_it_is(replace(claim, placed=is_placed))))
                except Exception as error:  # noqa: BLE001 - as above
                    self._failures.add(claim.dropped.uri, error)
        return found

    def _left(self, folder: Path) -> list[Claim]:
        """The claims that an earlier process left in a folder."""
        # Where the bytes are not, the claim never happened and the file is where it was, or all is done.
        claim_folder.tidy(folder)
        if not folder.exists():
            return []
        journal, damage = b"", ""
        try:
            journal = (folder / JOURNAL).read_bytes()
        except FileNotFoundError:
            damage = "is missing"
        return [self._restored(claim_id, journal, damage) for claim_id in claim_folder.claim_ids(folder)]

    def _restored(self, claim_id: str, journal: bytes, damage: str) -> Claim:
        content = self.staged(claim_id, CONTENT)
        if not damage:
            try:
                return Claim(claim_id, content, restored(claim_folder.line(journal, claim_id)))
            except ValueError as error:
                damage = f"cannot be read ({type(error).__name__})"
        dropped = FileDropped(readable(str(content)), claim_id, datetime.min.replace(tzinfo=UTC))
        return Claim(claim_id, content, dropped, f"work/{content.parent.name}/{JOURNAL} {damage}")

    def staged(self, claim_id: str, name: str) -> Path:
        return claim_folder.place(self._work, claim_id, name)

    def secure(self, claims: Sequence[Claim]) -> None:
        # The bytes, and what says whose they are, are durable since the files were claimed.
        files, folders = claim_folder.staged(self._work, [claim.claim_id for claim in claims])
        for_each(sync, files)
        for_each(sync, folders)

    def release(self, claims: Sequence[Claim]) -> None:
        # The bytes first: without what says whose they are, they would be taken for a claim that was damaged.
        for_each(_remove, [self.staged(claim.claim_id, CONTENT) for claim in claims])
        for folder in dict.fromkeys(claim.path.parent for claim in claims):
            with suppress(OSError):
                claim_folder.tidy(folder)


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _as_it_is(claim: Claim) -> Claim:
    """The claim with the time of the file that it holds."""
    return replace(claim, dropped=replace(claim.dropped, modified_at=modified_at(claim.path)))


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _move(source: Path, target: Path) -> None:
    """Move a file, if need be to another file system: then it goes from where it was only when the copy is safe."""
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        before = _content_mark(source)
        copy_at_rest(source, target)
        try:
            if _content_mark(source) != before:
                raise FileNotFoundError(f"{source} is another file by now") from None
            for folder in (target.parent, target.parent.parent):  # or a crash of the machine may take the copy's name
                sync(folder)
            source.unlink()
        except OSError:
            target.unlink()
            raise


def _content_mark(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns
