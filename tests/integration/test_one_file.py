"""One file never stops a root: what it meets is told by its name, and the others are taken."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from support.ledger import Ledger
from support.odd_check import with_odd_check

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.drop import FileDropped
from dropledger.core.errors import Unavailable, Unforeseen
from dropledger.core.ingest.run import process
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.ledger.outcome import Outcome, PartialFailure
from dropledger.core.operations.backfill import backfill
from dropledger.handlers.outcomes import exit_code
from dropledger.infra.local.claims import LocalClaims
from dropledger.infra.local.inbox import Inbox
from dropledger.infra.local.private_file import copied
from dropledger.infra.local.store import LocalStore

pytestmark = pytest.mark.slow

Take = Callable[[Runtime, Sequence[FileDropped], Callable[[Outcome], None]], list[Outcome]]

HEADER = "CustomerID,Name,HasLoan\n"
SOUND, ODD = f"{HEADER}1,day,No\n", f"{HEADER}2,timezone,No\n"
ACCOUNTS = "AccountID,CustomerID,Balance,AccountType\n11,1,100.00,Savings\n"


def name(day: int) -> str:
    return f"customers_2026-01-{day:02}.csv"


def told(outcomes: list[Outcome]) -> dict[str, str]:
    return {outcome.drop.name: str(outcome.delivered) for outcome in outcomes}


@pytest.mark.parametrize("take", [process, backfill])
def test_file_that_meets_a_bug_is_set_apart_and_the_others_are_taken(tmp_path: Path, take: Take):
    ledger = Ledger(tmp_path / "root", with_odd_check(tmp_path / "pipeline"))
    facts = [ledger.put(name(day), ODD if day == 2 else SOUND) for day in (1, 2, 3)]
    outcomes = take(ledger.runtime, facts, lambda _: None)
    assert told(outcomes) == {name(1): "accepted", name(2): "failed", name(3): "accepted"}
    assert exit_code(outcomes) == 1
    (failed,) = [outcome for outcome in outcomes if not outcome.taken]
    assert isinstance(failed.failure, Unforeseen)
    assert "NotImplementedException" in (failed.error or "")
    assert "timezone" not in f"{failed.error} {failed.hint}"
    assert ledger.rows("SELECT count(*) FROM drop_ledger") == [(2,)]

    (problem,) = ledger.runtime.store.stuck()
    assert name(2) in problem[0]
    assert "watch --once" in problem[1]


def test_file_that_met_a_bug_is_tried_again_by_the_next_process_alone(tmp_path: Path):
    ledger = Ledger(tmp_path / "root", with_odd_check(tmp_path / "pipeline"))
    told_first = told(ledger.process(ledger.put(name(2), ODD)))
    again_in_this = told(ledger.process(ledger.put(name(3), SOUND)))
    next_one = Ledger(ledger.root, with_odd_check(tmp_path / "pipeline", "customer_name IS NULL"), ledger.clock)
    (outcome,) = next_one.process()
    assert (told_first, again_in_this) == ({name(2): "failed"}, {name(3): "accepted"})
    assert told([outcome]) == {name(2): "accepted"}
    assert next_one.runtime.store.stuck() == []
    assert [path.read_text() for path in (ledger.root / "archive").rglob("*02.csv")] == [ODD]


def test_check_of_one_feed_that_does_not_work_keeps_no_other_feed(tmp_path: Path):
    ledger = Ledger(tmp_path / "root", with_odd_check(tmp_path / "pipeline", "no_such_column IS NULL"))
    outcomes = ledger.process(ledger.put(name(1), SOUND), ledger.put("accounts_2026-01-01.csv", ACCOUNTS))
    assert told(outcomes) == {name(1): "failed", "accounts_2026-01-01.csv": "accepted"}
    assert exit_code(outcomes) == 2
    assert "no_such_column" in next(outcome.error or "" for outcome in outcomes if not outcome.taken)


@pytest.mark.parametrize("claim", [None, b"", b"{", b"[]", b'{"name": 5}', b'{"uri": "x", "name": "y"}', b"\xff\x00"])
def test_claim_of_which_nothing_is_known_is_set_apart_with_its_bytes(ledger: Ledger, claim: bytes | None):
    workspace = ledger.root / "work" / "20260101T000000000000-abcd"
    workspace.mkdir()
    (workspace / "content").write_text(SOUND)
    if claim is not None:
        (workspace / "claim.json").write_bytes(claim)
    outcomes = ledger.process(ledger.put(name(1), SOUND))
    assert told(outcomes) == {workspace.name: "quarantined", name(1): "accepted"}
    assert [outcome.rule for outcome in outcomes if outcome.refused] == ["damaged_claim"]
    assert (ledger.root / "quarantine" / workspace.name).read_text() == SOUND
    reason = json.loads((ledger.root / "quarantine" / f"{workspace.name}.reason.json").read_text())
    assert f"work/{workspace.name}/claim.json" in reason["error"]
    assert ledger.process(ledger.put(name(2), SOUND))[0].taken
    assert not workspace.exists()


def test_claim_whose_content_is_no_file_is_named_and_keeps_no_other(ledger: Ledger):
    (ledger.root / "work" / "20260101T000000000000-abcd" / "content").mkdir(parents=True)
    with pytest.raises(PartialFailure, match="20260101T000000000000-abcd") as raised:
        ledger.process(ledger.put(name(1), SOUND))
    assert told([*raised.value.outcomes]) == {name(1): "accepted"}
    assert (ledger.root / "work" / "20260101T000000000000-abcd" / "content").is_dir()


def test_archived_file_that_is_there_and_cannot_be_read_postpones_those_alone_that_need_it(ledger: Ledger):
    ledger.drop(name(10), SOUND)
    (archived,) = (ledger.root / "archive/customer").rglob("*.csv")
    archived.unlink()
    archived.mkdir()
    outcomes = ledger.process(
        ledger.put(name(5), SOUND.replace("No", "Yes")), ledger.put("accounts_2026-01-01.csv", ACCOUNTS)
    )
    assert told(outcomes) == {name(5): "postponed", "accounts_2026-01-01.csv": "accepted"}
    assert exit_code(outcomes) == 4
    postponed = next(outcome for outcome in outcomes if outcome.postponed)
    assert "cannot be read" in (postponed.error or "")
    assert str(archived.relative_to(ledger.root)) in (postponed.error or "")
    archived.rmdir()
    archived.write_text(SOUND)
    assert told(ledger.process()) == {name(5): "accepted"}


def test_place_in_the_archive_that_is_taken_keeps_the_file_in_work_and_no_other(ledger: Ledger):
    first = ledger.drop(name(1), SOUND)
    ledger_row = ledger.rows("SELECT status FROM drop_ledger")
    archived = ledger.root / first.file
    archived.unlink()
    (archived / "precious").mkdir(parents=True)
    again, other = ledger.process(ledger.put(name(1), SOUND), ledger.put(name(2), SOUND.replace("No", "Yes")))
    assert (str(again.delivered), str(other.delivered)) == ("postponed", "accepted")
    (claim,) = ledger.runtime.store.unfinished()
    assert claim.path.read_text() == SOUND  # the one good copy that there is
    (archived / "precious").rmdir()
    archived.rmdir()
    assert told(ledger.process()) == {name(1): "duplicate"}
    assert archived.read_text() == SOUND
    assert ledger_row == [("published",)]


class GoneStore(LocalStore):
    """A store on a disk that goes away after so many reads."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.asked = 0

    def secure(self, claims: object) -> None:
        self.asked += 1
        raise Unavailable("the disk is gone")


