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
DAGSTER = Path(os.environ.get("DAGSTER", PROJECT / ".venv-dagster"))
CHROMIUM = shutil.which("chromium")
CONTAINERS = "/var/run/docker.sock"


def _databricks() -> str:
    return "" if (SPARK / "made").exists() else f"Java 17 and Maven, then make {SPARK.name}/made"


def _cloud() -> str:
    return "" if (CLOUD / "made").exists() else f"make {CLOUD.name}/made"


def _container() -> str:
    with socket.socket(socket.AF_UNIX) as engine:
        if engine.connect_ex(CONTAINERS):
            return f"a Docker engine at {CONTAINERS}"
    if not (shutil.which("docker-compose") or Path("/usr/libexec/docker/cli-plugins/docker-compose").exists()):
        return "Compose: apt-get install docker-compose"
    made = "BASE" in os.environ or shutil.which("mmdebstrap")
    return "" if made else "an image to build on: apt-get install mmdebstrap, or name one that is here by BASE"


def _browser() -> str:
    return "" if CHROMIUM else "Chromium: apt-get install chromium"


def _dagster() -> str:
    return "" if (DAGSTER / "made").exists() else f"make {DAGSTER.name}/made"


def _prometheus() -> str:
    return "" if shutil.which("promtool") and shutil.which("prometheus") else "Prometheus: apt-get install prometheus"


MISSING = {
    "databricks": _databricks,
    "cloud": _cloud,
    "container": _container,
    "browser": _browser,
    "dagster": _dagster,
    "prometheus": _prometheus,
}
"""For each engine, what to install or start so that its tests run; an empty text where it is there."""
