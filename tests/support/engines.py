"""What some tests need beside Python: each a group of tests, chosen or left out by the marker of its name.

Where an engine is missing its tests are skipped, and the end of the run tells so; in continuous integration they fail.
"""

import os
import shutil
import socket
from pathlib import Path

PROJECT = Path(__file__).parents[2]
SPARK = Path(os.environ.get("SPARK", PROJECT / ".venv-spark"))
CLOUD = Path(os.environ.get("CLOUD", PROJECT / ".venv-cloud"))
CHROMIUM = shutil.which("chromium")
CONTAINERS = "/var/run/docker.sock"


def _databricks() -> str:
    return "" if (SPARK / "made").exists() else f"Java 17 and Maven, then make {SPARK.name}/made"


def _cloud() -> str:
    return "" if (CLOUD / "made").exists() else f"make {CLOUD.name}/made"


def _container() -> str:
    with socket.socket(socket.AF_UNIX) as engine:
        return f"a Docker engine at {CONTAINERS}" if engine.connect_ex(CONTAINERS) else ""


def _browser() -> str:
    return "" if CHROMIUM else "Chromium: apt-get install chromium"


MISSING = {"databricks": _databricks, "cloud": _cloud, "container": _container, "browser": _browser}
"""For each engine, what to install or start so that its tests run; an empty text where it is there."""
