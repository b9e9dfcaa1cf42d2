"""Files that are named by hand, each with the control file beside it where its contract wants one."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.ingest.control_files import Paired, data_name, pair, suffixes
from dropledger.infra.local.inbox import dropped_file


def named_files(
    paths: Iterable[Path], pipeline: Pipeline, *, feed: str | None = None, as_of: datetime | None = None
) -> Paired:
    """The files at these paths, which stay where they are.

    Raises:
        FileNotFoundError: one is gone.
        ConfigurationError: one was changed at a time that no calendar has.
    """
    named = [path.absolute() for path in paths]
    facts = [dropped_file(path, feed=feed, as_of=as_of, keep_original=True) for path in named]
    endings = suffixes(pipeline)
    beside = [
        dropped_file(other, feed=feed, as_of=as_of, keep_original=True)
        for path in (dict.fromkeys(named) if endings else ())
        for other in sorted(path.parent.iterdir())
        if other not in named and _is_beside(other, path, endings)
    ]
    paired = pair([*facts, *beside], pipeline)
    asked = {fact.uri for fact in facts}
    return Paired(
        [fact for fact in paired.ready if fact.uri in asked],
        [one for one in paired.awaited if one.dropped.uri in asked],
        [fact for fact in paired.alone if fact.uri in asked],
    )


def _is_beside(path: Path, data: Path, endings: tuple[str, ...]) -> bool:
    return any(data_name(path.name, ending) == data.name for ending in endings) and path.is_file()
