"""Make the pictures of the console that README and docs show, anew: all in light, the first in the dark too.

    .venv/bin/python .ci/screenshots.py

It runs the demo and two more drops in a temporary root, and takes its pages in Chromium.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import sync_playwright

PROJECT = Path(__file__).parents[1]
FOLDER = PROJECT / "docs" / "console"
COMMAND = str(Path(sys.executable).with_name("dropledger"))
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")
PAGES = {
    "home": "/",
    "drop": "/drops/{drop_id}",
    "history": "/history/account/1001",
    "explain": "/explain/account_summary/1001",
    "lineage": "/lineage/account_summary/annual_interest",
    "checks": "/checks",
}
OF_ENGAGEMENT = "/explain/engagement_daily/2021-02-01,PT,Android,11,7.1,trial,game,c1"
DROPS = {
    "accounts_2025-12-31.csv": "AccountID,CustomerID,Balance,AccountType\n1001,1,9500.00,Savings\n"
    "1003,2,25000.00,Savings\n1004,2,-20.00,Savings\n1006,5,10000.50,Savings\n1008,3,400.00,Savings\n",
    "customers_2025-12-31.csv": "CustomerID,Name,HasLoan\n1,Amara Okafor,No\n2,Jonas Berg,Yes\n3,Mei Tanaka,No\n",
    "balances_2025-12-31.csv": "AccountID,Balance\n1001,1.00\n",
}


def fill(folder: Path, root: str) -> None:
    """The demo's drops, and those above."""
    subprocess.run([COMMAND, "demo", "--quiet", "--root", root], cwd=folder, check=True)
    for name, text in DROPS.items():
        (folder / name).write_text(text)
        subprocess.run([COMMAND, "process", name, "--quiet", "--root", root], cwd=folder, check=False)


@contextmanager
def console(folder: Path, root: str, *options: str) -> Iterator[str]:
    """The link that opens a console of the root."""
    arguments = [COMMAND, "console", "--port", "0", "--json", "--root", root, *options]
    with subprocess.Popen(arguments, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
        text = ""
        while not text.rstrip().endswith("}"):
            text += server.stdout.readline()
        try:
            yield json.loads(text)["url"]
        finally:
            server.terminate()


def take(link: str) -> None:
    """Take each page in light and in dark."""
    address = link.partition("?")[0].rstrip("/")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for scheme in ("light", "dark"):
            context = browser.new_context(color_scheme=scheme, viewport={"width": 1280, "height": 860})
            page = context.new_page()
            page.goto(link)
            newest = page.get_by_role("row", name="accounts_2025-12-31.csv").get_by_role("link").first
            drop_id = newest.get_attribute("href").rpartition("/")[2]
            for name, path in PAGES.items() if scheme == "light" else [("home", PAGES["home"])]:
                page.goto(address + path.format(drop_id=drop_id))
                page.screenshot(path=FOLDER / f"{name}-{scheme}.png")
            context.close()
        browser.close()


def take_of_engagement(link: str) -> None:
    """Take a figure of the engagement pipeline."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(color_scheme="light", viewport={"width": 1280, "height": 860})
        page.goto(link)
        page.goto(link.partition("?")[0].rstrip("/") + OF_ENGAGEMENT)
        page.screenshot(path=FOLDER / "engagement-light.png")
        browser.close()


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with TemporaryDirectory(prefix="demo-") as name:
        fill(Path(name), "ledger")
        with console(Path(name), "ledger") as link:
            take(link)
        of_engagement = ("--pipeline", "engagement")
        subprocess.run([COMMAND, "demo", "--quiet", "--root", "played", *of_engagement], cwd=name, check=True)
        with console(Path(name), "played", *of_engagement) as link:
            take_of_engagement(link)


if __name__ == "__main__":
    main()
