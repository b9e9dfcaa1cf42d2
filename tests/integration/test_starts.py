"""A start imports what it needs for its work, and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.engines import PROJECT

TELL = """
import sys
from handlers.cli import main
sys.argv[0] = "dropledger"
try:
    main()
finally:
    print(*sorted({"pydantic", "yaml", "rich", "pydantic_settings"} & set(sys.modules)), file=sys.stderr)
"""


def imported(folder: Path, *arguments: object) -> list[str]:
    """Which heavy packages a command has imported."""
    done = subprocess.run(
        [sys.executable, "-c", TELL, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "XDG_CACHE_HOME": str(folder / "caches")},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr.split()


@pytest.mark.slow
def test_pipeline_that_was_checked_is_not_checked_again(tmp_path: Path):
    samples = sorted((PROJECT / "samples" / "day1").iterdir())
    assert imported(tmp_path, "process", *samples, "--root", "first") == ["pydantic", "yaml"]
    assert imported(tmp_path, "process", *samples, "--root", "first") == []
    assert imported(tmp_path, "process", *samples, "--root", "second") == []
    assert imported(tmp_path, "status", "--root", "second") == []
    assert len([*(tmp_path / "caches" / "dropledger" / "pipelines").iterdir()]) == 1
