"""How cells become values: what each type of a contract takes, and what it rejects with which rule."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.cells import read_cells

from dropledger.core.ports.session import Session
from dropledger.infra.duckdb.warehouse import DuckDBWarehouse

Typed = Callable[[str, Sequence[str]], list[Any]]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    warehouse = DuckDBWarehouse(tmp_path_factory.mktemp("warehouse") / "thing.duckdb", "thing", wait_seconds=5.0)
    with warehouse.session() as session:
        yield session


@pytest.fixture
def found(session: Session, tmp_path: Path) -> Callable[[str, Sequence[str]], tuple[dict[int, Any], dict[int, str]]]:
    """Reads cells of a column `x` that a contract describes: values and reasons, by the place of the cell."""

    return lambda column, cells: read_cells(session, tmp_path, column, cells)


@pytest.fixture
def typed(found) -> Typed:
    """The value of each cell, or the rule that it breaks."""

    def read(column: str, cells: Sequence[str]) -> list[Any]:
        values, reasons = found(column, cells)
        return [values[place] if place in values else reasons[place].split(":")[0] for place in range(len(cells))]

    return read


TYPE = "type"
CASES: dict[str, dict[str, Any]] = {
    "type: bigint": {
        "1": 1,
        " 007 ": 7,
        "+5": 5,
        "-0": 0,
        "9223372036854775807": 2**63 - 1,
        "-9223372036854775808": -(2**63),
        "9223372036854775808": TYPE,
        "1.0": TYPE,
        "1e3": TYPE,
        "1_000": TYPE,
        "0x10": TYPE,
        "١": TYPE,
        "": None,
        "  ": None,
    },
    "type: 'decimal(18,2)'": {
        "0": Decimal("0.00"),
        "1234.5": Decimal("1234.50"),
        "-0.01": Decimal("-0.01"),
        "9999999999999999.99": Decimal("9999999999999999.99"),
        "99999999999999999": TYPE,
        "1,234.50": TYPE,
        "1.005": TYPE,
        "1.": Decimal("1.00"),
        ".5": Decimal("0.50"),
        "-.5": Decimal("-0.50"),
        "+5": Decimal("5.00"),
        " 30000.0000 ": Decimal("30000.00"),
        "30000.0100": Decimal("30000.01"),
        "30000.0010": TYPE,
        ".005": TYPE,
        ".": TYPE,
        "+": TYPE,
        "$5": TYPE,
        "5-": TYPE,
        "(5)": TYPE,
        "1e3": TYPE,
        "1E3": TYPE,
        "NaN": TYPE,
        "Infinity": TYPE,
        "NULL": TYPE,
    },
    "type: 'decimal(28,0)'": {"9" * 28: Decimal("9" * 28), "9" * 29: TYPE, "1.0": TYPE},
    "type: date": {
        "2025-10-31": date(2025, 10, 31),
        "2024-02-29": date(2024, 2, 29),
        "2025-02-29": TYPE,
        "31.10.2025": TYPE,
        "10/31/2025": TYPE,
        "2025-10-31T00:00:00": TYPE,
        "0001-01-01": date(1, 1, 1),
        "9999-12-31": date(9999, 12, 31),
        "0000-05-01": TYPE,
        "today": TYPE,
        "infinity": TYPE,
    },
    "type: timestamp": {
        "2025-10-31": datetime(2025, 10, 31, tzinfo=UTC),
        "2025-10-31T10:30Z": datetime(2025, 10, 31, 10, 30, tzinfo=UTC),
        "2025-10-31 10:30:05.5": datetime(2025, 10, 31, 10, 30, 5, 500_000, tzinfo=UTC),
        " 2025-10-31  ": datetime(2025, 10, 31, tzinfo=UTC),
        " 2025-10-31T10:30Z ": datetime(2025, 10, 31, 10, 30, tzinfo=UTC),
        "9999-12-31T23:59:59.999999Z": datetime.max.replace(tzinfo=UTC),
        "9999-12-31T24:00:00Z": TYPE,
        "2025-10-31T24:00": TYPE,
        "2025-10-31 24:00:00": TYPE,
        "2025-10-31T10:60": TYPE,
        "2025-10-31T10:30:60Z": TYPE,
        "10000-01-01": TYPE,
        "2025-10-31T10:30:00+02:00": TYPE,
        "2025-10-31T25:00:00Z": TYPE,
        "0000-05-01T00:00:00Z": TYPE,
        "10:30": TYPE,
        "now": TYPE,
    },
    "type: text": {
        "Ann": "Ann",
        "  Ann Lee ": "Ann Lee",
        "NULL": "NULL",
        "\u00e9\u2028'\"": "\u00e9\u2028'\"",
        "": None,
    },
    "type: text, default: none": {"": "none", "   ": "none", "some": "some"},
    "type: boolean, rules: [{rule: accepted_values, values: {'yes': true, 'No': false}}]": {
        "YES": True,
        " no ": False,
        "true": "accepted_values",
        "1": "accepted_values",
        "": None,
    },
    "type: boolean, rules: [{rule: accepted_values, severity: warn, values: {'yes': true, 'No': false}}]": {
        "YES": True,
        "maybe": TYPE,
        "": None,
    },
    "type: text, rules: [{rule: accepted_values, severity: warn, values: [Savings]}]": {
        "savings": "Savings",
        "Giro": "Giro",
    },
    "type: text, rules: [{rule: accepted_values, values: [Savings, Checking]}]": {
        "savings": "Savings",
        "CHECKING": "Checking",
        "Saving": "accepted_values",
        "": None,
    },
    "type: bigint, rules: [{rule: range, name: few, min: 1, max: 3}]": {
        "0": "few",
        "1": 1,
        "3": 3,
        "4": "few",
        "": None,
    },
    "type: 'decimal(9,6)', rules: [{rule: range, max: 0.1}]": {"0.1": Decimal("0.100000"), "0.100001": "range"},
    "type: text, rules: [{rule: pattern, pattern: '^[A-Z]{2}$'}]": {
        "DE": "DE",
        "de": "pattern",
        "DEU": "pattern",
        "": None,
    },
    "type: text, rules: [not_null]": {"a": "a", "": "not_null", "  ": "not_null"},
    "type: text, rules: [{rule: not_null, severity: warn}]": {"": None},
}


@pytest.mark.parametrize(("column", "cells"), CASES.items(), ids=CASES)
def test_cell_is_the_value_that_it_says_or_rejected(typed: Typed, column: str, cells: dict[str, Any]):
    assert dict(zip(cells, typed(column, list(cells)), strict=True)) == cells


def test_reason_repeats_the_cell_and_names_the_column(found):
    _, reasons = found("type: bigint", ["12a", "x" * 500])

    assert "x '12a' is not a whole number" in reasons[0]
    assert len(reasons[1]) < 200


@pytest.mark.parametrize("message", ["costs $5 or ${x}", 'it is "odd"', "it''s odd", "100 % of {them}", "as in 3:1"])
def test_message_of_a_rule_is_repeated_as_written(found, message):
    _, reasons = found(f"type: bigint, rules: [{{rule: range, min: 1, message: '{message}'}}]", ["0"])

    assert reasons[0] == f"range: x '0' {message}".replace("''", "'")


@pytest.mark.parametrize(
    "column",
    [
        "type: text, rules: [{rule: pattern, pattern: '^(?:ann|bob)$'}]",
        "type: text, rules: [{rule: accepted_values, values: ['ann', 'see :below']}]",
        "type: text, rules: [{rule: pattern, pattern: ann, message: 'one of :names'}]",
        "type: text, default: ':none'",
    ],
)
def test_colons_in_the_texts_of_a_contract_are_text(typed: Typed, column: str):
    assert typed(column, ["ann", "zed"])[0] == "ann"


def test_decimal_may_have_all_its_digits_behind_the_point(typed: Typed):
    assert typed("type: 'decimal(3,3)'", ["0.125", "1.0"]) == [Decimal("0.125"), TYPE]


@pytest.mark.parametrize("word", ["Straße", "Łódź"])
def test_accepted_word_is_accepted_as_the_contract_spells_it(typed: Typed, word: str):
    assert typed(f"type: text, rules: [{{rule: accepted_values, values: ['{word}']}}]", [word]) == [word]
