"""`dropledger demo`: the sample drops through a fresh root."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from dropledger.core.errors import ConfigurationError
from dropledger.handlers.cli.command import command
from dropledger.handlers.cli.context import Context

if TYPE_CHECKING:
    from dropledger.core.contracts.pipeline_spec import Mart, Pipeline
    from dropledger.core.ledger.outcome import Outcome
    from dropledger.core.ports.session import Session
    from dropledger.core.views.drops import Records

DAY = "day1"
FOLDER = "dropledger-demo"


def samples() -> Path:
    """The folder of sample drops: inside the package when installed, beside it in a checkout."""
    from importlib.resources import files

    inside = Path(str(files("dropledger.handlers"))) / "samples"
    beside = Path(str(files("dropledger"))).parent / "samples"
    for folder in (inside, beside):
        if (folder / DAY).is_dir():
            return folder
    raise ConfigurationError(
        "the sample files are missing", why=f"neither {inside} nor {beside} is there", hint="install dropledger again"
    )


def days(pipeline: str) -> list[list[Path]]:
    """The sample drops of a pipeline, day by day; those of lending where it has none of its own."""
    own = samples() / pipeline
    folder = own if (own / DAY).is_dir() else samples()
    return [sorted(day.iterdir()) for day in sorted(folder.glob("day*"))]


@dataclass(frozen=True)
class Shown:
    """What the demo shows: the rows of marts, the key of the first row of the first one, and the history behind it.

    The history is there where a feed has that key: its feed, and the columns that changed beside those of versions.
    """

    marts: "Sequence[tuple[Mart, Records]]"
    key: str
    feed: str | None
    history: "Records"

    @property
    def changed(self) -> list[str]:
        """The columns whose values the history's versions do not share."""
        version = ("valid_from", "valid_to", "is_current", "drop_id", "line", "file")
        values = [name for name in self.history[0] if name not in version] if self.history else []
        return [name for name in values if len({row[name] for row in self.history}) > 1]


@command
def demo(context: Context) -> int:
    """Load the sample drops into a fresh root, and show the result."""
    from dropledger.core.ingest.run import process
    from dropledger.handlers.outcomes import exit_code
    from dropledger.handlers.wiring import wire
    from dropledger.infra.local.inbox import dropped_file

    root = _fresh_root(context.root)
    runtime = wire(root=str(root), warehouse=context.warehouse, pipeline=context.pipeline)
    outcomes: list[Outcome] = []
    for day in days(runtime.pipeline.name):
        outcomes += process(runtime, [dropped_file(path, keep_original=True) for path in day], lambda _: None)
    with runtime.warehouse.session(read_only=True) as session:
        shown = _read(session, runtime.pipeline)
    marts = {mart.name: rows for mart, rows in shown.marts}
    document = {"root": runtime.store.root, "outcomes": [outcome.as_json() for outcome in outcomes], **marts}
    options = f"--root {quote(str(root))}" + (f" --pipeline {quote(context.pipeline)}" if context.pipeline else "")
    context.print_result(document, lambda: _show(root, outcomes, shown, options))
    return exit_code(outcomes)


def _read(session: "Session", pipeline: "Pipeline") -> Shown:
    """The mart that the pipeline explains first, and the published ones that are no more of the same."""
    from dropledger.core.contracts.pipeline_spec import names
    from dropledger.core.sql.text import listed, quoted
    from dropledger.core.views.explain import explanation_of
    from dropledger.core.views.keys import write_key
    from dropledger.core.views.timeline import find_timeline

    explained, explanation = explanation_of(pipeline, None)
    others = [mart for mart in pipeline.marts if mart.file.artifacts and not names(mart.sql, explained.name)]
    marts = [
        (mart, session.query(f"SELECT * FROM {quoted(mart.name)} ORDER BY {listed(mart.file.key)}"))
        for mart in (explained, *(other for other in others if other is not explained))
    ]
    key = write_key([marts[0][1][0][name] for name in explained.file.key])
    history = find_timeline(session, pipeline, explanation.of, key) if explanation.of else []
    return Shown(marts, key, explanation.of, history)


def _show(root: Path, outcomes: "Sequence[Outcome]", shown: Shown, options: str) -> None:
    from dropledger.handlers import render
    from dropledger.handlers.outcomes import show_outcomes

    show_outcomes(outcomes)
    for mart, rows in shown.marts:
        columns = mart.file.columns
        render.line()
        render.table(f"outputs/{mart.name}.csv", columns, [[row[column] for column in columns] for row in rows])
    if shown.history:
        changed = [*shown.changed, "valid_from", "valid_to", "line", "file"]
        render.line()
        render.table(
            f"history of {shown.feed} {shown.key}", changed, [[row[name] for name in changed] for row in shown.history]
        )
    render.line()
    render.line(f"Everything is in {root}. Ask where a figure comes from, or look at all of it in a browser:")
    render.line(f"  {_command()} explain {quote(shown.key)} {options}")
    render.line(f"  {_command()} console {options}")


def _fresh_root(root: str | None) -> Path:
    """The folder that the command line names, or a new one; it is empty.

    Raises:
        ConfigurationError: it is not, or in a bucket.
    """
    if root is not None and "://" in root:
        raise ConfigurationError(f"the demo cannot run in {root}", hint="name a folder of this machine")
    fresh = Path(root) if root else _made_here()
    if fresh.exists() and any(fresh.iterdir()):
        raise ConfigurationError(
            f"the folder {fresh} is not empty",
            why="the demo shows a fresh root",
            hint="name another one, or leave --root out",
        )
    return fresh


def _made_here() -> Path:
    """A new folder in the current one, by the first name that is free."""
    for number in count(1):
        folder = Path(FOLDER if number == 1 else f"{FOLDER}-{number}")
        try:
            folder.mkdir(0o700)
        except FileExistsError:
            continue
        except OSError as error:
            raise ConfigurationError(
                f"the demo cannot make its folder in {Path.cwd()}",
                why=error.strerror or "",
                hint="go to a folder of your own, or name one with --root",
            ) from error
        return folder
    raise AssertionError("numbers do not end")


def _command() -> str:
    """How people can call the program from where they are."""
    import shutil

    if shutil.which("dropledger"):
        return "dropledger"
    called = Path(sys.argv[0]).absolute()
    return str(called.relative_to(Path.cwd())) if called.is_relative_to(Path.cwd()) else str(called)
