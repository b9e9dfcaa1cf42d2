"""Why a pipeline's folder is refused when it is loaded: defaults that no row could hold, patterns that are none."""

from pathlib import Path

import pytest

from dropledger.core.contracts.contract_check import refuse_bad_patterns
from dropledger.core.contracts.pipeline_spec import Pipeline, load_pipeline
from dropledger.core.errors import ConfigurationError, ContractError
from dropledger.handlers.settings import read_settings
from dropledger.handlers.wiring import wire
from dropledger.infra.duckdb.engine import matches

CONTRACT = """\
feed: loan
files: ["loans*.csv"]
key: [loan_id]
columns:
  - {name: loan_id, type: bigint, rules: [not_null]}
  - name: x
"""


def load(folder: Path, column: str) -> Pipeline:
    """A pipeline of one feed, whose second column `x` has these entries."""
    (folder / "pipeline.yaml").write_text("pipeline: p\nschema: p\nmoment: [loan]\n", encoding="utf-8")
    (folder / "any_name.yaml").write_text(CONTRACT + column, encoding="utf-8")
    return load_pipeline(str(folder))


def refused(folder: Path, column: str) -> ContractError:
    with pytest.raises(ContractError) as raised:
        refuse_bad_patterns(load(folder, column).contract("loan"), matches)
    assert raised.value.file == folder / "any_name.yaml"
    assert raised.value.exit_code == 2
    return raised.value


@pytest.mark.parametrize(
    ("kind", "default"),
    [
        ("decimal(5,2)", "1e3"),
        ("decimal(5,2)", "123456.78"),
        ("decimal(5,2)", "1.005"),
        ("decimal(5,2)", ""),
        ("decimal(2,2)", "5.00"),
        ("timestamp", "2025-10-31T10:30:00+02:00"),
        ("timestamp", "2025-13-01"),
        ("date", "20251031"),
        ("date", "2025-02-29"),
        ("bigint", "99999999999999999999"),
        ("bigint", "9223372036854775808"),
        ("bigint", "1.0"),
    ],
)
def test_default_that_no_cell_of_its_type_could_be_is_refused(tmp_path, kind, default):
    found = refused(tmp_path, f'    type: {kind}\n    default: "{default}"\n')

    assert found.line == 8
    assert f"x: the default '{default}' is no {kind}" in found.what


@pytest.mark.parametrize(
    ("kind", "default"),
    [
        ("decimal(5,2)", "-123.45"),
        ("decimal(5,2)", " 1 "),
        ("timestamp", "2025-10-31T10:30:00Z"),
        ("timestamp", "2025-10-31"),
        ("date", "2024-02-29"),
        ("bigint", "-9223372036854775808"),
        ("text", "anything"),
    ],
)
def test_default_that_is_written_like_a_cell_is_taken(tmp_path, kind, default):
    assert (
        load(tmp_path, f'    type: {kind}\n    default: "{default}"\n').contract("loan").column("x").default == default
    )


@pytest.mark.parametrize(
    ("column", "says"),
    [
        ("    type: bigint\n    default: '5'\n    rules: [{rule: range, max: 4}]\n", "outside of the column's range"),
        ("    default: c\n    rules: [{rule: accepted_values, values: [a, b]}]\n", "is none of: a, b"),
        ("    default: ' '\n    rules: [not_null]\n", "is empty"),
        ("    default: abc\n    rules: [{rule: pattern, pattern: '^[0-9]+$'}]\n", "does not match ^[0-9]+$"),
        ("    default: X\nmode: delta\noperation: {column: x}\n", "is none of: I, U, D"),
    ],
)
def test_default_that_breaks_a_rule_is_refused(tmp_path, column, says):
    assert says in refused(tmp_path, column).what


def test_default_may_break_a_rule_that_only_warns(tmp_path):
    rule = "{rule: range, max: 4, severity: warn}"
    load(tmp_path, f"    type: bigint\n    default: '5'\n    rules: [{rule}]\n")


@pytest.mark.parametrize("pattern", [r"^\d+\Z", "(", "^(?!0)", r"(a)\1", "a{2000}", "(?<n>a)"])
def test_pattern_is_refused_where_the_engine_does_not_compile_it(tmp_path, pattern):
    found = refused(tmp_path, f"    rules:\n      - rule: pattern\n        pattern: '{pattern}'\n")

    assert found.line == 9
    assert f"x: the pattern {pattern} does not compile as RE2: " in found.what


@pytest.mark.parametrize("pattern", [r"^\p{L}+$", r"(?P<n>a)\z", "^[[:alpha:]]+$", r"\QC++\E"])
def test_pattern_is_taken_where_the_engine_compiles_it(tmp_path, pattern):
    column = f"    rules: [{{rule: pattern, pattern: '{pattern}'}}]\n"
    refuse_bad_patterns(load(tmp_path, column).contract("loan"), matches)


def test_every_command_tells_of_a_bad_pattern_before_it_takes_a_file(tmp_path, monkeypatch):
    load(tmp_path, "    rules: [{rule: pattern, pattern: '^\\d+\\Z'}]\n")
    monkeypatch.setenv("DROPLEDGER_PIPELINE", str(tmp_path))

    with pytest.raises(ContractError, match=r"any_name.yaml:7: x: the pattern"):
        wire(root=str(tmp_path / "root"))

    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize(
    ("contract", "line", "says"),
    [
        ("initial: loans.csv\n", 7, "bears no date"),
        ("    rules:\n      - {rule: relationship, to: a.b}\n", 8, "not the key of a feed"),
    ],
)
def test_fault_that_needs_the_folder_is_told_at_load_with_its_line(tmp_path, contract, line, says):
    (tmp_path / "loans.csv").write_text("loan_id\n1\n", encoding="utf-8")
    found = refused(tmp_path, contract)

    assert found.line == line
    assert says in found.what


def test_unknown_setting_is_named_with_the_nearest_known_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("dropledger.toml").write_text('rooot = "x"\n', encoding="utf-8")

    with pytest.raises(ConfigurationError, match=r"there is no setting rooot; did you mean root\?") as raised:
        read_settings()
    assert "wait_seconds" in raised.value.hint
