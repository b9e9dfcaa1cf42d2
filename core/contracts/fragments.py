"""A contract's columns as SQL text."""

from dropledger.core.contracts.contract import Contract
from dropledger.core.sql.text import differs, listed, quoted, same


def feed_fragments(contract: Contract) -> dict[str, str]:
    """What every statement about a feed may use. History is aliased `h` there, observations `o`."""
    key = contract.key
    values = [column.name for column in contract.values]
    observed = listed([*key, *values], "o")
    if contract.operation is not None:  # a deletion says nothing but its key
        said = [f"CASE WHEN NOT o._absent THEN o.{quoted(name)} END" for name in values]
        observed = ", ".join([listed(key, "o"), *said])
    return {
        "feed": contract.feed,
        "history": quoted(f"history_{contract.feed}"),
        "changed": quoted(f"changed_{contract.feed}"),
        "key": listed(key),
        "h_key": listed(key, "h"),
        "o_key": listed(key, "o"),
        "columns": listed([*key, *values]),
        "h_columns": listed([*key, *values], "h"),
        "o_columns": listed([*key, *values], "o"),
        "o_observed": observed,
        "same_key": same(key, "h", "o"),
        "differs": differs(values, "h", "o"),
    }
