"""Contracts: what they may say, and how they complain."""

from decimal import Decimal
from pathlib import Path

import pytest

from dropledger.core.contracts.contract import Contract, Severity, normalise_header
from dropledger.core.contracts.contract_file import load_contract
from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.errors import ContractError

GOOD = """\
feed: loan
files: ["loans*.csv"]
key: [loan_id]
columns:
  - name: loan_id
    aliases: [LoanID]
    type: bigint
    rules: [not_null]
  - name: amount
    type: decimal(10,2)
    rules:
      - {rule: range, min: 0.1, max: 99}
  - name: secured
    type: boolean
    rules:
      - {rule: accepted_values, values: {"Yes": true, "no": false}}
"""
DELTA = f"""{GOOD}\
  - name: true_from
    type: date
  - name: op
mode: delta
effective_column: true_from
operation: {{column: op}}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "loan.yaml"


def contract(path: Path, text: str = GOOD) -> Contract:
    path.write_text(text, encoding="utf-8")
    return load_contract(path)


def changed(before: str, after: str, text: str = GOOD) -> str:
    assert before in text
    return text.replace(before, after, 1)


def error(path: Path, text: str) -> ContractError:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ContractError) as raised:
        load_contract(path)
    assert str(raised.value).startswith(f"{path}:{raised.value.line}: ")
    assert raised.value.hint
    return raised.value


# What a contract says


def test_contract_has_defaults_for_what_it_does_not_say(path):
    found = contract(path)

    assert (found.mode, found.missing_keys, found.max_rejected) == ("full", "keep", Decimal("0.5"))
    assert found.delimiters == (",", ";")
    assert [*found.as_of] == ["option", "file_name", "metadata", "modified"]


def test_bounds_are_the_decimals_that_were_written(path):
    bounds = contract(path).column("amount").rules[0]

    assert (bounds.min, bounds.max) == (Decimal("0.1"), Decimal(99))


def test_bounds_keep_more_digits_than_a_float_has(path):
    bounds = contract(path, changed("max: 99", "max: 4999999999999999.99")).column("amount").rules[0]

    assert bounds.max == Decimal("4999999999999999.99")


def test_rule_may_be_a_lone_word(path):
    (rule,) = contract(path).column("loan_id").rules

    assert (rule.rule, rule.severity, rule.label) == ("not_null", Severity.ERROR, "not_null")


def test_accepted_spellings_are_known_in_lower_case(path):
    rule = contract(path).column("secured").accepted_values

    assert rule is not None
    assert rule.accepted == {"yes": True, "no": False}


def test_values_are_the_columns_without_key_effective_time_and_operation(path):
    assert [column.name for column in contract(path).values] == ["amount", "secured"]
    assert [column.name for column in contract(path, DELTA).values] == ["amount", "secured"]
    assert [column.name for column in contract(path, DELTA).key_columns] == ["loan_id"]


@pytest.mark.parametrize("name", ["loans.csv", "loans_2025-10-31.csv", "LOANS_7.CSV", "loans.csv.gz", "LOANS.CSV.ZST"])
def test_file_names_match_without_regard_to_case_and_packing(path, name):
    assert contract(path).takes(name)


@pytest.mark.parametrize("name", ["loan.csv", "loans.csv.gz.gz", "loans.gz", "my_loans.csv", "loans.xlsx"])
def test_other_file_names_do_not_match(path, name):
    assert not contract(path).takes(name)


@pytest.mark.parametrize("header", ["LoanID", "loan_id", "Loan ID", " LOAN_id ", "\ufeffLoan\tID"])
def test_headers_match_without_regard_to_case_spaces_and_underscores(path, header):
    assert normalise_header(header) in contract(path).column("loan_id").headers


def test_aliases_of_one_column_may_be_alike(path):
    assert contract(path, changed("[LoanID]", "[LoanID, Loan ID, LOAN_ID]")).column("loan_id").headers == {"loanid"}


def test_parents_are_the_feeds_that_rules_lead_to(lending: Pipeline):
    assert lending.contract("account").parents == {"customer"}
    assert lending.contract("customer").parents == set()


def test_sha256_changes_with_every_byte_of_the_contract_and_of_its_initial_rows(path):
    initial = path.parent / "loans_1970-01-01.csv"
    with_initial = f"{GOOD}initial: {initial.name}\n"
    initial.write_text("a", encoding="utf-8")
    found = [contract(path).sha256, contract(path, f"{GOOD}# why\n").sha256, contract(path, with_initial).sha256]
    initial.write_text("b", encoding="utf-8")
    found.append(contract(path, with_initial).sha256)

    assert len(set(found)) == 4
    assert contract(path).sha256 == found[0]


# What a contract may not say

RANGE = "range, min: 0.1, max: 99"
WORDS = '{"Yes": true, "no": false}'
# What is replaced, by what, the line that the error must name, and what it must say
WRONG: dict[str, tuple[str, str, int, str]] = {
    "missing entry": ('files: ["loans*.csv"]\n', "", 1, "'files' is missing"),
    "misspelt entry": ("key: [loan_id]", "keys: [loan_id]", 3, "unknown entry 'keys'; did you mean 'key'?"),
    "unknown entry": ("feed: loan", "feed: loan\ncolour: red", 2, "unknown entry 'colour'"),
    "unknown entry of a column": ("    aliases:", "    alias:", 6, "unknown entry 'columns.0.alias'"),
    "unknown entry of a rule": ("min: 0.1", "least: 0.1", 12, "unknown entry 'columns.1.rules.0.least'"),
    "column without name": ("  - name: amount\n    type", "  - type", 9, "'columns.1.name' is missing"),
    "entry twice": ("type: bigint", "type: bigint\n    type: text", 8, "'type' stands twice"),
    "unknown type": ("decimal(10,2)", "float", 10, "'float'"),
    "decimal too wide": ("decimal(10,2)", "decimal(38,2)", 10, "28"),
    "scale beyond precision": ("decimal(10,2)", "decimal(2,10)", 10, "'decimal(2,10)'"),
    "unknown rule": ("[not_null]", "[notnull]", 8, "'not_null', 'unique'"),
    "range without bounds": (RANGE, "range", 12, "needs min or max"),
    "bound is no number": ("min: 0.1", "min: zero", 12, "min"),
    "bound is NaN": ("min: 0.1", "min: .nan", 12, "min"),
    "pattern without pattern": (RANGE, "pattern", 12, "needs pattern"),
    "accepted_values without values": (RANGE, "accepted_values", 12, "needs values"),
    "relationship to nowhere": (RANGE, "relationship", 12, "needs to (feed.column)"),
    "relationship to no column": (RANGE, "relationship, to: customer", 12, "rules.0.to"),
    "reserved name": ("name: amount", "name: line", 9, "'line'"),
    "name with a capital": ("name: amount", "name: Amount", 9, "columns.1.name"),
    "name twice": ("name: amount", "name: loan_id", 1, "two columns have the same name"),
    "alias of two columns": ("[LoanID]", "[Amount]", 1, "the same header"),
    "key that may be empty": ("    rules: [not_null]\n", "", 1, "'loan_id' needs the rule not_null"),
    "key that warns when empty": ("[not_null]", "[{rule: not_null, severity: warn}]", 1, "severity error"),
    "unknown key": ("key: [loan_id]", "key: [id]", 1, "'id'"),
    "no key": ("key: [loan_id]", "key: []", 3, "key"),
    "pattern of names without brackets": ('files: ["loans*.csv"]', "files: loans*.csv", 2, "files"),
    "yes and no without quotes": (WORDS, "{yes: true, no: false}", 16, "YAML reads yes as true"),
    "boolean without words": (f"accepted_values, values: {WORDS}", "not_null", 13, "accepted_values"),
    "number without quotes": ("[LoanID]", "[LoanID, 001]", 6, "YAML reads 001 as a number"),
    "type cut by braces": (
        "  - name: amount\n    type: decimal(10,2)",
        "  - {name: amount, type: decimal(10,2)}\n  - name: more",
        9,
        "YAML cuts the type at its comma, between braces; quote it, like 'decimal(10,2)'",
    ),
    "pattern cut by braces": (RANGE, "pattern, pattern: ^a,b", 12, "'columns.1.rules.0.b', which has no value"),
    "words that are no list": (WORDS, "yes", 16, "columns.2.rules.0.values: should be a mapping or a list"),
    "rules that are no list": ("[not_null]", "not_null", 8, "columns.0.rules: should be a list"),
    "unknown mode": ("feed: loan", "feed: loan\nmode: snapshot", 2, "'full', 'delta' or 'event'"),
    "share in percent": ("feed: loan", "feed: loan\nmax_rejected: 10%", 2, "max_rejected"),
    "share above one": ("feed: loan", "feed: loan\nmax_rejected: 50", 2, "max_rejected"),
    "unknown delimiter": ("feed: loan", "feed: loan\ndelimiters: [':']", 2, "delimiters.0"),
    "unknown source of as_of": ("feed: loan", "feed: loan\nas_of: [clock]", 2, "as_of.0"),
    "check without message": ("feed: loan", "feed: loan\nchecks: [{name: a}]", 2, "'checks.0.message' is missing"),
    "operation of a full feed": ("feed: loan", "feed: loan\noperation: {column: amount}", 1, "mode: delta"),
}


@pytest.mark.parametrize(("before", "after", "line", "says"), WRONG.values(), ids=WRONG)
def test_error_names_line_and_what_is_wrong(path, before, after, line, says):
    found = error(path, changed(before, after))

    assert found.line == line
    assert says in found.what


@pytest.mark.parametrize(
    ("word", "read_as"),
    [("NO", "false"), ("on", "true"), ("1", "a number"), ("001", "a number"), ("1.50", "a number"), ("~", "nothing")],
)
def test_word_that_yaml_takes_for_something_else_is_named_as_it_stands_in_the_file(path, word, read_as):
    words = changed(WORDS, f"[SE, {word}]", changed("type: boolean", "type: text"))
    found = error(path, words)

    assert f":16: columns.2.rules.0.values.1: YAML reads {word} as {read_as}, where a text belongs" in found.what
    assert (found.line, found.hint) == (16, f'quote it: "{word}"')
    assert contract(path, words.replace(f"SE, {word}", f'SE, "{word}"')).columns[2].rules[0].values == ("SE", word)


def test_hint_lists_the_entries_of_the_place_where_one_is_unknown(path):
    hint = error(path, changed("    aliases:", "    alias:")).hint

    assert "name, aliases, type, default, optional" in hint
    assert "feed" not in hint


WRONG_DELTA: dict[str, tuple[str, str, str]] = {
    "effective column of a full feed": ("mode: delta", "mode: full", "mode: delta"),
    "effective column is no time": ("type: date", "type: text", "a date or a timestamp"),
    "no effective column": ("effective_column: true_from", "effective_column: day", "'day'"),
    "no operation column": ("{column: op}", "{column: action}", "'action'"),
    "operation in the key": ("{column: op}", "{column: loan_id}", "key"),
    "initial rows with times of their own": (
        "mode: delta",
        "mode: delta\ninitial: loans_1970-01-01.csv",
        "no effective_column",
    ),
    "missing keys of a delta": ("mode: delta", "mode: delta\nmissing_keys: close", "mode: full"),
}


@pytest.mark.parametrize(("before", "after", "says"), WRONG_DELTA.values(), ids=WRONG_DELTA)
def test_delta_feed_must_make_sense(path, before, after, says):
    assert contract(path, DELTA).mode == "delta"
    assert says in error(path, changed(before, after, DELTA)).what


EVENT = changed("operation: {column: op}\n", "", changed("mode: delta", "mode: event", DELTA))
WRONG_EVENT: dict[str, tuple[str, str, int, str]] = {
    "no time of its own": ("effective_column: true_from\n", "", 20, "mode: event needs effective_column"),
    "missing keys of events": (
        "  - name: op",
        "  - name: op\nmissing_keys: close",
        20,
        "missing_keys: close goes with",
    ),
    "operation on events": (
        "  - name: op",
        "  - name: op\noperation: {column: op}",
        20,
        "operation: goes with mode: delta",
    ),
    "initial events": ("  - name: op", "  - name: op\ninitial: x.csv", 20, "initial: goes with mode: full or delta"),
    "time that is none": ("type: date", "type: text", 1, "a date or a timestamp"),
}


@pytest.mark.parametrize(("before", "after", "line", "says"), WRONG_EVENT.values(), ids=WRONG_EVENT)
def test_event_feed_refuses_what_would_change_or_end_a_fact(path, before, after, line, says):
    assert contract(path, EVENT).brings_facts
    found = error(path, changed(before, after, EVENT))

    assert found.line == line
    assert says in found.what


SENSELESS: dict[str, tuple[str, str]] = {
    "range of a text": ("type: decimal(10,2)", "type: text"),
    "range of a date": ("type: decimal(10,2)", "type: date"),
    "boolean that is neither true nor false": (WORDS, "{'Yes': perhaps}"),
    "bounds that leave nothing": (RANGE, "range, min: 5, max: 1"),
    "pattern of a number": (RANGE, "pattern, pattern: '^[0-9]{6}$'"),
    "column that the engine has": ("name: amount", "name: rowid"),
    "key column twice": ("key: [loan_id]", "key: [loan_id, loan_id]"),
}


@pytest.mark.parametrize(("before", "after"), SENSELESS.values(), ids=SENSELESS)
def test_contract_that_no_file_can_satisfy_is_refused_at_once(path, before, after):
    error(path, changed(before, after))


def test_missing_initial_file_is_an_error_with_file_and_line(path):
    assert error(path, f"{GOOD}initial: loans_1970-01-01.csv\n").line == 17


def test_sha256_cannot_be_claimed_in_the_file(path):
    assert error(path, f"{GOOD}sha256: abc\n").line == 17
