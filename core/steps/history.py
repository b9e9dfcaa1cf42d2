"""History: a drop's observations folded into SCD2 versions.

A drop whose observations are all later than any before takes one step: a join with the open versions. Any
other drop is merged: the timelines of the affected keys are rebuilt from where they change on. Both give
the history that docs/concepts.md defines.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from dropledger.core.contracts.contract import Contract
from dropledger.core.contracts.fragments import feed_fragments
from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.formats.extract import Extract
from dropledger.core.ports.session import Session, TableColumn
from dropledger.core.sql.text import engine_type, listed, quoted, statement
from dropledger.core.steps.validate import Validated


@dataclass(frozen=True, slots=True)
class Folded:
    """How many versions a drop opened and closed, and the span of effective times (UTC) that it observed.

    The keys that it changed are in `changed_<feed>`, each with the time from which it did, until the next drop is read.
    Until then `replaced` selects the versions that it closed or replaced, as they were; empty where there are none.
    """

    versions_opened: int
    versions_closed: int
    first_effective: datetime | None = None
    last_effective: datetime | None = None
    replaced: str = ""

    def before(self, observed_until: datetime | None) -> bool:
        """Whether anything was observed that lies before what had been observed until then."""
        first = self.first_effective
        return first is not None and observed_until is not None and first < observed_until


UPDATED_IN_PLACE = 1_000_000
"""Up to so many versions are closed by an update, which keeps in memory how each was; more are put in anew."""


LaterObservations = Callable[[Contract, datetime], None]
"""Adds to scratch `_dl_merged_observation` what other drops observed of the affected keys since a moment."""


def free_texts(contract: Contract) -> set[str]:
    """The columns beside the key whose texts hardly repeat."""
    return {column.name for column in contract.values if column.is_text and not column.accepted_values}


def history_columns(contract: Contract) -> list[TableColumn]:
    """The columns of a feed's history table."""
    hardly_repeat = free_texts(contract)
    of_feed = (*contract.key_columns, *contract.values)
    return [
        *(TableColumn(one.name, engine_type(one.type), free_text=one.name in hardly_repeat) for one in of_feed),
        TableColumn("valid_from", "TIMESTAMP", required=True),
        TableColumn("valid_to", "TIMESTAMP"),
        TableColumn("is_current", "BOOLEAN", required=True),
        TableColumn("drop_id", "STRING", required=True),
        TableColumn("line", "BIGINT", required=True),
    ]


def observed_columns(contract: Contract) -> list[str]:
    """The columns of `_dl_merged_observation`."""
    of_feed = (*contract.key_columns, *contract.values)
    return [*(one.name for one in of_feed), "_effective_at", "_absent", "_line", "_sequence", "_drop_id"]


OPEN = {"valid_to": "NULL", "is_current": "TRUE"}
"""What a version is given whose end is taken back."""


def fold(
    session: Session,
    extract: Extract,
    validated: Validated,
    sequence: int,
    *,
    observed_until: datetime | None = None,
    later_observations: LaterObservations = lambda *_: None,
    received_last: bool = True,
) -> Folded:
    """Fold scratch `observation` into the feed's history.

    `observed_until` is the latest effective time that drops of the feed observed before; None for the first.
    `received_last` is whether this drop comes behind those in history by its sequence: of one effective time it
    then stands.
    """
    contract = extract.contract
    closes_missing = contract.missing_keys == "close" and validated.unknown_keys == 0
    if closes_missing:
        _observe_missing_keys(session, extract, validated)
    # A complete extract observes something at its as_of, be it only that keys are missing.
    at = extract.as_of.moment if contract.mode == "full" else None
    first, last = validated.first_effective or at, validated.last_effective or at
    if first is None:
        _nothing_changed(session, contract)
        return Folded(0, 0)
    if contract.brings_facts:
        return Folded(_add_facts(session, extract, is_first=observed_until is None), 0, first, last)
    one_a_key = contract.effective_column is None
    if one_a_key and (observed_until is None or first > observed_until):
        opened, closed = _append(session, extract, validated.rows_accepted, is_first=observed_until is None)
        replaced = "" if observed_until is None else _closed(contract)
    else:
        _find_affected_keys(session, contract, extract.drop_id, sequence)
        if observed_until is not None and (first < observed_until or not received_last):
            later_observations(contract, first)
        opened, closed = merge_late_arrivals(session, contract)
        replaced = REPLACED
    return Folded(opened, closed, first, last, replaced)


