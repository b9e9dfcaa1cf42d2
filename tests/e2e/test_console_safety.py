"""Who may use the console, and for what: each line of its rules, asked by a client that obeys none."""

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from support.console import ACCOUNTS, CUSTOMERS, Console
from support.served import Served, serving

pytestmark = pytest.mark.slow

HOSTILE = '<script>alert("x")</script>'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Console:
    console = Console(tmp_path_factory.mktemp("console"))
    customers = CUSTOMERS + f'3,"{HOSTILE.replace(chr(34), chr(34) * 2)}",No\n'
    accounts = console.file("accounts_2025-10-31.csv", ACCOUNTS + f"1003,3,{HOSTILE},Savings\n")
    assert console.run("process", console.file("customers_2025-10-31.csv", customers), accounts).code == 3
    return console


@pytest.fixture(scope="module")
def served(folder: Console) -> Iterator[Served]:
    with serving(folder, "--write", upload_limit="20kB") as served:
        yield served


@pytest.fixture(scope="module")
def looking(folder: Console) -> Iterator[Served]:
    """One that was started without --write."""
    with serving(folder) as served:
        yield served


# The token


@pytest.mark.parametrize("path", ["/", "/index.json", "/drops", "/static/console.css", "/openapi.json", "/nowhere"])
def test_nothing_is_told_without_the_token(served: Served, path: str):
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Cookie": f"dropledger_console_{served.port}=wrong"}):
        answer = served.ask(path, **headers)
        assert answer.status == 403
        assert "lending" not in answer.text


def test_health_is_told_to_all(served: Served):
    assert (served.ask("/healthz").status, served.ask("/healthz").text) == (200, "ok\n")


def test_link_sets_a_cookie_and_leads_on_without_the_token(served: Served):
    answer = served.ask(f"/drops?feed=account&token={served.token}")
    assert (answer.status, answer.headers["location"]) == (303, "/drops?feed=account")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert served.token not in cookie
    assert served.ask("/drops", Cookie=cookie.partition(";")[0]).status == 200


def test_link_never_leads_to_another_host(served: Served):
    assert served.ask(f"//evil.example/x?token={served.token}").headers["location"] == "/evil.example/x"


def test_wrong_token_in_the_link_is_none(served: Served):
    assert served.ask("/?token=wrong").status == 403
    assert served.ask(f"/?token={served.token[:-1]}").status == 403


def test_another_address_wants_a_token_of_ones_own(folder: Console):
    done = folder.run("console", "--listen", "0.0.0.0", "--port", "0")
    assert done.code == 2
    assert "--token-file" in done.err


@pytest.mark.parametrize("text", ["", "short", "with blanks in its middle, though long"])
def test_token_that_can_be_guessed_is_refused(folder: Console, text: str):
    done = folder.run("console", "--port", "0", "--token-file", folder.file("token", text))
    assert done.code == 2
    assert "openssl rand" in done.err


def test_token_of_a_file_is_not_printed(folder: Console):
    token = "a-token-that-nobody-guesses"
    with serving(folder, "--token-file", str(folder.file("token", token + "\n"))) as served:
        assert token not in served.link
        assert served.ask("/", Authorization=f"Bearer {token}").status == 200


# Where from


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8321", "localhost.evil.example", "", "127.0.0.1.evil"])
def test_other_host_is_refused(served: Served, host: str):
    assert served.get("/", Host=host).status == 400


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:99", "[::1]:8321", socket.gethostname()])
def test_this_machine_has_several_names(served: Served, host: str):
    assert served.get("/healthz", Host=host).status == 200


def test_form_of_a_page_without_tls_says_its_origin(served: Served):
    fields = {"form_token": served.form_token(), "upload": "x", "feed": "account"}
    headers = {"Authorization": f"Bearer {served.token}", "Content_Type": "application/x-www-form-urlencoded"}
    body = urlencode(fields).encode()
    for origin, status in ((f"http://127.0.0.1:{served.port}", 404), ("http://evil.example", 403), ("null", 403)):
        assert served.ask("/drops", "POST", body, Origin=origin, **headers).status == status
    assert served.ask("/drops", "POST", body, **headers).status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", ""])
def test_form_of_another_site_is_refused(served: Served, site: str):
    fields = {"form_token": served.form_token(), "upload": "x"}
    assert served.post("/drops", fields, Sec_Fetch_Site=site).status == 403


def test_form_without_its_token_is_refused(served: Served):
    for fields in ({}, {"form_token": ""}, {"form_token": served.token}):
        assert served.post("/drops", fields).status == 403
        assert served.upload("/plan", "accounts_2025-11-30.csv", ACCOUNTS.encode(), fields).status == 403


