"""How soon after a small file has landed its artifacts are there, in a warm `dropledger watch`.

    python benchmarks/latency.py [--files N]

Files of 10 accounts are moved into the inbox one at a time; the clock runs from the move to the manifest, which is
written last.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

ACCOUNTS = 10
WARM_UP = 10


def land(root: Path, name: str, text: str) -> float:
    """Seconds from the moving in of a file to another manifest."""
    manifest, staged = root / "outputs" / "manifest.json", root.parent / name
    staged.write_text(text, encoding="utf-8")
    before = manifest.stat().st_mtime_ns if manifest.exists() else 0
    began = time.perf_counter()
    staged.rename(root / "inbox" / name)
    while not manifest.exists() or manifest.stat().st_mtime_ns == before:
        if time.perf_counter() - began > 60:
            sys.exit(f"{name} was not taken within a minute")
        time.sleep(0.0005)
    return time.perf_counter() - began


def accounts(added: int) -> str:
    rows = "".join(f"{key},{key},{key + added}.00,Savings\n" for key in range(1, ACCOUNTS + 1))
    return f"AccountID,CustomerID,Balance,AccountType\n{rows}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=200, help="beside those that warm it up")
    files = parser.parse_args().files
    customers = "CustomerID,Name,HasLoan\n" + "".join(f"{key},Name {key},No\n" for key in range(1, ACCOUNTS + 1))
    with tempfile.TemporaryDirectory(prefix="dropledger-bench-") as name:
        root = Path(name) / "root"
        (root / "inbox").mkdir(parents=True)
        command = [Path(sys.executable).with_name("dropledger"), "watch", "--root", root]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DROPLEDGER_")}
        with subprocess.Popen(command, env=inherited, stderr=subprocess.DEVNULL) as watch:
            try:
                land(root, "customers_2000-01-01.csv", customers)
                taken = []
                for place in range(WARM_UP + files):
                    day = date(2000, 1, 1) + timedelta(days=place)
                    taken.append(1000 * land(root, f"accounts_{day}.csv", accounts(place)))
                    time.sleep(0.02)  # so that the file before it is put away
            finally:
                watch.terminate()
    warm = sorted(taken[WARM_UP:])
    print(
        f"{files} files of {ACCOUNTS} accounts: median {statistics.median(warm):.0f} ms, "
        f"99th percentile {warm[len(warm) * 99 // 100]:.0f} ms, longest {warm[-1]:.0f} ms"
    )


if __name__ == "__main__":
    main()
