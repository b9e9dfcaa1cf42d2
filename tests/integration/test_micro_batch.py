"""Files that wait together are folded together, and come out as if they had been taken one by one."""

import json
import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.ledger import Ledger, micro_batches_from, with_unlimited_balances, without_marts

from dropledger.core.contracts.pipeline_spec import BUILT_IN, Pipeline, load_pipeline
from dropledger.core.ingest import micro_batch
from dropledger.core.ledger.ledger import Delivered

pytestmark = pytest.mark.slow

ONE_BY_ONE = 10**9
MODIFIED_AT = datetime(2026, 3, 1, tzinfo=UTC)
PER_DROP = (
    "drop_id, name, sequence, status, rows_read, rows_accepted, rows_rejected, rows_duplicate, "
    "versions_opened, versions_closed, first_effective, last_effective, contract_sha256, error"
)
TABLES = {
    **dict.fromkeys(("src_customer", "src_account", "history_customer", "history_account"), "*"),
    **dict.fromkeys(("account_summary", "customer_profile"), "*"),
    "rejected_row": "* EXCLUDE (sequence)",
    "delivery": "drop_id, outcome",
}


def accounts(*rows: str, delimiter: str = ",", end: str = "\n") -> str:
    lines = ["AccountID,CustomerID,Balance,AccountType", *rows]
    return end.join(line.replace(",", delimiter) for line in lines) + end


def odd_files() -> Iterator[tuple[str, str]]:
    """Files of which some are late, repeated, spoilt, of another shape, or of an unknown feed."""
    for number in range(3, 15):
        stamp = f"2026-01-{1 + number // 2:02}T{number % 2:02}0000Z"
        yield f"customers_{stamp}.csv", f"CustomerID,Name,HasLoan\n1,Ann,{'Yes' if number % 3 else 'No'}\n2,Bo,No\n"
        yield (
            f"accounts_{stamp}.csv",
            accounts(f"11,1,{number // 4}.00,Savings", f"{12 + number % 5},2,{number}.50,Savings", "99,9,1.00,Savings"),
        )
    yield "accounts_2026-02-01.csv", accounts("11,1,1.00,Savings", "12,x,1.00,Savings")
    yield "accounts_2026-02-02.csv", accounts("11,1,1.00,Savings", "11,1,2.00,Savings", "12,1,3.00,Savings")
    yield "accounts_2026-02-03.csv", accounts('11,1,"5.00",Savings', '12,1,6.00,"Savings"')
    yield "accounts_2026-02-04.csv", accounts('11,1,7.00,"Savings\n"', "12,1,8.00,Savings")
    yield "accounts_2026-02-05.csv", accounts("11,1,9.00,Savings", delimiter=";")
    yield "accounts_2026-02-06.csv", accounts("11,1,10.00,Savings", "12,1,10.00,Savings", end="\r\n")
    yield "accounts_2026-02-07.csv", accounts("11,1,11.00,Savings", "", "12,1,10.00,Savings")
    yield "accounts_2026-02-08.csv", accounts("11,1,12.00,Savings", "12,1,10.00,Savings,more")
    yield "accounts_2026-02-09.csv", accounts()
    yield "accounts_2026-02-10.csv", "AccountType,Remark,AccountID,Balance,CustomerID\nSavings,new,11,13.00,1\n"
    yield "accounts_2026-02-11.csv", accounts("11,1,1.00,Savings")[:-1]
    yield "accounts_2026-02-11 again.csv", accounts("11,1,1.00,Savings")[:-1]
    yield "accounts_2026-02-11 corrected.csv", accounts("11,1,2.00,Savings")
    yield "accounts_2026-02-12.csv", "AccountID\n1\n"
    yield "accounts_2026-02-13.csv", accounts("11,1,\xff,Savings")
    yield "loans_2026-02-14.csv", accounts("11,1,1.00,Savings")
    yield "accounts_2026-02-15.csv", accounts("11,1,14.00,Savings", "12,1,15.00,Checking")
    for number in range(16, 28):
        yield f"accounts_2026-02-{number}.csv", accounts(f"11,1,{number}.00,Savings", "12,1,15.00,Savings")


