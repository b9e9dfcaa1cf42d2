"""Micro-batches: many small drops of a feed that wait together, read, checked and folded by the same few statements.

Each still has its own ledger row, checks and report, and history comes out as if they had been folded one by one. A
drop that is anything but plain is left to `admission`: one that is late, or known, or has a row that is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from dropledger.core.contracts.contract import Contract, Severity
from dropledger.core.contracts.fragments import feed_fragments
from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.formats.extract import Drop
from dropledger.core.ingest.admission import accepted_fields, conclude
from dropledger.core.ingest.micro_batch_fold import Member, Taken, all_of, fold_together, rows_of
from dropledger.core.ingest.recompute import Recompute
from dropledger.core.ingest.runtime import AdmissionRuntime
from dropledger.core.ledger import ledger
from dropledger.core.ledger.ledger import Delivered, Status, Volume
from dropledger.core.ledger.outcome import Outcome
from dropledger.core.ports.session import Layout, Session
from dropledger.core.rules.fragments import parse_fragments, rules_over_rows
from dropledger.core.sql.text import quoted, statement
from dropledger.core.steps import checks, facts, guards, quarantine, report
from dropledger.core.steps.address import ahead_of_time, latest_allowed
from dropledger.core.steps.checks import CheckResult
from dropledger.core.steps.validate import parent_fragments, staging_counts

FEWEST = 5
"""So many drops are worth the statements that take them together."""

_LARGEST_BYTES = 1 << 20
_SOURCE = "_dl_incoming_together"
_INCOMING = "_dl_incoming"


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Drops of one feed, each later than the one before, and all later than whatever was observed before them.

    Drops of facts may be of any times.
    """

    contract: Contract
    members: tuple[Member, ...]


def divide(runtime: AdmissionRuntime, session: Session, batch: Sequence[Drop]) -> list[Drop | MicroBatch]:
    """The drops as they are to be taken: those of parents first, in micro-batches where that can be."""
    parts: list[Drop | MicroBatch] = []
    for feed in (*runtime.pipeline.feed_order, ""):
        drops = [drop for drop in batch if drop.feed == feed]
        if len(drops) >= FEWEST and _can_be_judged_together(runtime.pipeline, feed):
            parts += _divide(runtime, session, runtime.pipeline.contract(feed), drops)
        else:
            parts += drops
    return parts


def _can_be_judged_together(pipeline: Pipeline, feed: str) -> bool:
    """Whether nothing that a drop of the feed means depends on the drops beside it, but for its as_of."""
    contract = pipeline.contracts.get(feed)
    return (
        contract is not None
        and contract.missing_keys == "keep"
        and not contract.drift
        and (contract.effective_column is None or contract.brings_facts)
        and not pipeline.feed_checks[feed]
        and not any(any(rules_over_rows(contract, "unique", severity)) for severity in Severity)
        and not any(rules_over_rows(contract, "relationship", Severity.ERROR))
    )


def _divide(
    runtime: AdmissionRuntime, session: Session, contract: Contract, drops: Sequence[Drop]
) -> list[Drop | MicroBatch]:
    known = ledger.statuses(session, [drop.drop_id for drop in drops])
    first = {drop.drop_id: drop for drop in reversed(drops) if drop.drop_id not in known}
    plain = _plain(runtime, session, contract, list(first.values()))
    until = ledger.observed_until(session, contract.feed, runtime.pipeline)
    parts: list[Drop | MicroBatch] = []
    members: list[Member] = []
    repeated = []
    for drop in drops:
        if known.get(drop.drop_id) in ledger.SETTLED or first.get(drop.drop_id, drop) is not drop:
            repeated.append(drop)
            continue
        in_order = contract.brings_facts or until is None or drop.as_of.moment > until
        if drop.drop_id in plain and in_order:
            members.append(plain[drop.drop_id])
        else:
            parts += [*_together(contract, members), drop]
            members = []
        until = drop.as_of.moment if until is None else max(until, drop.as_of.moment)
    return [*parts, *_together(contract, members), *repeated]


