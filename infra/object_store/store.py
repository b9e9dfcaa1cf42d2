"""The root as a bucket and prefix.

An object that lands stays in the inbox, as that version of it, until the drop is archived; so there is nothing to
take back when a process dies. What a drop is to publish is written under `work/<claim_id>/` right before the commit,
`claim.json` first, and goes when the drop is archived: a claim found there may be committed, and is to be completed.

Nobody holds the bucket. Several processes may do the same work, and the first to write the warehouse is right; to the
others `Conflict` is raised, and they begin again. What they write elsewhere is written in place of what was there
before they made sure that the warehouse is still as they left it, so that a slow process never hides newer artifacts.
"""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from dropledger.core.drop import CONTROL, Claim, FileDropped, described, is_temporary, iso, restored
from dropledger.core.errors import Busy, ConfigurationError, DropledgerError, Postponed
from dropledger.core.ledger.fault import COMPLETE, meets_one_file
from dropledger.core.ledger.files import BESIDE
from dropledger.core.ports import Clock
from dropledger.core.retry import OnWait, silently
from dropledger.core.steps.address import feed_of_folders
from dropledger.infra.concurrency import for_each
from dropledger.infra.local import file_errors
from dropledger.infra.local.file_lock import held
from dropledger.infra.local.folders import PRIVATE, temporary_in
from dropledger.infra.local.private_file import CopySource, copied
from dropledger.infra.object_store.bucket import AS_OF, Bucket, Gone, Listed, moment_in, with_metadata
from dropledger.infra.partial_failure import Failures

_OPTION = "dropledger-as-of"
_MODIFIED = "dropledger-modified-at"


class _Refused(Exception):
    """A file cannot be taken from where it lies, because of an error that keeps no other."""

    def __init__(self, error: DropledgerError) -> None:
        super().__init__(str(error))
        self.error = error


