"""A pipeline with a feed `event` whose rows bring their own times, which move the moment; and no marts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from dropledger.core.contracts.pipeline_spec import Pipeline, load_pipeline

HEADER = "event_id,amount,at\n"


def event_pipeline(folder: Path, changes: Mapping[str, Any] | None = None) -> Pipeline:
    """The pipeline in `folder`, with changed entries of the contract."""
    contract = {
        "feed": "event",
        "files": ["events*.csv"],
        "mode": "delta",
        "effective_column": "at",
        "key": ["event_id"],
        "columns": [
            {"name": "event_id", "rules": ["not_null"]},
            {"name": "amount", "type": "decimal(18,2)", "rules": ["not_null"]},
            {"name": "at", "type": "timestamp"},
        ],
        **(changes or {}),
    }
    folder.mkdir()
    (folder / "marts").mkdir()
    (folder / "event.yaml").write_text(yaml.safe_dump(contract), encoding="utf-8")
    (folder / "pipeline.yaml").write_text("pipeline: events\nschema: events\nmoment: [event]\n", encoding="utf-8")
    return load_pipeline(str(folder))


def events(*rows: tuple[str, str, str]) -> str:
    """A file of events: key, amount and time of each."""
    return HEADER + "".join(",".join(row) + "\n" for row in rows)
