"""The command that tries a pipeline before files come."""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from dropledger.core.errors import Different
from dropledger.handlers.cli.command import command
from dropledger.handlers.cli.context import Context

if TYPE_CHECKING:
    from dropledger.core.operations.check import Checked, MartKeys, Unequal


@command
def check(context: Context) -> int:
    """Compile a pipeline and try it on made-up drops.

    What is computed by touched keys is held against computing it whole. Where the root has drops, they are tried too.
    """
    from dropledger.core.operations.check import check as run_check

    runtime = context.wire()
    with TemporaryDirectory(prefix="dropledger-check-") as folder:
        beside = context.wire_beside(Path(folder) / "root")
        (Path(folder) / "files").mkdir()
        with context.progress("checking", "drops") as on_progress:
            there = runtime if runtime.warehouse.exists() else None
            checked = run_check(beside, Path(folder) / "files", there, on_progress)
    document = {"pipeline": runtime.pipeline.name, **asdict(checked)}
    context.print_result(document, lambda: _show(runtime.pipeline.name, checked))
    return Different.exit_code if checked.unequal else 0


def _show(pipeline: str, checked: "Checked") -> None:
    from dropledger.handlers import render

    render.line(f"The pipeline {pipeline} loads, and its {checked.statements} SQL texts compile.")
    if checked.floats:
        floats = ", ".join(checked.floats)
        render.line(f"Warning: not exact, as money must be (DOUBLE or FLOAT): {floats}")
    render.line()
    render.table("touched keys", ["mart", "how", "computed whole where this changes"], [*map(_keys, checked.keys)])
    render.line()
    tried = render.counted(checked.made_up, "made-up file")
    if checked.archived is not None:
        tried += f" and {render.counted(checked.archived, 'drop')} of the root"
    if checked.unequal:
        _show_unequal(checked.unequal, {keys.mart for keys in checked.keys if keys.how == "by hand"})
    else:
        render.line(f"After each of {tried} the marts were what computing them whole gives.")
    if checked.refused:
        refused = render.counted(checked.refused, "made-up file")
        render.line(f"{refused} could not go in, as made-up values need not make sense.")


def _keys(keys: "MartKeys") -> list[str]:
    return [keys.mart, keys.how, "; ".join(f"{table}: {why}" for table, why in keys.whole.items())]


def _show_unequal(unequal: Sequence["Unequal"], by_hand: Collection[str]) -> None:
    from dropledger.handlers import render

    for found in unequal:
        rows = render.counted(found.count, "row")
        render.line(f"{found.mart} differs from computing it whole in {rows}, after {found.after}:")
        for says, some in (("it has", found.surplus), ("it lacks", found.missing)):
            for row in some:
                render.line(f"  {says} {', '.join(f'{name}={value}' for name, value in row.items())}")
    first = unequal[0].mart
    if first in by_hand:
        render.line(
            f"Try: mend marts/{first}.touched.sql, or leave it out, so that the keys are found in the mart's SQL."
        )
    else:
        render.line(f"Try: write marts/{first}.touched.sql by hand, and report this SQL: dropledger misreads it.")
