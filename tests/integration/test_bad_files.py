"""Files that are bad, each in its own way: what becomes of them, and that nothing else is harmed.

The files lie in samples/bad; `support.bad_files.EXPECTED` says what each must come to.
"""

import hashlib
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.bad_files import BAD, EXPECTED, GOOD, PROJECT, Expected, Rejected, Root

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.drop import iso
from dropledger.core.formats.text_scan import MAX_LINE_BYTES
from dropledger.core.ledger.ledger import Delivered
from dropledger.core.ledger.outcome import Outcome
from dropledger.infra.local.inbox import dropped_file

pytestmark = pytest.mark.slow

WHOLE_FILE_GUARDS = {"volume", "missing_keys"}
PAGE = PROJECT / "docs" / "bad-files.md"
VERSION = {
    "account": ("line", "account_id", "customer_id", "balance", "account_type"),
    "customer": ("line", "customer_id", "customer_name", "has_loan"),
}
COUNTS = ("rows_read", "rows_accepted", "rows_rejected", "rows_duplicate")


@dataclass(frozen=True)
class Dropped:
    """A bad file that went through the pipeline, with all that it left behind."""

    name: str
    content: bytes
    root: Root
    outcome: Outcome
    before: dict[str, Any]
    after: dict[str, Any]
    ledger: dict[str, Any]
    deliveries: list[str]
    rejected: list[Rejected]

    @property
    def expected(self) -> Expected:
        return EXPECTED[self.name]

    @property
    def drop_id(self) -> str:
        return self.outcome.drop.drop_id


def _rejected(root: Root, drop_id: str) -> list[Rejected]:
    """The refused rows of the drop's last delivery; those of the ones before stay."""
    sql = """SELECT r.line, r.column_name, r.rule, r.raw
        FROM rejected_row AS r
        INNER JOIN drop_ledger AS l ON l.drop_id = r.drop_id AND l.sequence = r.sequence
        WHERE r.drop_id = :id
        ORDER BY r.line"""
    return [Rejected(*row) for row in root.rows(sql, id=drop_id)]


@pytest.fixture(scope="module")
def good_root(tmp_path_factory: pytest.TempPathFactory, lending: Pipeline) -> Root:
    """A root that took good customers and accounts; to be copied, not dropped into."""
    root = Root(tmp_path_factory.mktemp("good") / "root", lending)
    for path in GOOD.glob("*.csv"):
        root.land(path.name, path.read_bytes())
    assert [outcome.delivered for outcome in root.process()] == [Delivered.ACCEPTED] * 2
    return root


def _copied(good_root: Root, folder: Path) -> Root:
    shutil.copytree(good_root.folder, folder)
    return Root(folder, good_root.runtime.pipeline)


@pytest.fixture
def root(good_root: Root, tmp_path: Path) -> Root:
    """A fresh root with good customers and accounts in it."""
    return _copied(good_root, tmp_path / "root")


@pytest.fixture(scope="module")
def good_figures(good_root: Root) -> dict[str, Any]:
    return good_root.figures()


@pytest.fixture(scope="module", params=EXPECTED)
def dropped(
    request: pytest.FixtureRequest,
    good_root: Root,
    good_figures: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Dropped]:
    """Each bad file, dropped into a fresh root."""
    folder = tmp_path_factory.mktemp("bad")
    root = _copied(good_root, folder / "root")
    content = (BAD / request.param).read_bytes()
    outcome = root.drop(request.param, content)
    with root.warehouse.session(read_only=True) as session:
        of_drop = {"id": outcome.drop.drop_id}
        (ledger,) = session.query("SELECT * FROM drop_ledger WHERE drop_id = :id", of_drop)
        deliveries = session.query("SELECT outcome FROM delivery WHERE drop_id = :id", of_drop)
    yield Dropped(
        request.param,
        content,
        root,
        outcome,
        before=good_figures,
        after=root.figures(),
        ledger=ledger,
        deliveries=[row["outcome"] for row in deliveries],
        rejected=_rejected(root, outcome.drop.drop_id),
    )
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def all_at_once(good_root: Root, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Outcome, list[Rejected]]]:
    """All bad files, dropped together: the outcome and the rejected rows of each."""
    root = _copied(good_root, tmp_path_factory.mktemp("all") / "root")
    for name in EXPECTED:
        root.land(name, (BAD / name).read_bytes())
    return {outcome.drop.name: (outcome, _rejected(root, outcome.drop.drop_id)) for outcome in root.process()}


def _counts(outcome: Outcome) -> tuple[int, int, int, int]:
    return outcome.rows_read, outcome.rows_accepted, outcome.rows_rejected, outcome.rows_duplicate


def _expected_counts(expected: Expected) -> tuple[int, int, int, int]:
    return expected.read, expected.accepted, expected.rejected, expected.duplicate


