"""The console in a real browser: what a newcomer does, drops that appear by themselves, the keyboard alone, and what
people see who see less.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright
from support.console import Console, environment
from support.engines import CHROMIUM
from support.forks import SCRIPT
from support.served import Served, serving

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
REJECTED = "AccountID,CustomerID,Balance,AccountType\n1001,1,12500.00,Savings\n1002,1,-5,Savings\n"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Console:
    """The demo's root, with a drop more of which a row was rejected, and a file that was refused."""
    console = Console(tmp_path_factory.mktemp("console"))
    assert console.run("demo", "--root", console.root).code == 0
    assert console.run("process", console.file("accounts_2025-12-31.csv", REJECTED)).code == 3
    assert console.run("process", console.file("balances_2025-12-31.csv", REJECTED)).code == 3
    return console


@pytest.fixture(scope="module")
def served(folder: Console) -> Iterator[Served]:
    with serving(folder, "--write") as served:
        yield served


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    """A page that has opened the link; it fails the test that makes it log an error."""
    context = browser.new_context()
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(served.link)
    yield page
    context.close()
    assert errors == []


def addresses(served: Served) -> list[str]:
    """One of each page."""
    drop_id = served.get("/drops.json?name=accounts_2025-12-31").json["drops"][0]["drop_id"]
    return [
        "/",
        "/drops",
        f"/drops/{drop_id}",
        "/history/account/1001",
        "/explain/account_summary/1001",
        "/lineage",
        "/lineage/account_summary",
        "/lineage/account_summary/annual_interest",
        "/models",
        "/models/account_summary",
        "/checks",
        "/checks/stg_account/volume",
        "/feeds/account",
        "/search?q=okafor",
        "/plan",
    ]


