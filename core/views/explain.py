"""One figure, taken apart: file, line, versions, rule and arithmetic."""

from collections.abc import Mapping
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.errors import ConfigurationError, Different
from dropledger.core.ports.session import Session
from dropledger.core.views.drops import Records
from dropledger.core.views.keys import count_keys, hint_of_nearest, read_key
from dropledger.core.views.timeline import read_timeline

_CENT = Decimal("0.01")


def explain(session: Session, pipeline: Pipeline, account_id: int, as_of: datetime | None = None) -> dict[str, Any]:
    """The interest of one account, recomputed step by step in decimals, beside what the mart says.

    Args:
        as_of: the moment (UTC) of the question; None for the mart's own moment.

    Raises:
        ConfigurationError: no version of the account is true at the moment.
        Different: and yet the mart has a figure.
    """
    moment = as_of or session.query("SELECT moment FROM mart_moment")[0]["moment"]
    accounts, card, mart = account_figure(session, pipeline, account_id, moment)
    if not accounts and mart and as_of is None:
        raise Different(
            f"the mart has a figure for account {account_id}, and no version of the account is true",
            hint="dropledger verify shows all differences; then dropledger replay",
        )
    if not accounts:
        raise _nothing_true(session, pipeline, account_id, moment)
    account = accounts[0]
    figure = None
    verdict = _no_figure(account)
    if verdict is None:
        figure = _figure(account, card)
        verdict = "computed" if figure else "no tier of the rate card in force covers the balance"
    newest = as_of is None
    return {
        "account_id": account_id,
        "moment": moment,
        "verdict": verdict,
        "account": {
            name.removeprefix("account_"): account[name]
            for name in account
            if name.startswith("account_") and name != "account_id"
        }
        | {"customer_id": account["customer_id"], "balance": account["balance"]},
        "customer": {
            name.removeprefix("customer_"): account[name]
            for name in account
            if name.startswith("customer_") and name != "customer_id"
        }
        | {"customer_id": account["customer_id"], "has_loan": account["has_loan"]},
        "rate_card": card,
        "figure": figure,
        "mart": mart[0] if mart and newest else None,
        "agrees": _agrees(account, figure, mart[0] if mart else None) if newest else None,
    }


def _nothing_true(session: Session, pipeline: Pipeline, account_id: int, moment: datetime | None) -> ConfigurationError:
    """What to say of an account that is not known, or not at the moment."""
    if read_timeline(session, pipeline, "account", str(account_id)):
        return ConfigurationError(
            f"no version of account {account_id} is true{f' at {moment:%Y-%m-%d %H:%M:%S}Z' if moment else ''}",
            hint=f"dropledger history account {'-- ' if account_id < 0 else ''}{account_id} shows when it was",
        )
    contract = pipeline.contract("account")
    keys = count_keys(session, contract)
    if not keys:
        return ConfigurationError(
            f"there is no account {account_id}",
            why="no account was ever dropped",
            hint="drop a file of accounts first: dropledger process FILE",
        )
    return ConfigurationError(
        f"there is no account {account_id}",
        why=f"the ledger has {keys:,} account{'' if keys == 1 else 's'}",
        hint=hint_of_nearest(
            session,
            read_key(str(account_id), contract),
            "outputs/account_summary.csv in the root lists all that have a figure",
        ),
    )


def _no_figure(account: Mapping[str, Any]) -> str | None:
    if account["customer_drop_id"] is None:
        return f"no figure: customer {account['customer_id']} is unknown at this moment"
    if account["account_type"] != "Savings":
        return f"no figure: only Savings accounts earn interest, this is a {account['account_type']} account"
    return None


def _figure(account: Mapping[str, Any], card: Records) -> dict[str, Any] | None:
    balance: Decimal = account["balance"]
    reached = [tier for tier in card if tier["min_balance"] <= balance]
    if not reached:
        return None
    tier = reached[-1]
    slices = []
    for place, part in enumerate(reached if tier["method"] == "marginal" else [tier]):
        if tier["method"] == "marginal":
            upper = reached[place + 1]["min_balance"] if place + 1 < len(reached) else balance
            amount = upper - part["min_balance"]
        else:
            amount = balance
        bonus = part["loan_bonus"] if account["has_loan"] else Decimal(0)
        rate = part["rate"] + bonus
        slices.append(
            {
                "amount": amount,
                "tier_from": part["min_balance"],
                "tier_rate": part["rate"],
                "loan_bonus": bonus,
                "rate": rate,
                "interest": amount * rate,
            }
        )
    exact = sum((part["interest"] for part in slices), Decimal(0))
    interest = exact.quantize(_CENT, ROUND_HALF_UP)
    sums = " + ".join(f"{part['amount']} x ({part['tier_rate']} + {part['loan_bonus']})" for part in slices)
    return {
        "method": tier["method"],
        "tier": {name: tier[name] for name in ("min_balance", "drop_id", "line", "file")},
        "slices": slices,
        "interest_rate": slices[-1]["rate"],
        "annual_interest": interest,
        "new_balance": balance + interest,
        "arithmetic": (
            f"{sums} = {exact.normalize():f}, rounded half up to {interest}; "
            f"{balance} + {interest} = {balance + interest}"
        ),
    }


def _agrees(account: Mapping[str, Any], figure: Mapping[str, Any] | None, mart: Mapping[str, Any] | None) -> bool:
    if figure is None or mart is None:
        return figure is None and mart is None
    computed = {**figure, "customer_id": account["customer_id"], "original_balance": account["balance"]}
    return all(
        computed[name] == mart[name]
        for name in ("customer_id", "original_balance", "interest_rate", "annual_interest", "new_balance")
    )


def account_figure(
    session: Session, pipeline: Pipeline, account_id: int, moment: datetime | None
) -> tuple[Records, Records, Records]:
    """What one figure was made of at `moment` (UTC; None for the mart's own): account and customer, tiers, mart row."""
    explain = pipeline.folder / "explain"
    if not (explain / "account.sql").is_file():
        raise ConfigurationError(
            f"the pipeline {pipeline.name} has nothing to explain", hint="add explain/account.sql to it"
        )
    moment = moment or session.query("SELECT moment FROM mart_moment")[0]["moment"]
    bound = {"account_id": account_id, "moment": moment}
    return (
        session.query((explain / "account.sql").read_text(encoding="utf-8"), bound),
        session.query((explain / "rate_card.sql").read_text(encoding="utf-8"), {"moment": moment}),
        session.query("SELECT * FROM account_summary WHERE account_id = :account_id", bound),
    )
