"""How the drops of a micro-batch are folded into history together, and what each of them did to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dropledger.core.contracts.contract import Contract
from dropledger.core.contracts.fragments import feed_fragments
from dropledger.core.formats.extract import Drop, Extract
from dropledger.core.ports.session import AnyLayout, Session
from dropledger.core.sql.text import quoted, statement
from dropledger.core.steps import facts
from dropledger.core.steps.history import REPLACED, Folded, merge_observed
from dropledger.core.steps.validate import Validated


@dataclass(frozen=True, slots=True)
class Member:
    """A drop of a micro-batch; `counts` is what was counted of its rows in scratch `_dl_together_<feed>`."""

    drop: Drop
    extract: Extract
    layout: AnyLayout
    counts: Mapping[str, Any]

    @property
    def validated(self) -> Validated:
        """What validation found: no row is left out."""
        rows, as_of = self.counts["row_count"], self.extract.as_of.moment
        return Validated(rows, rows, 0, 0, 0, as_of, as_of)


@dataclass(frozen=True, slots=True)
class Taken:
    """A drop of a micro-batch that is in history, with its sequence and what became of its rows."""

    member: Member
    sequence: int
    validated: Validated
    folded: Folded


def rows_of(contract: Contract) -> str:
    """The scratch relation with the typed rows of drops that were read together, by their `_file`."""
    return f"_dl_together_{contract.feed}"


def fold_together(session: Session, contract: Contract, members: Sequence[Member], first_sequence: int) -> list[Taken]:
    """Fold the drops that scratch `_dl_micro_batch` has, which are `members`, numbered from `first_sequence` on."""
    own_time = "o._effective_at" if contract.brings_facts else "m.as_of"
    fragments = {**feed_fragments(contract), "together": quoted(rows_of(contract)), "effective_at": own_time}
    session.scratch("_dl_merged_observation", statement("micro_batch_observation", fragments))
    fold = _fold_facts if contract.brings_facts else _fold_versions
    return fold(session, contract, members, first_sequence)


def _fold_versions(session: Session, contract: Contract, members: Sequence[Member], first_sequence: int) -> list[Taken]:
    merge_observed(session, contract)
    counts = {row["drop_id"]: row for row in session.query(statement("micro_batch_counts"))}
    found = []
    for sequence, member in enumerate(members, first_sequence):
        row, as_of = counts[member.drop.drop_id], member.drop.as_of.moment
        folded = Folded(int(row["opened"]), int(row["closed"]), as_of, as_of, REPLACED)
        found.append(Taken(member, sequence, member.validated, folded))
    return found


def _fold_facts(session: Session, contract: Contract, members: Sequence[Member], first_sequence: int) -> list[Taken]:
    """Put the facts into history that none before gave; each drop is held against those before it too."""
    facts.find_known(session, contract)
    facts.judge_observed(session, contract)
    facts.add_judged(session, contract)
    counted = session.query(
        """SELECT
            _sequence,
            sum(CASE WHEN _new THEN 1 ELSE 0 END) AS new,
            sum(CASE WHEN _duplicate THEN 1 ELSE 0 END) AS duplicates
        FROM _dl_judged_fact
        GROUP BY _sequence"""
    )
    counts = {row["_sequence"]: (int(row["new"]), int(row["duplicates"])) for row in counted}
    found = []
    for sequence, member in enumerate(members, first_sequence):
        rows, (new, duplicates) = member.counts["row_count"], counts[sequence]
        span = member.counts["first_effective"], member.counts["last_effective"]
        validated = Validated(rows, new, rows - new - duplicates, duplicates, 0, *span)
        found.append(Taken(member, sequence, validated, Folded(new, 0, *span)))
    return found


def all_of(taken: Sequence[Taken]) -> Folded:
    """What drops that observed something did together."""
    folded = [one.folded for one in taken]
    return Folded(
        sum(one.versions_opened for one in folded),
        sum(one.versions_closed for one in folded),
        min(one.first_effective for one in folded if one.first_effective is not None),
        max(one.last_effective for one in folded if one.last_effective is not None),
        folded[0].replaced,
    )
