"""What CI makes of the vulnerability services' answers: silence is no good news."""

import runpy
from pathlib import Path

import pytest

AUDIT = runpy.run_path(str(Path(__file__).parents[2] / ".ci" / "audit.py"), run_name="audit")
CLEAN = {"name": "rich", "version": "15.0.0", "vulns": []}
SKIPPED = {"name": "click", "skip_reason": "Dependency not found and could not be audited"}
VULNERABLE = {"name": "old", "version": "1", "vulns": [{"id": "PYSEC-1"}, {"id": "GHSA-2"}]}


@pytest.mark.parametrize(
    ("answer", "code", "told"),
    [
        ([CLEAN, CLEAN], 0, "osv was asked about 2 packages and knows of no vulnerability"),
        ([], 75, "NOT AUDITED: osv told of 0 of all the packages"),
        ([SKIPPED, SKIPPED], 75, "NOT AUDITED: osv told of 0 of 2 packages"),
        ([CLEAN, SKIPPED], 75, "NOT AUDITED: osv told of 1 of 2 packages"),
        ([CLEAN, VULNERABLE, SKIPPED], 1, "known to be vulnerable: old 1 (PYSEC-1, GHSA-2)"),
    ],
)
def test_only_what_was_asked_is_called_clean(answer, code, told):
    assert AUDIT["judge"]("osv", answer) == (code, told)
