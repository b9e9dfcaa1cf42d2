"""What a process remembers of a schema in Databricks."""

import pytest

from dropledger.infra.databricks import memory as databricks_memory
from dropledger.infra.databricks.memory import Memory


def test_version_counts_until_its_table_is_written_to_or_an_hour_is_over(monkeypatch: pytest.MonkeyPatch):
    now = 1000.0
    monkeypatch.setattr(databricks_memory, "seconds", lambda: now)
    memory = Memory()
    memory.saw("t", 7)
    memory.saw("other", 3)
    memory.written("other")
    now += 3599
    assert (memory.version("t"), memory.version("other")) == (7, None)
    now += 2
    assert memory.version("t") is None


def test_nothing_is_known_any_more_once_all_is_forgotten():
    memory = Memory(facts={"sound"}, tables={"t"}, columns={"t": {"id": "BIGINT"}}, views={"src_t": ("id",)})
    memory.saw("t", 7)
    memory.forget()
    assert memory == Memory()


def test_relation_that_is_made_anew_is_looked_at_again():
    memory = Memory(columns={"t": {"id": "BIGINT"}, "v": {}}, views={"v": ("id",)})
    memory.forget_relation("v")
    assert (memory.columns, memory.views) == ({"t": {"id": "BIGINT"}}, {})
