"""Contracts as documents of the Open Data Contract Standard: the way there and back loses nothing."""

import json
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import jsonschema
import pytest
import yaml
from hypothesis import assume, given, settings

from dropledger.core.contracts.contract import Contract
from dropledger.core.contracts.contract_file import RESERVED, contract_of
from dropledger.core.contracts.odcs.date_words import from_java, to_java
from dropledger.core.contracts.odcs.export import document
from dropledger.core.contracts.odcs.imported import Imported, imported
from dropledger.core.contracts.pipeline_spec import BUILT_IN, load_pipeline
from dropledger.core.contracts.yaml_text import yaml_text
from dropledger.core.errors import ContractError
from dropledger.infra.duckdb.engine import matches

PROJECT = Path(__file__).parents[2]
SHIPPED = sorted([*BUILT_IN.glob("*/*.yaml"), *PROJECT.glob("samples/contracts/*/*.yaml")])
SHIPPED = [path for path in SHIPPED if path.name != "pipeline.yaml"]
VALIDATOR = jsonschema.Draft201909Validator(
    json.loads(resources.files("open_data_contract_standard").joinpath("schema.json").read_text(encoding="utf-8"))
)


def exported(*contracts: Contract) -> str:
    """The document that contracts are, which must be valid by the standard's schema."""
    text = yaml_text(document(contracts, {}, "lending"))
    errors = [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(yaml.safe_load(text))]
    assert errors == []
    return text


def back(text: str) -> list[Imported]:
    return imported(text, Path("lending.odcs.yaml"), matches)


def meaning(contract: Contract) -> Contract:
    """A contract without where it stands and how it is laid out."""
    return replace(contract, file=Path(), yaml="", initial_text=None, sha256="")


# There and back


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_contracts_that_ship_come_back_as_they_were(path: Path):
    contract = contract_of(path.read_text(encoding="utf-8"), "0")
    [found] = back(exported(contract))

    assert meaning(found.contract) == meaning(contract)


def test_pipeline_is_one_document_with_an_owner_for_each_feed():
    pipeline = load_pipeline("lending")
    text = yaml_text(document([*pipeline.contracts.values()], pipeline.feed_checks, "lending"))

    assert [meaning(one.contract) for one in back(text)] == [*map(meaning, pipeline.contracts.values())]
    assert {one.contract.owner for one in back(text)} == {"core banking", "customer records", "treasury"}


NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: name not in RESERVED)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=20)
SEVERITIES = st.sampled_from(["error", "warn"])
NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=None)
FORMATS = ["%Y-%m-%d", "%d/%m/%Y", "%d.%m.%y", "%d-%b-%Y", "%d de %B de %Y", "%Y%m%d"]
TIMES = ["%d/%m/%Y %H:%M", "%Y-%m-%dT%H:%M:%S.%f%z", "%d %b %Y, %I:%M %p", "%Y%m%d %H:%M:%S %Z"]


