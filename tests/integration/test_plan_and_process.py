"""What a plan says is what the drop then does, whatever is worked on as a whole and whatever row by row."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.ledger import Ledger, Template, work_on_tables_as_a_whole_from

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.drop import FileDropped
from dropledger.core.operations.plan import plan

pytestmark = pytest.mark.slow

THRESHOLD = 4
CUSTOMERS = "CustomerID,Name,HasLoan\n1,Ann,Yes\n"
SIZES = st.integers(0, 2 * THRESHOLD + 1)
Mart = dict[int, tuple[Decimal, ...]]


def accounts(keys: range, balance: int) -> str:
    rows = (f"{key},1,{balance}.00,Savings\n" for key in keys)
    return "AccountID,CustomerID,Balance,AccountType\n" + "".join(rows)


def summary(ledger: Ledger) -> Mart:
    columns = "account_id, original_balance, interest_rate, annual_interest, new_balance"
    return {key: tuple(figures) for key, *figures in ledger.rows(f"SELECT {columns} FROM account_summary")}


def changes(before: Mart, after: Mart) -> dict[str, int]:
    counts = {
        "added": len(after.keys() - before.keys()),
        "removed": len(before.keys() - after.keys()),
        "changed": sum(after[key] != before[key] for key in after.keys() & before.keys()),
    }
    return {change: count for change, count in counts.items() if count}


def total(mart: Mart) -> Decimal:
    return sum((figures[2] for figures in mart.values()), Decimal(0))


def assert_plan_holds(ledger: Ledger, dropped: FileDropped) -> None:
    planned = plan(ledger.runtime, dropped)
    before = summary(ledger)
    (outcome,) = ledger.process(dropped)
    after = summary(ledger)
    told, done = planned.outcome.as_json(), outcome.as_json()
    assert {name: told[name] for name in told if name != "file"} == {
        name: done[name] for name in done if name != "file"
    }
    if outcome.rows_accepted:
        effect = planned.effects["account_summary"]
        assert effect["changes"] == changes(before, after)
        assert (effect["total_before"], effect["total_after"]) == (total(before), total(after))


def test_plan_says_what_the_drop_then_does(template: Callable[[Pipeline], Template], lending: Pipeline):
    roots = template(lending)

    @given(there=SIZES, first=SIZES, size=SIZES, balance=st.sampled_from([100, 20_000]), late=st.booleans())
    def run(there: int, first: int, size: int, balance: int, *, late: bool) -> None:
        with roots.ledger() as ledger, work_on_tables_as_a_whole_from(THRESHOLD):
            ledger.process(
                ledger.put("customers_2026-01-01.csv", CUSTOMERS),
                ledger.put("accounts_2026-01-02.csv", accounts(range(there), 100)),
            )
            day = 1 if late else 3
            assert_plan_holds(
                ledger, ledger.put(f"accounts_2026-01-0{day}.csv", accounts(range(first, first + size), balance))
            )

    run()


def test_accounts_beside_many_others_are_added_and_none_removed(ledger: Ledger):
    with work_on_tables_as_a_whole_from(8):
        ledger.process(
            ledger.put("customers_2026-01-01.csv", CUSTOMERS),
            ledger.put("accounts_2026-01-02.csv", accounts(range(8), 100)),
        )
        planned = plan(ledger.runtime, ledger.put("accounts_2026-01-03.csv", accounts(range(100, 112), 100)))
    assert planned.effects["account_summary"]["changes"] == {"added": 12}
    assert planned.effects["account_summary"]["total_after"] == Decimal("30.00")


def test_customer_that_touches_all_accounts_is_planned_as_it_is_taken(ledger: Ledger):
    with work_on_tables_as_a_whole_from(8):
        ledger.process(
            ledger.put("customers_2026-01-01.csv", CUSTOMERS),
            ledger.put("accounts_2026-01-02.csv", accounts(range(8), 100)),
        )
        assert_plan_holds(ledger, ledger.put("customers_2026-01-03.csv", CUSTOMERS.replace("Yes", "No")))
