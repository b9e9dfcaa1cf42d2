"""Reads cells of one column, which a contract describes, in a session of any engine."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dropledger.core.contracts.contract_file import load_contract
from dropledger.core.ports.session import Session
from dropledger.core.steps.validate import validate
from support.reading import Reader

_KEY = "key: [id]\ncolumns:\n  - {name: id, type: bigint, rules: [not_null]}\n"


def read_cells(
    session: Session, folder: Path, column: str, cells: Sequence[str]
) -> tuple[dict[int, Any], dict[int, str]]:
    """Values and reasons, by the place of the cell, of a column `x`."""
    path = folder / "thing.yaml"
    path.write_text(f"feed: thing\nfiles: [things*.csv]\n{_KEY}  - {{name: x, {column}}}\n", encoding="utf-8")
    reader = Reader(session, load_contract(path), folder / "things.csv")
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("id", "x"), *enumerate(cells)])
    extract = reader.extract(text.getvalue())
    with reader.transaction() as session_:
        reader.load(extract)
        validated = validate(session_, extract, "loaded")
        accepted = {row["id"]: row["x"] for row in session_.query("SELECT id, x FROM observation")}
        refused = "SELECT p.id, l.rule, l.reason FROM _dl_left_out AS l INNER JOIN _dl_parsed AS p ON p._line = l._line"
        left_out = session_.query(refused) if validated.rows_accepted < validated.rows_read else []
    assert all(row["reason"] for row in left_out)
    return accepted, {row["id"]: f"{row['rule']}: {row['reason']}" for row in left_out}
