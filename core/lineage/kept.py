"""The lineage of a pipeline, read once: kept in the process, and in the user's cache, as to read SQL takes longer than
a start.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from dropledger.core import __version__
from dropledger.core.cache import is_ours, put
from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.errors import ConfigurationError
from dropledger.core.lineage.made import Ref
from dropledger.core.lineage.pipeline import ColumnLineage, Decider, Lineage, TableLineage, read_lineage

_MOST = 20
"""So many are kept: each edit of a pipeline makes another."""

_in_process: dict[str, Lineage] = {}


def lineage_of(pipeline: Pipeline, cache: Path | None = None) -> Lineage:
    """What each column of a pipeline is made of, and what decides about it; see `read_lineage`.

    With a `cache`, a folder that may or may not be there, it is taken from there if it was found of these very files
    by this very dropledger. Nothing depends on it.

    Raises:
        ConfigurationError: sqlglot is not installed.
    """
    found = _in_process.get(pipeline.sha256)
    if found is not None:
        return found
    place = None if cache is None else cache / "lineage" / f"{_seal(pipeline.sha256)}.json"
    found = _kept(place) if place is not None else None
    if found is None:
        found = read_lineage(pipeline)
        if place is not None:
            document = json.dumps({name: asdict(table) for name, table in found.items()}).encode()
            put(place, lambda path: path.write_bytes(document), most=_MOST)
    if len(_in_process) >= _MOST:
        _in_process.clear()
    _in_process[pipeline.sha256] = found
    return found


def lineage_if_installed(pipeline: Pipeline, cache: Path | None = None) -> Lineage | None:
    """The same for what can do without: None where sqlglot is not installed."""
    try:
        return lineage_of(pipeline, cache)
    except ConfigurationError:
        return None


def _seal(digest: str) -> str:
    """What a lineage is known by: the pipeline's files, and the code that reads them."""
    code = sha256(f"{__version__}\0{digest}\0".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        code.update(path.read_bytes())
    return code.hexdigest()[:32]


def _kept(place: Path) -> Lineage | None:
    try:
        with place.open("rb") as file:
            if not is_ours(file.fileno()):
                return None
            document = json.load(file)
        return {name: _made(table) for name, table in document.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _made(table: Mapping[str, Any]) -> TableLineage:
    return TableLineage(
        table["layer"],
        tuple(table["reads"]),
        {
            name: ColumnLineage(
                tuple(Ref(*ref) for ref in column["direct"]),
                tuple(Decider(one["table"], one["column"], tuple(one["by"])) for one in column["indirect"]),
                column["copied"],
                tuple(column["unsure"]),
            )
            for name, column in table["columns"].items()
        },
        tuple(table["unsure"]),
    )
