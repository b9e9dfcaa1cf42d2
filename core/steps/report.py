"""The quality report of a drop: what was checked, what failed, and how many rows each layer saw."""

import json
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from dropledger.core import __version__
from dropledger.core.contracts.contract import Severity
from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.drop import iso
from dropledger.core.formats.extract import Drop
from dropledger.core.ports.session import Session
from dropledger.core.sql.text import listed, quoted
from dropledger.core.steps.checks import CheckResult
from dropledger.core.steps.marts import Refreshed
from dropledger.core.steps.questions import Question


def rejects_by_rule(session: Session, drop_id: str, sequence: int) -> dict[str, int]:
    """How many rows of a delivery each rule refused."""
    rows = session.query(
        """SELECT rule, count(*) AS refused
        FROM rejected_row
        WHERE drop_id = :drop_id
            AND sequence = :sequence
        GROUP BY rule
        ORDER BY rule""",
        {"drop_id": drop_id, "sequence": sequence},
    )
    return {row["rule"]: row["refused"] for row in rows}


def intermediate_rows(
    session: Session, pipeline: Pipeline, refreshed: Sequence[Refreshed]
) -> list[Question[Mapping[str, int]]]:
    """Asks for the rows of each model that marts read, of the keys just touched; all where it has no such key."""
    text = "\n".join(mart.sql for mart in pipeline.marts)
    # What is a step on the way to another model is left out; counting it would cost as much as computing it.
    models = [model.name for model in pipeline.intermediate if model.name in text]
    if not models:
        return []
    counts = []
    for model in models:
        columns = session.columns(model)
        keyed = next((found for found in refreshed if columns.keys() >= set(found.mart.file.key)), None)
        touched = ""
        if keyed and not keyed.whole:
            key = listed(keyed.mart.file.key)
            touched = f" WHERE ({key}) IN (SELECT {key} FROM {quoted(f'touched_{keyed.mart.name}')})"
        counts.append(f"(SELECT count(*) FROM {quoted(model)}{touched}) AS {quoted(model)}")
    return [Question("the rows of the intermediate models", f"SELECT {', '.join(counts)}", tuple(models), dict)]


def write_report(
    path: Path,
    drop: Drop,
    *,
    outcome: str,
    generated_at: datetime,
    engine: Sequence[tuple[str, str]],
    results: Sequence[CheckResult],
    rows: Mapping[str, int],
    row_counts: Mapping[str, Mapping[str, int]],
    rejects: Mapping[str, int],
    error: str | None = None,
) -> None:
    """Write the report as JSON; docs/operating.md describes its entries."""
    report: dict[str, Any] = {
        "report_version": 1,
        "drop_id": drop.drop_id,
        "feed": drop.feed or None,
        "name": drop.name,
        "as_of": iso(drop.as_of.moment),
        "as_of_source": str(drop.as_of.source),
        "outcome": outcome,
        "error": error,
        "generated_at": iso(generated_at),
        "environment": {"dropledger": __version__, "python": platform.python_version(), **dict(engine)},
        "rows": dict(rows),
        "totals": _totals(results),
        "by_layer": {
            layer: _totals([result for result in results if result.layer == layer])
            for layer in dict.fromkeys(result.layer for result in results)
        },
        "failed_checks": [
            {
                "layer": result.layer,
                "model": result.model,
                "check": result.check_name,
                "severity": result.severity,
                "failing_rows": result.failing_rows,
                "message": result.message,
            }
            for result in results
            if not result.passed
        ],
        "row_counts": {layer: dict(counts) for layer, counts in row_counts.items()},
        "rejects_by_rule": dict(rejects),
    }
    # An entry a line: with `indent` for all that is nested, json takes ten times as long.
    entries = (f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in report.items())
    path.write_text("{\n" + ",\n".join(entries) + "\n}\n", encoding="utf-8")


def _totals(results: Sequence[CheckResult]) -> dict[str, int]:
    verdicts = Counter(
        "passed" if result.passed else "failed" if result.severity == Severity.ERROR else "warned" for result in results
    )
    return {
        "checks": len(results),
        "passed": verdicts["passed"],
        "failed": verdicts["failed"],
        "warned": verdicts["warned"],
    }
