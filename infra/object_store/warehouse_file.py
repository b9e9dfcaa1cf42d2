"""A warehouse file that is kept in a bucket, and worked on in a local copy.

What was committed counts when the file is back in the bucket, in place of the very one that was fetched. A note beside
the local copy tells which one of the bucket it equals; without it, the copy is fetched anew.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dropledger.core.errors import Conflict
from dropledger.core.retry import OnWait, silently
from dropledger.infra.duckdb.file import refuse_other_pipelines
from dropledger.infra.local.file_lock import held
from dropledger.infra.local.process_name import this_process
from dropledger.infra.object_store.bucket import Bucket, Found, Gone


class WarehouseObject:
    """A `dropledger.infra.duckdb.remote_file.RemoteFile` for the object `name` of a bucket.

    `earlier` is what a version before this one called it: who opens it to write gives it its name of now.
    """

    def __init__(
        self,
        bucket: Bucket,
        name: str,
        *,
        wait_seconds: float,
        on_wait: OnWait = silently,
        earlier: str | None = None,
    ) -> None:
        self._bucket = bucket
        self._name = name
        self._earlier = earlier
        self._renamed = False
        self._wait_seconds = wait_seconds
        self._on_wait = on_wait
        self._found: Found | None = None

    @property
    def location(self) -> str:
        return self._bucket.uri_of(self._name)

    def exists(self) -> bool:
        return self._bucket.find(self._name) is not None or self._find_earlier() is not None

    def _find_earlier(self) -> Found | None:
        """The object under its earlier name, where it has no other.

        Raises:
            ConfigurationError: just one of another pipeline is there.
        """
        if self._earlier is None:
            return None
        found = self._bucket.find(self._earlier)
        if found is None:
            folder, _, name = self._earlier.rpartition("/")
            beside = [one.name.removeprefix(f"{folder}/") for one in self._bucket.below(f"{folder}/") if one.latest]
            refuse_other_pipelines(self._bucket.uri, beside, name)
        return found

    @contextmanager
    def fetched(self, path: Path, *, read_only: bool) -> Iterator[None]:
        path.parent.mkdir(0o700, parents=True, exist_ok=True)
        what, holder = f"the local copy of {self.location} is in use", f"process {os.getpid()}"
        lock = path.with_name(f"{path.name}.lock")
        fetching = path.with_name(f"{path.name}.fetching")
        with held(lock, what, holder, self._wait_seconds, self._on_wait, shared=read_only):
            # Of several readers one fetches at a time, so that the file and its note are of one version.
            with held(fetching, what, holder, self._wait_seconds, self._on_wait):
                self._fetch(path)
                if not read_only and self._earlier is not None and not self._renamed:
                    self._rename(path, self._earlier)
                    self._renamed = True
            yield

    def _rename(self, path: Path, earlier: str) -> None:
        """Let the bucket have under the name of now what lies under the earlier one.

        That one goes when the other is there; after a death between the two, the next process sees that both are alike.
        """
        before = self._bucket.find(earlier)
        if before is None:
            return
        is_left = self._found is not None
        if not is_left:
            self.keep(path)
        if not is_left or (self._found is not None and self._found.etag == before.etag):
            self._bucket.delete([(earlier, None)])

    def _fetch(self, path: Path) -> None:
        note = _note(path)
        self._found = self._bucket.find(self._name)
        there = self._found or self._find_earlier()
        if self._found is not None and path.exists() and note.exists() and note.read_text() == self._found.etag:
            return
        note.unlink(missing_ok=True)
        path.with_name(f"{path.name}.wal").unlink(missing_ok=True)
        if there is None:
            path.unlink(missing_ok=True)
            return
        beside = path.with_name(f"{path.name}.fetched-{this_process()}")
        try:
            self._bucket.get(there.name, beside, there.etag)
        except Gone as error:
            beside.unlink(missing_ok=True)
            raise Conflict(f"{self.location} was written while it was fetched", hint="try again") from error
        os.replace(beside, path)
        if self._found is not None:
            note.write_text(self._found.etag)

    def changing(self, path: Path) -> None:
        _note(path).unlink(missing_ok=True)

    def keep(self, path: Path) -> None:
        self._found = self._bucket.put_in_place_of(self._found, self._name, path)
        _note(path).write_text(self._found.etag)

    def confirm(self) -> None:
        """Make sure that the bucket has what this process left or found there last.

        Raises:
            Conflict: another process has written it since.
        """
        now = self._bucket.find(self._name)
        if (now and now.etag) != (self._found and self._found.etag):
            raise Conflict(f"{self.location} was written by another process", hint="try again when it is done")


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.etag")
