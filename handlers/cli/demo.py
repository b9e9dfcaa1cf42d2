"""`dropledger demo`: the sample drops through a fresh root."""

import sys
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from dropledger.core.errors import ConfigurationError
from dropledger.handlers.cli.command import command
from dropledger.handlers.cli.context import Context

if TYPE_CHECKING:
    from dropledger.core.ledger.outcome import Outcome
    from dropledger.core.views.drops import Records

DAYS = ("day1", "day2")  # the second changes a balance, a loan flag and nothing else
FOLDER = "dropledger-demo"


def samples() -> Path:
    """The folder of sample drops: inside the package when installed, beside it in a checkout."""
    from importlib.resources import files

    inside = Path(str(files("dropledger.handlers"))) / "samples"
    beside = Path(str(files("dropledger"))).parent / "samples"
    for folder in (inside, beside):
        if (folder / DAYS[0]).is_dir():
            return folder
    raise ConfigurationError(
        "the sample files are missing", why=f"neither {inside} nor {beside} is there", hint="install dropledger again"
    )


@command
def demo(context: Context) -> int:
    """Load the sample drops into a fresh root, and show the result."""
    from dropledger.core.ingest.run import process
    from dropledger.core.views.timeline import find_timeline
    from dropledger.handlers.outcomes import exit_code
    from dropledger.handlers.wiring import wire
    from dropledger.infra.local.inbox import dropped_file

    root = _fresh_root(context.root)
    runtime = wire(root=str(root), warehouse=context.warehouse, pipeline=context.pipeline)
    outcomes: list[Outcome] = []
    for day in DAYS:
        facts = [dropped_file(path, keep_original=True) for path in sorted((samples() / day).glob("*.csv"))]
        outcomes += process(runtime, facts, lambda _: None)
    with runtime.warehouse.session(read_only=True) as session:
        marts = {
            mart.name: session.query(f"SELECT * FROM {mart.name} ORDER BY 2") for mart in runtime.pipeline.marts[:1]
        }
        timeline = find_timeline(session, runtime.pipeline, "account", "1001")
    document = {"root": runtime.store.root, "outcomes": [outcome.as_json() for outcome in outcomes], **marts}
    context.print_result(document, lambda: _show(root, outcomes, marts, timeline))
    return exit_code(outcomes)


def _show(root: Path, outcomes: "Sequence[Outcome]", marts: "Mapping[str, Records]", timeline: "Records") -> None:
    from dropledger.handlers import render
    from dropledger.handlers.outcomes import show_outcomes

    show_outcomes(outcomes)
    for name, rows in marts.items():
        columns = [column for column in rows[0] if not column.endswith("drop_id")]
        render.line()
        render.table(f"outputs/{name}.csv", columns, [[row[column] for column in columns] for row in rows])
    columns = ["balance", "valid_from", "valid_to", "line", "file"]
    render.line()
    render.table("history of account 1001", columns, [[row[column] for column in columns] for row in timeline])
    render.line()
    render.line(f"Everything is in {root}. Ask where a figure comes from, or look at all of it in a browser:")
    render.line(f"  {_command()} explain 1001 --root {root}")
    render.line(f"  {_command()} console --root {root}")


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