def test_disk_that_is_gone_is_one_error_for_all(tmp_path: Path, lending: Pipeline):
    ledger = Ledger(tmp_path / "root", lending)
    store = GoneStore(ledger.root, ledger.clock)
    facts: list[FileDropped] = [ledger.put(name(day), SOUND) for day in range(1, 5)]
    with pytest.raises(Unavailable, match="the disk is gone"):
        process(replace(ledger.runtime, store=store), facts, lambda _: None)
    assert store.asked == 1
    assert set(told(ledger.process()).values()) == {"accepted"}


class OddInbox(Inbox):
    """An inbox that meets a bug where one of the files is looked for."""

    def source_of(self, dropped: FileDropped) -> Path:
        if dropped.name == name(2):
            raise ZeroDivisionError
        return super().source_of(dropped)


class OddStore(LocalStore):
    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger.root, ledger.clock)
        self._claims = LocalClaims(ledger.root, OddInbox(self.inbox), ledger.clock, copied, self._failures)


def test_bug_before_a_file_is_claimed_is_told_with_the_code_of_a_bug(tmp_path: Path, lending: Pipeline):
    ledger = Ledger(tmp_path / "root", lending)
    runtime = replace(ledger.runtime, store=OddStore(ledger))
    with pytest.raises(PartialFailure, match="customers_2026-01-02") as raised:
        process(runtime, [ledger.put(name(day), SOUND) for day in (1, 2, 3)], lambda _: None)
    assert raised.value.exit_code == 1
    assert "ZeroDivisionError" in raised.value.why
    assert sorted(told([*raised.value.outcomes])) == [name(1), name(3)]
    assert (ledger.root / "inbox" / name(2)).exists()
