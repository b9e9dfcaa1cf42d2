"""What checks found, by drop: all checks of the newest drops, one check over time, and the last results of a model."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from dropledger.core.contracts.contract import Severity
from dropledger.core.contracts.pipeline_spec import Check, Pipeline
from dropledger.core.ports.session import Session
from dropledger.core.views.drops import Records

State = Literal["passed", "warn", "error", "not run"]

_LAYERS = ("staging", "history", "marts")
_WORST = ("not run", "passed", "warn", "error")


def own_checks(pipeline: Pipeline) -> list[tuple[str, Check]]:
    """The checks that a pipeline's files define, each with the layer that its results tell of."""
    of_feeds = [("staging", check) for feed in pipeline.feed_order for check in pipeline.feed_checks[feed]]
    return [*of_feeds, *(("marts", check) for mart in pipeline.marts for check in mart.checks)]


def check_matrix(session: Session, pipeline: Pipeline, limit: int = 50) -> dict[str, Any]:
    """The checks of the newest drops by order of receipt, as the last examination of each drop had them.

    Returns:
        `drops`, the newest first: `drop_id`, `feed`, `name`, `sequence`, `status`, `received_at`. `checks`, by layer,
        model and name: `layer`, `model`, `check_name`, `severity`, and for each of the drops in their order `states`
        (passed, warn, error, or not run) and `failing_rows` (None where it did not run). A check that the pipeline's
        files define is there even where none of the drops ran it.
    """
    newest = f"""SELECT l.drop_id, l.feed, l.name, l.sequence, l.status, l.received_at
        FROM drop_ledger AS l
        ORDER BY l.sequence DESC
        LIMIT {int(limit)}"""
    drops = session.query(newest)
    found = []
    if drops:
        found = session.query(
            f"""SELECT c.drop_id, c.layer, c.model, c.check_name, c.severity, c.passed, c.failing_rows
            FROM check_result AS c
            INNER JOIN (
                {newest}
            ) AS n
                ON n.drop_id = c.drop_id
                AND n.sequence = c.sequence
            WHERE c.sequence >= :oldest""",
            {"oldest": drops[-1]["sequence"]},
        )
    places = {drop["drop_id"]: place for place, drop in enumerate(drops)}
    rows = {
        (layer, check.model, check.definition.name): _nothing_run(check.definition.severity, len(drops))
        for layer, check in own_checks(pipeline)
    }
    for result in found:
        name = result["layer"], result["model"], result["check_name"]
        row = rows.setdefault(name, _nothing_run(result["severity"], len(drops)))
        _add(row, places[result["drop_id"]], result)
    checks = [
        {"layer": layer, "model": model, "check_name": name, **rows[layer, model, name]}
        for layer, model, name in sorted(rows, key=lambda name: (_LAYERS.index(name[0]), *name[1:]))
    ]
    return {"drops": drops, "checks": checks}


def _nothing_run(severity: str, drops: int) -> dict[str, Any]:
    return {"severity": str(severity), "states": ["not run"] * drops, "failing_rows": [None] * drops}


def _add(row: dict[str, Any], place: int, result: dict[str, Any]) -> None:
    """Note a result; of two checks of one name the worse state stands, with the rows of both."""
    row["states"][place] = max(row["states"][place], state_of(result), key=_WORST.index)
    row["failing_rows"][place] = (row["failing_rows"][place] or 0) + result["failing_rows"]


def state_of(result: dict[str, Any]) -> State:
    """`passed`, or what the check's severity makes of rows that failed."""
    if result["passed"]:
        return "passed"
    return "error" if result["severity"] == Severity.ERROR else "warn"


def check_timeline(session: Session, model: str, name: str, limit: int) -> Records:
    """The newest results of a check, the oldest of them first; those of a drop that was examined again count each.

    Returns:
        `drop_id`, `feed`, `file`, `sequence`, `received_at`, `layer`, `severity`, `failing_rows`, `message`, `state`.
        Empty where it never ran.
    """
    found = session.query(
        f"""SELECT c.drop_id, l.feed, l.name AS file, c.sequence, coalesce(d.received_at, l.received_at) AS received_at,
            c.layer, c.severity, c.passed, c.failing_rows, c.message
        FROM (
            SELECT r.drop_id, r.sequence, r.layer, r.severity, r.passed, r.failing_rows, r.message
            FROM check_result AS r
            WHERE r.model = :model
                AND r.check_name = :name
            ORDER BY r.sequence DESC, r.message
            LIMIT {int(limit)}
        ) AS c
        LEFT JOIN drop_ledger AS l
            ON l.drop_id = c.drop_id
        LEFT JOIN delivery AS d
            ON d.drop_id = c.drop_id
            AND d.sequence = c.sequence
        ORDER BY c.sequence, c.message""",
        {"model": model, "name": name},
    )
    return [_told(row) for row in found]


def _told(row: dict[str, Any]) -> dict[str, Any]:
    return {**{name: value for name, value in row.items() if name != "passed"}, "state": state_of(row)}


def newest_results(session: Session, models: Sequence[str] | None = None) -> Records:
    """What each check found when it ran last, by model and name; of these models alone, if they are given.

    Returns:
        `layer`, `model`, `check_name`, `severity`, `failing_rows`, `message`, `drop_id`, `received_at`, `state`.
    """
    bound = {f"model_{place}": model for place, model in enumerate(models or ())}
    only = f"AND r.model IN ({', '.join(f':{name}' for name in bound)})" if bound else ""
    found = session.query(
        f"""SELECT c.layer, c.model, c.check_name, c.severity, c.passed, c.failing_rows, c.message, c.drop_id,
            coalesce(d.received_at, l.received_at) AS received_at
        FROM check_result AS c
        INNER JOIN (
            SELECT r.model, r.check_name, max(r.sequence) AS sequence
            FROM check_result AS r
            WHERE r.sequence IS NOT NULL
                {only}
            GROUP BY r.model, r.check_name
        ) AS n
            ON n.model = c.model
            AND n.check_name = c.check_name
            AND n.sequence = c.sequence
        LEFT JOIN drop_ledger AS l
            ON l.drop_id = c.drop_id
        LEFT JOIN delivery AS d
            ON d.drop_id = c.drop_id
            AND d.sequence = c.sequence
        ORDER BY c.model, c.check_name, c.message""",
        bound,
    )
    return [_told(row) for row in found]


def worst(states: Iterable[State]) -> State:
    """The worst of several states; `not run` of none."""
    return max(states, key=_WORST.index, default="not run")
