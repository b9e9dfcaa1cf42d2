"""New warehouse files begin as copies of one that has a pipeline's tables and no drop: making those takes longer than a
small drop.

Such a file is kept in the cache. It is taken only if this very program made it of these very pipeline files with this
very engine, it is whole, and nobody else could have written it; else a new file is filled statement by statement.
"""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import duckdb

from dropledger import core
from dropledger.core.cache import is_ours, put
from dropledger.core.errors import DropledgerError
from dropledger.core.ports.session import Session
from dropledger.infra.duckdb.file import refuse_log_left, write_ahead_log
from dropledger.infra.local.private_file import sync

_MOST = 5
"""So many are kept, of a megabyte or so each."""


Prepare = Callable[[Session], None]
"""Makes the tables of a pipeline."""

Make = Callable[[Path, Prepare], None]
"""Makes a warehouse file at a path, and prepares it."""


@dataclass(frozen=True, slots=True)
class PreparedFiles:
    """Files that `prepare` has filled, kept in `folder`; `definition` tells what it fills them with from all else."""

    folder: Path
    definition: str
    prepare: Prepare

    def begin(self, path: Path, passing: Path, make: Make) -> None:
        """Let a new file begin as a copy, where there is none yet; a first one is made for that.

        `passing` is a folder beside it that may be made and removed. Where it cannot be, nothing is done or said.
        """
        if write_ahead_log(path).exists():
            return  # it is of a file that is gone, which had begun as the same copy, and would fit to this one
        with suppress(OSError, DropledgerError):
            seal = self._program()
            place = self.folder / f"{seal[:32]}.prepared"
            content = _kept(place, seal)
            if content is None:
                put(place, lambda file: self._fill(file, seal, make), most=_MOST)
                content = _kept(place, seal)
            if content is not None:
                _write_new(path, content, passing)

    def _program(self) -> str:
        made_by = sha256(f"{core.__version__}\0{duckdb.__version__}\0{self.definition}".encode())
        for package in (Path(core.__file__).parent, Path(__file__).parents[1]):
            for path in sorted(package.rglob("*")):
                if path.suffix in {".py", ".sql", ".toml"}:
                    made_by.update(path.read_bytes())
        return made_by.hexdigest()

    def _fill(self, file: Path, seal: str, make: Make) -> None:
        made = file.with_suffix(".duckdb")
        make(made, self.prepare)
        refuse_log_left(made)
        content = made.read_bytes()
        file.write_bytes(_sealed(seal, content) + b"\n" + content)


def _kept(place: Path, seal: str) -> bytes | None:
    """The content of a file that is kept, if it is one to be trusted."""
    try:
        with place.open("rb") as file:
            found = file.read() if is_ours(file.fileno()) else b""
    except FileNotFoundError:
        return None
    head, _, content = found.partition(b"\n")
    return content if head == _sealed(seal, content) else None


def _sealed(seal: str, content: bytes) -> bytes:
    return sha256(seal.encode() + content).hexdigest().encode()


def _write_new(path: Path, content: bytes, passing: Path) -> None:
    """Write a file where there is none, durable and whole: what the engine's log has of it refers to all of it."""
    passing.mkdir(mode=0o700)
    try:
        beside = passing / path.name
        beside.write_bytes(content)
        sync(beside)
        os.link(beside, path)  # fails where another process was first, whose file must stay
        sync(path.parent)
    finally:
        shutil.rmtree(passing, ignore_errors=True)
