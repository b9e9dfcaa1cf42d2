"""A process in which sqlglot is not installed."""

import sys

import pytest

_NEEDS_IT = ("expression", "joins", "mart_keys", "portable", "query", "results", "touched")


def forget_sqlglot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an import of sqlglot fail, also that of modules which have imported it before."""
    for name in _NEEDS_IT:
        monkeypatch.delitem(sys.modules, f"dropledger.core.lineage.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "sqlglot", None)