def event(name: str, **more: Any) -> str:
    return json.dumps({"event_id": name, "name": "activity_exit", "occurred_at": "2026-01-01 10:00:00", **more})


def odd_events() -> Iterator[tuple[str, str]]:
    """Files of JSON lines of which some are spoilt, repeated, or have what an engine may read otherwise."""
    for number in range(6):
        played = {"data": {"duration": number / 8, "completed": True}, "user_id": f"u{number}"}
        yield f"events_{number}.jsonl", f"{event(f'e{number}', **played)}\n{event(f'f{number}')}\n"
    yield "events_again.jsonl", f"{event('e0', user_id='other')}\n{event('f1')}\n"
    yield "events_twice.jsonl", f"{event('g1')}\n{event('g1')}\n"
    yield "events_blank.jsonl", f"\n{event('g2')}\n\n {event('g3')}  \n\n"
    yield "events_returns.jsonl", f"{event('g4')}\r\n{event('g5', user_id='ü')}\r\n"
    yield "events_both_ends.jsonl", f"{event('g6')}\r\n{event('g7')}\n"
    yield "events_no_end.jsonl", event("g8")
    yield "events_mark.jsonl", f"\ufeff{event('g9')}\n"
    yield "events_exponent.jsonl", event("h1", user_id=12345678901234567890) + "\n" + event("h2", child_id=1e300) + "\n"
    yield "events_same_name.jsonl", event("h3")[:-1] + ', "name": "app_open"}\n'
    yield "events_no_json.jsonl", f"{event('h4')}\n{{nothing}}\n"
    yield "events_no_number.jsonl", event("h5", data={"duration": float("nan")}) + "\n"
    yield "events_nested.jsonl", event("h6", user_id={"is": ["nested"]}) + "\n"
    yield "events_no_key.jsonl", '{"name": "app_open", "occurred_at": "2026-01-01 10:00:00"}\n'
    yield "events_bad_time.jsonl", event("h7", occurred_at="yesterday") + "\n"
    yield "events_array.jsonl", f"[{event('h8')}]\n"
    yield "events_new_name.jsonl", event("h9", new_name=1) + "\n"
    yield "events_[a-z]*?.jsonl", event("i1") + "\n"


def taken(
    root: Path, pipeline: Pipeline, batches: list[dict[str, str]], fewest: int, tables: Mapping[str, str] = TABLES
) -> tuple[Ledger, dict[str, Any]]:
    ledger = Ledger(root, pipeline)
    outcomes: list[Any] = []
    with micro_batches_from(fewest):
        for batch in batches:
            facts = [ledger.put(name, text, modified_at=MODIFIED_AT) for name, text in batch.items()]
            outcomes += ledger.process(*facts)
    found: dict[str, Any] = {name: ledger.table(name, columns) for name, columns in tables.items()}
    # The order of receipt of files that wait together is their own within a feed alone.
    found["ledger"] = sorted(
        (row[:2] + row[3:] for row in ledger.table("drop_ledger", PER_DROP)), key=lambda row: str(row[:2])
    )
    found["order"] = {
        feed: [name for (name,) in ledger.rows(f"SELECT name FROM drop_ledger WHERE feed = '{feed}' ORDER BY sequence")]
        for feed in pipeline.contracts
    }
    found["checks"] = ledger.rows(
        "SELECT * EXCLUDE (message, sequence) FROM check_result WHERE layer = 'staging' ORDER BY ALL"
    )
    found["outcomes"] = {outcome.drop.name: comparable(outcome.as_json()) for outcome in outcomes}
    found["files"] = {
        str(path.relative_to(root)): path.read_bytes()
        for folder in ("archive", "quarantine", "outputs")
        for path in (root / folder).rglob("*")
        if path.is_file() and "changes" not in path.parts and path.suffix != ".json"
    }
    found["reports"] = {
        path.name: comparable(json.loads(path.read_bytes()))
        for path in (root / "outputs" / "quality_reports").iterdir()
    }
    return ledger, found


