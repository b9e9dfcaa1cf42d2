"""A program that knows nothing of dropledger and reads its artifacts all the while.

    python artifact_reader.py OUTPUTS

It ends when its standard input does, and then prints what it saw: `seen` has by name each content that a CSV artifact
had, `agreed` counts the looks at which everything was what the manifest says, and `wrong` is what must not be.

Artifacts are replaced one by one, the manifest last, so that one may be ahead of the manifest for a moment. What
belongs to a single drop never changes, and is there before a manifest names it.
"""

import hashlib
import json
import select
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Seen:
    seen: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    wrong: set[str] = field(default_factory=set)
    agreed: int = 0

    def look(self, outputs: Path) -> None:
        """Read the manifest, all that it names, and the manifest again."""
        try:
            text = (outputs / "manifest.json").read_bytes()
            entries = json.loads(text)["artifacts"]
        except FileNotFoundError:
            return
        except ValueError as error:
            self.wrong.add(f"manifest.json: {error}")
            return
        verdicts = [self._is_true(outputs, entry) for entry in entries]
        self.agreed += all(verdicts) and (outputs / "manifest.json").read_bytes() == text

    def _is_true(self, outputs: Path, entry: dict[str, Any]) -> bool:
        name = entry["name"]
        try:
            content = (outputs / name).read_bytes()
        except FileNotFoundError:
            self.wrong.add(f"{name}: named and not there")
            return False
        digest = hashlib.sha256(content).hexdigest()
        true = (len(content), digest) == (entry["size_bytes"], entry["sha256"])
        if "/" in name and not true:
            self.wrong.add(f"{name}: not what the manifest says")
        if name.endswith(".csv") and "/" not in name:
            self.seen[name].add(content.decode("utf-8", "replace"))
        return bool(true)


def main(outputs: Path) -> None:
    found = Seen()
    while not select.select([sys.stdin], [], [], 0.002)[0]:
        found.look(outputs)
    found.look(outputs)
    seen = {name: sorted(contents) for name, contents in found.seen.items()}
    json.dump({"seen": seen, "wrong": sorted(found.wrong), "agreed": found.agreed}, sys.stdout)


@contextmanager
def reading(outputs: Path) -> Iterator[dict[str, Any]]:
    """Run it for as long as the block lasts; what it saw is there when the block has ended."""
    found: dict[str, Any] = {}
    command = [sys.executable, __file__, str(outputs)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield found
        finally:
            out, _ = process.communicate(timeout=60)
    found.update(json.loads(out))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
