"""The stand-in for a Databricks SQL warehouse as a process, and connections to it."""

import json
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

from support.engines import PROJECT, SPARK


class Server:
    """A stand-in that runs over a folder."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        program = [str(SPARK / "bin/python"), str(PROJECT / "localstack/databricks/server.py")]
        self._log = folder.parent / f"{folder.name}.log"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*program, "--folder", str(folder), *options], stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the stand-in did not start: {self.told()}"
        self.at = json.loads(line)

    def connect(self, **options: Any) -> Any:
        """A connection by databricks-sql-connector."""
        from databricks import sql

        path = options.pop("http_path", self.at["http_path"])
        return sql.connect(
            **{
                "server_hostname": "127.0.0.1",
                "http_path": path,
                "access_token": self.at["token"],
                "_connection_uri": f"http://127.0.0.1:{self.at['port']}{path}",
                "enable_telemetry": False,
                "use_cloud_fetch": False,
                "_retry_stop_after_attempts_count": 2,
                "_retry_delay_max": 5,
            }
            | options
        )

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Order faults and look at statements: the stand-in's own paths."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.at['port']}{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def fault(self, kind: str, match: str = "", **more: Any) -> None:
        self.ask("POST", "/_faults", {"kind": kind, "match": match, **more})

    def told(self) -> str:
        """What it wrote on standard error."""
        return self._log.read_text("utf-8")

    def ended(self) -> int:
        """Its exit code, once it has ended."""
        assert self.process.stdout is not None
        code = self.process.wait(20)
        self.process.stdout.close()
        return code

    def kill(self) -> None:
        self.process.kill()
        self.ended()

    def stop(self) -> int:
        self.process.terminate()
        return self.ended()
