"""What a contract changes of another: whom that breaks, and what it needs where there is history."""

from dataclasses import fields

import pytest

from dropledger.core.contracts import contract_changes as module
from dropledger.core.contracts.column_changes import Broken
from dropledger.core.contracts.contract import Column, Contract
from dropledger.core.contracts.contract_changes import contract_changes, feed_changes
from dropledger.core.contracts.contract_file import contract_of

READERS, SENDERS = (Broken.READERS,), (Broken.SENDERS,)
NOBODY, BOTH = (), (Broken.READERS, Broken.SENDERS)
BASE = """\
feed: loan
description: Loans.
files: ["loans*.csv", "Loan*.txt"]
mode: delta
effective_column: true_from
operation: {column: op}
max_rejected: 0.1
volume: {min_rows: 5}
key: [loan_id]
columns:
  - {name: loan_id, aliases: [LoanID, Number], type: bigint, rules: [not_null]}
  - name: amount
    type: "decimal(10,2)"
    rules: [{rule: range, name: sound, min: 0, max: 100}, {rule: unique, severity: warn}]
  - {name: kind, rules: [{rule: accepted_values, values: {A: annuity, B: bullet}}]}
  - {name: code, rules: [{rule: pattern, pattern: "^[a-z]"}]}
  - {name: due, type: date, date_format: ["%d.%m.%Y", "%Y%m%d"]}
  - {name: lender, rules: [{rule: relationship, to: lender.lender_id, severity: warn}]}
  - {name: note, optional: true, description: What was said.}
  - {name: true_from, type: date}
  - {name: op}
checks:
  - {name: sums_up, message: the sum is another}
"""
FULL = """\
feed: loan
files: ["loans*.csv"]
volume: {fewer_than_before: {warn: 10%, error: 50%}}
drift: [{column: amount, sum: 30%, severity: error}]
key: [loan_id]
columns:
  - {name: loan_id, type: bigint, rules: [not_null]}
  - {name: amount, type: "decimal(10,2)"}
"""


def contract(text: str) -> Contract:
    return contract_of(text, "0")


def change_of(before: str, after: str, text: str = BASE) -> tuple[str, tuple[Broken, ...], bool]:
    """The one change that a change of the text makes."""
    assert before in text
    [change] = contract_changes(contract(text), contract(text.replace(before, after)))
    return change.what, change.breaks, change.in_place


def test_contracts_that_differ_in_their_layout_alone_have_no_changes():
    assert contract_changes(contract(BASE), contract(f"# Why.\n{BASE}")) == []


# As at the start of a command that writes: these need a replay, or nothing.
COLUMNS = [
    ("  - {name: note, optional: true, description: What was said.}\n", "", "note is taken out", READERS, False),
    ("  - {name: op}\n", "  - {name: op}\n  - {name: more, optional: true}\n", "more is added", NOBODY, True),
    ("  - {name: op}\n", "  - {name: op}\n  - {name: more}\n", "more is added", SENDERS, False),
    ("  - {name: op}\n", "  - {name: op}\n  - {name: more, default: x}\n", "more is added", NOBODY, False),
    ("{name: note,", "{name: remark, aliases: [note],", "note is called remark now", READERS, False),
    ("decimal(10,2)", "decimal(12,3)", "amount was decimal(10,2) and is decimal(12,3)", NOBODY, True),
    ("decimal(10,2)", "decimal(10,3)", "amount was decimal(10,2) and is decimal(10,3)", BOTH, False),
    ("type: bigint", "type: text", "loan_id was bigint and is text", BOTH, False),
    ("true_from, type: date", "true_from, type: timestamp", "true_from was date and is timestamp", BOTH, True),
    ("operation: {column: op}", "", "operation was", BOTH, False),
]


@pytest.mark.parametrize(("before", "after", "what", "breaks", "in_place"), COLUMNS)
def test_changed_columns_are_told_as_at_the_start(before, after, what, breaks, in_place):
    changes = contract_changes(contract(BASE), contract(BASE.replace(before, after)))
    [change] = [change for change in changes if change.what.startswith(what)]

    assert change.breaks == breaks
    assert all(change.in_place for change in changes) == in_place


