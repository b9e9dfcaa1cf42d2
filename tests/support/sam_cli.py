"""The environment with the SAM CLI and the emulator of AWS, which `make test` makes."""

import os
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
CLOUD = Path(os.environ.get("CLOUD", PROJECT / ".venv-cloud"))

needs_sam_cli = pytest.mark.skipif(
    not CLOUD.exists() and "CI" not in os.environ,
    reason="the SAM CLI and the emulator of AWS are missing: make .venv-cloud/made",
)