def _warned(outcome: Outcome) -> tuple[str, ...]:
    """The warnings about what is bad in the file; each is also smaller than the good one before it."""
    return tuple(name for warning in outcome.warnings if (name := warning.split(" (")[0]) not in WHOLE_FILE_GUARDS)


def test_every_sample_says_what_it_must_come_to():
    assert {path.name for path in BAD.glob("*.csv")} == EXPECTED.keys()


# One file alone


def test_outcome_is_what_the_file_deserves(dropped: Dropped):
    expected, outcome = dropped.expected, dropped.outcome

    assert outcome.delivered == (Delivered.QUARANTINED if expected.quarantined else Delivered.ACCEPTED)
    assert outcome.rule == expected.rule
    assert _counts(outcome) == _expected_counts(expected)
    assert _warned(outcome) == expected.warnings
    assert bool(outcome.error) == bool(outcome.hint) == expected.quarantined


def test_every_row_read_is_accepted_rejected_or_duplicate(dropped: Dropped):
    read, accepted, rejected, duplicate = _counts(dropped.outcome)

    assert read == accepted + rejected + duplicate


def test_ledger_says_the_same_as_the_outcome(dropped: Dropped):
    outcome, ledger = dropped.outcome, dropped.ledger

    assert ledger["status"] == ("quarantined" if dropped.expected.quarantined else "published")
    assert ledger["error"] == (f"{outcome.rule}: {outcome.error}" if dropped.expected.quarantined else None)
    for column in (*COUNTS, "versions_opened", "versions_closed"):
        assert ledger[column] == getattr(outcome, column)
    assert (ledger["name"], ledger["feed"]) == (dropped.name, outcome.drop.feed or None)
    assert ledger["size_bytes"] == len(dropped.content)
    assert ledger["sha256"] == hashlib.sha256(dropped.content).hexdigest()
    assert dropped.deliveries == [str(outcome.delivered)]


def test_rejected_rows_keep_line_column_rule_and_raw_text(dropped: Dropped):
    assert dropped.rejected == list(dropped.expected.rows)


def test_rejected_rows_lie_beside_the_file_in_quarantine(dropped: Dropped):
    if not dropped.expected.rows:
        assert f"{dropped.name}.rejects.csv" not in dropped.root.files("quarantine")
        return
    header, *rows = dropped.root.rejects(dropped.name)

    assert header == ["line", "column_name", "rule", "reason", "raw"]
    assert [Rejected(int(line), column or None, rule, raw) for line, column, rule, _, raw in rows] == dropped.rejected
    assert all(reason for _, _, _, reason, _ in rows)


def test_quarantined_file_lies_beside_its_reason(dropped: Dropped):
    name, expected = dropped.name, dropped.expected
    files = {f"{name}.rejects.csv"} if expected.rows else set()
    if not expected.quarantined:
        assert dropped.root.files("quarantine") == files
        return
    reason = dropped.root.reason(name)

    assert dropped.root.files("quarantine") == files | {name, f"{name}.reason.json"}
    assert dropped.outcome.file == f"quarantine/{name}"
    assert (reason["drop_id"], reason["rule"]) == (dropped.drop_id, expected.rule)
    assert (reason["error"], reason["fix"]) == (dropped.outcome.error, dropped.outcome.hint)
    assert (reason["sha256"], reason["size_bytes"]) == (dropped.ledger["sha256"], len(dropped.content))


def test_bytes_are_kept_as_received(dropped: Dropped):
    good = {path.name for path in GOOD.glob("*.csv")}
    archived = {name for name in dropped.root.files("archive") if name.split("-", 1)[1] not in good}
    if dropped.expected.quarantined:
        assert archived == set()
    else:
        assert archived == {f"{dropped.outcome.drop.feed}/2025/12/31/{dropped.drop_id}-{dropped.name}"}
        assert dropped.outcome.file == f"archive/{archived.pop()}"

    assert dropped.root.bytes_of(dropped.outcome.file) == dropped.content


def test_quarantined_file_leaves_history_and_figures_alone(dropped: Dropped):
    if dropped.expected.quarantined:
        assert dropped.after == dropped.before
        assert (dropped.outcome.versions_opened, dropped.outcome.versions_closed) == (0, 0)


def test_good_rows_go_into_history(dropped: Dropped):
    if not dropped.expected.quarantined:
        feed = dropped.outcome.drop.feed
        opened = [row for row in dropped.after[f"history_{feed}"] if row["drop_id"] == dropped.drop_id]
        versions = sorted(tuple(row[column] for column in VERSION[feed]) for row in opened)

        assert versions == list(dropped.expected.versions)
        assert dropped.outcome.versions_opened == len(versions)


