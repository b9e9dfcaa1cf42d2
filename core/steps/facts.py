"""Facts: the rows of feeds of mode event. Of each key the row received first stands, and nothing changes it.

Which row that is goes by the order of receipt alone, never by the times of the facts. So a file is held against
history, not against other files, and only a drop that is taken back or in again has later ones read once more.
"""

from collections.abc import Callable
from dataclasses import replace

from dropledger.core.contracts.contract import Contract
from dropledger.core.contracts.fragments import feed_fragments
from dropledger.core.ports.session import Session
from dropledger.core.sql.text import literal, statement
from dropledger.core.steps.history import changed, history_columns
from dropledger.core.steps.validate import CONFLICTING, NOTHING_LEFT_OUT, Validated, leave_out

OTHER_FACT = "an earlier file says something else of this key, and a fact never changes: what was received first stands"
"""Why a row is refused that contradicts an earlier file."""

CONTRADICTS = f"(rule = {literal(CONFLICTING)} AND reason = {literal(OTHER_FACT)})"
"""Of a row of `rejected_row` or `_dl_left_out`, whether it was refused for that."""


def judge(session: Session, contract: Contract, validated: Validated, drop_id: str) -> Validated:
    """Leave out of scratch `observation` the rows whose key history has by another drop.

    The times stay those of all rows that were held against history: what a drop observed does not go by which other
    drops there are.
    """
    if validated.rows_accepted == 0:
        return validated
    fragments = feed_fragments(contract)
    this = {"drop_id": drop_id}
    # Hardly a file has such a row, and the columns of the key alone are soon looked through.
    known = session.query(
        f"""SELECT count(*) AS known
        FROM observation AS o
        INNER JOIN {fragments["history"]} AS h
            ON {fragments["same_key"]}
        WHERE h.drop_id <> :drop_id""",
        this,
    )[0]["known"]
    if not known:
        return validated
    if validated.left_out is None:
        session.scratch("_dl_left_out", NOTHING_LEFT_OUT)
    leave_out(session, statement("known_facts", {**fragments, **_said_of_conflict(contract)}), this)
    session.view("observation", statement("observation"))
    new = session.count("observation")
    conflicting = session.query(f"SELECT count(*) AS found FROM _dl_left_out WHERE {CONTRADICTS} AND NOT _duplicate")[
        0
    ]["found"]
    return replace(
        validated,
        rows_accepted=new,
        rows_rejected=validated.rows_rejected + conflicting,
        rows_duplicate=validated.rows_duplicate + validated.rows_accepted - new - conflicting,
    )


def _said_of_conflict(contract: Contract) -> dict[str, str]:
    return {"column_name": literal(contract.key[0]), "rule": literal(CONFLICTING), "reason": literal(OTHER_FACT)}


def _conflict_columns(contract: Contract) -> str:
    return ", ".join(f"{text} AS {name}" for name, text in _said_of_conflict(contract).items())


def judge_observed(session: Session, contract: Contract) -> None:
    """Judge the rows in `_dl_merged_observation` one against another, and against the facts in `_dl_known_fact`.

    Leaves scratch `_dl_judged_fact`: the rows with `_new` and `_duplicate`; one that is neither is refused.
    """
    session.scratch("_dl_judged_fact", statement("judge_facts", feed_fragments(contract)))


def find_known(session: Session, contract: Contract) -> None:
    """Set up `_dl_known_fact` with the facts in history whose keys are in `_dl_merged_observation`."""
    fragments = feed_fragments(contract)
    session.scratch(
        "_dl_known_fact",
        f"""SELECT {fragments["h_columns"]}, h.valid_from
        FROM {fragments["history"]} AS h
        WHERE EXISTS (SELECT 1 FROM _dl_merged_observation AS o WHERE {fragments["same_key"]})""",
    )


def add_judged(session: Session, contract: Contract) -> int:
    """Put the new ones among `_dl_judged_fact` into history; how many. `changed_<feed>` has their keys."""
    fragments = feed_fragments(contract)
    columns = [one.name for one in history_columns(contract)]
    added = session.insert_select(
        f"history_{contract.feed}",
        columns,
        f"""SELECT {fragments["columns"]}, _effective_at, NULL, TRUE, _drop_id, _line
        FROM _dl_judged_fact
        WHERE _new""",
    )
    key = fragments["key"]
    changed(session, contract, f"SELECT {key}, _effective_at AS changed_from FROM _dl_judged_fact WHERE _new")
    return added


def left_out_of(session: Session, contract: Contract, sequence: int) -> None:
    """Set up `_dl_left_out` with the rows of one drop among `_dl_judged_fact` that are not new."""
    session.scratch(
        "_dl_left_out",
        f"""SELECT _line, _duplicate, {_conflict_columns(contract)}
        FROM _dl_judged_fact
        WHERE _sequence = :sequence AND NOT _new""",
        {"sequence": sequence},
    )


def settle_again(session: Session, contract: Contract, sequence: int, observe: Callable[[], None]) -> tuple[int, int]:
    """Decide anew which facts stand of the keys in `_dl_affected_key`, by the drops from `sequence` on.

    `observe` fills `_dl_merged_observation` with what these observed of the keys; it is called when it is known which
    facts of earlier drops stand. Gives how many facts came and went; leaves `_dl_judged_fact`. A key whose fact is now
    of another time is in `changed_<feed>` with both times, as totals by time have lost it there.
    """
    fragments = feed_fragments(contract)
    history, key = f"history_{contract.feed}", fragments["key"]
    of_keys = f"""FROM {fragments["history"]} AS h
        INNER JOIN _dl_affected_key AS o
            ON {fragments["same_key"]}
        INNER JOIN drop_ledger AS l
            ON l.drop_id = h.drop_id"""
    this = {"sequence": sequence}
    known = f"SELECT {fragments['h_columns']}, h.valid_from {of_keys} WHERE l.sequence < :sequence"
    session.scratch("_dl_known_fact", known, this)
    removed = f"SELECT h.* {of_keys} WHERE l.sequence >= :sequence"
    session.scratch("_dl_removed_version", removed, this)
    observe()
    judge_observed(session, contract)
    gone = session.delete_keys(history, contract.key, "_dl_removed_version")
    added = add_judged(session, contract)
    changed(
        session,
        contract,
        f"""SELECT {key}, valid_from AS changed_from FROM _dl_removed_version
        UNION
        SELECT {key}, _effective_at FROM _dl_judged_fact WHERE _new""",
    )
    return added, gone


def newly_refused(session: Session) -> list[str]:
    """The drops that have a refused row among `_dl_judged_fact` which the ledger does not tell of."""
    found = session.query(f"SELECT DISTINCT _drop_id AS drop_id FROM ({_NEWLY_REFUSED}) AS f ORDER BY drop_id")
    return [row["drop_id"] for row in found]


def refused_of(session: Session, contract: Contract, drop_id: str) -> None:
    """Set up `_dl_left_out` with those rows of one of these drops."""
    session.scratch(
        "_dl_left_out",
        f"""SELECT _line, FALSE AS _duplicate, {_conflict_columns(contract)}
        FROM ({_NEWLY_REFUSED}) AS f
        WHERE _drop_id = :drop_id""",
        {"drop_id": drop_id},
    )


_NEWLY_REFUSED = """SELECT f._drop_id, f._line
        FROM _dl_judged_fact AS f
        WHERE NOT f._new
            AND NOT f._duplicate
            AND NOT EXISTS (
                SELECT 1
                FROM rejected_row AS r
                WHERE r.drop_id = f._drop_id
                    AND r.sequence = f._sequence
                    AND r.line = f._line
            )"""