def _together(contract: Contract, members: Sequence[Member]) -> list[Drop | MicroBatch]:
    if len(members) < FEWEST:
        return [member.drop for member in members]
    return [MicroBatch(contract, tuple(members))]


def _plain(runtime: AdmissionRuntime, session: Session, contract: Contract, drops: Sequence[Drop]) -> dict[str, Member]:
    """Those of the drops, by drop_id, of whose rows none is refused or a duplicate."""
    now = runtime.clock()
    small = [
        (drop, drop.extract, drop.extract.layout)
        for drop in drops
        if drop.extract is not None
        and drop.refusal is None
        and not drop.extract.controls
        and not ahead_of_time(contract, drop.as_of, latest_allowed(contract, drop.as_of, runtime.pipeline, now))
        and drop.extract.layout.goes_with_others
        and drop.text_bytes <= _LARGEST_BYTES
    ]
    if not small:
        return {}
    session.load_together([(extract.path, layout) for _, extract, layout in small], _SOURCE)
    key = feed_fragments(contract)["key"]
    fragments = {
        **feed_fragments(contract),
        **parse_fragments(contract, _SOURCE),
        "file": "_file,",
    }
    latest = latest_allowed(contract, small[0][0].as_of, runtime.pipeline, now) if contract.brings_facts else None
    session.scratch(rows_of(contract), statement("parse", fragments), {"as_of": None, "latest": latest})
    counted = session.query(
        f"""SELECT
            _file,
            {staging_counts(contract)}
            count(*) - count(DISTINCT ({key})) AS repeated,
            sum(CASE WHEN _valid THEN 0 ELSE 1 END) AS invalid,
            min(_effective_at) AS first_effective,
            max(_effective_at) AS last_effective,
            count(*) AS row_count
        FROM {quoted(rows_of(contract))}
        GROUP BY _file"""
    )
    found = {}
    for counts in counted:
        drop, extract, layout = small[counts["_file"]]
        if not counts["invalid"] and not counts["repeated"]:
            found[drop.drop_id] = Member(drop, extract, layout, counts)
    return found


def admit_micro_batch(
    runtime: AdmissionRuntime, session: Session, batch: MicroBatch, recompute: Recompute
) -> list[Outcome]:
    """Fold the drops and enter them in the ledger; the marts are left to the caller.

    Raises:
        CheckFailed: a check refused one of them; roll back, and take them one by one.
    """
    contract, members = batch.contract, batch.members
    received = [runtime.clock() for _ in members]
    first_sequence = ledger.next_sequence(session)
    session.scratch("_dl_micro_batch", _NO_MEMBERS)
    session.insert(
        "_dl_micro_batch",
        [
            {
                "_file": member.counts["_file"],
                "drop_id": member.drop.drop_id,
                "sequence": first_sequence + place,
                "as_of": member.drop.as_of.moment,
            }
            for place, member in enumerate(members)
        ],
    )
    taken = fold_together(session, contract, members, first_sequence)
    recompute.after_fold(session, contract, all_of(taken), None)
    found, guarded = _results(session, contract, members, received), _guarded(session, contract, taken)
    results = [of_one + guards_of_one for of_one, guards_of_one in zip(found, guarded, strict=True)]
    checks.refuse_failed([result for of_one in results for result in of_one])
    rows, deliveries, outcomes = [], [], []
    for place, one in enumerate(taken):
        drop, validated, received_at, sequence = one.member.drop, one.validated, received[place], one.sequence
        fields = accepted_fields(validated, one.folded, runtime.clock())
        row = ledger.drop_row(drop, received_at, sequence, Status.COMMITTED, fields)
        rows.append(row)
        deliveries.append(ledger.examined_row(drop, Delivered.ACCEPTED, row))
        rejects = _record_rejects(runtime, session, contract, one)
        outcomes.append(
            conclude(runtime, drop, sequence, validated, one.folded, results[place], received_at, rejects=rejects)
        )
    session.insert("drop_ledger", rows)
    session.insert("delivery", deliveries)
    examined = [(row["drop_id"], row["sequence"]) for row in rows]
    checks.record(session, dict(zip(examined, results, strict=True)))
    last = taken[-1]
    _load(session, last.member)
    if last.validated.left_out:
        facts.left_out_of(session, contract, last.sequence)
    drop = last.member.drop
    runtime.store.place(drop.claim, drop.archive_name)
    session.keep_loaded(_INCOMING, f"src_{contract.feed}", last.validated.left_out, drop.archive_name)
    return outcomes


