"""A pipeline of one feed, whose contract is a YAML text, and no marts; and what a file of it comes to."""

from pathlib import Path

import yaml

from dropledger.core.contracts.pipeline_spec import Pipeline, load_pipeline
from dropledger.core.ledger.ledger import Delivered
from dropledger.core.ledger.outcome import Outcome
from support.ledger import Ledger

ENTRY = """
feed: entry
files: ["entries*"]
key: [id]
columns:
  - {name: id, type: bigint, rules: [not_null]}
"""
"""A contract with the key of its rows; more columns, and then more entries, may follow."""

KEPT = ("valid_from", "valid_to", "is_current", "drop_id")
"""What history has beside a row's line and values."""


def one_feed(folder: Path, contract: str) -> Pipeline:
    """The pipeline in `folder`, made anew."""
    (folder / "marts").mkdir(parents=True, exist_ok=True)
    feed = yaml.safe_load(contract)["feed"]
    (folder / f"{feed}.yaml").write_text(contract, encoding="utf-8")
    (folder / "pipeline.yaml").write_text(f"pipeline: one\nschema: one\nmoment: [{feed}]\n", encoding="utf-8")
    return load_pipeline(str(folder))


def rows_of(ledger: Ledger) -> list[tuple[str, ...]]:
    """The versions in a ledger's one history by line: the line, and each value as text, empty where there is none."""
    [feed] = ledger.runtime.pipeline.contracts
    with ledger.runtime.warehouse.session(read_only=True) as session:
        found = session.query(f"SELECT * FROM history_{feed} ORDER BY line")
    names = [column.name for column in ledger.runtime.pipeline.contracts[feed].columns]
    return [(str(row["line"]), *(_shown(row.get(name)) for name in names)) for row in found]


def _shown(value: object) -> str:
    return "" if value is None else str(value).removesuffix("+00:00")


def rejects_of(ledger: Ledger, outcome: Outcome) -> list[tuple[int, str | None, str, str, str]]:
    """The refused rows of a drop: line, column, rule, reason and text."""
    with ledger.runtime.warehouse.session(read_only=True) as session:
        found = session.query(
            "SELECT * FROM rejected_row WHERE drop_id = :drop_id ORDER BY line", {"drop_id": outcome.drop.drop_id}
        )
    return [(row["line"], row["column_name"], row["rule"], row["reason"], row["raw"]) for row in found]


def refused(outcome: Outcome) -> str:
    """Why a file was refused: rule, reason and what to do."""
    assert outcome.delivered == Delivered.QUARANTINED, outcome
    return f"{outcome.rule}: {outcome.error}. {outcome.hint}"