def test_key_that_is_not_in_a_good_row_stays_as_it_was(dropped: Dropped):
    if not dropped.expected.quarantined:
        table, key = f"history_{dropped.outcome.drop.feed}", f"{dropped.outcome.drop.feed}_id"
        changed = {version[1] for version in dropped.expected.versions}

        assert [row for row in dropped.after[table] if row[key] not in changed] == [
            row for row in dropped.before[table] if row[key] not in changed
        ]


def test_nothing_stays_behind(dropped: Dropped):
    assert dropped.root.files("inbox") == set()
    assert dropped.root.files("work") <= {".lock"}
    assert dropped.after["tables"] == dropped.before["tables"]


def test_quality_report_is_there(dropped: Dropped):
    assert f"quality_reports/quality_report_{dropped.drop_id}.json" in dropped.root.files("outputs")


# Several files


def test_outcomes_are_the_same_when_all_are_dropped_together(all_at_once):
    found = {name: (outcome.rule, _counts(outcome), rows) for name, (outcome, rows) in all_at_once.items()}

    assert found == {
        name: (expected.rule, _expected_counts(expected), list(expected.rows)) for name, expected in EXPECTED.items()
    }


def test_good_file_is_taken_though_a_bad_one_came_with_it(root: Root):
    bad = "rates_2025-12-31_no_tier_from_zero.csv"  # refused by a check, when the batch is already under way
    root.land(bad, (BAD / bad).read_bytes())
    root.land("accounts_2025-12-31.csv", b"AccountID,CustomerID,Balance,AccountType\n1001,1,9500.00,Savings\n")

    outcomes = {outcome.drop.name: outcome.delivered for outcome in root.process()}

    assert outcomes == {bad: Delivered.QUARANTINED, "accounts_2025-12-31.csv": Delivered.ACCEPTED}
    assert root.rows("SELECT balance::VARCHAR FROM history_account WHERE account_id = 1001 AND is_current") == [
        ("9500.00",)
    ]


def test_file_that_the_engine_chokes_on_does_not_hold_up_the_next(root: Root):
    root.land("customers_2025-12-30.csv", 'CustomerID,Name,HasLoan\r\n1,"Am\rélie",No\r\n'.encode())
    with suppress(Exception):
        root.process()

    root.land("customers_2025-12-31.csv", b"CustomerID,Name,HasLoan\n1,Amara Okafor,No\n")
    root.process()

    assert root.files("work") <= {".lock"}
    assert root.rows("SELECT has_loan FROM history_customer WHERE customer_id = 1 AND is_current") == [(False,)]


@pytest.mark.parametrize("name", ["accounts_2025-12-31_mostly_bad.csv", "customers_2025-12-31_unbalanced_quotes.csv"])
def test_refused_file_that_comes_again_is_refused_again_and_kept_once(root: Root, name: str):
    content = (BAD / name).read_bytes()
    first = root.drop(name, content)
    rejected, files = _rejected(root, first.drop.drop_id), root.files("quarantine")

    again = root.drop(name, content)

    assert (again.drop.drop_id, again.rule, _counts(again)) == (first.drop.drop_id, first.rule, _counts(first))
    assert root.rows("SELECT count(*) FROM drop_ledger WHERE drop_id = :id", id=first.drop.drop_id) == [(1,)]
    assert (
        root.rows("SELECT outcome FROM delivery WHERE drop_id = :id", id=first.drop.drop_id) == [("quarantined",)] * 2
    )
    assert _rejected(root, first.drop.drop_id) == rejected
    assert root.rows("SELECT count(*) FROM rejected_row") == [(2 * len(rejected),)]  # each refusal has its own
    assert root.files("quarantine") == files


def test_second_bad_file_of_one_name_does_not_displace_the_first(root: Root):
    name = "accounts_2025-12-31.csv"
    first = root.drop(name, (BAD / "accounts_2025-12-31_mostly_bad.csv").read_bytes())
    second = root.drop(name, (BAD / "accounts_2025-12-31_missing_column.csv").read_bytes())

    assert first.file != second.file
    for outcome, sample in ((first, "mostly_bad"), (second, "missing_column")):
        assert root.bytes_of(outcome.file) == (BAD / f"accounts_2025-12-31_{sample}.csv").read_bytes()
        assert root.reason(outcome.file.removeprefix("quarantine/"))["drop_id"] == outcome.drop.drop_id


def test_corrected_file_of_the_same_name_is_taken(root: Root):
    name = "accounts_2025-12-31_mostly_bad.csv"
    refused = root.drop(name, (BAD / name).read_bytes())
    corrected = root.drop(name, (BAD / name).read_bytes().replace(b"n/a", b"1.00").replace(b",,", b",2.00,"))

    assert (refused.delivered, corrected.delivered) == (Delivered.QUARANTINED, Delivered.ACCEPTED)
    assert _counts(corrected) == (4, 4, 0, 0)
    assert name in root.files("quarantine")


