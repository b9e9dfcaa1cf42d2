"""Files as the world writes them: each kind is read right, or refused with a reason, and never loaded wrongly."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.ledger import Ledger, Record, without_marts
from support.messy_kinds import CLEAN, KINDS, LOADED_A, LOADED_B, LOADED_C, Kind

from dropledger.core.ledger.ledger import Delivered
from dropledger.core.ledger.outcome import Outcome
from dropledger.infra.local.inbox import dropped_file

PAGE = Path(__file__).parents[2] / "docs" / "messy-files.md"
VERSION = {
    "account": "account_id::VARCHAR, customer_id::VARCHAR, balance::VARCHAR, account_type",
    "customer": "customer_id::VARCHAR, customer_name, has_loan::VARCHAR",
}
OF_THE_DAY = {"as_of_in_the_past", "orphan_account", "volume", "missing_keys"}
"""What is said of the file beside others, of other sizes and with other keys, and not of its kind."""
kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@dataclass(frozen=True)
class Dropped:
    """A messy file that was dropped, and what is said of it: versions opened, rows rejected, the reason beside it."""

    number: int
    outcome: Outcome
    versions: list[Record]
    rejected: list[Record]
    reason: str

    def own(self, text: str | None) -> str | None:
        """A text of `Kind` with the keys that the file had."""
        return text and _own(text, self.number)


def _own(text: str, number: int) -> str:
    return re.sub("#(?=[1-9])", str(number), text)


def _drop(ledger: Ledger, files: Mapping[int, Kind]) -> dict[str, Dropped]:
    facts = {}
    for number, kind in files.items():
        path = ledger.root / "inbox" / f"{kind.feed}s {number} 2025-12-31.csv"
        content = kind.content if isinstance(kind.content, bytes) else _own(kind.content, number).encode()
        path.write_bytes(content)
        facts[number] = dropped_file(path)
    outcomes = {outcome.drop.name: outcome for outcome in ledger.process(*facts.values())}
    found = {}
    with ledger.connection() as connection:
        for number, kind in files.items():
            outcome = outcomes[facts[number].name]
            history = f"SELECT line, {VERSION[kind.feed]} FROM history_{kind.feed} WHERE drop_id = ? ORDER BY line"
            rejects = "SELECT line, rule, reason, raw FROM rejected_row WHERE drop_id = ? ORDER BY line"
            versions, rejected = (
                connection.execute(sql, [outcome.drop.drop_id]).fetchall() for sql in (history, rejects)
            )
            reason = ledger.root / f"{outcome.file}.reason.json"
            said = json.loads(reason.read_text(encoding="utf-8"))["error"] if reason.exists() else ""
            found[kind.name] = Dropped(number, outcome, versions, rejected, said)
    return found


@pytest.fixture(scope="module")
def dropped(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Dropped]:
    """A file of each kind, dropped together."""
    folder = tmp_path_factory.mktemp("messy")
    return _drop(Ledger(folder / "root", without_marts(folder / "lending")), dict(enumerate(KINDS, 100)))


@kinds
def test_rows_are_loaded_as_they_are_meant_or_not_at_all(dropped: Mapping[str, Dropped], kind: Kind):
    found = dropped[kind.name]

    assert found.outcome.delivered == (Delivered.QUARANTINED if kind.rule else Delivered.ACCEPTED)
    assert found.versions == [(line, *map(found.own, cells)) for line, cells in kind.rows]


@kinds
def test_what_is_refused_has_its_rule_and_reason(dropped: Mapping[str, Dropped], kind: Kind):
    found = dropped[kind.name]

    assert found.outcome.rule == kind.rule
    assert kind.because in found.reason
    assert [(line, rule) for line, rule, _, _ in found.rejected] == list(kind.rejected)
    assert all(reason for _, _, reason, _ in found.rejected)
    assert bool(found.outcome.hint) == (kind.rule is not None)


@kinds
def test_every_row_is_accounted_for(dropped: Mapping[str, Dropped], kind: Kind):
    outcome = dropped[kind.name].outcome

    assert (outcome.rows_accepted, outcome.rows_rejected, outcome.rows_duplicate) == (
        len(kind.rows),
        len(kind.rejected),
        kind.duplicates,
    )
    assert outcome.rows_read == len(kind.rows) + len(kind.rejected) + kind.duplicates
    assert {warning.split(" (")[0] for warning in outcome.warnings} - OF_THE_DAY == (
        {"expected_columns"} if kind.warned else set()
    )


# What a contract can change


@pytest.mark.parametrize("delimiter", ["\t", "|"])
def test_other_separators_are_read_where_the_contract_lists_them(tmp_path: Path, delimiter: str):
    listed = {"delimiters": [",", ";", "\t", "|"]}
    ledger = Ledger(tmp_path / "root", without_marts(tmp_path / "lending", {"account.yaml": listed}))
    rows = tuple(zip((2, 3, 4), (LOADED_A, LOADED_B, LOADED_C), strict=True))
    kind = Kind("listed", CLEAN.replace(",", delimiter), rows)

    found = _drop(ledger, {1: kind})["listed"]

    assert found.versions == [(line, *map(found.own, cells)) for line, cells in rows]


TEXTS = {
    "files": ["branches*.csv"],
    "feed": "branch",
    "key": ["branch"],
    "columns": [
        {"name": "branch", "aliases": ["Branch Code"], "rules": ["not_null"]},
        {"name": "town", "aliases": ["City"]},
    ],
}


@pytest.mark.parametrize(
    ("again", "rule"), [("Branch Code,Town", "repeated_header"), ("City,branch_code", "other_header")]
)
def test_header_is_no_row_even_where_all_columns_are_texts(tmp_path: Path, again: str, rule: str):
    ledger = Ledger(tmp_path / "root", without_marts(tmp_path / "lending", {"branch.yaml": TEXTS}))
    outcome = ledger.drop("branches_2025-12-31.csv", f"branch,town\nN1,Oslo\n{again}\n")

    assert outcome.delivered == Delivered.ACCEPTED
    assert ledger.table("history_branch", "branch, town, line") == [("N1", "Oslo", 2)]
    assert ledger.table("rejected_row", "line, rule, raw") == [(3, rule, again)]


def test_rows_behind_another_header_are_refused_where_all_columns_are_texts(tmp_path: Path):
    ledger = Ledger(tmp_path / "root", without_marts(tmp_path / "lending", {"branch.yaml": TEXTS}))
    outcome = ledger.drop("branches_2025-12-31.csv", "branch,town\nN1,Oslo\nCity,Branch Code\nBergen,N2\n")

    assert outcome.rule == "second_table"
    assert ledger.table("history_branch", "branch") == []


def test_header_once_more_hides_no_key_that_is_gone(tmp_path: Path):
    closing = without_marts(tmp_path / "lending", {"account.yaml": {"missing_keys": "close"}})
    ledger = Ledger(tmp_path / "root", closing)
    header, one, two = "AccountID,CustomerID,Balance,AccountType\n", "1,1,1.00,Savings\n", "2,1,2.00,Savings\n"
    ledger.drop("accounts_2025-10-31.csv", header + one + two)

    ledger.drop("accounts_2025-11-30.csv", header + one + header)
    assert ledger.table("history_account", "account_id, is_current") == [(1, True), (2, False)]

    ledger.drop("accounts_2025-11-15.csv", header + one + two.replace("2.00", "3.00"))
    assert ledger.table("history_account", "account_id, balance::VARCHAR, is_current") == [
        (1, "1.00", True),
        (2, "2.00", False),
        (2, "3.00", False),
    ]


@pytest.mark.parametrize(
    ("odd", "read"),
    [
        ('CustomerID,Name,HasLoan\n9,"Bo" "Lee",No\n8,Cy,No\n', [(8, "Cy")]),
        ('CustomerID,Name,HasLoan\n9,  "Bo",No\n', [(9, "Bo")]),
        ("CustomerID,HasLoan,Name\n9,No,Bo,\n8,No,Cy\n", [(8, "Cy")]),
        ("CustomerID,HasLoan,Name,\n9,No,Bo,Lee\n8,No,Cy,\n", [(8, "Cy")]),
    ],
    ids=["two quoted texts", "blanks before a quote", "a cell too many", "a cell below no name"],
)
def test_file_is_read_with_the_same_care_among_many_that_wait_together(
    tmp_path: Path, odd: str, read: list[tuple[int, str]]
):
    ledger = Ledger(tmp_path / "root", without_marts(tmp_path / "lending"))
    plain = [f"CustomerID,Name,HasLoan\n{number},Ann,No\n" for number in range(1, 7)]
    texts = [*plain[:3], odd, *plain[3:]]

    ledger.process(*(ledger.put(f"customers_2025-12-{day:02}.csv", text) for day, text in enumerate(texts, 1)))

    assert ledger.table("history_customer", "customer_id, customer_name")[6:] == read


# The page

_ROW = re.compile(r"^\| (?P<kind>[^|]+?) \| (?P<outcome>[^|]+?) \| (?P<rule>[^|]+?) \| (?P<how>[^|]+?) \|$")


def _in_words(outcome: Outcome) -> str:
    if outcome.delivered == Delivered.QUARANTINED:
        return "refused"
    return "read" if not outcome.rows_rejected else "read, but for the row" + "s" * (outcome.rows_rejected > 1)


def _rules(found: Dropped) -> str:
    rules = [found.outcome.rule] if found.outcome.rule else Counter(rule for _, rule, _, _ in found.rejected)
    return ", ".join(f"`{rule}`" for rule in rules) or "–"


def test_page_tells_what_becomes_of_each_kind(dropped: Mapping[str, Dropped]):
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    found = [match.groupdict() for line in lines if (match := _ROW.match(line))]
    told = {row["kind"]: (row["outcome"], row["rule"]) for row in found if row["outcome"] not in {"outcome", "---"}}

    assert told == {
        name[0].upper() + name[1:]: (_in_words(of_kind.outcome), _rules(of_kind)) for name, of_kind in dropped.items()
    }
