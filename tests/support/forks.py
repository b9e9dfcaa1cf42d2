"""Children forked from a server that has the modules of dropledger loaded, so that each starts at once.

A new interpreter takes a fifth of a second to load them, longer than most commands work. The child is otherwise a
process as any other, with an environment, a folder, locks, output and an end of its own. That each module loads in an
interpreter of its own, whatever was loaded before it, is shown by `unit/test_imports.py`.
"""

import multiprocessing
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest

from dropledger.handlers.cli import main as cli
from support.engines import PROJECT

SCRIPT = Path(sys.executable).with_name("dropledger")

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["support.preloaded"])


class Child:
    """A process that has begun to run a function of a module; it has the verbs of a `subprocess.Popen`."""

    def __init__(self, function: Callable[..., None], *arguments: Any) -> None:
        with pytest.MonkeyPatch.context() as patch:
            # The server that forks has no path but this, and says nothing of a module that it does not find.
            patch.setenv("PYTHONPATH", os.pathsep.join(map(str, (PROJECT / "tests", PROJECT))))
            forkserver.ensure_running()
        self._process = _processes.Process(target=function, args=arguments)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """The exit code, or the negative number of the signal that ended it; None while it runs."""
        return self._process.exitcode

    def wait(self, seconds: float = 60) -> int:
        """The exit code once it has ended.

        Raises:
            TimeoutError: it has not ended within the time; it is killed then.
        """
        self._process.join(seconds)
        if (code := self.poll()) is None:
            self.kill()
            raise TimeoutError(f"the child has not ended within {seconds} seconds")
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it by SIGKILL, and wait until it has ended."""
        self._process.kill()
        self._process.join()


def run_script(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    umask: int,
    out: Path,
    err: Path,
) -> None:
    """In a child: what the console script does, in a folder and with these files for standard output and error."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for path, name, number in ((out, "stdout", 1), (err, "stderr", 2)):
        with path.open("wb") as file:
            os.dup2(file.fileno(), number)
        setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))
    if umask >= 0:
        os.umask(umask)
    if environment.get("PYTHONWARNINGS") == "error":
        warnings.simplefilter("error")
    sys.argv = [str(SCRIPT), *arguments]
    cli.main()
