"""Names of others as names of feeds and columns."""

import re
from collections.abc import Collection, Sequence

from dropledger.core.contracts.contract_file import RESERVED

_MOST = 60


def renamed(names: Sequence[str], reserved: Collection[str] = ()) -> list[str]:
    """A name of ours for each of theirs, in their order, no two alike: lower case letters, digits and underscores."""
    taken: set[str] = set()
    found = []
    for name in names:
        begun = _as_ours(name)
        short = begun[: _MOST - 6]
        numbered = (f"{short}_{number}" for number in range(2, 2 + len(names)))
        tries = [begun, f"{short}_value", *numbered]
        ours = next(one for one in tries if one not in taken and one not in reserved)
        taken.add(ours)
        found.append(ours)
    return found


def renamed_columns(names: Sequence[str]) -> list[str]:
    """The same for columns, of which some names are dropledger's own."""
    return renamed(names, RESERVED)


def _as_ours(name: str) -> str:
    if re.fullmatch(r"[a-z][a-z0-9_]*", name):
        return name[:_MOST]
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    plain = re.sub(r"[^a-z0-9]+", "_", parted.lower()).strip("_")
    return (plain if re.match("[a-z]", plain) else f"c_{plain}".rstrip("_"))[:_MOST]
