"""Pipelines that were checked, kept as JSON, so that a start need not read and check the same files again.

    python -m dropledger.core.contracts.kept_pipeline FOLDER

keeps the built-in ones in a folder, which `make build-Function` puts into the package.

What is kept is taken only if it was made of these very files by this very dropledger, is whole, and could be written by
nobody else: the SQL in it is run. Nothing depends on it: where there is none, or none can be written, files are read.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, is_dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from dropledger.core import __version__
from dropledger.core.cache import is_ours, put
from dropledger.core.contracts.pipeline_spec import BUILT_IN, Pipeline, files_of, load_pipeline, sha256_of

PACKAGED = Path(__file__).parents[1] / "kept"
"""Where a package has what was kept when it was built; whoever can write there can change the program as well."""
_CHECKED_BY = ("drop.py", "contracts/*.py", "lineage/*.py", "rules/*.py", "ledger/migrations/*.py", "sql/text.py")
"""The modules that decide what becomes of files: between releases they change while the version stays."""
_MOST = 20
"""So many are kept: each edit of a pipeline makes another."""


def kept(cache: Path, folder: Path, digest: str) -> Pipeline | None:
    """The pipeline that was kept of a folder whose files have this digest; None where there is none to be trusted."""
    try:
        with _place(cache, digest).open("rb") as file:
            if cache != PACKAGED and not is_ours(file.fileno()):
                return None
            seal, _, document = file.read().partition(b"\n")
        if seal != _seal(digest, document):
            return None
        return _made(Pipeline, json.loads(document), folder)  # type: ignore[no-any-return]
    except (OSError, ValueError, TypeError, ArithmeticError):
        return None


def keep(cache: Path, pipeline: Pipeline) -> None:
    """Keep a pipeline, whole or not at all; in silence where that cannot be."""
    with suppress(OSError):
        _keep(cache, pipeline)


def _keep(cache: Path, pipeline: Pipeline) -> None:
    initial = {pipeline.folder / contract.initial for contract in pipeline.contracts.values() if contract.initial}
    if sha256_of(pipeline.folder) != pipeline.sha256 or not initial <= set(files_of(pipeline.folder)):
        return  # files changed while they were read, or not all that it is made of is in its digest
    document = json.dumps(asdict(pipeline), default=lambda value: _written(value, pipeline.folder)).encode()
    sealed = _seal(pipeline.sha256, document) + b"\n" + document
    put(_place(cache, pipeline.sha256), lambda path: path.write_bytes(sealed), most=_MOST)


def _place(cache: Path, digest: str) -> Path:
    return cache / "pipelines" / f"{_seal(digest, b'').decode()[:32]}.json"


def _seal(digest: str, document: bytes) -> bytes:
    """What holds a document together with the files that it was made of, and with the program that made it."""
    return sha256(f"{digest}\0{_program()}\0".encode() + document).hexdigest().encode()


@cache
def _program() -> str:
    reads_sql = find_spec("sqlglot") is not None
    code = sha256(f"{__version__} {reads_sql}".encode())
    for pattern in _CHECKED_BY:
        for path in sorted(Path(__file__).parents[1].glob(pattern)):
            code.update(path.read_bytes())
    return code.hexdigest()


def _written(value: object, folder: Path) -> str:
    """What JSON has no notation for: money as its digits, and paths from the folder on."""
    return value.relative_to(folder).as_posix() if isinstance(value, Path) else str(value)


_fields = cache(get_type_hints)


def _made(kind: Any, value: Any, folder: Path) -> Any:
    """What was read from JSON as the `kind` that it was written from.

    Raises:
        TypeError, ValueError, ArithmeticError: it is of another shape.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if is_dataclass(kind) and isinstance(value, dict):
        return _made_of_fields(kind, value, folder)
    if origin is tuple and isinstance(value, list):
        return tuple(_made(inner[0], item, folder) for item in value)
    if origin is Mapping and isinstance(value, dict):
        return {name: _made(inner[1], item, folder) for name, item in value.items()}
    if origin in {Union, UnionType}:
        return _first_that_fits(inner, value, folder)
    if type(value) is kind or (origin is Literal and value in inner):
        return value
    return _made_of_text(kind, value, folder)


def _made_of_fields(kind: Any, value: Mapping[str, Any], folder: Path) -> Any:
    fields = _fields(kind)
    if value.keys() != fields.keys():
        raise TypeError(f"{kind} has other fields")
    return kind(**{name: _made(of, value[name], folder) for name, of in fields.items()})


def _made_of_text(kind: Any, value: Any, folder: Path) -> Any:
    if isinstance(value, str) and isinstance(kind, type):
        if kind is Path:
            return folder / value
        if kind is date:
            return date.fromisoformat(value)
        if kind is Decimal or issubclass(kind, Enum):
            return kind(value)
    raise TypeError(f"{value!r} is no {kind}")


def _first_that_fits(kinds: Iterable[Any], value: Any, folder: Path) -> Any:
    for kind in kinds:
        with suppress(TypeError, ValueError, ArithmeticError):
            return _made(kind, value, folder)
    raise TypeError(f"{value!r} is none of {kinds}")


def main(cache: Path) -> int:
    """Keep the built-in pipelines; the exit code is 1 where one cannot be kept."""
    pipelines = [load_pipeline(file.parent.name, cache) for file in BUILT_IN.glob("*/pipeline.yaml")]
    return 0 if all(_place(cache, pipeline.sha256).is_file() for pipeline in pipelines) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