def entries(**strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Mappings that may lack any of some entries."""
    return st.fixed_dictionaries({}, optional=strategies)


SAID = entries(name=TEXTS, severity=SEVERITIES, message=TEXTS)


def rule(kind: str, **parameters: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    given_too = st.fixed_dictionaries({"rule": st.just(kind), **parameters})
    return st.builds(lambda said, more: {**more, **said}, SAID, given_too)


BOUNDS = st.one_of(NUMBERS.map(str), st.integers(-(10**20), 10**20))
ANYWHERE = st.one_of(
    st.just("not_null"),
    rule("not_null"),
    rule("unique"),
    rule("relationship", to=st.builds("{}.{}".format, NAMES, NAMES)),
)
OF_TEXT = st.one_of(
    ANYWHERE,
    rule("accepted_values", values=st.lists(TEXTS, min_size=1, max_size=3)),
    rule("accepted_values", values=st.dictionaries(TEXTS, TEXTS, min_size=1, max_size=3)),
    rule("pattern", pattern=st.sampled_from(["^A", r"[0-9]{3}$", "(?i)é|'", r"^\p{L}+$"])),
)
OF_NUMBERS = st.one_of(ANYWHERE, rule("range", min=BOUNDS), rule("range", max=BOUNDS))
WORDS = rule("accepted_values", values=st.dictionaries(TEXTS, st.booleans(), min_size=1, max_size=3))
ALL = entries(
    aliases=st.lists(TEXTS, max_size=3),
    default=TEXTS,
    optional=st.booleans(),
    description=TEXTS,
    classification=TEXTS,
)
DECIMALS = st.sampled_from(["decimal(18,2)", "decimal(28,0)", "decimal(4,4)"])
STRIP = st.sampled_from(["€", ["EUR", "$"]])


def column(kind: st.SearchStrategy[str], rules: st.SearchStrategy[Any], **more: st.SearchStrategy[Any]):
    return st.builds(
        lambda name, said, own, kind, rules: {"name": name, **said, **own, "type": kind, "rules": rules},
        NAMES,
        ALL,
        entries(**more),
        kind,
        st.lists(rules, max_size=4),
    )


COLUMNS = st.one_of(
    column(st.just("text"), OF_TEXT, joined=st.just(["Date", "Time"])),
    column(st.just("bigint"), OF_NUMBERS),
    column(
        st.sampled_from(["decimal(18,2)", "decimal(28,0)", "decimal(4,4)"]),
        OF_NUMBERS,
        group_mark=st.just(" "),
        strip=STRIP,
    ),
    column(st.just("date"), ANYWHERE, date_format=st.one_of(st.sampled_from(FORMATS), st.just(FORMATS[:2]))),
    column(
        st.just("timestamp"),
        ANYWHERE,
        timestamp_format=st.sampled_from(TIMES),
        timezone=st.sampled_from(["Europe/Madrid", "Etc/UTC"]),
    ),
    st.builds(lambda one, words: {**one, "rules": [words, *one["rules"]]}, column(st.just("boolean"), ANYWHERE), WORDS),
)
PERCENT = st.integers(1, 99).map("{}%".format)
FEED = entries(
    description=TEXTS,
    owner=TEXTS,
    mode=st.sampled_from(["full", "delta"]),
    missing_keys=st.sampled_from(["keep", "close"]),
    max_rejected=st.sampled_from([0, 0.1, "0.25", 1]),
    as_of=st.sampled_from([["option"], {"file_name": "%d-%m-%Y"}, {"timezone": "Europe/Madrid"}]),
    future=st.just("allowed"),
    delimiters=st.sampled_from([["\t"], ["|", ","]]),
    encoding=st.just("utf-16"),
    quote=st.sampled_from(["'", "none"]),
    preamble=st.sampled_from([{"lines": 3}, {"until_header": True}]),
    trailer=st.just({"pattern": r"^T\|", "rows": 2}),
    ignore=st.lists(TEXTS, max_size=2),
    volume=entries(min_rows=st.integers(1, 9), fewer_than_before=entries(error=PERCENT)),
    checks=st.lists(st.fixed_dictionaries({"name": NAMES, "message": TEXTS}), max_size=2),
)


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    """Any contract that loads."""
    columns = draw(st.lists(COLUMNS, min_size=1, max_size=4, unique_by=lambda column: column["name"]))
    for part in columns[:2]:
        part.pop("optional", None)
        part["rules"] = ["not_null", *part["rules"]]
    key = [part["name"] for part in columns[: draw(st.integers(1, 2))]]
    said = {
        "feed": draw(NAMES),
        "files": ["a*.csv"],
        **draw(FEED),
        "key": draw(st.permutations(key)),
        "columns": columns,
    }
    try:
        return contract_of(yaml.safe_dump(said, allow_unicode=True, sort_keys=False), "0")
    except ContractError:
        assume(condition=False)
        raise


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(contracts())
def test_any_contract_comes_back_as_it_was(contract: Contract):
    [found] = back(exported(contract))

    assert meaning(found.contract) == meaning(contract)


def test_bounds_of_money_keep_all_their_digits():
    contract = load_pipeline("lending").contract("account")
    text = exported(contract)
    [found] = back(text)

    assert "maximum: 4999999999999999.99" in text
    assert "max: '4999999999999999.99'" in text
    assert found.contract.column("balance").rules[2].max == Decimal("4999999999999999.99")


EVERYTHING = """\
feed: event
files: ["events*.jsonl", "*.ndjson"]
format: ndjson
mode: event
effective_column: at
as_of: {pattern: "_(?P<as_of>[0-9]{8})_", timezone: Europe/Madrid}
drift: [{column: amount, sum: 30%, nulls: 5%, severity: error}]
ignore: [source, "meta*"]
key: [id, source_id]
columns:
  - {name: source_id, type: bigint, path: data.from, rules: [not_null]}
  - {name: amount, type: "decimal(18,2)", path: data.amount, default: "0.00"}
  - name: at
    type: timestamp
    timestamp_format: ["%d/%m/%Y %H:%M", "%Y%m%d %H%M"]
    timezone: Europe/Madrid
    dst: later
  - {name: paid, type: timestamp, timestamp_format: "%Y-%m-%d %H:%M %Z", zones: {PDT: "-07:00"}}
  - {name: tags, type: json, optional: true}
  - {name: id, rules: [not_null]}
"""
DELTA = """\
feed: price
files: ["p*.csv"]
mode: delta
effective_column: true_from
operation: {column: op, upsert: [N], delete: [X]}
key: [id]
columns:
  - {name: id, aliases: [ID-NO, Nr], rules: [not_null]}
  - {name: price, type: "decimal(10,2)", decimal_mark: ",", group_mark: ".", strip: EUR, negative: [minus, parentheses]}
  - {name: true_from, type: date}
  - {name: op}
"""


@pytest.mark.parametrize("text", [EVERYTHING, DELTA], ids=["events", "delta"])
def test_what_the_standard_has_no_words_for_comes_back_too(text: str):
    contract = contract_of(text, "0")
    [found] = back(exported(contract))

    assert meaning(found.contract) == meaning(contract)
    assert found.notes == ()


def test_owner_of_all_feeds_is_the_team():
    contracts = [contract_of(f"owner: treasury\n{text}", "0") for text in (EVERYTHING, DELTA)]
    text = exported(*contracts)

    assert yaml.safe_load(text)["team"] == {"name": "treasury"}
    assert [one.contract.owner for one in back(text)] == ["treasury", "treasury"]


def test_what_others_can_read_stands_in_the_words_of_the_standard():
    [balance, kind] = yaml.safe_load(exported(load_pipeline("lending").contract("account")))["schema"][0]["properties"][
        2:
    ]

    assert (balance["logicalType"], balance["physicalName"], balance["required"]) == ("number", "Balance", True)
    assert balance["logicalTypeOptions"]["minimum"] == 0
    assert kind["quality"][1]["arguments"] == {"validValues": ["Savings", "Checking"]}


# Documents that others wrote

OTHERS = """\
apiVersion: v3.0.2
kind: DataContract
id: 4711
version: 1.0.0
status: active
domain: sales
description: {purpose: What customers ordered., usage: Forecasts.}
team:
  - {username: mlee, role: Data Steward}
  - {username: akofi, role: Data Owner, dateIn: 2024-01-01}
servers:
  - {server: lake, type: s3, location: "s3://bucket/{model}/*.json", format: json, delimiter: new_line}
schema:
  - name: Order
    physicalType: table
    tags: [core]
    properties:
      - {name: line, physicalType: int, primaryKey: true, primaryKeyPosition: 2}
      - {name: OrderID, logicalType: string, primaryKey: true, primaryKeyPosition: 1, unique: true, examples: [a1]}
      - name: Ordered At
        logicalType: timestamp
        logicalTypeOptions: {format: "yyyy-MM-dd'T'HH:mm:ssXX", defaultTimezone: Europe/Paris, minimum: "2020-01-01"}
      - {name: day, logicalType: date, logicalTypeOptions: {format: "EEE dd.MM."}}
      - name: total
        logicalType: number
        physicalType: NUMERIC(12, 2)
        logicalTypeOptions: {exclusiveMinimum: 0, maximum: 123456789012345678.99, multipleOf: 0.05}
        quality:
          - {rule: nullCheck, mustBe: 0, severity: low, description: has no total}
          - {metric: nullValues, mustBeLessThan: 5, unit: percent}
      - {name: weight, logicalType: number, physicalType: double}
      - {name: big, physicalType: "decimal(38,4)"}
      - name: state
        logicalType: string
        logicalTypeOptions: {maxLength: 5, format: email}
        quality:
          - {metric: invalidValues, arguments: {validValues: [open, 7]}, mustBe: 0}
          - {type: sql, query: SELECT 1, mustBe: 0}
          - {type: custom, engine: soda, implementation: "x"}
      - name: code
        logicalType: string
        quality: [{metric: invalidValues, arguments: {pattern: "(?=a)b"}, mustBe: 0}]
      - {name: gift, logicalType: boolean, required: true}
      - {name: address, logicalType: object, properties: [{name: city, logicalType: string}]}
      - name: customer
        logicalType: integer
        relationships: [{to: Customers.CustomerID}, {to: [a.b, a.c]}]
    quality:
      - {metric: rowCount, mustBeGreaterThan: 9}
      - {metric: duplicateValues, arguments: {properties: [a, b]}, mustBe: 0}
"""


def test_document_of_others_is_read_as_far_as_it_goes():
    [found] = back(OTHERS)
    contract = found.contract

    assert (contract.feed, contract.description, contract.owner) == ("order", "What customers ordered.", "akofi")
    assert (contract.files, contract.format, contract.key) == (("*.json",), "ndjson", ("order_id", "line_value"))
    assert contract.volume.min_rows == 10
    types = {column.name: column.type for column in contract.columns}
    assert types == {
        "line_value": "bigint",
        "order_id": "text",
        "ordered_at": "timestamp",
        "day": "date",
        "total": "decimal(12,2)",
        "weight": "text",
        "big": "decimal(28,4)",
        "state": "text",
        "code": "text",
        "gift": "boolean",
        "address": "json",
        "customer": "bigint",
    }
    assert contract.column("line_value").path == "line"
    assert contract.column("ordered_at").timestamp_format == ("%Y-%m-%dT%H:%M:%S%z",)


def rules_of(name: str) -> list[tuple[str, str, object]]:
    rules = back(OTHERS)[0].contract.column(name).rules
    return [(one.rule, one.severity.value, one.values or one.pattern or one.to or (one.min, one.max)) for one in rules]


def test_rules_of_others_become_rules_where_there_are_such():
    unbound = (None, None)
    assert rules_of("order_id") == [("not_null", "error", unbound), ("unique", "error", unbound)]
    assert rules_of("total") == [
        ("not_null", "warn", unbound),
        ("range", "error", (Decimal("0.01"), Decimal("123456789012345678.99"))),
    ]
    assert rules_of("state") == [("accepted_values", "error", ("open", "7"))]
    assert rules_of("code") == []
    assert rules_of("gift") == [
        ("not_null", "error", unbound),
        ("accepted_values", "error", {"true": True, "false": False}),
    ]
    assert rules_of("customer") == [("relationship", "warn", "customers.customer_id")]


@pytest.mark.parametrize(
    ("where", "what"),
    [
        ("document", "no contract says domain, usage, dateIn"),
        ("order", "no contract says tags"),
        ("order", "an owner is one text, so mlee"),
        ("order", "*.json is taken"),
        ("order", "the quality rule 'duplicateValues'"),
        ("order", "the relationship to ['a.b', 'a.c']"),
        ("order.order_id", "no contract says examples"),
        ("order.ordered_at", "no rule says minimum of logicalTypeOptions"),
        ("order.day", "the format EEE dd.MM. has no words here"),
        ("order.total", "no rule says multipleOf of logicalTypeOptions"),
        ("order.total", "the quality rule 'nullValues' (library) lets some rows break it"),
        ("order.weight", "is a number without digits that are fixed (double)"),
        ("order.big", "has 38 digits"),
        ("order.state", "the quality rule 'SELECT 1' (sql) is no rule"),
        ("order.state", "no rule says format"),
        ("order.state", "is no rule of it, as the rule pattern goes with text columns that have no accepted_values"),
        ("order.code", "it does not compile as RE2"),
        ("order.gift", "how true and false are written"),
        ("order.address", "its properties are kept as they are"),
    ],
)
def test_what_is_not_carried_over_is_told_in_the_contract_too(where: str, what: str):
    [found] = back(OTHERS)
    [note] = [note for note in found.notes if note.where == where and what in note.what]

    assert note.hint
    assert f"# - {note}\n" in found.yaml


def test_contract_that_lacks_its_key_says_so_and_is_printed_all_the_same():
    [found] = back(OTHERS.replace("primaryKey: true", "partitioned: true"))

    assert "has no primary key" in [note.what for note in found.notes]
    with pytest.raises(ContractError, match="'key' is missing"):
        _ = found.contract


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("apiVersion: v3.0.2", "apiVersion: v2.2.2", "version v2.2.2 of the standard is not read"),
        ("kind: DataContract\n", "kind: DataContract\nkind: DataContract\n", "'kind' stands twice"),
        ("    properties:\n", "    properties: none\n    rest:\n", "properties: should be a list"),
        ("  - name: Order\n", "  - title: Order\n", "'schema.0.name' is missing"),
    ],
)
def test_document_that_is_none_is_refused_with_its_line(before: str, after: str, why: str):
    with pytest.raises(ContractError, match=why):
        back(OTHERS.replace(before, after))


def test_what_others_changed_in_a_document_of_ours_is_told_where_it_contradicts_the_rest():
    text = exported(load_pipeline("lending").contract("account"))
    [looser] = back(text.replace("minimum: 0", "minimum: -5"))
    [tighter] = back(text.replace("minimum: 0", "minimum: 5"))

    assert [str(note) for note in looser.notes] == [
        (
            "account.balance: minimum -5 of logicalTypeOptions leaves more than a rule under quality, which holds; "
            "correct one of the two"
        )
    ]
    assert (tighter.notes, tighter.contract.column("balance").rules[-1].min) == ((), Decimal(5))
    customer = exported(load_pipeline("lending").contract("customer"))
    [other] = back(customer.replace("validValues: [true, false]", "validValues: [true]"))
    assert "stand for other values" in other.notes[0].what


OURS = "customProperties: [{{property: dropledger, value: {}}}]".format
ODD = [
    f"{{name: x, primaryKey: true, {OURS('{aliases: 5, path: [], format: {}}')}}}",
    f"{{name: x, primaryKey: true, {OURS('[1]')}, logicalTypeOptions: {{format: []}}}}",
    "{name: x, logicalType: integer, logicalTypeOptions: {minimum: .inf, exclusiveMaximum: a, format: {a: 1}}}",
    "{name: x, logicalType: string, logicalTypeOptions: {minLength: a, maxLength: -3, pattern: [1]}}",
    (
        "{name: x, quality: [{metric: invalidValues, arguments: {validValues: [[1]]}, mustBe: 0, "
        f"{OURS('{values: {a: [1]}}')}}}]}}"
    ),
    "{name: x, quality: [{type: custom, engine: dropledger, implementation: {rule: range, min: abc, colour: red}}]}",
    "{name: x, relationships: [{to: ''}, {to: /}, {to: 'https://example.org/a.yaml#/schema/a/properties/b'}]}",
    f"{{name: '5'}}, {{name: '5'}}, {{name: '***'}}, {{name: é}}, {{name: valid_from}}, {{name: {'x' * 100}}}",
]


@pytest.mark.parametrize("properties", ODD)
def test_odd_entries_are_noted_or_told_of_with_the_contract(properties: str):
    [found] = back(f"apiVersion: v3.1.0\nschema: [{{name: T, properties: [{properties}]}}]\n")

    with suppress(ContractError):
        assert found.contract.feed == "t"
    assert yaml.safe_load(found.yaml)["feed"] == "t"
    assert found.notes


def test_text_of_a_document_never_ends_the_comments_of_a_contract():
    text = OTHERS.replace("domain: sales", '"x\\nfeed: other\\x85feed: other\\u2028\\e[31m": y')
    [found] = back(text)

    assert found.contract.feed == "order"
    assert all(line.startswith("#") for line in found.yaml.partition("\nfeed: ")[0].split("\n"))


@pytest.mark.parametrize(
    ("strptime", "java"),
    [
        ("%Y-%m-%d", "yyyy-MM-dd"),
        ("%d/%m/%y %H:%M:%S.%f", "dd/MM/yy HH:mm:ss.SSSSSS"),
        ("%d-%b-%Y %I:%M %p", "dd-MMM-yyyy hh:mm a"),
        ("%Y%m%dT%H%M%S%z", "yyyyMMdd'T'HHmmssXX"),
        ("%d de %B o'clock %Y", "dd' de 'MMMM' o''clock 'yyyy"),
    ],
)
def test_formats_of_dates_have_words_in_both(strptime: str, java: str):
    assert (to_java(strptime), from_java(java)) == (java, strptime)


@pytest.mark.parametrize("java", ["EEE dd", "yyyy-'MM", "YYYY-ww", "dd[.MM]", "dd.MM.yyyyy"])
def test_formats_without_words_here_are_none(java: str):
    assert from_java(java) is None