def _load(session: Session, member: Member) -> None:
    """Load the drop by itself; its rows are as they were read together."""
    extract = member.extract
    layout = member.layout
    if isinstance(layout, Layout):
        layout = replace(layout, each_line_is_a_row=True)
    session.load(extract.path, layout, _INCOMING, drop_id=extract.drop_id)


def _record_rejects(runtime: AdmissionRuntime, session: Session, contract: Contract, taken: Taken) -> Mapping[str, int]:
    """Keep the refused rows of a drop, which says of a key what is no fact; how many there are by rule."""
    if not taken.validated.rows_rejected:
        return {}
    drop, sequence = taken.member.drop, taken.sequence
    _load(session, taken.member)
    facts.left_out_of(session, contract, sequence)
    quarantine.record_rejects(session, _INCOMING, drop.drop_id, sequence)
    quarantine.stage_rejects(session, runtime.store, drop, sequence, runtime.pipeline)
    return report.rejects_by_rule(session, drop.drop_id, sequence)


_NO_MEMBERS = """SELECT
    CAST(NULL AS BIGINT) AS _file,
    CAST(NULL AS STRING) AS drop_id,
    CAST(NULL AS BIGINT) AS sequence,
    CAST(NULL AS TIMESTAMP) AS as_of
WHERE FALSE"""


def _guarded(session: Session, contract: Contract, taken: Sequence[Taken]) -> list[list[CheckResult]]:
    """The whole-file guards, for each of the drops; each is held against the one before it."""
    if contract.mode != "full":
        return [[] for _ in taken]
    first = taken[0].member.drop.as_of.moment
    before = ledger.volume_before(session, contract.feed, first)
    known = guards.known_keys(session, contract, first)
    results = []
    for place, one in enumerate(taken):
        if place:  # what opens a version and closes none is a key that was not known
            known += one.folded.versions_opened - one.folded.versions_closed
        rows = one.validated.rows_read
        missing = guards.missing_keys_result(contract, known - rows)
        results.append([*guards.check_volume(contract, one.validated, before), missing])
        before = Volume(one.member.drop.name, rows)
    return results


def _results(
    session: Session, contract: Contract, members: Sequence[Member], received: Sequence[datetime]
) -> list[list[CheckResult]]:
    """The checks of the staging layer, for each of the members."""
    results = [
        checks.staging_results(member.extract, member.counts, received_at)
        for member, received_at in zip(members, received, strict=True)
    ]
    observed = f"SELECT o.* FROM {quoted(rows_of(contract))} AS o INNER JOIN _dl_micro_batch AS m ON m._file = o._file"
    if contract.brings_facts:
        new = "f._sequence = m.sequence AND f._line = o._line AND f._new"
        observed = f"{observed} INNER JOIN _dl_judged_fact AS f ON {new}"
    session.view("observation", observed)
    for column, rule in rules_over_rows(contract, "relationship", Severity.WARN):
        orphans = statement("orphans", parent_fragments(column.name, rule.to or ""))
        counted = session.query(f"SELECT _file, count(*) AS failing FROM (\n{orphans}\n) AS orphan GROUP BY _file")
        failing = {row["_file"]: int(row["failing"]) for row in counted}
        for member, of_one in zip(members, results, strict=True):
            of_one.append(checks.relationship_result(contract, column, rule, failing.get(member.counts["_file"], 0)))
    return results
