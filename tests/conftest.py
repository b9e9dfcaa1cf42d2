"""What all tests share; the helpers themselves are in `support/`."""

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from support.databricks_server import Server
from support.engines import MISSING
from support.ledger import Ledger, PreparedRoots, Template

from dropledger.core.contracts.pipeline_spec import Pipeline, load_pipeline
from dropledger.infra.duckdb.session import DuckDBSession

SHARED_MEMORY = "/dev/shm"

pytest.register_assert_rewrite("support.plans")  # its assertions explain themselves as those of tests do

# Examples of each property. The nightly workflow makes some 2,000 in all; HYPOTHESIS_PROFILE=thorough makes ten times
# as many, by hand and over hours.
for name, examples in (("quick", 5), ("standard", 10), ("nightly", 200), ("thorough", 2250)):
    settings.register_profile(
        name,
        max_examples=examples,
        deadline=None,  # an example drives a database; how long that takes depends on the machine
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "standard"))


def pytest_configure() -> None:
    """Let tests write to shared memory where there is enough: a killed process leaves the same there as on disk."""
    with suppress(OSError):
        if shutil.disk_usage(SHARED_MEMORY).free > 4 << 30:
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", SHARED_MEMORY)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what needs the stand-in; start first what may take longest, so that no worker ends long after the others."""
    for item in items:
        if "databricks" in getattr(item, "fixturenames", ()):
            item.add_marker("databricks")

    def allowed(item: pytest.Item) -> float:
        timeout = item.get_closest_marker("timeout")
        return float(timeout.args[0] if timeout else config.getini("timeout"))

    items.sort(key=allowed, reverse=True)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what lacks its engine; in continuous integration that is a failure."""
    for engine, missing in MISSING.items():
        if item.get_closest_marker(engine) and (what := missing()):
            if "CI" in os.environ:
                pytest.fail(f"{engine} needs {what}")
            pytest.skip(f"{engine} needs {what}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tell in one line which engines' tests were not run."""
    reasons = [report.longrepr[2] for report in terminalreporter.stats.get("skipped", ())]
    told = []
    for engine in MISSING:
        skipped = [reason.removeprefix("Skipped: ") for reason in reasons if f"Skipped: {engine} needs" in reason]
        if skipped:
            told.append(f"{len(skipped)} tests of {skipped[0]}")
    left = [engine for engine in MISSING if f"not {engine}" in config.getoption("markexpr")]
    if left:
        told.append(f"what needs {', '.join(left)} is left to make test-all")
    if told:
        terminalreporter.write_line(f"Not run: {'; '.join(told)}")


@pytest.fixture(scope="session", autouse=True)
def _caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let no command of a test, in whatever process, fill the cache of the one who runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("caches")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _prepared_roots(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let new ledgers be copies."""
    Ledger.prepared = PreparedRoots(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="session")
def lending() -> Pipeline:
    """The built-in pipeline."""
    return load_pipeline("lending")


@pytest.fixture
def new_ledger(tmp_path: Path, lending: Pipeline) -> Callable[[str], Ledger]:
    """Makes ledgers in folders of these names."""
    return lambda name: Ledger(tmp_path / name, lending)


@pytest.fixture
def ledger(tmp_path: Path, lending: Pipeline) -> Ledger:
    """A fresh root for the lending pipeline."""
    return Ledger(tmp_path / "root", lending)


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that sessions in DuckDB run."""
    found: list[str] = []
    run = DuckDBSession._engine

    def recorded(session: DuckDBSession, sql: str, parameters: Any = None) -> Any:
        found.append(sql)
        return run(session, sql, parameters)

    monkeypatch.setattr(DuckDBSession, "_engine", recorded)
    return found


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Pipeline], Template]:
    """Makes a template of a pipeline's root, for tests that need many fresh ledgers."""
    return lambda pipeline: Template(tmp_path_factory.mktemp("template"), pipeline)


@pytest.fixture(scope="session")
def s3() -> Iterator[None]:
    """An S3 on loopback, which boto3 is configured for: `buckets.BucketRoot` makes roots in it."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name, value in (("ACCESS_KEY_ID", "some"), ("SECRET_ACCESS_KEY", "thing"), ("DEFAULT_REGION", "eu-west-1")):
            patch.setenv(f"AWS_{name}", value)
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        yield
    server.stop()


@pytest.fixture(scope="session")
def databricks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A stand-in for a Databricks SQL warehouse

    A start takes long, so tests of it share two xdist groups: databricks and standin.
    """
    logging.getLogger("databricks").setLevel(logging.ERROR)
    server = Server(tmp_path_factory.mktemp("databricks") / "folder")
    yield server
    assert server.stop() == 0, server.told()
