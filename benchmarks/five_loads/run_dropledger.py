"""One account through dropledger, as a delta feed whose rows carry their own effective time.

Each load is a file, taken by the command `dropledger process`, which is looked for beside the Python that runs this.
"""

import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
from loads import Load, ask, show

FILES = {
    "pipeline.yaml": """
pipeline: five_loads
schema: five_loads
moment: [account]
""",
    "account.yaml": """
feed: account
files: ["account*.csv"]
mode: delta
key: [account_id]
effective_column: updated_at
columns:
  - {name: account_id, type: bigint, rules: [not_null]}
  - {name: value, type: text}
  - {name: updated_at, type: date}
""",
}


def run(folder: Path, number: int, load: Load) -> None:
    received = folder / f"account_2025-11-{number:02}.csv"
    lines = [f"1,{value},2025-10-{day}" for value, day in load]
    received.write_text("\n".join(["account_id,value,updated_at", *lines, ""]), encoding="utf-8")
    subprocess.run(
        [Path(sys.executable).with_name("dropledger"), "process", received, "--quiet"],
        check=True,
        env={**os.environ, "DROPLEDGER_ROOT": str(folder / "root"), "DROPLEDGER_PIPELINE": str(folder / "pipeline")},
    )


def history(database: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(database), read_only=True) as connection:
        connection.execute("USE five_loads.five_loads")
        return connection.execute("SELECT value, valid_from, valid_to FROM history_account").fetchall()


def main() -> None:
    loads, _ = ask(__doc__)
    print(", ".join(f"{name} {version(name)}" for name in ("dropledger", "duckdb")))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pipeline").mkdir()
        for file, text in FILES.items():
            (folder / "pipeline" / file).write_text(text, encoding="utf-8")
        for number, load in enumerate(loads, start=1):
            run(folder, number, load)
            show(load, history(folder / "root" / "warehouse" / "five_loads.duckdb"))


if __name__ == "__main__":
    main()
