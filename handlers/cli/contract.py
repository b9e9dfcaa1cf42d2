"""The commands on contracts by themselves: as documents of the Open Data Contract Standard, and against each other."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dropledger.core.errors import ConfigurationError, ContractError
from dropledger.handlers.cli.command import command, group
from dropledger.handlers.cli.context import Context

if TYPE_CHECKING:
    from dropledger.core.contracts.column_changes import Change
    from dropledger.core.contracts.contract import Contract
    from dropledger.core.contracts.odcs.imported import Imported

_BREAKS = 5


@group
def contract(ctx: click.Context) -> None:
    """Bring contracts to the Open Data Contract Standard and back, and compare them.

    Needs no root and no warehouse.
    """
    ctx.ensure_object(Context).command = f"contract {ctx.invoked_subcommand}"


@command
@click.argument("feed", required=False)
@click.option("--odcs", is_flag=True, required=True, help="As a document of the Open Data Contract Standard 3.1.0.")
def export_contract(context: Context, feed: str | None, odcs: bool) -> int:  # noqa: ARG001 (there is no other format)
    """Print the contract of FEED, or all of the pipeline, as one document.

    What the standard has no words for stands in the custom property dropledger.
    """
    from dropledger.core.contracts.odcs.export import document
    from dropledger.core.contracts.yaml_text import yaml_text

    pipeline, _ = context.pipeline_alone()
    contracts = [pipeline.contract(name) for name in ([feed] if feed is not None else pipeline.contracts)]
    title = pipeline.name if feed is None else f"{pipeline.name}.{feed}"
    text = yaml_text(document(contracts, pipeline.feed_checks, title))
    _print(context, {"feeds": [contract.feed for contract in contracts], "odcs": text}, [text])
    return 0


@command
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("feed", required=False)
def import_contract(context: Context, file: Path, feed: str | None) -> int:
    """Print the contracts that a document of the Open Data Contract Standard has, or that of FEED alone.

    What they do not say, or say otherwise, is told with what to do, in comments and on standard error. A contract that
    lacks something is printed too, and the exit code is 2 then.
    """
    from dropledger.handlers import render

    found = _of_document(file)
    if feed is not None:
        known = ", ".join(one.feed for one in found)
        found = [one for one in found if one.feed == feed]
        if not found:
            raise ConfigurationError(f"{file} has no feed '{feed}'", hint=f"use one of: {known}")
    faults = {one.feed: _fault(one) for one in found}
    document = {"contracts": [_entry(one, faults[one.feed]) for one in found]}
    _warn(context, dict.fromkeys(str(note).splitlines()[0] for one in found for note in one.notes))
    _print(context, document, ["---\n".join(one.yaml for one in found)])
    for fault in faults.values():
        if fault is not None:
            render.error(fault)
    return 2 if any(faults.values()) else 0


@command
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
def diff_contracts(context: Context, old: Path, new: Path) -> int:
    """Show what the contract NEW changes of OLD, whom each change breaks, and what it needs of a root.

    Each is a contract, or a document of the Open Data Contract Standard. The exit code is 5 if a change breaks anybody.
    """
    from dropledger.core.contracts.contract_changes import feed_changes

    changes = feed_changes(_contracts(context, old), _contracts(context, new))
    breaking = any(change.breaks for _, change in changes)
    entries = [
        {"feed": feed, "change": change.what, "breaks": [*change.breaks], "needs": _needs(change)}
        for feed, change in changes
    ]
    context.print_result({"breaking": breaking, "changes": entries}, lambda: _show_changes(changes))
    return _BREAKS if breaking else 0


def _needs(change: "Change") -> str:
    return "nothing" if change.in_place else "dropledger replay"


def _show_changes(changes: "Sequence[tuple[str, Change]]") -> None:
    from dropledger.handlers import render

    rows = [(feed, ", ".join(change.breaks) or "nobody", _needs(change), change.what) for feed, change in changes]
    if rows:
        render.table("", ("feed", "breaks", "needs", "change"), rows)
    else:
        render.line("No change.")


def _contracts(context: Context, path: Path) -> "list[Contract]":
    """The contracts in a file of ours, or in a document of the standard."""
    from dropledger.core.contracts.contract_file import load_contract
    from dropledger.core.contracts.odcs.imported import is_document
    from dropledger.core.contracts.yaml_file import read_text

    if not is_document(read_text(path), path):
        return [load_contract(path)]
    found = _of_document(path)
    if any(one.notes for one in found):
        _warn(context, [f"{path} is compared as far as dropledger contract import {path} reads it"])
    return [one.contract for one in found]


def _of_document(path: Path) -> "list[Imported]":
    from dropledger.core.contracts.odcs.imported import imported
    from dropledger.core.contracts.yaml_file import read_text
    from dropledger.infra.duckdb.engine import matches

    return imported(read_text(path), path, matches)


def _fault(found: "Imported") -> ContractError | None:
    """Why an imported contract does not load as it stands; None if it does."""
    try:
        found.contract  # noqa: B018 (it is checked as it is made)
    except ContractError as fault:
        return fault
    return None


def _entry(found: "Imported", fault: ContractError | None) -> dict[str, object]:
    from dropledger.handlers import render

    notes = [{"where": note.where, "what": note.what, "try": note.hint} for note in found.notes]
    error = None if fault is None else render.failure_entry(fault)
    return {"feed": found.feed, "yaml": found.yaml, "notes": notes, "error": error}


def _warn(context: Context, texts: Iterable[str]) -> None:
    from dropledger.handlers.table import escaped

    if not context.quiet:
        for text in texts:
            click.echo(f"Warning: {escaped(text)}", err=True)


def _print(context: Context, document: Mapping[str, object], texts: Sequence[str]) -> None:
    from dropledger.handlers import render

    context.print_result(document, lambda: render.lines(text.rstrip("\n") for text in texts))


contract.add_command(export_contract, "export")
contract.add_command(import_contract, "import")
contract.add_command(diff_contracts, "diff")
