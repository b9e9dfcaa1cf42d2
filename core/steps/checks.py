"""Quality gates: what each layer must hold is checked on what the drop touched, and the results are kept.

Checks of history and marts are questions, so that all of a drop's are asked in one statement.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from dropledger.core.contracts.contract import Column, Contract, Rule, Severity
from dropledger.core.contracts.fragments import feed_fragments
from dropledger.core.contracts.pipeline_spec import Check
from dropledger.core.errors import DataRefused
from dropledger.core.formats.extract import Extract
from dropledger.core.ledger.outcome import finding
from dropledger.core.ports.session import Session
from dropledger.core.rules.fragments import rules_over_rows, staging_predicates
from dropledger.core.sql.text import full_refresh, quoted, statement
from dropledger.core.steps.marts import WHOLE_FROM, Refreshed, mart_fragments
from dropledger.core.steps.questions import Counts, Question, ask
from dropledger.core.steps.validate import Compared, Validated, distinct_count, parent_fragments, staging_counts

_MOST_NAMED = 200
"""Columns that a warning names; a header may have some thousands."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check of one drop, as `check_result` keeps it. `layer` is staging, history or marts."""

    layer: str
    model: str
    check_name: str
    severity: Severity
    passed: bool
    failing_rows: int
    message: str

    @property
    def failed(self) -> bool:
        """Whether it stops the drop."""
        return not self.passed and self.severity == Severity.ERROR

    @property
    def text(self) -> str:
        """A check that did not pass, in one line for people."""
        return finding(self.check_name, self.failing_rows, self.message)


class CheckFailed(DataRefused):
    """One or more checks of severity error failed; what the drop did is to be rolled back.

    `results` are those of all the drop's checks, the passed ones included.
    """

    def __init__(self, results: Sequence[CheckResult]) -> None:
        failed = [result for result in results if result.failed]
        super().__init__(
            "check_failed",
            "; ".join(
                f"{result.model}.{result.check_name}: {result.message} ({result.failing_rows})" for result in failed
            ),
            hint="read the failed checks in the quality report, correct the extract and drop it again",
        )
        self.results = tuple(results)


def _result(layer: str, model: str, name: str, severity: Severity, failing: int, message: str) -> CheckResult:
    return CheckResult(layer, model, name, severity, failing == 0, failing, message if failing else "")


def check_staging(
    session: Session,
    extract: Extract,
    validated: Validated,
    checks: Sequence[Check],
    received_at: datetime,
    *,
    together: bool = True,
) -> list[CheckResult]:
    """Rules of the contract on `observation`, rows that share a key, and the feed's own checks, as `ask` asks them."""
    contract = extract.contract
    model = f"stg_{contract.feed}"
    counts: Mapping[str, Any] | None = validated.rule_counts
    if counts is None:
        repeated = f"count(*) - ({distinct_count(contract, 'observation')})"
        counts = session.query(f"SELECT {staging_counts(contract)} {repeated} AS repeated FROM observation")[0]
    if validated.compared is not None:
        counts = _of_all_rows(session, contract, validated.compared, counts)
    results = staging_results(extract, counts, received_at)
    for column, rule in rules_over_rows(contract, "unique", Severity.WARN):
        name = quoted(column.name)
        shared = session.query(
            f"""SELECT count(*) AS failing
            FROM observation
            WHERE NOT _absent
                AND {name} IN (
                    SELECT {name} FROM observation WHERE NOT _absent GROUP BY {name} HAVING count(*) > 1
                )"""
        )[0]["failing"]
        message = rule.message or f"{column.name} stands in several rows"
        results.append(
            _result("staging", model, rule.name or f"unique_{column.name}", Severity.WARN, int(shared), message)
        )
    if contract.missing_keys == "close":
        results.append(
            _result(
                "staging",
                model,
                "missing_keys_known",
                Severity.WARN,
                validated.unknown_keys,
                "refused rows without a readable key: no missing key was closed, since any might be theirs",
            )
        )
    own = [_own_check("staging", check) for check in checks]
    return results + [result for of_one in ask(session, own, together=together) for result in of_one]


