"""How long the console's pages take on a large root, and beside a watch that takes 10 files a second.

    python benchmarks/console.py [--accounts N] [--drops N] [--rounds N] [--seconds N] [--root FOLDER]

The root gets a full extract of the accounts and as many small drops of customers; with --root it is kept, and used
again. Each page is then asked for in turn, by one client, after it was asked for once; and again while files land in
the inbox. A page that was asked for before and of which nothing changed is answered from what was read then, so each
measured round first lets a drop of one row in.
"""

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from data import FIRST, extracts

from dropledger.core.ingest.run import process
from dropledger.handlers.wiring import wire
from dropledger.infra.local.inbox import dropped_file

PAGES = (
    "/",
    "/drops",
    "/drops?name=customers_20260102",
    "/drops/{drop_id}",
    "/history/account/1000",
    "/explain/account_summary/{key}",
    "/models",
    "/models/account_summary",
    "/models/history_account",
    "/lineage",
    "/lineage",
    "/checks",
    "/checks/stg_customer/volume",
    "/feeds/customer",
    "/search?q=1000",
    "/search?q=nobody",
)
SECONDS = timedelta(seconds=1)
BEGINS = datetime(2026, 1, 2, tzinfo=UTC)


def small(folder: Path, number: int) -> Path:
    """A file of a customer, a second later than the one before."""
    path = folder / f"customers_{BEGINS + number * SECONDS:%Y%m%dT%H%M%SZ}.csv"
    path.write_text(f"CustomerID,Name,HasLoan\n{900_000_000 + number % 50},Customer {number},No\n")
    return path


def fill(root: Path, accounts: int, drops: int) -> int:
    """Load the extracts and the small drops that are missing; how many small ones there are."""
    runtime = wire(root=str(root))
    runtime.store.prepare()
    with tempfile.TemporaryDirectory() as name:
        if not runtime.warehouse.exists():
            facts = [dropped_file(path, keep_original=True) for path in extracts(Path(name), FIRST, accounts)]
            process(runtime, facts, lambda _: None)
    with runtime.reading() as session:
        there = session.count("drop_ledger") - 2
    for number in range(there, drops):
        small(root / "inbox", number)
    if there < drops:
        arguments = [command(), "watch", "--once", "--quiet", "--root", str(root)]
        subprocess.run(arguments, check=True, env=on_demand(), stderr=subprocess.DEVNULL)
    return max(there, drops)


def command() -> str:
    return str(Path(sys.executable).with_name("dropledger"))


def on_demand() -> dict[str, str]:
    return {**os.environ, "DROPLEDGER_OUTPUTS": "on_demand", "DROPLEDGER_LOG": "json"}


class Client:
    """Asks a console; it has the token."""

    def __init__(self, link: str) -> None:
        address, _, token = link.partition("?token=")
        self._address, self._headers = address.rstrip("/"), {"Authorization": f"Bearer {token}"}

    def get(self, path: str) -> tuple[float, int, bytes]:
        """Seconds, status, and what came."""
        request = urllib.request.Request(self._address + path, headers=self._headers)
        began = time.perf_counter()
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                content, status = answer.read(), answer.status
        except urllib.error.HTTPError as error:
            content, status = error.read(), error.code
        return time.perf_counter() - began, status, content


@contextmanager
def console(root: Path) -> Iterator[Client]:
    """A console of the root."""
    arguments = [command(), "console", "--port", "0", "--json", "--root", str(root)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        text = ""
        while not text.rstrip().endswith("}"):
            text += server.stdout.readline()
        try:
            yield Client(json.loads(text)["url"])
        finally:
            server.send_signal(signal.SIGTERM)


def in_turn(client: Client, root: Path, number: int, rounds: int) -> None:
    """Print what each page takes on a root at rest, anew each time."""
    runtime = wire(root=str(root))
    newest = json.loads(client.get("/drops.json")[2])["drops"][0]["drop_id"]
    with runtime.reading() as session:
        key = session.query("SELECT min(account_id) AS account_id FROM account_summary")[0]["account_id"]
    paths = [path.format(drop_id=newest, key=key) for path in PAGES]
    taken: dict[str, list[float]] = {path: [] for path in paths}
    sizes = {}
    for round_number in range(rounds + 1):
        for path in paths:
            number += 1
            process(runtime, [dropped_file(small(root / "inbox", number))], lambda _: None)
            seconds, status, content = client.get(path)
            if status != 200:
                print(f"{path}: {status} {re.sub(rb'<[^>]+>', b' ', content)[:300]!r}")
            sizes[path] = len(content)
            if round_number:
                taken[path].append(1000 * seconds)
    print(f"{'page':<40} {'median ms':>10} {'most ms':>10} {'kB':>8}")
    for path, all_ms in taken.items():
        print(f"{path:<40} {statistics.median(all_ms):10.0f} {max(all_ms):10.0f} {sizes[path] / 1000:8.0f}")


def beside_watch(client: Client, root: Path, number: int, seconds: float) -> None:
    """Print what pages take while a watch takes 10 files a second."""
    arguments = [command(), "watch", "--quiet", "--root", str(root)]
    with subprocess.Popen(arguments, env=on_demand(), stderr=subprocess.DEVNULL) as watch:
        time.sleep(2)
        ends = time.monotonic() + seconds
        landed = [0]

        def land() -> None:
            while time.monotonic() < ends:
                landed[0] += 1
                path = small(root / "work", number + 1000 + landed[0])
                os.rename(path, root / "inbox" / path.name)
                time.sleep(0.1)

        lander = threading.Thread(target=land)
        lander.start()
        taken: list[float] = []
        bad = stale = 0
        paths = [path for path in PAGES if "{" not in path]
        while time.monotonic() < ends:
            for path in paths:
                took, status, content = client.get(path)
                taken.append(1000 * took)
                bad += status != 200
                stale += b"a drop is being worked on" in content
        lander.join()
        watch.send_signal(signal.SIGTERM)
    taken.sort()
    print(f"beside a watch, {landed[0]} files in {seconds:.0f} s: {len(taken)} pages, {bad} failed, {stale} of before;")
    nearly_all = taken[int(len(taken) * 0.99)]
    print(f"median {statistics.median(taken):.0f} ms, 99 % up to {nearly_all:.0f}, all {taken[-1]:.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--drops", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--root", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = given.root or Path(name) / "root"
        number = fill(root, given.accounts, given.drops)
        with console(root) as client:
            in_turn(client, root, number, given.rounds)
            beside_watch(client, root, number + 10_000, given.seconds)


if __name__ == "__main__":
    main()
