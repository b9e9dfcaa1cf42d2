"""Cells as exports write them: dates, times, numbers and signs in the forms that contracts declare, on both engines."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.cells import read_cells
from support.databricks_ledger import access_to, new_schema

from dropledger.core.contracts.contract_file import load_contract
from dropledger.core.errors import ContractError
from dropledger.core.ports.session import Session
from dropledger.infra.databricks.warehouse import DatabricksWarehouse
from dropledger.infra.duckdb.warehouse import DuckDBWarehouse

BAD = "type"
D = Decimal


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


NUMBERS: list[tuple[str, dict[str, Any]]] = [
    (
        'type: "decimal(8,2)", decimal_mark: ",", group_mark: "."',
        {
            "1.234,50": D("1234.50"),
            "1234,5": D("1234.50"),
            "-1.000": D(-1000),
            "+1,00": D(1),
            ",5": D("0.5"),
            "999.999,99": D("999999.99"),
            "1.000.000,00": BAD,
            "1234.50": BAD,
            "12.34,50": BAD,
            "1,234.50": BAD,
            "1.234,505": BAD,
            "1,5,0": BAD,
            "1E3": BAD,
        },
    ),
    (
        'type: "decimal(12,2)", group_mark: ","',
        {"1,234,567.89": D("1234567.89"), "1234567.89": D("1234567.89"), "1,23.45": BAD, ",123": BAD, "12,34,567": BAD},
    ),
    (
        'type: "decimal(12,2)", decimal_mark: ",", group_mark: " "',
        {"1\u00a0234,50": D("1234.50"), "1\u202f234": D(1234), "1 234": D(1234)},
    ),
    ('type: "decimal(12,2)", group_mark: "\'"', {"1'234.50": D("1234.50"), "1\u2019234.50": D("1234.50")}),
    ('type: bigint, group_mark: "."', {"1.234": 1234, "-12": -12, "1.2": BAD, "9.223.372.036.854.775.808": BAD}),
    (
        'type: "decimal(12,2)", strip: ["€", EUR]',
        {
            "€ 1.50": D("1.50"),
            "1.50 EUR": D("1.50"),
            "EUR1.50": D("1.50"),
            "-€1.50": D("-1.50"),
            "€-1.50": D("-1.50"),
            "1.50": D("1.50"),
            "1€50": BAD,
            "USD 1.50": BAD,
            "€": BAD,
            "€ 1.50 €": D("1.50"),
        },
    ),
    (
        'type: "decimal(12,2)", negative: parentheses, strip: "$", group_mark: ","',
        {
            "(1,234.50)": D("-1234.50"),
            "$(1.00)": D("-1.00"),
            "($1.00)": D("-1.00"),
            "1.00": D("1.00"),
            "-1.00": BAD,
            "(-1.00)": BAD,
            "(1.00": BAD,
            "()": BAD,
        },
    ),
    (
        'type: "decimal(12,2)", negative: [minus, trailing_minus]',
        {"1.00-": D(-1), "-1.00": D(-1), "-1.00-": BAD, "1.00 -": D(-1)},
    ),
    ('type: "decimal(12,2)"', {"1,5": BAD, "(1)": BAD, "1-": BAD, "€1": BAD}),
]
MOMENTS: list[tuple[str, dict[str, Any]]] = [
    (
        'type: date, date_format: "%d/%m/%Y"',
        {
            "31/10/2025": date(2025, 10, 31),
            "1/2/2025": date(2025, 2, 1),
            "29/02/2024": date(2024, 2, 29),
            "29/02/2025": BAD,
            "10/31/2025": BAD,
            "2025-10-31": BAD,
            "31/10/25": BAD,
            "31/10/0000": BAD,
            "31/10/2025 ": date(2025, 10, 31),
            "31/10/2025\n": BAD,
            "٣١/10/2025": BAD,
        },
    ),
    (
        'type: date, date_format: ["%d.%m.%Y", "%Y%m%d"]',
        {"31.10.2025": date(2025, 10, 31), "20251031": date(2025, 10, 31), "2025131": BAD},
    ),
    (
        'type: date, date_format: "%d-%b-%y"',
        {
            "31-Oct-25": date(2025, 10, 31),
            "1-JAN-69": date(1969, 1, 1),
            "01-dec-68": date(2068, 12, 1),
            "31-Okt-25": BAD,
        },
    ),
    (
        'type: date, date_format: "%d %B %Y"',
        {"31 October 2025": date(2025, 10, 31), "31 Oct 2025": BAD, "3 May 2025": date(2025, 5, 3)},
    ),
    (
        'type: timestamp, timestamp_format: "%m/%d/%Y %I:%M %p"',
        {
            "10/31/2025 12:05 AM": at("2025-10-31T00:05"),
            "10/31/2025 1:05 pm": at("2025-10-31T13:05"),
            "10/31/2025 13:05 PM": BAD,
        },
    ),
    (
        'type: timestamp, timestamp_format: "%d.%m.%Y %H:%M:%S.%f"',
        {
            "31.10.2025 23:59:59.5": at("2025-10-31T23:59:59.5"),
            "31.10.2025 24:00:00.0": BAD,
            "31.10.2025 23:59:60.0": BAD,
        },
    ),
    (
        'type: timestamp, timestamp_format: "%Y-%m-%dT%H:%M:%S%z"',
        {
            "2025-10-31T10:00:00+0200": at("2025-10-31T08:00"),
            "2025-10-31T10:00:00-05:30": at("2025-10-31T15:30"),
            "2025-10-31T10:00:00Z": at("2025-10-31T10:00"),
            "2025-10-31T10:00:00": BAD,
            "2025-10-31T10:00:00+1500": BAD,
        },
    ),
    (
        'type: timestamp, timestamp_format: "%d/%m/%Y %H:%M:%S %Z", zones: {CET: "+01:00", CEST: "+02:00"}',
        {
            "26/10/2025 02:30:00 CEST": at("2025-10-26T00:30"),
            "26/10/2025 02:30:00 CET": at("2025-10-26T01:30"),
            "26/10/2025 02:30:00 UTC": at("2025-10-26T02:30"),
            "26/10/2025 02:30:00 PST": BAD,
        },
    ),
    (
        'type: timestamp, timestamp_format: "%d/%m/%Y %H:%M", timezone: Europe/Madrid',
        {
            "31/10/2025 10:00": at("2025-10-31T09:00"),
            "01/07/2025 10:00": at("2025-07-01T08:00"),
            "26/10/2025 02:30": "ambiguous_time",
            "30/03/2025 02:30": "ambiguous_time",
            "26/10/2025 01:59": at("2025-10-25T23:59"),
            "26/10/2025 03:00": at("2025-10-26T02:00"),
            "30/03/2025 03:00": at("2025-03-30T01:00"),
            "01/01/0001 00:00": "ambiguous_time",
            "x": BAD,
        },
    ),
    (
        "type: timestamp, timezone: Europe/Madrid, dst: earlier",
        {
            "2025-10-26T02:30:00": at("2025-10-26T00:30"),
            "2025-03-30 02:30:00": at("2025-03-30T00:30"),
            "2025-10-31": at("2025-10-30T23:00"),
            "2025-10-31T10:00:00Z": BAD,
        },
    ),
    (
        "type: timestamp, timezone: Australia/Lord_Howe, dst: later",
        {"2025-04-06T01:45:00": at("2025-04-05T15:15"), "2025-10-05T02:15:00": at("2025-10-04T15:45")},
    ),
]

Typed = Callable[[str, Sequence[str]], list[Any]]


@pytest.fixture(
    scope="module",
    params=[
        "duckdb",
        pytest.param("databricks", marks=[pytest.mark.slow, pytest.mark.databricks, pytest.mark.timeout(1800)]),
    ],
)
def session(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("warehouse")
    warehouse: Any = DuckDBWarehouse(folder / "thing.duckdb", "thing", wait_seconds=5.0)
    if request.param == "databricks":
        access = access_to(request.getfixturevalue("databricks"))
        warehouse = DatabricksWarehouse(access, new_schema(), folder / "local", wait_seconds=5.0)
    with warehouse.session() as session:
        yield session


@pytest.mark.parametrize(("column", "cells"), [*NUMBERS, *MOMENTS])
def test_cells_are_values_in_the_form_that_is_declared(session: Session, tmp_path: Path, column, cells):
    values, reasons = read_cells(session, tmp_path, column, [*cells])

    found = [values[place] if place in values else reasons[place].split(":")[0] for place in range(len(cells))]

    assert dict(zip(cells, found, strict=True)) == cells


def test_reasons_say_how_a_cell_is_written(session: Session, tmp_path: Path):
    def reason(column: str, cell: str) -> str:
        return read_cells(session, tmp_path, column, [cell])[1][0]

    assert "is no date as the contract has it: %d/%m/%Y" in reason('type: date, date_format: "%d/%m/%Y"', "x")
    money = 'type: "decimal(8,2)", decimal_mark: ",", group_mark: ".", strip: "€", negative: [minus, parentheses]'
    assert "written like € 1.234,50 or (1.234,50)" in reason(money, "1.5")
    zoned = "type: timestamp, timezone: Europe/Madrid"
    assert "in the time of Europe/Madrid" in reason(zoned, "2025-10-31T10:00:00Z")
    assert "comes twice or never on the clocks of Europe/Madrid" in reason(zoned, "2025-10-26T02:30:00")


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ('type: date, date_format: "%d/%m"', "lacks %Y"),
        ('type: date, date_format: "%d/%m/%Y %j"', "has the word %j"),
        ('type: date, date_format: "%d/%m/%Y/%y"', "says %Y twice"),
        ('type: date, date_format: "%d/%m/%Y %H"', "has a time, and the column is a date"),
        ('type: timestamp, timestamp_format: "%d/%m/%Y %I"', "must have %I and %p together"),
        ('type: date, date_format: ["%d/%m/%Y", "%m/%d/%Y"]', "and means another moment in each"),
        ('type: date, date_format: ["%y%m%d", "%d%m%y"]', "and means another moment in each"),
        ('date_format: "%d/%m/%Y"', "date_format goes with a date, and the column is text"),
        ("type: timestamp, timezone: Mars/Phobos", "there is no time zone 'Mars/Phobos'"),
        ("type: timestamp, dst: earlier", "and none is named"),
        ('type: timestamp, timezone: Europe/Madrid, timestamp_format: "%Y-%m-%d %z"', "has a zone of its own"),
        ('type: timestamp, timestamp_format: "%Y-%m-%d %Z", zones: {CET: "1"}', "write how far it is ahead of UTC"),
        ('type: "decimal(8,2)", group_mark: "."', "name another decimal_mark"),
        ('type: bigint, decimal_mark: ","', "decimal_mark goes with a decimal with a fraction"),
        ('type: bigint, strip: "1"', "which may be part of a number"),
        ("optional: true, rules: [not_null]", "not_null would refuse each row"),
        ("optional: true, default: x", "may be missing anyway"),
        ("joined: [Date]", "joined lists the two or more headers"),
        ('type: "decimal(8,2)", decimal_mark: ",", default: "1.50"', "the default '1.50' is no decimal(8,2)"),
        ('type: date, date_format: "%d/%m/%Y", default: 2025-10-31', "YAML reads 2025-10-31 as a date"),
        ('type: date, date_format: "%d/%m/%Y", default: "2025-10-31"', "the default '2025-10-31' is none of: %d/%m/%Y"),
    ],
)
def test_wrong_declarations_are_told_with_file_and_line(tmp_path: Path, column, reason):
    from dropledger.core.contracts.contract_check import refuse_bad_defaults

    path = tmp_path / "thing.yaml"
    key = "key: [id]\ncolumns:\n  - {name: id, type: bigint, rules: [not_null]}\n"
    path.write_text(f"feed: thing\nfiles: [things*.csv]\n{key}  - {{name: x, {column}}}\n", encoding="utf-8")
    with pytest.raises(ContractError) as error:
        refuse_bad_defaults(load_contract(path))
    assert reason in str(error.value)
    assert f"{path}:6: " in str(error.value)