RULES = [
    ("loan_id, aliases: [LoanID, Number]", "loan_id, aliases: [LoanID]", "loan_id: aliases was", SENDERS),
    ("loan_id, aliases: [LoanID, Number]", "loan_id, aliases: [LoanID, Number, Nr]", "loan_id: aliases was", NOBODY),
    ("min: 0", "min: -1", "amount: the rule range 'sound'", READERS),
    ("max: 100", "max: 99", "amount: the rule range 'sound'", SENDERS),
    ("min: 0, max: 100", "min: 1, max: 101", "amount: the rule range 'sound'", BOTH),
    (", max: 100", "", "amount: the rule range 'sound'", READERS),
    ("name: sound", "name: sane", "amount: the rule range 'sound'", NOBODY),
    ("name: sound,", "name: sound, severity: warn,", "amount: the rule range 'sound'", READERS),
    ("{rule: unique, severity: warn}", "unique", "amount: the rule unique (severity: warn) is unique now", SENDERS),
    (", {rule: unique, severity: warn}", "", "amount: the rule unique (severity: warn) is taken out", NOBODY),
    (
        ", {rule: unique, severity: warn}",
        ", {rule: unique, severity: warn}, not_null",
        "amount: the rule not_null is added",
        SENDERS,
    ),
    (", B: bullet", "", "kind: the rule accepted_values", SENDERS),
    ("B: bullet", "B: bullet, C: bullet", "kind: the rule accepted_values", NOBODY),
    ("B: bullet", "B: bullet, C: credit", "kind: the rule accepted_values", READERS),
    ("B: bullet", "B: balloon", "kind: the rule accepted_values", BOTH),
    ('{rule: pattern, pattern: "^[a-z]"}', "", "code: the rule pattern", READERS),
    ("^[a-z]", "^[a-y]", "code: the rule pattern", BOTH),
    ("lender.lender_id", "bank.bank_id", "lender: the rule relationship", NOBODY),
    ('["%d.%m.%Y", "%Y%m%d"]', '"%d.%m.%Y"', "due: date_format was", SENDERS),
    ("optional: true, ", "", "note: optional was true and is false", SENDERS),
]
ENTRIES = [
    ("Loans.", "Credits.", "description was Loans. and is Credits.", NOBODY),
    (', "Loan*.txt"', "", "files was loans*.csv, Loan*.txt and is loans*.csv", SENDERS),
    ("max_rejected: 0.1", "max_rejected: 0", "max_rejected was 0.1 and is 0", SENDERS),
    ("max_rejected: 0.1", "max_rejected: 0.2", "max_rejected was 0.1 and is 0.2", READERS),
    ("max_rejected: 0.1", "max_rejected: 0.1\nfuture: allowed", "future was refused and is allowed", READERS),
    ("max_rejected: 0.1", "max_rejected: 0.1\nas_of: [option]", "as_of was", SENDERS),
    ("max_rejected: 0.1", "max_rejected: 0.1\nencoding: utf-16", "encoding was utf-8 and is utf-16", SENDERS),
    ("min_rows: 5", "min_rows: 6", "volume was", SENDERS),
    ("min_rows: 5", "min_rows: 4", "volume was", READERS),
    ("sums_up, ", "sums_up, severity: warn, ", "the check sums_up was error and is warn", READERS),
    ("the sum is another", "no sum", "the check sums_up has another message", NOBODY),
    ("  - {name: sums_up", "  - {name: more, message: x}\n  - {name: sums_up", "the check more was not there", SENDERS),
]


@pytest.mark.parametrize(("before", "after", "what", "breaks"), [*RULES, *ENTRIES])
def test_other_changes_need_nothing_and_break_who_has_to_follow(before, after, what, breaks):
    told, broken, in_place = change_of(before, after)

    assert told.startswith(what)
    assert (broken, in_place) == (breaks, True)


def test_words_for_people_break_nobody():
    other = BASE.replace("description: What was said.", "classification: restricted")
    told = contract_changes(contract(BASE), contract(other))

    assert [(change.what, change.breaks) for change in told] == [
        ("note: description was What was said. and is empty", NOBODY),
        ("note: classification was not there and is restricted", NOBODY),
    ]


@pytest.mark.parametrize(
    ("before", "after", "breaks"),
    [
        ("error: 50%", "error: 60%", READERS),
        ("error: 50%", "error: 40%", SENDERS),
        ("warn: 10%", "warn: 20%", NOBODY),
        ("sum: 30%", "sum: 20%", SENDERS),
        (", severity: error}]", "}]", READERS),
    ],
)
def test_guards_of_whole_files_are_looser_or_tighter(before, after, breaks):
    assert change_of(before, after, FULL)[1:] == (breaks, True)


@pytest.mark.parametrize(
    ("after", "breaks", "in_place"),
    [
        ("missing_keys: close\n", READERS, True),
        ("header: none\n", SENDERS, True),
        ("format: parquet\n", SENDERS, True),
        ('delimiters: [","]\n', SENDERS, True),
        ('delimiters: [",", ";", "|"]\n', NOBODY, True),
    ],
)
def test_what_files_are_is_an_entry_like_others(after, breaks, in_place):
    assert change_of("volume:", f"{after}volume:", FULL)[1:] == (breaks, in_place)


def test_mode_of_events_needs_a_replay_and_is_told_once():
    events = BASE.replace("mode: delta", "mode: event").replace("operation: {column: op}\n", "")
    [*_, mode] = sorted(
        (change for change in contract_changes(contract(BASE), contract(events)) if "mode" in change.what),
        key=lambda change: change.what,
    )

    assert (mode.what, mode.in_place) == ("the mode was delta and is event", False)
    assert sum("mode" in change.what for change in contract_changes(contract(BASE), contract(events))) == 1


def test_files_without_a_header_have_their_columns_in_order():
    text = FULL.replace("volume:", "header: none\nvolume:")
    amount = '  - {name: amount, type: "decimal(10,2)"}\n'
    other = text.replace(amount, "").replace("columns:\n", f"columns:\n{amount}")
    told = contract_changes(contract(text), contract(other))

    assert {change.breaks for change in told} == {SENDERS}
    assert contract_changes(contract(FULL), contract(FULL)) == []


def test_feeds_are_told_apart_by_their_names():
    one, other = contract(BASE), contract(BASE.replace("feed: loan", "feed: credit"))

    told = [(feed, change.what.partition(" (")[0], change.breaks) for feed, change in feed_changes([one], [other])]
    assert told == [("loan", "the feed is taken out", BOTH), ("credit", "the feed is added", NOBODY)]


def test_every_entry_of_a_contract_is_compared():
    elsewhere = {"feed", "key", "columns", "checks", "initial", "initial_text", "file", "yaml", "sha256"}
    assert {field.name for field in fields(Contract)} == module._OF_CONTRACT.keys() | elsewhere
    assert {field.name for field in fields(Column)} == module._OF_COLUMN.keys() | {"name", "type", "rules"}
