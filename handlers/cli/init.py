"""`dropledger init`: a pipeline to begin with, of sample files if there are any."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from dropledger.core.errors import ConfigurationError
from dropledger.handlers.cli.command import command
from dropledger.handlers.cli.context import Context

if TYPE_CHECKING:
    from dropledger.core.inference.draft import FeedDraft

_MOST_DOUBTS = 20


@command
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("files", metavar="[FILE]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--from",
    "sources",
    metavar="FILE...",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Files to infer the contracts from, several of each feed if you like.",
)
def init(context: Context, folder: Path, files: tuple[Path, ...], sources: tuple[Path, ...]) -> int:
    """Make a pipeline in a new folder: contracts inferred from files, a first mart, a test.

    Each line of a contract has a comment that says why it is as it is, for you to correct. Without --from it is a small
    pipeline that works, to change into yours.
    """
    from dropledger.core.inference.contract_text import contract_yaml, doubts
    from dropledger.core.inference.pipeline_text import SAMPLE, first_mart, sample

    if files and not sources:
        raise ConfigurationError(
            f"{files[0]} stands where nothing belongs", hint=f"dropledger init {folder} --from {files[0]}"
        )
    _refuse_taken(folder)
    with _beside(folder) as passing:
        begun = Path(passing) / "pipeline"
        (begun / "samples").mkdir(parents=True)
        named = _regular([*sources, *files])
        if not named:
            (begun / "samples" / SAMPLE).write_text(sample(), encoding="utf-8")
        feeds = _inferred(named or [begun / "samples" / SAMPLE], Path(passing))
        _write(begun, folder, feeds, named)
        _put_in_place(begun, folder)
    found = [
        (folder / f"{feed.feed}.yaml", number, says) for feed in feeds for number, says in doubts(contract_yaml(feed))
    ]
    document = {
        "folder": str(folder),
        "feeds": [_described(feed) for feed in feeds],
        "mart": first_mart(feeds).name,
        "look_at": [{"file": str(path), "line": number, "says": says} for path, number, says in found],
    }
    context.print_result(document, lambda: _show(folder, feeds, [f"{p}:{n}: {says}" for p, n, says in found]))
    return 0


def _refuse_taken(folder: Path) -> None:
    from dropledger.core.contracts.pipeline_spec import BUILT_IN

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(
            f"{folder} is there already, and not an empty folder",
            why="nothing of yours is written over",
            hint="name a new folder",
        )
    if (BUILT_IN / folder).is_dir() and len(folder.parts) == 1:
        raise ConfigurationError(
            f"{folder} is the name of a built-in pipeline", why="--pipeline would mean that", hint="name another folder"
        )
    if not re.search("[A-Za-z]", folder.resolve().name):
        raise ConfigurationError(f"{folder} has no letter in its name", hint="a pipeline is called after its folder")


def _beside(folder: Path) -> "TemporaryDirectory[str]":
    """A folder beside the one to be made, so that the latter is there whole or not at all."""
    above = folder.resolve().parent
    try:
        above.mkdir(parents=True, exist_ok=True)
        return TemporaryDirectory(prefix=".dropledger-init-", dir=above)
    except OSError as error:
        raise ConfigurationError(
            f"{above} cannot be written to", why=error.strerror or "", hint="name a folder elsewhere"
        ) from error


def _regular(files: Sequence[Path]) -> list[Path]:
    found = list({path.resolve(): None for path in files})
    for path in found:
        if not path.is_file() or not os.access(path, os.R_OK):
            why = "there is none" if not path.exists() else "it is no regular file that this user may read"
            raise ConfigurationError(f"{path} cannot be read", why=why, hint="name files that exist")
    return found


def _inferred(files: Sequence[Path], passing: Path) -> "list[FeedDraft]":
    from dropledger.core.inference.infer import infer_feeds
    from dropledger.handlers.wiring import now, passing_warehouse

    with passing_warehouse(passing / "inference").session() as session:
        return infer_feeds(session, files, now())


def _write(begun: Path, folder: Path, feeds: "Sequence[FeedDraft]", named: Sequence[Path]) -> None:
    from dropledger.core.contracts.pipeline_spec import load_pipeline
    from dropledger.core.inference.names import pipeline_name
    from dropledger.core.inference.pipeline_text import SAMPLE, pipeline_files
    from dropledger.core.ingest.prepare import prepare
    from dropledger.handlers.wiring import passing_warehouse

    name = pipeline_name(folder.resolve().name)
    texts = pipeline_files(name, str(folder), feeds, named or [SAMPLE])
    for path, text in texts.items():
        (begun / path).parent.mkdir(parents=True, exist_ok=True)
        (begun / path).write_text(text, encoding="utf-8")
    if named:
        (begun / "samples").rmdir()
    pipeline = load_pipeline(str(begun))
    with passing_warehouse(begun.parent / "compiled").session() as session:
        prepare(session, pipeline, None)  # an engine has then compiled all of its SQL


def _put_in_place(begun: Path, folder: Path) -> None:
    try:
        os.rename(begun, folder)
    except OSError as error:
        raise ConfigurationError(
            f"{folder} was made by somebody else meanwhile", why=error.strerror or "", hint="name a new folder"
        ) from error


def _described(feed: "FeedDraft") -> dict[str, Any]:
    return {
        "feed": feed.feed,
        "files": [path.name for path in feed.files],
        "rows": feed.rows,
        "looked_at": feed.looked_at,
        "rejected": feed.rejected,
        "key": list(feed.key),
        "mode": feed.mode,
        "columns": {column.name: column.type for column in feed.columns},
    }


def _show(folder: Path, feeds: "Sequence[FeedDraft]", doubts: Sequence[str]) -> None:
    from dropledger.handlers import render

    rows = [
        [
            f"{feed.feed}.yaml",
            len(feed.files),
            feed.rows,
            feed.rejected,
            len(feed.columns),
            feed.mode,
            ", ".join(feed.key),
        ]
        for feed in feeds
    ]
    render.table(str(folder), ["contract", "files", "rows", "rejected", "columns", "mode", "key"], rows)
    if doubts:
        render.line("Look at these first:")
        render.lines(f"  {doubt}" for doubt in doubts[:_MOST_DOUBTS])
        if len(doubts) > _MOST_DOUBTS:
            render.line(f"  and {len(doubts) - _MOST_DOUBTS} more")
    render.line(f"Next: read the comments in the contracts, then python -m pytest {folder}")
