"""The examples of docs/contracts.md are run: an excerpt of a contract, a file, and what comes of it.

Behind the file may stand its control file.
"""

import csv
import io
import re
from pathlib import Path

import pytest
import yaml
from support.ledger import Ledger
from support.one_feed import one_feed, refused, rows_of

from dropledger.core.ingest.control_files import pair

PAGE = (Path(__file__).parents[2] / "docs" / "contracts.md").read_text(encoding="utf-8")
_EXAMPLE = re.compile(
    r"^```yaml\n((?:(?!```).*\n)+)```\n\n```(?:text|json)\n((?:(?!```).*\n)+)```\n\n"
    r"(?:```text\n((?:(?!```).*\n)+)```\n\n)?```csv\n((?:(?!```).*\n)+)```$",
    re.MULTILINE,
)
EXAMPLES = _EXAMPLE.findall(PAGE)
OF_FILES = {"volume", "drift", "format", "encoding", "quote", "escape", "header", "preamble", "trailer"} | {
    "control_file",
    "comment",
}
OF_COLUMNS = {
    *("optional", "joined", "path", "date_format", "timestamp_format", "timezone", "zones", "dst"),
    *("decimal_mark", "group_mark", "strip", "negative"),
}


@pytest.mark.parametrize(("entries", "content", "control", "result"), EXAMPLES)
def test_examples_come_to_what_is_shown(tmp_path: Path, entries: str, content: str, control: str, result: str):
    contract = yaml.safe_load(entries)
    left_out = {"feed": "entry", "files": ["entries*"], "key": ["id"]}
    whole = yaml.safe_dump({**left_out, **contract}, sort_keys=False)
    ledger = Ledger(tmp_path / "root", one_feed(tmp_path / "one", whole))

    landed = [ledger.put("entries_2025-10-31", content.encode(contract.get("encoding", "utf-8")))]
    if control:
        landed.append(ledger.put(f"entries_2025-10-31{contract['control_file']['suffix']}", control))
    [outcome] = ledger.process(*pair(landed, ledger.runtime.pipeline).ready)

    names, *rows = csv.reader(io.StringIO(result))
    if ": " in result.splitlines()[0]:
        assert refused(outcome).startswith(result.strip())
    else:
        assert names == [column["name"] for column in contract["columns"]]
        assert [list(row[1:]) for row in rows_of(ledger)] == rows


def test_each_entry_about_files_has_an_example():
    shown = [yaml.safe_load(entries) for entries, *_ in EXAMPLES]
    assert {entry for contract in shown for entry in contract} >= OF_FILES
    assert {entry for contract in shown for column in contract["columns"] for entry in column} >= OF_COLUMNS
