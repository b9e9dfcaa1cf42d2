"""All that the ledger and the root have of one drop."""

from difflib import unified_diff
from typing import Any

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.ledger import ledger
from dropledger.core.ledger.files import artifacts_of, files_of
from dropledger.core.ledger.ledger import SETTLED, LedgerRow
from dropledger.core.ports.session import Session
from dropledger.core.ports.store import Store
from dropledger.core.views.drops import Records, find_drop


def show(session: Session, store: Store, pipeline: Pipeline, drop_id: str) -> dict[str, Any]:
    """What became of a drop, with its deliveries, checks, retractions, contract and files.

    `drop_id` may be the beginning of one.

    Raises:
        ConfigurationError: there is no such drop, or there are several.
    """
    drop = find_drop(session, drop_id)
    bound = {"drop_id": drop["drop_id"], "sequence": drop["sequence"]}
    more = session.query(
        """SELECT uri, size_bytes, sha256, as_of_source, first_effective, last_effective, contract_sha256,
            control_sha256
        FROM drop_ledger
        WHERE drop_id = :drop_id""",
        bound,
    )[0]
    contract = more.pop("contract_sha256")
    row = ledger.find(session, drop["drop_id"])
    return {
        "drop": {**drop, **more},
        "deliveries": _deliveries(session, bound["drop_id"]),
        "checks": session.query(
            """SELECT layer, model, check_name, severity, passed, failing_rows, message
            FROM check_result
            WHERE drop_id = :drop_id AND sequence = :sequence
            ORDER BY layer, model, check_name""",
            bound,
        ),
        "retractions": _retractions(session, bound["drop_id"]),
        "contract": {
            "sha256": contract,
            "in_force": drop["feed"] in pipeline.contracts and pipeline.contract(drop["feed"]).sha256 == contract,
            "changes": _contract_changes(session, drop["feed"], drop["sequence"], contract),
        },
        "files": _files(store, row) if row is not None else {},
    }


def _deliveries(session: Session, drop_id: str) -> Records:
    """Every delivery in order of time, with what was found where it was examined, the failed checks included."""
    found = session.query(
        """SELECT received_at, outcome, uri, sequence, rows_read, rows_accepted, rows_rejected, rows_duplicate,
            contract_sha256, error
        FROM delivery
        WHERE drop_id = :drop_id
        ORDER BY received_at, sequence""",
        {"drop_id": drop_id},
    )
    failed = session.query(
        """SELECT sequence, model, check_name, severity, failing_rows, message
        FROM check_result
        WHERE drop_id = :drop_id AND NOT passed
        ORDER BY sequence, model, check_name""",
        {"drop_id": drop_id},
    )
    return [
        {
            **delivery,
            "failed_checks": [
                {name: value for name, value in check.items() if name != "sequence"}
                for check in failed
                if check["sequence"] == delivery["sequence"]
            ],
        }
        for delivery in found
    ]


def _retractions(session: Session, drop_id: str) -> Records:
    """Every retraction in order of time, each with the restoration that ended it, if one did."""
    taken_back = session.query(
        """SELECT retracted_at, retracted_by, reason
        FROM retraction
        WHERE drop_id = :drop_id
        ORDER BY retracted_at""",
        {"drop_id": drop_id},
    )
    restored = session.query(
        """SELECT restored_at, restored_by, reason AS restored_because
        FROM restoration
        WHERE drop_id = :drop_id
        ORDER BY restored_at""",
        {"drop_id": drop_id},
    )
    nothing = {"restored_at": None, "restored_by": None, "restored_because": None}
    # A drop is taken back, restored, taken back again: the two lists go by turns.
    return [{**one, **(restored[place] if place < len(restored) else nothing)} for place, one in enumerate(taken_back)]


def _contract_changes(session: Session, feed: str | None, sequence: int, contract: str | None) -> list[str]:
    """What the contract says otherwise than that of the feed's drop before, as the lines of a unified diff."""
    if feed is None or contract is None:
        return []
    before = session.query(
        """SELECT contract_sha256
        FROM drop_ledger
        WHERE feed = :feed AND sequence < :sequence AND contract_sha256 IS NOT NULL
        ORDER BY sequence DESC
        LIMIT 1""",
        {"feed": feed, "sequence": sequence},
    )
    if not before or before[0]["contract_sha256"] == contract:
        return []
    texts = session.query(
        "SELECT sha256, yaml FROM contract_text WHERE feed = :feed AND sha256 IN (:contract, :before)",
        {"feed": feed, "contract": contract, "before": before[0]["contract_sha256"]},
    )
    by_sha256 = {row["sha256"]: row["yaml"].splitlines() for row in texts}
    earlier, now = by_sha256.get(before[0]["contract_sha256"], []), by_sha256.get(contract, [])
    return list(unified_diff(earlier, now, "before", "now", lineterm="", n=2))


def _files(store: Store, row: LedgerRow) -> dict[str, list[str]]:
    """The names under the root of the files of a drop that are there, by their folder."""
    kept = row.archived if row.status in SETTLED else {}
    outputs = [f"outputs/{name}" for name in artifacts_of(row.drop_id)]
    return {
        "archive": [name for name in kept if store.exists(name)],
        "outputs": [name for name in outputs if store.exists(name)],
        "quarantine": files_of(store, row.drop_id, row.name),
    }
