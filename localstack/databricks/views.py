"""The views of a stand-in's folder, which outlive its process: Spark keeps them in memory."""

import json
import re
import threading
from pathlib import Path

import sql

VIEW = re.compile(
    rf"(?:CREATE|ALTER|DROP)\b(?: OR REPLACE)? VIEW (?:IF (?:NOT )?EXISTS )?({sql.NAME}(?:\.{sql.NAME})*)",
    re.IGNORECASE,
)


class Views:
    """The statements that made the views there are, by the views' names, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._made: dict[str, list[str]] = json.loads(path.read_text("utf-8")) if path.exists() else {}

    def statements(self) -> list[list[str]]:
        return list(self._made.values())

    def note(self, words: str, statement: str, schema: str) -> None:
        """Note what a statement that ran means for the views."""
        dropped = re.match(rf"DROP (?:SCHEMA|DATABASE) (?:IF EXISTS )?({sql.NAME})", words, re.IGNORECASE)
        found = VIEW.match(words)
        with self._lock:
            if dropped:
                gone = f"{sql.parts(dropped[1])[-1]}.".lower()
                self._made = {name: made for name, made in self._made.items() if not name.startswith(gone)}
            elif found:
                name = ".".join((schema, *sql.parts(found[1]))[-2:]).lower()
                if words[0] not in "aA":
                    self._made.pop(name, None)
                if words[0] in "cC":
                    self._made[name] = [schema, statement]
                elif words[0] in "aA":
                    self._made[f"{name} {len(self._made)}"] = [schema, statement]
            else:
                return
            beside = self._path.with_suffix(".new")
            beside.write_text(json.dumps(self._made), "utf-8")
            beside.replace(self._path)
