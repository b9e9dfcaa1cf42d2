"""Verify: the archive folded again aside, and held against the live tables row by row."""

from dataclasses import dataclass
from typing import Any

from core.claims import with_waiting
from core.ports import Warehouse
from core.rebuild import Progress, Selection, rebuild
from core.runtime import Runtime
from core.sql import quoted


@dataclass(frozen=True, slots=True)
class Difference:
    """Rows of one table that only the live warehouse or only the rebuilt one has; `rows` are the first few."""

    table: str
    only: str
    count: int
    rows: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Verified:
    """The outcome of a verification; `other_contract` are drops that went in under a contract since changed."""

    drops: int
    tables: tuple[str, ...]
    differences: tuple[Difference, ...]
    other_contract: tuple[str, ...]


def verify(runtime: Runtime, progress: Progress, sample: int = 5) -> Verified:
    """Rebuild aside and compare every row of history, marts and refused rows with the live tables.

    Raises:
        Unavailable: an archived file is missing or was changed.
    """
    with runtime.store.exclusive(runtime.wait_seconds):
        runtime = with_waiting(runtime)
        if not runtime.warehouse.exists():
            return Verified(0, (), (), ())
        rebuilt = runtime.warehouse.aside("verifying")
        try:
            drops = rebuild(runtime, rebuilt, Selection(), progress)
            return compare(runtime, rebuilt, drops, sample)
        finally:
            rebuilt.remove()


def compare(runtime: Runtime, rebuilt: Warehouse, drops: int, sample: int) -> Verified:
    """Hold every row of history, marts and refused rows against those of the live warehouse."""
    tables = [
        *(f"history_{feed}" for feed in runtime.pipeline.feed_order),
        *(mart.name for mart in runtime.pipeline.marts),
        "rejected_row",
    ]
    differences = []
    with rebuilt.session() as session, session.attached(runtime.warehouse, (*tables, "drop_ledger")) as live:
        for table in tables:
            ours, theirs = f"SELECT * FROM {quoted(table)}", f"SELECT * FROM {live}{quoted(table)}"
            for only, select in (("live", f"{theirs} EXCEPT ALL {ours}"), ("rebuilt", f"{ours} EXCEPT ALL {theirs}")):
                session.scratch("difference", select)
                count = session.count("difference")
                if count:
                    rows = session.query(f"SELECT * FROM difference ORDER BY ALL LIMIT {int(sample)}")
                    differences.append(Difference(table, only, count, tuple(rows)))
        changed = session.query(
            f"""SELECT l.drop_id
            FROM {live}drop_ledger AS l
            INNER JOIN drop_ledger AS r
                ON r.drop_id = l.drop_id
            WHERE r.contract_sha256 IS DISTINCT FROM l.contract_sha256
            ORDER BY l.sequence"""
        )
    return Verified(drops, tuple(tables), tuple(differences), tuple(row["drop_id"] for row in changed))