def _of_all_rows(
    session: Session, contract: Contract, compared: Compared, counts: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The `staging_counts` of a drop, by those of the rows in which it differs from the drop before."""
    names = [name for _, name in staging_predicates(contract)]
    if not any(compared.failing[name] for name in names):
        return counts
    gone = session.query(f"SELECT {staging_counts(contract)} 0 AS repeated FROM _dl_gone")[0]
    of_all = {
        f"rule_{place}": compared.failing[name] + counts[f"rule_{place}"] - gone[f"rule_{place}"]
        for place, name in enumerate(names)
    }
    return {**counts, **of_all}


def staging_results(extract: Extract, counts: Mapping[str, int], received_at: datetime) -> list[CheckResult]:
    """What the `staging_counts` of a drop, and its count of `repeated` keys, say of it."""
    model = f"stg_{extract.contract.feed}"
    results = [
        _result(
            "staging",
            model,
            name,
            violation.severity,
            int(counts[f"rule_{place}"]),
            violation.reason or f"{violation.column} breaks the rule {violation.rule}",
        )
        for place, (violation, name) in enumerate(staging_predicates(extract.contract))
    ]
    repeated, unexpected = int(counts["repeated"]), extract.unexpected_columns
    ahead = int(extract.as_of.moment > received_at)
    for name, severity, failing, message in (
        ("unique_key", Severity.ERROR, repeated, "a key stands twice at one effective time"),
        (
            "expected_columns",
            Severity.WARN,
            len(unexpected),
            f"the header names columns that the contract does not know; they are ignored: {_named(unexpected)}",
        ),
        ("as_of_in_the_past", Severity.WARN, ahead, "the drop's as_of lies in the future"),
    ):
        results.append(_result("staging", model, name, severity, failing, message))
    return results


def _named(columns: Sequence[str]) -> str:
    """The columns by name, as many of them as people would read."""
    if len(columns) <= _MOST_NAMED:
        return ", ".join(columns)
    return f"{', '.join(columns[:_MOST_NAMED])} and {len(columns) - _MOST_NAMED:,} more"


CheckQuestion = Question[list[CheckResult]]


def relationship_checks(contract: Contract, validated: Validated) -> list[CheckQuestion]:
    """The relationship rules, after the fold, so that rows may refer to keys of their own drop."""
    observed = "observation"
    if validated.compared is not None and validated.compared.orphans_among_them:
        current = f"SELECT *, FALSE AS _absent FROM {feed_fragments(contract)['history']} WHERE is_current"
        observed = f"({current})"
    return [
        _relationship_check(contract, column, rule, observed)
        for severity in Severity
        for column, rule in rules_over_rows(contract, "relationship", severity)
    ]


def _relationship_check(contract: Contract, column: Column, rule: Rule, observed: str) -> CheckQuestion:
    orphans = statement("orphans", {**parent_fragments(column.name, rule.to or ""), "observed": observed})
    return Question(
        f"the rule {rule.label} of {contract.feed}.{column.name}",
        f"SELECT count(*) AS failing FROM (\n{orphans}\n) AS orphan",
        ("failing",),
        lambda counts: [relationship_result(contract, column, rule, counts["failing"])],
    )


def relationship_result(contract: Contract, column: Column, rule: Rule, failing: int) -> CheckResult:
    """What so many rows without a parent mean for a drop."""
    message = rule.message or f"{column.name} is not known in {rule.to}"
    name = rule.name or f"relationship_{column.name}"
    return _result("staging", f"stg_{contract.feed}", name, rule.severity, failing, message)


_HISTORY_CHECKS = {
    "no_overlap": "periods of one key overlap",
    "valid_from_before_valid_to": "a version ends before it begins",
    "one_current_version": "a key has more than one current version",
    "current_is_open": "is_current and valid_to contradict each other",
}


_FACT_CHECKS = {
    "one_fact_a_key": "a key has more than one fact",
    "fact_has_no_end": "a fact has an end",
}


def history_check(session: Session, contract: Contract, versions_opened: int = 0) -> CheckQuestion:
    """What must hold for the timeline of every key that changed; of all keys where most versions were just opened."""
    if contract.brings_facts:
        return _facts_check(session, contract, versions_opened)
    fragments, model = feed_fragments(contract), f"history_{contract.feed}"
    sql = statement("check_history", fragments)
    if versions_opened >= WHOLE_FROM:
        versions = session.count(model)
        if versions == versions_opened and session.rises(model, contract.key):
            sql = statement("check_history_of_single_versions", fragments)
        elif versions <= 2 * versions_opened:
            sql = full_refresh(sql)

    return _history_question(model, sql, _HISTORY_CHECKS)


def _facts_check(session: Session, contract: Contract, opened: int) -> CheckQuestion:
    model = f"history_{contract.feed}"
    fragments = feed_fragments(contract)
    keys = f"count(DISTINCT ({fragments['h_key']}))"
    whole = False
    if opened >= WHOLE_FROM:
        facts = session.count(model)
        whole = facts <= 2 * opened
        if facts == opened and session.rises(model, contract.key):
            keys = "count(*)"
    sql = statement("check_facts", {**fragments, "keys": keys})
    if whole:
        sql = full_refresh(sql)
    return _history_question(model, sql, _FACT_CHECKS)


def _history_question(model: str, sql: str, messages: Mapping[str, str]) -> CheckQuestion:
    def results(counts: Counts) -> list[CheckResult]:
        return [
            _result("history", model, name, Severity.ERROR, counts[name], message) for name, message in messages.items()
        ]

    return Question(f"the checks of {model}", sql, tuple(messages), results)


def mart_checks(session: Session, refreshed: Iterable[Refreshed]) -> list[CheckQuestion]:
    """Whether each row just recomputed has a key of its own, and the marts' own checks."""
    questions = []
    for found in refreshed:
        questions.append(mart_key_check(session, found))
        questions += [_own_check("marts", check, all_rows=found.whole) for check in found.mart.checks]
    return questions


def mart_key_check(session: Session, refreshed: Refreshed) -> CheckQuestion:
    """What must hold for the key of every mart: a row without one would never be found again, and so never go."""
    mart = refreshed.mart
    sql = statement("check_mart_key", mart_fragments(mart))
    key = ", ".join(mart.file.key)

    def results(counts: Counts) -> list[CheckResult]:
        return [
            _result("marts", mart.name, name, Severity.ERROR, counts[count], message)
            for name, count, message in (
                ("key_not_null", "without_key", f"rows have NULL in the mart's key ({key})"),
                ("unique_key", "repeated_key", f"keys of the mart ({key}) stand in more than one row"),
            )
        ]

    if refreshed.whole:
        rises = (refreshed.rows or 0) >= WHOLE_FROM and session.rises(mart.name, mart.file.key)
        sql = "SELECT 0 AS without_key, 0 AS repeated_key" if rises else full_refresh(sql)
    return Question(f"the key of {mart.name}", sql, ("without_key", "repeated_key"), results)


def _own_check(layer: str, check: Check, *, all_rows: bool = False) -> CheckQuestion:
    sql = full_refresh(check.sql) if all_rows else check.sql
    definition = check.definition
    return Question(
        f"the check {check.model}.{definition.name}",
        f"SELECT count(*) AS failing FROM (\n{sql}\n) AS failed",
        ("failing",),
        lambda counts: [
            _result(layer, check.model, definition.name, definition.severity, counts["failing"], definition.message)
        ],
    )


def record(session: Session, results: Mapping[tuple[str, int], Iterable[CheckResult]]) -> None:
    """Keep the results, by the drop_id and the sequence of the delivery that was checked."""
    names = [field.name for field in fields(CheckResult)]
    session.insert(
        "check_result",
        [
            {"drop_id": drop_id, "sequence": sequence, **{name: getattr(result, name) for name in names}}
            for (drop_id, sequence), of_one in results.items()
            for result in of_one
        ],
    )


def refuse_failed(results: Sequence[CheckResult]) -> None:
    """Stop the drop if a check of severity error failed.

    Raises:
        CheckFailed: with all the results.
    """
    if any(result.failed for result in results):
        raise CheckFailed(results)