# What does not fit into a small sample


def test_file_in_the_folder_of_an_unknown_feed_is_quarantined(root: Root):
    outcome = root.drop("accounts_2025-12-31.csv", (BAD / "balances_2025-12-31.csv").read_bytes(), feed="loans")

    assert (outcome.delivered, outcome.rule) == (Delivered.QUARANTINED, "unknown_feed")
    assert "accounts_2025-12-31.csv" in root.files("quarantine")


def test_file_with_an_endless_line_is_quarantined(root: Root):
    name = "customers_2025-12-31.csv"
    outcome = root.drop(name, b"CustomerID,Name,HasLoan\n1," + b"x" * (MAX_LINE_BYTES + 1) + b",No\n")

    assert (outcome.delivered, outcome.rule) == (Delivered.QUARANTINED, "line_too_long")


def test_name_of_three_million_characters_is_no_reason_to_refuse(root: Root):
    outcome = root.drop("customers_2025-12-31.csv", b"CustomerID,Name,HasLoan\n1," + b"x" * 3_000_000 + b",No\n")

    assert _counts(outcome) == (1, 1, 0, 0)
    assert root.rows("SELECT length(customer_name) FROM history_customer WHERE is_current AND customer_id = 1") == [
        (3_000_000,)
    ]


@pytest.mark.parametrize("share", [1, 2])
def test_share_of_rejected_rows_must_exceed_the_limit_to_quarantine(root: Root, share: int):
    rows = ["1001,1,9500.00,Savings", "1002,1,9600.00,Savings", "1003,2,n/a,Savings", "1004,2,n/a,Savings"][share - 1 :]
    content = "AccountID,CustomerID,Balance,AccountType\n" + "\n".join(rows)
    outcome = root.drop("accounts_2025-12-31.csv", content.encode())

    assert outcome.delivered == (Delivered.ACCEPTED if share == 1 else Delivered.QUARANTINED)


def test_as_of_of_a_file_whose_name_is_ambiguous_is_when_it_was_changed(root: Root):
    name = "accounts_2025-10-31_to_2025-12-31.csv"
    root.land(name, (BAD / name).read_bytes())
    (fact,) = root.store.arrivals()
    root.process()

    assert root.reason(name)["as_of"] == iso(fact.modified_at)


def test_given_as_of_settles_an_ambiguous_name(root: Root):
    path = BAD / "accounts_2025-10-31_to_2025-12-31.csv"
    fact = dropped_file(path, as_of=datetime(2025, 12, 31, tzinfo=UTC), keep_original=True)

    (outcome,) = root.process(fact)

    assert (outcome.delivered, outcome.rule) == (Delivered.ACCEPTED, None)
    assert path.exists()


# The page about bad files

_ROW = re.compile(
    r"^\| (?P<what>.+?) \| \[`(?P<name>[^`]+)`\]\((?P<link>[^)]+)\) "
    r"\| (?P<outcome>.+?) \| (?P<rule>.+?) \| (?P<fix>.+?) \|$"
)


def _in_words(outcome: Outcome) -> str:
    """An outcome as the page says it."""
    if outcome.delivered == Delivered.QUARANTINED:
        return "quarantined"
    parts = [
        (outcome.rows_rejected, "row rejected", "rows rejected"),
        (outcome.rows_duplicate, "duplicate", "duplicates"),
        (len(_warned(outcome)), "warning", "warnings"),
    ]
    said = [f"{count} {one if count == 1 else many}" for count, one, many in parts if count]
    return ", ".join(["accepted", *said])


def _rules(outcome: Outcome, rows: list[Rejected]) -> str:
    names = [outcome.rule] if outcome.rule else [*Counter(row.rule for row in rows), *_warned(outcome)]
    return ", ".join(f"`{name}`" for name in names) or "–"


@pytest.fixture(scope="module")
def page() -> list[dict[str, str]]:
    found = [_ROW.match(line) for line in PAGE.read_text(encoding="utf-8").splitlines() if "](../samples/bad/" in line]
    assert all(found), "a row of the table has another shape"
    return [match.groupdict() for match in found if match]


def test_page_names_each_sample_once_and_links_it(page):
    assert Counter(row["name"] for row in page) == Counter(EXPECTED.keys())
    assert all((PAGE.parent / row["link"]).resolve() == BAD / row["name"] for row in page)


def test_page_tells_the_outcomes_that_the_pipeline_gives(page, all_at_once):
    assert {row["name"]: (row["outcome"], row["rule"]) for row in page} == {
        name: (_in_words(outcome), _rules(outcome, rows)) for name, (outcome, rows) in all_at_once.items()
    }