def _find_affected_keys(session: Session, contract: Contract, drop_id: str, sequence: int) -> None:
    """Set up `_dl_affected_key` and `_dl_merged_observation` with what the drop itself observed."""
    fragments = feed_fragments(contract)
    session.scratch(
        "_dl_merged_observation",
        f"""SELECT
            {fragments["columns"]},
            _effective_at,
            _absent,
            _line,
            CAST(:sequence AS BIGINT) AS _sequence,
            CAST(:drop_id AS STRING) AS _drop_id
        FROM observation""",
        {"sequence": sequence, "drop_id": drop_id},
    )
    _find_observed_keys(session, contract)


def _find_observed_keys(session: Session, contract: Contract) -> None:
    """Set up `_dl_affected_key` with the keys in `_dl_merged_observation`."""
    key = feed_fragments(contract)["key"]
    session.scratch(
        "_dl_affected_key",
        f"SELECT {key}, min(_effective_at) AS changed_from FROM _dl_merged_observation GROUP BY {key}",
    )


def _observe_missing_keys(session: Session, extract: Extract, validated: Validated) -> None:
    contract = extract.contract
    fragments = feed_fragments(contract)
    nulls = ", ".join(
        f"CAST(NULL AS {engine_type(column.type)}) AS {quoted(column.name)}" for column in contract.values
    )
    fragments["h_columns"] = ", ".join(part for part in (fragments["h_key"], nulls) if part)
    fragments["known"] = "_dl_gone" if validated.compared else f"({statement('known_at', fragments)})"
    columns = f"_line, {fragments['columns']}, _effective_at, _absent"
    session.scratch("_dl_missing", statement("observe_missing_keys", fragments), {"as_of": extract.as_of.moment})
    session.scratch("_dl_observed", f"SELECT {columns} FROM observation UNION ALL SELECT {columns} FROM _dl_missing")
    session.view("observation", "SELECT * FROM _dl_observed")


def no_changes(session: Session, pipeline: Pipeline, but: str = "") -> None:
    """Start with empty `changed_<feed>` and `before_<feed>` relations, `but` for those of a feed."""
    for feed, contract in pipeline.contracts.items():
        if feed != but:
            _nothing_changed(session, contract)
            show_before(session, pipeline, contract, "")


def _nothing_changed(session: Session, contract: Contract) -> None:
    fragments = feed_fragments(contract)
    session.view(
        f"changed_{contract.feed}",
        f"SELECT {fragments['key']}, valid_from AS changed_from FROM {fragments['history']} WHERE FALSE",
    )


def show_before(session: Session, pipeline: Pipeline, contract: Contract, replaced: str) -> None:
    """Let `before_<feed>` be the versions that a select gives (see `Folded`), where marts ask for them."""
    if contract.feed in pipeline.shows_before:
        nothing = f"SELECT * FROM {quoted(f'history_{contract.feed}')} WHERE FALSE"
        session.view(f"before_{contract.feed}", replaced or nothing)


def all_changed(session: Session, pipeline: Pipeline) -> None:
    """Take every key of every feed for changed, so that the marts are computed from nothing."""
    for contract in pipeline.contracts.values():
        show_before(session, pipeline, contract, "")
        fragments = feed_fragments(contract)
        changed(
            session,
            contract,
            f"""SELECT {fragments["key"]}, min(valid_from) AS changed_from
            FROM {fragments["history"]}
            GROUP BY {fragments["key"]}""",
        )


REPLACED = "SELECT * FROM _dl_removed_version"
"""The versions that `merge_late_arrivals` replaced, as they were."""


def _closed(contract: Contract) -> str:
    """The versions that `_append` closed, as they were."""
    fragments = {**feed_fragments(contract), "change": "_dl_step"}
    return statement("closed_versions_before", fragments)


def changed(session: Session, contract: Contract, select: str) -> None:
    """Let `changed_<feed>` be the rows that a select gives now."""
    session.scratch(f"_dl_keys_of_{contract.feed}", select)
    session.view(f"changed_{contract.feed}", f"SELECT * FROM {quoted(f'_dl_keys_of_{contract.feed}')}")