def comparable(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Without the time of day, and what stands in the entry of the last drop for all of its batch."""
    of_the_batch = {"generated_at", "recomputed", "warnings", "totals", "by_layer", "failed_checks", "file"}
    kept = {name: value for name, value in entries.items() if name not in of_the_batch}
    if "row_counts" in kept:
        kept["row_counts"] = {
            layer: rows for layer, rows in kept["row_counts"].items() if layer in {"source", "staging", "history"}
        }
    return kept


def test_all_is_as_if_taken_one_by_one(tmp_path: Path, lending: Pipeline):
    files = dict(odd_files())
    chance = random.Random(1)
    late = dict(chance.sample(sorted(files.items()), 6))
    batches = [{name: text for name, text in files.items() if name not in late}]
    again = dict(chance.sample(sorted(batches[0].items()), 3))
    batches.append({**late, **{f"again {name}": text for name, text in again.items()}})

    ledger, together = taken(tmp_path / "together", lending, batches, 2)
    _, one_by_one = taken(tmp_path / "one by one", lending, batches, ONE_BY_ONE)

    for name, found in one_by_one.items():
        assert together[name] == found, name
    assert ledger.process() == []


def test_json_lines_are_as_if_taken_one_by_one(tmp_path: Path):
    pipeline, files = load_pipeline("engagement"), dict(odd_events())
    again = {f"events_more_{number}.jsonl": event(f"m{number}") + "\n" for number in range(3)}
    tables = dict.fromkeys(("src_event", "history_event", "activity_event", "engagement_daily"), "*")
    tables |= {name: columns for name, columns in TABLES.items() if name in {"rejected_row", "delivery"}}

    ledger, together = taken(tmp_path / "together", pipeline, [files, again], 2, tables)
    _, one_by_one = taken(tmp_path / "one by one", pipeline, [files, again], ONE_BY_ONE, tables)

    for name, found in one_by_one.items():
        assert together[name] == found, name
    assert {name for _, name, *_ in together["ledger"]} == {*files, *again}
    assert ledger.process() == []


def test_files_of_json_lines_are_computed_together(tmp_path: Path):
    ledger = Ledger(tmp_path / "root", load_pipeline("engagement"))
    facts = [ledger.put(f"events_{number}.jsonl", event(f"e{number}") + "\n") for number in range(9)]

    outcomes = ledger.process(*facts)

    assert [outcome.recomputed["activity_event"] for outcome in outcomes if outcome.recomputed] == [9]


def test_change_file_of_a_micro_batch_is_that_of_its_last_drop(ledger: Ledger):
    ledger.drop("customers_2026-01-01.csv", "CustomerID,Name,HasLoan\n1,Ann,No\n")
    ledger.drop("accounts_2025-12-31.csv", accounts("12,1,1.00,Savings"))
    names = [f"accounts_2026-01-{day:02}.csv" for day in range(1, 1 + micro_batch.FEWEST)]

    outcomes = ledger.process(
        *(ledger.put(name, accounts(f"11,1,{place}00.00,Savings")) for place, name in enumerate(names))
    )

    assert [(outcome.delivered, dict(outcome.recomputed)) for outcome in outcomes] == [
        *[(Delivered.ACCEPTED, {})] * (len(names) - 1),
        (Delivered.ACCEPTED, {"account_summary": 1, "customer_profile": 1}),
    ]
    changes = [path.read_text() for path in (ledger.root / "outputs" / "changes").iterdir()]
    assert [len(text.splitlines()) for text in changes if "added" in text] == [2]


def test_drop_that_a_check_refuses_is_refused_alone(tmp_path: Path):
    ledger = Ledger(tmp_path / "root", with_unlimited_balances(tmp_path / "pipeline"))
    ledger.drop("customers_2026-01-01.csv", "CustomerID,Name,HasLoan\n1,Ann,No\n")
    # A balance of 16 digits is valid; with its interest it no longer fits.
    balances = ["1.00", "2.00", "9999999999999999.99", "4.00", "5.00", "6.00"]

    outcomes = ledger.process(
        *(
            ledger.put(f"accounts_2026-01-0{place}.csv", accounts(f"{place},1,{balance},Savings"))
            for place, balance in enumerate(balances, 1)
        )
    )

    assert [outcome.delivered for outcome in outcomes] == [
        Delivered.QUARANTINED if balance.startswith("9") else Delivered.ACCEPTED for balance in balances
    ]
    assert ledger.rows("SELECT account_id FROM history_account ORDER BY 1") == [(1,), (2,), (4,), (5,), (6,)]


TWICE = "".join(f"{account},1,{balance}.00,Savings\n" for account, balance in [(11, 3), (12, 3), (13, 4), (14, 5)])


def account_columns(**rules: Any) -> list[dict[str, Any]]:
    """The columns of an account; `rules` gives some of them others."""
    columns = yaml.safe_load((BUILT_IN / "lending" / "account.yaml").read_text(encoding="utf-8"))["columns"]
    return [{**column, "rules": rules.get(column["name"], column["rules"])} for column in columns]


@pytest.mark.parametrize(
    ("contract", "third", "accepted", "rejected", "opened", "closed", "warnings"),
    [
        ({"missing_keys": "close"}, "11,1,3.00,Savings\n", 1, 0, 1, 2, []),
        ({"columns": account_columns(balance=["unique"])}, TWICE, 2, 2, 2, 0, []),
        (
            {"columns": account_columns(balance=[{"rule": "unique", "severity": "warn"}])},
            *(TWICE, 4, 0, 4, 2, ["unique_balance (2): balance stands in several rows"]),
        ),
        (
            {"columns": account_columns(customer_id=[{"rule": "relationship", "to": "customer.customer_id"}])},
            *("11,1,3.00,Savings\n12,9,3.00,Savings\n", 1, 1, 1, 1, []),
        ),
        ({"columns": account_columns(balance=[])}, "11,1,3.00,Savings\n12,1,three,Savings\n", 1, 1, 1, 1, []),
    ],
    ids=["missing keys are closed", "values are unique", "values should be unique", "has parents", "cell of no type"],
)
def test_drop_that_may_not_be_judged_with_others_is_taken_alone(
    tmp_path: Path,
    contract: Mapping[str, Any],
    third: str,
    accepted: int,
    rejected: int,
    opened: int,
    closed: int,
    warnings: list[str],
):
    ledger = Ledger(tmp_path / "root", without_marts(tmp_path / "pipeline", {"account.yaml": contract}))
    ledger.drop("customers_2026-01-01.csv", "CustomerID,Name,HasLoan\n1,Ann,No\n")
    texts = [f"11,1,{day}.00,Savings\n12,1,{day}0.00,Savings\n" for day in range(1, 6)]
    texts[2] = third
    facts = [ledger.put(f"accounts_2026-01-0{day}.csv", f"{accounts()}{text}") for day, text in enumerate(texts, 1)]
    assert len(facts) == micro_batch.FEWEST

    outcomes = ledger.process(*facts)

    assert [outcome.delivered for outcome in outcomes] == [Delivered.ACCEPTED] * len(facts)
    found = outcomes[2]
    assert (found.rows_accepted, found.rows_rejected) == (accepted, rejected)
    assert (found.versions_opened, found.versions_closed) == (opened, closed)
    assert [warning for warning in found.warnings if not warning.startswith(("volume", "missing_keys"))] == warnings


def test_drop_that_a_check_of_its_feed_may_refuse_is_taken_alone(tmp_path: Path):
    ledger = Ledger(tmp_path / "root", without_marts(tmp_path / "pipeline", {"rate.yaml": {"missing_keys": "keep"}}))
    outcomes = ledger.process(
        *(
            ledger.put(f"rates_2026-01-0{day}.csv", f"Method,MinBalance,Rate,LoanBonus\nmarginal,{floor},0.0{day},0\n")
            for day, floor in enumerate([0, 0, 500, 0, 0], 1)
        )
    )
    assert [(outcome.delivered, outcome.rule) for outcome in outcomes] == [
        (Delivered.ACCEPTED, None),
        (Delivered.ACCEPTED, None),
        (Delivered.QUARANTINED, "check_failed"),
        (Delivered.ACCEPTED, None),
        (Delivered.ACCEPTED, None),
    ]
