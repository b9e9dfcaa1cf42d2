"""What a pipeline makes of data, apart from what it says to people."""

import json
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path

from dropledger.core.contracts.contract import Contract
from dropledger.core.contracts.pipeline_spec import Mart, Model, Pipeline


def meaning_sha256(pipeline: Pipeline) -> str:
    """Of all that decides what tables and marts hold: it stays where just descriptions, owners, classifications,
    freshness and comments of YAML files change, or where a file lies.
    """
    plain = replace(
        pipeline,
        folder=Path(),
        file=replace(pipeline.file, calendars={}),
        contracts={feed: _contract(contract) for feed, contract in pipeline.contracts.items()},
        intermediate=tuple(_model(model) for model in pipeline.intermediate),
        marts=tuple(_mart(mart) for mart in pipeline.marts),
        sha256="",
    )
    return sha256(json.dumps(asdict(plain), default=str, sort_keys=True).encode()).hexdigest()


def _contract(contract: Contract) -> Contract:
    columns = tuple(replace(column, description="", classification=None) for column in contract.columns)
    said = {"description": "", "owner": "", "freshness": None, "file": Path(), "yaml": "", "sha256": ""}
    return replace(contract, columns=columns, **said)  # type: ignore[arg-type]


def _model(model: Model) -> Model:
    return replace(model, description="", descriptions={})


def _mart(mart: Mart) -> Mart:
    return replace(mart, file=replace(mart.file, description="", descriptions={}), touched_keys=None)