def _append(session: Session, extract: Extract, accepted: int, *, is_first: bool) -> tuple[int, int]:
    contract = extract.contract
    fragments, history = feed_fragments(contract), f"history_{contract.feed}"
    closed = 0
    if is_first:  # there is no history to compare with
        fragments["change"] = "(SELECT *, TRUE AS _opens FROM observation WHERE NOT _absent)"
    else:
        fragments["change"] = "_dl_step"
        session.scratch("_dl_step", statement("append", fragments))
        few = accepted <= UPDATED_IN_PLACE and contract.missing_keys != "close"
        if few or session.count("_dl_step") <= UPDATED_IN_PLACE:
            end = {"valid_to": "s._effective_at", "is_current": "FALSE"}
            closed = session.update_matched(history, contract.key, "_dl_step", end, "t.is_current AND s._closes")
        else:
            session.scratch("_dl_added_version", statement("closed_versions", fragments))
            closed = session.count("_dl_added_version")
            session.scratch("_dl_removed_version", f"SELECT {fragments['key']}, valid_from FROM _dl_added_version")
            _exchange_versions(session, contract)
    columns, bound = [one.name for one in history_columns(contract)], {"drop_id": extract.drop_id}
    if is_first:  # in the order of the file, so that keys which rise in it are seen to rise in history too
        opened = session.insert_in_order(history, columns, statement("opened_versions", fragments), bound)
    else:
        opened = session.insert_select(history, columns, statement("opened_versions", fragments), bound)
    select = f"SELECT {fragments['key']}, _effective_at AS changed_from FROM {fragments['change']} AS o"
    session.view(f"changed_{contract.feed}", select)
    return opened, closed


def _add_facts(session: Session, extract: Extract, *, is_first: bool) -> int:
    """Put the rows of scratch `observation`, whose keys history has not, into it; how many."""
    contract = extract.contract
    facts = {**feed_fragments(contract), "change": "(SELECT *, TRUE AS _opens FROM observation)"}
    columns = [one.name for one in history_columns(contract)]
    insert = session.insert_in_order if is_first else session.insert_select
    opened = insert(
        f"history_{contract.feed}", columns, statement("opened_versions", facts), {"drop_id": extract.drop_id}
    )
    select = f"SELECT {facts['key']}, _effective_at AS changed_from FROM observation"
    session.view(f"changed_{contract.feed}", select)
    return opened


def _exchange_versions(session: Session, contract: Contract) -> None:
    """Put the versions in `_dl_added_version` into history, in place of those in `_dl_removed_version`."""
    history, columns = f"history_{contract.feed}", [one.name for one in history_columns(contract)]
    session.delete_keys(history, [*contract.key, "valid_from"], "_dl_removed_version")
    session.insert_select(history, columns, f"SELECT {listed(columns)} FROM _dl_added_version")


def nothing_observed(session: Session, contract: Contract) -> None:
    """Set up `_dl_merged_observation` without a row."""
    fragments = feed_fragments(contract)
    session.scratch(
        "_dl_merged_observation",
        f"""SELECT
            {fragments["columns"]},
            valid_from AS _effective_at,
            FALSE AS _absent,
            line AS _line,
            CAST(0 AS BIGINT) AS _sequence,
            drop_id AS _drop_id
        FROM {fragments["history"]}
        WHERE FALSE""",
    )


def merge_observed(session: Session, contract: Contract) -> tuple[int, int]:
    """`merge_late_arrivals` for the keys in `_dl_merged_observation`, which is all that was observed of them."""
    _find_observed_keys(session, contract)
    return merge_late_arrivals(session, contract)


def merge_late_arrivals(session: Session, contract: Contract) -> tuple[int, int]:
    """Rebuild the timelines of the keys in `_dl_affected_key` (key, changed_from) from `_dl_merged_observation`.

    Gives how many versions were opened and closed.

    `_dl_merged_observation` must hold all that any accepted drop observed of these keys at changed_from or later.
    """
    values = [column.name for column in contract.values]
    fragments = feed_fragments(contract)
    fragments["before_columns"] = "".join(
        f",\n        lag({quoted(name)}) OVER (PARTITION BY {fragments['key']} ORDER BY _effective_at)"
        f" AS {quoted('_before_' + name)}"
        for name in values
    )
    compared = " OR ".join(f"{quoted(name)} IS DISTINCT FROM {quoted('_before_' + name)}" for name in values)
    fragments["differs_from_before"] = f"({compared})" if compared else "FALSE"
    version = f"{fragments['columns']}, valid_from, valid_to, is_current, drop_id, line"
    session.scratch("_dl_merged", statement("merge_late_arrivals", fragments))
    session.scratch("_dl_replaced", statement("replaced", fragments))
    before, after = (f"SELECT {version} FROM {name}" for name in ("_dl_replaced", "_dl_merged"))
    session.scratch("_dl_removed_version", f"{before} EXCEPT {after}")
    session.scratch("_dl_added_version", f"{after} EXCEPT {before}")
    counts = session.query(statement("merge_counts", fragments))[0]
    _exchange_versions(session, contract)
    changed(
        session,
        contract,
        f"""SELECT {fragments["o_key"]}, o.changed_from
        FROM _dl_affected_key AS o
        INNER JOIN (
            SELECT {fragments["key"]} FROM _dl_removed_version
            UNION
            SELECT {fragments["key"]} FROM _dl_added_version
        ) AS h
            ON {fragments["same_key"]}""",
    )
    return int(counts["opened"]), int(counts["closed"])
