"""A feed: its contract as values, and what came of it over time."""

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from dropledger.core.contracts.contract import Column, Contract, Rule
from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.ports import Clock
from dropledger.core.ports.session import Session
from dropledger.core.views.drops import Records
from dropledger.core.views.freshness import ages_at_arrival, read_freshness

_FORM = (
    *("optional", "joined", "path", "date_format", "timestamp_format", "timezone", "zones", "dst"),
    *("decimal_mark", "group_mark", "strip", "negative"),
)
_SHARE = Decimal("0.0001")


def show_feed(session: Session | None, pipeline: Pipeline, feed: str, clock: Clock, limit: int = 100) -> dict[str, Any]:
    """A feed's contract, its newest drops, and how fresh it is now and was when they came.

    Returns:
        `feed`, `description`, `owner`, `file` (of the contract), `contract_sha256`; `files`, patterns; `mode`,
        `missing_keys`, `max_rejected`, `as_of` (its sources), `future`, `effective_column`, `operation` (None, or
        `column`, `upsert`, `delete`), `delimiters`, `ignore`, `initial`; `key`, a list; `columns`, each with `name`,
        `aliases`, `type`, `default`, `description`, `classification`, `in_key`, `rules`, and `form`, how its cells are
        written, as far as the contract says; `checks`, each with `name`, `severity`, `message`; `yaml`, the contract's
        text; `format`, `encoding`. `drops`, the newest of them, the oldest first: see `_drops`; empty without a
        session. `freshness`, as in `status`, None without such an entry; `ages`, see `ages_at_arrival`.

    Raises:
        ConfigurationError: the pipeline has no such feed.
    """
    contract = pipeline.contract(feed)
    operation = contract.operation
    drops = _drops(session, feed, limit) if session else []
    return {
        "feed": feed,
        "description": contract.description,
        "owner": contract.owner,
        "file": contract.file.name,
        "contract_sha256": contract.sha256,
        "files": list(contract.files),
        "mode": contract.mode,
        "missing_keys": contract.missing_keys,
        "max_rejected": contract.max_rejected,
        "as_of": [str(source) for source in contract.as_of],
        "future": contract.future,
        "effective_column": contract.effective_column,
        "operation": operation
        and {"column": operation.column, "upsert": list(operation.upsert), "delete": list(operation.delete)},
        "format": contract.format,
        "encoding": contract.encoding,
        "delimiters": list(contract.delimiters),
        "ignore": list(contract.ignore),
        "initial": contract.initial,
        "key": list(contract.key),
        "columns": [_column(contract, column) for column in contract.columns],
        "checks": [
            {"name": check.name, "severity": str(check.severity), "message": check.message} for check in contract.checks
        ],
        "yaml": contract.yaml,
        "drops": drops,
        "freshness": read_freshness(session, pipeline, clock).get(feed),
        "ages": ages_at_arrival(pipeline, feed, drops),
    }


def _column(contract: Contract, column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "aliases": list(column.aliases),
        "type": column.type,
        "default": column.default,
        "description": column.description,
        "classification": column.classification,
        "in_key": column.name in contract.key,
        "rules": [_rule(rule) for rule in column.rules],
        "form": {name: _plain(value) for name in _FORM if (value := getattr(column, name))},
    }


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else list(value) if isinstance(value, tuple) else value


def _rule(rule: Rule) -> dict[str, Any]:
    """A rule with those of its parameters that it has."""
    values = dict(rule.values) if isinstance(rule.values, Mapping) else rule.values and list(rule.values)
    parameters = {"values": values, "min": rule.min, "max": rule.max, "pattern": rule.pattern, "to": rule.to}
    return {
        "rule": rule.rule,
        "name": rule.label,
        "severity": str(rule.severity),
        "message": rule.message,
        **{name: value for name, value in parameters.items() if value is not None},
    }


def _drops(session: Session, feed: str, limit: int) -> Records:
    """The newest drops of a feed by order of receipt, the oldest of them first.

    Each with `drop_id`, `name`, `sequence`, `status`, `as_of`, `received_at`, `rows_read`, `rows_accepted`,
    `rows_rejected`, `rows_duplicate`, `versions_opened`, `versions_closed`, `contract_sha256` (of what it was read
    under) and `rejected_share`: of the rows read, with four decimals; None of none.
    """
    found = session.query(
        f"""SELECT l.drop_id, l.name, l.sequence, l.status, l.as_of, l.received_at, l.rows_read, l.rows_accepted,
            l.rows_rejected, l.rows_duplicate, l.versions_opened, l.versions_closed, l.contract_sha256
        FROM drop_ledger AS l
        WHERE l.feed = :feed
        ORDER BY l.sequence DESC
        LIMIT {int(limit)}""",
        {"feed": feed},
    )
    return [{**row, "rejected_share": _share(row["rows_rejected"], row["rows_read"])} for row in reversed(found)]


def _share(part: int, whole: int) -> Decimal | None:
    return (Decimal(part) / Decimal(whole)).quantize(_SHARE, ROUND_HALF_UP) if whole else None
