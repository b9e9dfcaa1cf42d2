"""The real `dropledger` in a child process that dies, by SIGKILL from its own hand, at a step of its way.

A step is what leaves a trace outside the process: a file made, written through, renamed or removed, a statement that
begins, ends or writes something of the warehouse, and a request to S3. The child counts them, before and after each,
and dies at the one it was told.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from types import MappingProxyType
from typing import Any

from botocore.client import BaseClient

from dropledger.handlers.cli import main as cli
from dropledger.infra.duckdb import warehouse as duckdb_warehouse
from support.forks import Child

_FILE_STEPS = ("rename", "replace", "link", "mkdir", "unlink", "rmdir", "fsync")
_STATEMENTS = ("BEGIN", "COMMIT", "ROLLBACK", "ATTACH", "DETACH", "COPY", "CREATE TABLE", "INSERT", "DELETE", "MERGE")


class _Fuse:
    def __init__(self, dies_at: int | None) -> None:
        self._dies_at = dies_at
        self.steps: list[str] = []

    def step(self, name: str) -> None:
        if len(self.steps) == self._dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.steps.append(name)

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def stepped(*arguments: Any, **options: Any) -> Any:
            self.step(f"before {name}")
            result = function(*arguments, **options)
            self.step(f"after {name}")
            return result

        return stepped

    def around_statement(self, run: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(connection: Any, sql: Any, *others: Any) -> Any:
            text = sql if isinstance(sql, str) else sql.query  # of one that is parsed already
            statement = next((known for known in _STATEMENTS if text.lstrip().startswith(known)), None)
            return self.around(statement, run)(connection, sql, *others) if statement else run(connection, sql, *others)

        return stepped

    def around_request(self, request: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(client: Any, operation: str, parameters: Any) -> Any:
            return self.around(f"{operation} {parameters.get('Key', '')}", request)(client, operation, parameters)

        return stepped

    def install(self) -> None:
        for name in _FILE_STEPS:
            setattr(os, name, self.around(name, getattr(os, name)))
        shutil.copyfile = self.around("copyfile", shutil.copyfile)
        BaseClient._make_api_call = self.around_request(BaseClient._make_api_call)
        connection = duckdb_warehouse.duckdb.DuckDBPyConnection
        connection.execute = self.around_statement(connection.execute)


def _child(arguments: Sequence[str], dies_at: int | None, steps: Path | None, variables: Mapping[str, str]) -> None:
    os.environ.update(variables)
    sys.argv = ["dropledger", *arguments]
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    fuse = _Fuse(dies_at)
    fuse.install()
    try:
        cli.main()
    finally:
        if steps is not None:
            steps.write_text(json.dumps(fuse.steps), encoding="utf-8")


def dropledger(
    *arguments: str,
    dies_at: int | None = None,
    steps: Path | None = None,
    seconds: float = 60,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> int:
    """Run a command; its exit code, or -9 if it died at the step. `steps` is where their names are written."""
    return Child(_child, arguments, dies_at, steps, dict(variables)).wait(seconds)


def steps_of(*arguments: str, steps: Path, variables: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """The names of the steps that a command takes."""
    dropledger(*arguments, steps=steps, variables=variables)
    names: list[str] = json.loads(steps.read_text(encoding="utf-8"))
    return names
