"""`dropledger contract`: what it prints and how it exits."""

from pathlib import Path

import pytest
import yaml
from support.in_process import run

from dropledger.core.contracts.contract_file import load_contract
from dropledger.core.contracts.pipeline_spec import BUILT_IN

ACCOUNT = BUILT_IN / "lending" / "account.yaml"


@pytest.fixture
def odcs(tmp_path: Path) -> Path:
    """The document that the lending pipeline is."""
    path = tmp_path / "lending.odcs.yaml"
    path.write_text(run("contract", "export", "--odcs").out, encoding="utf-8")
    return path


def test_exported_feed_is_imported_as_the_contract_that_it_was(tmp_path: Path):
    document = tmp_path / "account.odcs.yaml"
    document.write_text(run("contract", "export", "account", "--odcs").out, encoding="utf-8")
    back = run("contract", "import", document)
    path = tmp_path / "account.yaml"
    path.write_text(back.out, encoding="utf-8")

    assert (back.code, back.err) == (0, "")
    assert run("contract", "diff", ACCOUNT, path).out == "No change.\n"
    assert load_contract(path).feed == "account"


def test_contract_of_one_feed_of_several_is_printed_by_itself(odcs: Path):
    one = run("contract", "import", odcs, "rate")

    assert yaml.safe_load(one.out)["feed"] == "rate"
    assert "put that beside the contract" in one.err
    assert len([*yaml.safe_load_all(run("contract", "import", odcs).out)]) == 3


def test_whole_pipeline_and_its_document_are_the_same(odcs: Path):
    assert (run("contract", "diff", odcs, odcs).code, run("contract", "diff", ACCOUNT, odcs).code) == (0, 0)


def test_no_command_makes_a_root(tmp_path: Path):
    assert run("contract", "export", "--odcs", cwd=tmp_path).code == 0
    assert [*tmp_path.iterdir()] == []


def test_diff_says_what_breaks_and_exits_by_that(tmp_path: Path):
    looser, wider = tmp_path / "looser.yaml", tmp_path / "wider.yaml"
    text = ACCOUNT.read_text(encoding="utf-8")
    looser.write_text(text.replace("type: decimal(18,2)", "type: text").replace(", min: 0}", "}"), encoding="utf-8")
    wider.write_text(text.replace("decimal(18,2)", "decimal(20,2)"), encoding="utf-8")
    fine = run("contract", "diff", ACCOUNT, wider)

    assert fine.code == 0
    assert "  nobody  nothing  balance was decimal(18,2) and is decimal(20,2)\n" in fine.out
    assert run("contract", "diff", ACCOUNT, looser).code == 2  # which is no contract: a range goes with numbers
    broken = run("contract", "diff", wider, ACCOUNT, "--json")
    assert (broken.code, broken.json) == (
        5,
        {
            "command": "contract diff",
            "breaking": True,
            "changes": [
                {
                    "feed": "account",
                    "change": "balance was decimal(20,2) and is decimal(18,2)",
                    "breaks": ["readers", "senders"],
                    "needs": "dropledger replay",
                }
            ],
        },
    )


def test_diff_with_a_document_says_that_it_is_read_as_far_as_it_goes(tmp_path: Path, odcs: Path):
    told = run("contract", "diff", odcs, odcs).err

    assert told.startswith(f"Warning: {odcs} is compared as far as dropledger contract import {odcs} reads it\n")


def test_import_tells_programs_what_is_lacking(tmp_path: Path):
    path = tmp_path / "a.odcs.yaml"
    path.write_text("apiVersion: v3.1.0\nschema: [{name: A, properties: [{name: x, tags: [t]}]}]\n", encoding="utf-8")
    found = run("contract", "import", path, "--json")

    assert (found.code, found.json["command"]) == (2, "contract import")
    [one] = found.json["contracts"]
    assert yaml.safe_load(one["yaml"])["columns"] == [{"name": "x", "type": "text"}]
    assert {"where": "a.x", "what": "no contract says tags", "try": "keep it in the document"} in one["notes"]
    assert one["error"]["what"].endswith("'key' is missing")


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("export", "nothing", "--odcs"), "the pipeline lending has no feed 'nothing'"),
        (("export",), "Missing option '--odcs'"),
        (("import", "none.yaml"), "cannot be read"),
        (("diff", ACCOUNT, "none.yaml"), "cannot be read"),
        (("import", ACCOUNT), "account.yaml:1: is no document"),
    ],
)
def test_what_cannot_be_done_is_told_with_what_to_try(arguments, what: str, tmp_path: Path):
    failed = run("contract", *arguments, cwd=tmp_path)

    assert (failed.code, failed.out) == (2, "")
    assert what in failed.err
    assert "  Try: " in failed.err


def test_group_lists_its_commands_and_wants_one_of_them():
    shown = run("contract", "--help").out
    assert all(f"\n  {name} " in shown for name in ("diff", "export", "import"))
    assert (run("contract").code, run("contract").err.splitlines()[0]) == (2, "Error: Missing command.")
