"""A warehouse file that is kept in a bucket, and worked on in a local copy.

What was committed counts when the file is back in the bucket, in place of the very one that was fetched. A note beside
the local copy tells which one of the bucket it equals; without it, the copy is fetched anew.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import Overtaken
from core.patience import Waiting, without_a_word
from infra.s3_bucket import Bucket, Found, Gone
from infra.turns import held


class S3WarehouseFile:
    """An `infra.duckdb_warehouse.Keeper` for the object `name` of a bucket."""

    def __init__(self, bucket: Bucket, name: str, *, wait_seconds: float, waiting: Waiting = without_a_word) -> None:
        self._bucket = bucket
        self._name = name
        self._wait_seconds = wait_seconds
        self._waiting = waiting
        self._found: Found | None = None

    @property
    def location(self) -> str:
        return self._bucket.uri_of(self._name)

    def exists(self) -> bool:
        return self._bucket.find(self._name) is not None

    @contextmanager
    def fetched(self, path: Path, *, read_only: bool) -> Iterator[None]:
        path.parent.mkdir(0o700, parents=True, exist_ok=True)
        what, holder = f"the local copy of {self.location} is in use", f"process {os.getpid()}"
        lock = path.with_name(f"{path.name}.lock")
        fetching = path.with_name(f"{path.name}.fetching")
        with held(lock, what, holder, self._wait_seconds, self._waiting, shared=read_only):
            # Of several readers one fetches at a time, so that the file and its note are of one version.
            with held(fetching, what, holder, self._wait_seconds, self._waiting):
                self._fetch(path)
            yield

    def _fetch(self, path: Path) -> None:
        note = _note(path)
        self._found = self._bucket.find(self._name)
        if self._found is not None and path.exists() and note.exists() and note.read_text() == self._found.etag:
            return
        note.unlink(missing_ok=True)
        path.with_name(f"{path.name}.wal").unlink(missing_ok=True)
        if self._found is None:
            path.unlink(missing_ok=True)
            return
        beside = path.with_name(f"{path.name}.fetched-{os.getpid()}")
        try:
            self._bucket.get(self._name, beside, self._found.etag)
        except Gone as error:
            beside.unlink(missing_ok=True)
            raise Overtaken(f"{self.location} was written while it was fetched", hint="try again") from error
        os.replace(beside, path)
        note.write_text(self._found.etag)

    def changing(self, path: Path) -> None:
        _note(path).unlink(missing_ok=True)

    def keep(self, path: Path) -> None:
        self._found = self._bucket.put_in_place_of(self._found, self._name, path)
        _note(path).write_text(self._found.etag)

    def confirm(self) -> None:
        """Make sure that the bucket has what this process left or found there last.

        Raises:
            Overtaken: another process has written it since.
        """
        now = self._bucket.find(self._name)
        if (now and now.etag) != (self._found and self._found.etag):
            raise Overtaken(f"{self.location} was written by another process", hint="try again when it is done")


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.etag")