class ObjectStore:
    """A `Store` of core in a bucket; `local` is a folder for the files at hand, `original` copies what stays its
    owner's.

    `confirm` raises Conflict if another process has written the warehouse since this one did.
    """

    atomic_uploads = True

    def __init__(
        self,
        bucket: Bucket,
        local: Path,
        clock: Clock,
        confirm: Callable[[], None],
        on_wait: OnWait = silently,
        original: CopySource = copied,
    ) -> None:
        self._bucket = bucket
        self._local = local
        self._clock = clock
        self._confirm = confirm
        self._on_wait = on_wait
        self._copy_source = original
        self._failures = Failures()
        self._uploaded: dict[FileDropped, FileDropped] = {}
        self._taken: set[tuple[str, str | None]] = set()
        self._staged: dict[str, list[tuple[str, str]]] = {}

    @property
    def root(self) -> str:
        return self._bucket.uri

    def prepare(self) -> None:
        self._bucket.check()
        for folder in ("work", "copies"):
            (self._local / folder).mkdir(PRIVATE, parents=True, exist_ok=True)

    def refuse_unless_there(self) -> None:
        self._bucket.check()

    def is_of_root(self, path: Path) -> bool:
        return path.resolve().is_relative_to(self._local.resolve())

    @contextmanager
    def exclusive(self, wait_seconds: float, *, looking: bool = False) -> Iterator[None]:
        """Hold the local folder alone; who is first in the bucket, the warehouse decides."""
        del looking  # what is made lies in the cache
        self.prepare()
        holder = f"process {os.getpid()} since {iso(self._clock())}"
        lock = self._local / "work" / ".lock"
        with (
            file_errors.translated_errors(self._local),
            held(lock, f"the root {self.root} is in use", holder, wait_seconds, self._on_wait),
        ):
            for folder in ("work", "copies"):  # what a process that was killed has left
                for path in (self._local / folder).iterdir():
                    if path != lock:
                        shutil.rmtree(path, ignore_errors=True)
            self._failures.forget()
            yield

    def arrivals(self, beginning: str = "") -> list[FileDropped]:
        found = []
        for content in self._bucket.below(f"inbox/{beginning}"):
            *folders, name = content.name.removeprefix("inbox/").split("/")
            feed, feed_if_known = feed_of_folders(folders)
            if name and not any(map(is_temporary, (*folders, name))):
                found.append(
                    FileDropped(
                        uri=self._bucket.uri_of(content.name),
                        name=name,
                        modified_at=content.modified_at,
                        feed=feed,
                        feed_if_known=feed_if_known,
                        version=content.version,
                    )
                )
        return found

    def claim(self, dropped: Sequence[FileDropped]) -> list[Claim]:
        stamp = f"{self._clock():%Y%m%dT%H%M%S%f}"
        # Of several contents of one name the older was listed first, and stays first.
        named = [(f"{stamp}-{place:06}-{secrets.token_hex(4)}", fact) for place, fact in enumerate(dropped)]
        return [claim for claim in for_each(self._claim, named) if claim is not None]

    def _claim(self, named: tuple[str, FileDropped]) -> Claim | None:
        claim_id, dropped = named
        content = self._content_of(claim_id)
        content.parent.mkdir(PRIVATE)
        try:
            if dropped.keep_original:
                if dropped not in self._uploaded:
                    self._uploaded[dropped] = self._upload(self._copied(dropped, content), content)
                dropped = self._uploaded[dropped]
            if (dropped.uri, dropped.version) not in self._taken:  # else it is among the unfinished
                return Claim(claim_id, content, self._fetch(dropped, content), control=self._control(claim_id, dropped))
        except (FileNotFoundError, Gone):
            pass
        except _Refused as refused:
            self._failures.add(dropped.uri, refused.error)
        except Exception as error:
            if not meets_one_file(error):
                raise
            self._failures.add(dropped.uri, error)
        shutil.rmtree(content.parent)
        return None

    def refused(self) -> DropledgerError | None:
        return self._failures.summary()

    def _copied(self, dropped: FileDropped, content: Path) -> FileDropped:
        try:
            return self._copy_source(dropped, content)
        except Busy as error:
            raise _Refused(error) from error

    def _upload(self, dropped: FileDropped, content: Path, *, replaces: bool = False) -> FileDropped:
        """Let a file that was named by hand land in the inbox, as others do; where no versions are kept, another that
        waits there is not replaced unless said so.
        """
        if dropped.control is not None:  # before the file, which is not taken without it
            path = content.with_name(CONTROL)
            control = self._upload(self._copied(dropped.control, path), path, replaces=True)
            dropped = replace(dropped, control=control)
        name = f"inbox/{dropped.feed}/{dropped.name}" if dropped.feed else f"inbox/{dropped.name}"
        told = {_MODIFIED: dropped.modified_at, _OPTION: dropped.as_of, AS_OF: dropped.metadata_as_of}
        metadata = {name: iso(moment) for name, moment in told.items() if moment}
        if dropped.metadata_unread is not None:
            metadata[AS_OF] = dropped.metadata_unread
        before = self._bucket.find(name) if replaces or self._bucket.keeps_versions() else None
        try:
            put = self._bucket.put_in_place_of(before, name, content, metadata)
        except Busy as error:
            waits = Postponed(
                f"{dropped.uri} cannot be taken",
                why=f"another file named {dropped.name} waits in the inbox",
                hint="let it be taken first: dropledger watch --once",
            )
            raise _Refused(waits) from error
        return replace(dropped, uri=self._bucket.uri_of(name), keep_original=False, version=put.version)

    def _fetch(self, dropped: FileDropped, content: Path) -> FileDropped:
        """Download the content that dropped; what its metadata say besides.

        Raises:
            Gone: it was taken, replaced or deleted.
        """
        try:
            metadata = self._bucket.get(self._name_of(dropped), content, dropped.version)
        except ConfigurationError as error:  # of this object alone, as the inbox was listed
            raise _Refused(error) from error
        return replace(
            with_metadata(dropped, metadata),
            modified_at=moment_in(metadata, _MODIFIED) or dropped.modified_at,
            as_of=moment_in(metadata, _OPTION) or dropped.as_of,
        )

    def _control(self, claim_id: str, dropped: FileDropped) -> Path | None:
        """The control file that landed beside a file, downloaded.

        Raises:
            Gone: it was taken, replaced or deleted.
        """
        if dropped.control is None:
            return None
        path = self.staged(claim_id, CONTROL)
        self._fetch(dropped.control, path)
        return path

    def _name_of(self, dropped: FileDropped) -> str:
        return dropped.uri.removeprefix(f"{self._bucket.uri}/")

    def _content_of(self, claim_id: str) -> Path:
        return self._workspace(claim_id) / "content"

    def unfinished(self) -> list[Claim]:
        found: dict[str, list[Listed]] = {}
        for staged in self._bucket.below("work/"):
            found.setdefault(staged.name.split("/")[1], []).append(staged)
        claims = []
        for claim_id, files in sorted(found.items()):
            self._staged[claim_id] = [(staged.name, staged.version) for staged in files]
            names = {staged.name.rpartition("/")[2] for staged in files}
            if "claim.json" not in names:  # its deletion was cut short
                self._forget(claim_id)
                continue
            claim = self._taken_up(claim_id, names)
            if claim is not None:
                claims.append(claim)
        self._taken = {(claim.dropped.uri, claim.dropped.version) for claim in claims}
        return claims

    def _taken_up(self, claim_id: str, names: set[str]) -> Claim | None:
        """A claim that a process has staged files for; None if it is done."""
        workspace = self._workspace(claim_id)
        workspace.mkdir(PRIVATE, exist_ok=True)
        try:
            for name in names:
                self._bucket.get(f"work/{claim_id}/{name}", workspace / name)
            dropped = restored((workspace / "claim.json").read_bytes())
        except Gone:  # just completed by the other process
            shutil.rmtree(workspace)
            return None
        except ValueError:  # nothing is lost by it: what landed is in the inbox still, and is taken anew
            self._forget(claim_id)
            return None
        try:
            self._bucket.get(self._name_of(dropped), self._content_of(claim_id), dropped.version)
        except Gone:
            self._forget(claim_id)
            return None
        control = self.staged(claim_id, CONTROL)
        return Claim(claim_id, self._content_of(claim_id), dropped, control=control if control.exists() else None)

    def claim_ids(self) -> list[str]:
        return sorted({found.name.split("/")[1] for found in self._bucket.below("work/") if found.latest})

    def staged(self, claim_id: str, name: str) -> Path:
        return self._workspace(claim_id) / name

    def _workspace(self, claim_id: str) -> Path:
        return self._local / "work" / claim_id

    def secure(self, claims: Sequence[Claim]) -> None:
        for_each(self._secure, claims)

    def _secure(self, claim: Claim) -> None:
        workspace = self._workspace(claim.claim_id)
        description = workspace / "claim.json"
        dropped, control = claim.dropped, claim.dropped.control
        if control is not None and control.keep_original:  # it goes with the content that it belongs to
            dropped = replace(dropped, control=None)
        description.write_bytes(described(dropped))
        files = [path for path in workspace.iterdir() if path not in {claim.path, claim.control, description}]
        before = self._staged.get(claim.claim_id, [])
        # The control file first: a claim that is found without it would be of a drop that has none.
        first = [description] if claim.control is None else [claim.control, description]
        put = [self._bucket.put(f"work/{claim.claim_id}/{path.name}", path) for path in [*first, *files]]
        now = [(staged.name, staged.version) for staged in put]
        self._staged[claim.claim_id] = now
        # Of an attempt that came to nothing; where a bucket keeps no versions, like contents are one and the same.
        self._bucket.delete([staged for staged in before if staged not in now])

    def temporary(self) -> AbstractContextManager[Path]:
        return temporary_in(self._local / "work")

    def put(self, files: Mapping[str, Path]) -> None:
        before = dict(zip(files, for_each(self._bucket.find, list(files)), strict=True))
        self._confirm()

        def put(file: tuple[str, Path]) -> None:
            name, path = file
            self._bucket.put_in_place_of(before[name], name, path)

        for_each(put, list(files.items()))

    def keep(self, claims: Mapping[str, Claim]) -> None:
        self.put({name: claim.path for name, claim in claims.items()})

    def place(self, claim: Claim, name: str) -> None:
        del claim, name  # an object has one name

    def take_back(self, claims: Sequence[Claim]) -> None:
        del claims

    def release(self, claims: Sequence[Claim]) -> None:
        # Control files first: should the process die now, the claims have them in work/.
        self._bucket.delete([found for claim in claims for found in self._controls_done(claim)])
        self._bucket.delete([(self._name_of(claim.dropped), claim.dropped.version) for claim in claims])
        self._forget(*(claim.claim_id for claim in claims))

    def _controls_done(self, claim: Claim) -> list[tuple[str, str | None]]:
        """The contents of a claim's control file up to the one that it has, unless that is another's too."""
        control = claim.dropped.control
        if control is None or control.keep_original:
            return []
        name = self._name_of(control)
        versions: list[str | None] = [found.version for found in self._bucket.below(name) if found.name == name]
        last = versions.index(control.version) if control.version in versions else -1
        return [(name, version) for version in versions[: last + 1]]

    def _forget(self, *claim_ids: str) -> None:
        self._bucket.delete([staged for claim_id in claim_ids for staged in self._staged.pop(claim_id, [])])
        for claim_id in claim_ids:
            shutil.rmtree(self._workspace(claim_id), ignore_errors=True)

    def remove(self, name: str) -> None:
        found = self._bucket.find(name)
        if found is not None:
            self._confirm()
            self._bucket.delete([(name, None)])

    def exists(self, name: str) -> bool:
        return self._bucket.find(name) is not None

    def names(self, beginning: str) -> Iterator[str]:
        yield from (found.name for found in self._bucket.below(beginning) if found.latest)

    def open(self, name: str) -> BinaryIO:
        return self.local_copy(name).open("rb")

    def local_copy(self, name: str) -> Path:
        path = self._local / "copies" / secrets.token_hex(8) / name.rpartition("/")[2]
        path.parent.mkdir(PRIVATE)
        try:
            self._bucket.get(name, path)
        except Gone as error:
            raise FileNotFoundError(self._bucket.uri_of(name)) from error
        return path

    def backlog(self) -> dict[str, int]:
        return {"inbox": len(self.arrivals()), "work": len(self.claim_ids()), "quarantine": len(self.quarantined())}

    def quarantined(self) -> list[str]:
        found = (one.name for one in self._bucket.below("quarantine/") if one.latest)
        return [name.removeprefix("quarantine/") for name in found if not name.endswith(BESIDE)]

    def stuck(self) -> list[tuple[str, str]]:
        claims = self.claim_ids()
        found = [(f"{len(claims)} claims are unfinished", COMPLETE)] if claims else []
        hint = f"{COMPLETE}, or says by name what keeps it; to do without it, move it out of inbox/"
        return found + [
            (f"{fact.uri} waits in the inbox since {iso(fact.modified_at)}", hint) for fact in self.arrivals()
        ]

    def problems(self) -> list[tuple[str, str]]:
        try:
            self._bucket.check()
            if self._bucket.keeps_versions():
                return []
        except DropledgerError as error:
            return [(str(error), error.hint)]
        return [
            (
                f"the bucket of {self.root} keeps no versions, so there is no way back from a deletion",
                "turn on versioning for the bucket",
            )
        ]
