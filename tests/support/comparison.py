"""What a root holds, to be compared with that of an undisturbed run."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from itertools import count, islice
from pathlib import Path
from typing import Any

from support.looking import looking_at

HISTORY = ("history_customer", "history_account", "history_rate", "account_summary", "customer_profile", "rejected_row")
TABLES = {  # what does not depend on the time of day
    **dict.fromkeys(HISTORY, "*"),
    "drop_ledger": "* EXCLUDE (received_at, committed_at, published_at)",
    "delivery": "* EXCLUDE (received_at, claim_id)",
    "retraction": "* EXCLUDE (retracted_at)",
    "restoration": "* EXCLUDE (restored_at)",
    "mart_total": "* EXCLUDE (measured_at)",
    **dict.fromkeys(("check_result", "src_customer", "src_account", "src_rate"), "*"),
}
WITHOUT_URI = {
    **TABLES,
    "drop_ledger": "* EXCLUDE (uri, received_at, committed_at, published_at)",
    "delivery": "* EXCLUDE (uri, received_at, claim_id)",
}
TABLES_OF_A_STREAM = {  # nor on the order of receipt, which a start with files in the inbox may change
    **dict.fromkeys(HISTORY, "*"),
    "rejected_row": "* EXCLUDE (sequence)",
    "drop_ledger": "drop_id, name, status, rows_read, rows_accepted, rows_rejected, rows_duplicate",
    "delivery": "drop_id, outcome",
}
TIMES = {"generated_at", "quarantined_at"}


def tables_of(root: Path, tables: Mapping[str, str] = TABLES) -> dict[str, Any]:
    with looking_at(root / "warehouse" / "ledger.duckdb", "lending") as connection:
        return {
            name: connection.execute(f"SELECT {columns} FROM {name} ORDER BY ALL").fetchall()
            for name, columns in tables.items()
        }


def files_of(root: Path) -> dict[str, Any]:
    """The files under the root, without the times that reports hold; of the warehouse just which there are."""

    def content(path: Path) -> Any:
        if path.suffix != ".json":
            return path.read_bytes() if path.parent.name != "warehouse" else None
        document = json.loads(path.read_bytes())
        for entry in document.get("artifacts", ()):
            if entry["name"].endswith(".json"):
                del entry["sha256"], entry["size_bytes"]
        return {entry: value for entry, value in document.items() if entry not in TIMES}

    paths = [path for path in root.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(root)): content(path) for path in paths}


def differences(found: Mapping[str, Any], expected: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """By name, what was found and what was expected, where they differ."""
    names = [name for name in {**found, **expected} if found.get(name) != expected.get(name)]
    return {name: (found.get(name), expected.get(name)) for name in names}


def assert_manifest_true(root: Path) -> None:
    outputs = root / "outputs"
    for entry in json.loads((outputs / "manifest.json").read_bytes())["artifacts"]:
        content = (outputs / entry["name"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (entry["size_bytes"], entry["sha256"])


def land(root: Path, name: str, text: str) -> None:
    """Write a file and move it into the inbox, as careful programs do."""
    inbox = root / "inbox"
    inbox.mkdir(parents=True, exist_ok=True)
    (inbox / f"{name}.part").write_text(text, encoding="utf-8")
    (inbox / f"{name}.part").rename(inbox / name)


def stream() -> Iterator[tuple[str, str]]:
    """Files without end, in the order of their as_of; each changes something."""
    for number in count():
        stamp = f"2026-01-01T{number // 3600:02}{number // 60 % 60:02}{number % 60:02}Z"
        if number % 5 == 0:
            loan = "Yes" if number % 10 else "No"
            yield f"customers_{stamp}.csv", f"CustomerID,Name,HasLoan\n1,Ann,{loan}\n2,Bo {number},No\n"
        else:
            rows = "".join(f"{11 + place},{1 + place % 2},{number}.{place:02},Savings\n" for place in range(50))
            yield f"accounts_{stamp}.csv", f"AccountID,CustomerID,Balance,AccountType\n{rows}13,x,1,Savings\n"


def files_of_a_stream(number: int) -> dict[str, str]:
    """The first so many of them, by name."""
    return dict(islice(stream(), number))