# What a page may do


def test_pages_load_nothing_from_elsewhere_and_run_no_text(served: Served):
    for path in ("/", "/drops", "/nowhere", "/static/console.css", "/index.json"):
        policy = served.get(path).headers["content-security-policy"]
        assert policy == (
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
            "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        )
    text = served.get("/").text
    assert "<style" not in text
    assert ' style="' not in text
    assert "hx-on" not in text


def test_files_of_others_are_those_that_are_named(served: Served):
    import hashlib

    static = Path(__file__).parents[2] / "handlers" / "console" / "static"
    vendored = (static / "VENDORED.md").read_text()
    for path in static.glob("*.min.*"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() in vendored
        assert f"`{path.name}`" in vendored
        assert served.get(f"/static/{path.name}").status == 200


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py"])
def test_only_static_files_are_served(served: Served, path: str):
    assert served.get(path).status == 404


def test_cells_and_file_names_are_text(served: Served, folder: Console):
    drop_id = served.get("/index.json").json["recent"][0]["drop_id"]
    for path in (f"/drops/{drop_id}", "/history/customer/3", "/search?q=script", f"/search?q={HOSTILE}"):
        text = served.get(path.replace(" ", "%20")).text
        assert "<script>alert" not in text, path
        assert "&lt;script&gt;alert" in text, path
    name = 'accounts_2025-10-31_<img src=x onerror="alert(1)">.csv'
    shutil.copy(folder.folder / "accounts_2025-10-31.csv", folder.folder / name)
    folder.run("process", folder.folder / name)
    text = served.get("/drops?name=img").text
    assert "<img" not in text
    planned = served.upload("/plan", name.replace('"', "%22"), ACCOUNTS.encode(), {"form_token": served.form_token()})
    assert "<img" not in planned.text


# What is changed


def test_without_write_nothing_can_be_changed(looking: Served):
    drop_id = looking.get("/drops.json").json["drops"][0]["drop_id"]
    fields = {"form_token": looking.form_token(), "upload": "x", "reason": "r", "typed": drop_id}
    for path in ("/drops", f"/drops/{drop_id}/retract", f"/drops/{drop_id}/restore"):
        assert looking.post(path, fields).status in {404, 405}
    assert "Retract" not in looking.get(f"/drops/{drop_id}").text
    planned = looking.upload(
        "/plan", "accounts_2025-11-30.csv", ACCOUNTS.encode(), {"form_token": looking.form_token()}
    )
    assert planned.status == 200
    assert "Land it" not in planned.text


def test_upload_is_bounded(served: Served, folder: Console):
    large = ACCOUNTS.encode() + b"1001,1,1.00,Savings\n" * 2000
    token = {"form_token": served.form_token()}
    assert served.upload("/plan", "accounts_2025-11-30.csv", large, token).status == 413
    chunked = served.upload("/plan", "accounts_2025-11-30.csv", large, token, Content_Length="100")
    assert chunked.status in {400, 403, 413}
    assert served.upload("/plan", "accounts_2025-11-30.csv", ACCOUNTS.encode(), token).status == 200


@pytest.mark.parametrize("name", ["../../accounts_2025-11-30.csv", "C:\\up\\accounts_2025-11-30.csv"])
def test_name_of_an_upload_is_no_path(served: Served, name: str):
    answer = served.upload("/plan.json", name, ACCOUNTS.encode(), {"form_token": served.form_token()})
    assert answer.json["outcome"]["name"] == "accounts_2025-11-30.csv"


@pytest.mark.parametrize(
    "name", [".hidden.csv", "accounts.csv.part", "~accounts.csv", "..", "accounts\x01.csv", "a" * 300]
)
def test_name_that_no_file_may_have_is_refused(served: Served, name: str):
    answer = served.upload("/plan", name, ACCOUNTS.encode(), {"form_token": served.form_token()})
    assert answer.status in {400, 422}


def test_retraction_wants_a_reason_and_the_whole_id(served: Served):
    drop_id = served.get("/drops.json?feed=account").json["drops"][-1]["drop_id"]
    token = {"form_token": served.form_token()}
    for fields in ({"reason": "", "typed": drop_id}, {"reason": "wrong", "typed": drop_id[:8]}, {"reason": "wrong"}):
        assert served.post(f"/drops/{drop_id}/retract", {**token, **fields}).status == 404
    assert served.get(f"/drops/{drop_id}.json").json["drop"]["status"] == "published"