def test_newcomer_goes_from_the_demo_to_a_figure(browser: Browser, tmp_path: Path):
    demo = subprocess.run([SCRIPT, "demo"], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True)
    command = demo.stdout.splitlines()[-1].split()
    assert command[1] == "console"
    console = Console(tmp_path, variables={"DROPLEDGER_ROOT": command[-1]})
    assert console.run("process", console.file("accounts_2025-12-31.csv", REJECTED)).code == 3
    with serving(console) as served:
        page = browser.new_page()
        page.goto(served.link)
        assert "token" not in page.url
        page.get_by_role("link", name="Drops", exact=True).click()
        page.get_by_role("row", name="accounts_2025-12-31.csv").get_by_role("link").first.click()
        expect(page.get_by_role("heading", level=1)).to_have_text("accounts_2025-12-31.csv")
        expect(page.get_by_role("region", name="Rejected rows")).to_contain_text("balance '-5' must be at least 0")
        page.get_by_text("show", exact=True).click()
        expect(page.get_by_text("1002,1,-5,Savings")).to_be_visible()
        page.get_by_label("Search").fill("Amara")
        page.keyboard.press("Enter")
        page.get_by_role("link", name="1", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Customer 1")
        page.get_by_label("Search").fill("1001")
        page.keyboard.press("Enter")
        page.get_by_role("link", name="explain in account_summary").click()
        expect(page.locator("main")).to_contain_text("12500.00 x (0.015000 + 0.005000) = 250")
        expect(page.locator("main")).to_contain_text("matches the mart")
        expect(page.get_by_role("link", name="accounts_2025-11-30.csv").first).to_be_visible()
        page.get_by_role("link", name="Lineage of account_summary").click()
        page.get_by_role("link", name="annual_interest").first.click()
        expect(page.locator("main")).to_contain_text("history_account")
        expect(page.locator("main")).to_contain_text("balance")
        page.context.close()


def test_drop_that_lands_shows_by_itself(page: Page, folder: Console):
    page.get_by_text("Newest drops").scroll_into_view_if_needed()
    summary = page.get_by_role("link", name="All drops")
    summary.focus()
    folder.run("process", folder.file("customers_2026-01-31.csv", "CustomerID,Name,HasLoan\n1,Amara Okafor,No\n"))
    expect(page.get_by_role("row", name="customers_2026-01-31.csv")).to_be_visible(timeout=10_000)
    expect(summary).to_be_focused()


def test_what_is_open_stays_open_when_a_drop_lands(page: Page, served: Served, folder: Console):
    drop_id = served.get("/drops.json?name=accounts_2025-12-31").json["drops"][0]["drop_id"]
    page.goto(f"{page.url}drops/{drop_id}")
    page.get_by_text("show", exact=True).click()
    seen = page.locator("main").get_attribute("hx-headers")
    folder.run("process", folder.file("customers_2026-01-30.csv", "CustomerID,Name,HasLoan\n1,Amara Okafor,No\n"))
    expect(page.locator("main")).not_to_have_attribute("hx-headers", seen or "", timeout=10_000)
    expect(page.get_by_text("1002,1,-5,Savings")).to_be_visible()


def test_page_stays_and_says_so_when_the_console_is_not_reached(browser: Browser, folder: Console):
    context = browser.new_context()
    page = context.new_page()
    with serving(folder) as served:
        page.goto(served.link)
        expect(page.locator("#unreached")).to_be_hidden()
    expect(page.locator("#unreached")).to_contain_text("not reached", timeout=10_000)
    with serving(folder, "--port", str(served.port)):  # with another token
        expect(page.locator("#unreached")).to_contain_text("started anew", timeout=10_000)
        expect(page.get_by_role("heading", name="Newest drops")).to_be_visible()
    context.close()


def test_file_is_planned_and_landed(page: Page, folder: Console, tmp_path: Path):
    path = tmp_path / "accounts_2026-02-28.csv"
    path.write_text(REJECTED.replace("12500", "13000"))
    page.goto(page.url + "plan")
    page.get_by_label("Drop a file on the field").set_input_files(path)
    page.get_by_role("button", name="Plan it").click()
    expect(page.locator("main")).to_contain_text("Nothing was changed")
    expect(page.get_by_role("region", name="Changed rows")).to_contain_text("13000.00")
    page.get_by_role("button", name="Land it in the inbox").click()
    expect(page.locator("main").get_by_role("status")).to_contain_text("/accounts_2026-02-28.csv")
    [landed] = (folder.root / "inbox").rglob(path.name)
    landed.unlink()


def test_drop_is_retracted_after_its_id_was_typed(page: Page, served: Served, folder: Console):
    customers = "CustomerID,Name,HasLoan\n2,Jonas Berg,Yes\n"
    folder.run("process", folder.file("customers_2026-03-31.csv", customers))
    drop_id = served.get("/drops.json?name=customers_2026-03-31").json["drops"][0]["drop_id"]
    page.goto(f"{page.url}drops/{drop_id}")
    page.get_by_label("Reason").fill("sent by mistake")
    page.get_by_label("Type the drop's id").fill(drop_id[:8])
    page.get_by_role("button", name="Retract this drop").click()
    assert served.get(f"/drops/{drop_id}.json").json["drop"]["status"] == "published"
    page.get_by_label("Type the drop's id").fill(drop_id)
    page.get_by_role("button", name="Retract this drop").click()
    expect(page.locator("main")).to_contain_text("sent by mistake")
    expect(page.get_by_role("button", name="Restore this drop")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_have_no_serious_fault_of_access(browser: Browser, served: Served, scheme: str):
    context = browser.new_context(color_scheme="light" if scheme == "light" else "dark")
    page = context.new_page()
    page.goto(served.link)
    found = {}
    for address in addresses(served):
        page.goto(f"http://127.0.0.1:{served.port}{address}")
        results = Axe().run(page).response
        serious = [fault for fault in results["violations"] if fault["impact"] in {"serious", "critical"}]
        if serious:
            found[address] = [(fault["id"], [node["html"][:120] for node in fault["nodes"][:3]]) for fault in serious]
    context.close()
    assert found == {}


@pytest.mark.parametrize("width", [1440, 768, 390])
def test_no_page_is_wider_than_the_screen(browser: Browser, served: Served, width: int):
    context = browser.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    page.goto(served.link)
    wide = {}
    for address in addresses(served):
        page.goto(f"http://127.0.0.1:{served.port}{address}")
        needs = page.evaluate("document.documentElement.scrollWidth")
        if needs > width:
            wide[address] = needs
    context.close()
    assert wide == {}


def test_keyboard_alone_reaches_content_and_search(page: Page):
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")
    page.keyboard.press("Tab")
    inside = page.evaluate("document.querySelector('main').contains(document.activeElement)")
    assert inside
    page.get_by_label("Search").focus()
    page.keyboard.type("1001")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("1001")


def test_pages_work_without_javascript(browser: Browser, served: Served):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(served.link)
    page.get_by_role("link", name="Checks", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Checks")
    page.get_by_label("Search").fill("okafor")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("Amara Okafor")
    context.close()


def test_browser_sends_no_form_from_elsewhere(browser: Browser, served: Served, tmp_path: Path):
    """A page of another site has the cookie sent with nothing, and its forms refused."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(served.link)
    token = served.form_token()
    drop_id = served.get("/drops.json?feed=account").json["drops"][-1]["drop_id"]
    hostile = tmp_path / "hostile.html"
    fields = {"form_token": token, "reason": "hostile", "typed": drop_id}
    inputs = "".join(f'<input name="{name}" value="{value}">' for name, value in fields.items())
    action = f"http://127.0.0.1:{served.port}/drops/{drop_id}/retract"
    hostile.write_text(f'<form action="{action}" method="post">{inputs}<button>Go</button></form>')
    page.goto(hostile.as_uri())
    page.get_by_role("button").click()
    expect(page.locator("body")).to_contain_text(re.compile("token|not sent by a page"))
    assert served.get(f"/drops/{drop_id}.json").json["drop"]["status"] == "published"
    context.close()
