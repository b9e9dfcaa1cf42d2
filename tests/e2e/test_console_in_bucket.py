"""The console on a root in S3: its pages, and a planned file that is landed and taken."""

from pathlib import Path

import pytest
from support.buckets import BucketRoot
from support.console import ACCOUNTS, CUSTOMERS, Console
from support.served import serving

pytestmark = pytest.mark.slow


@pytest.mark.usefixtures("s3")
def test_pages_of_a_bucket(tmp_path: Path):
    bucket = BucketRoot()
    console = Console(tmp_path, {"DROPLEDGER_ROOT": bucket.uri, "DROPLEDGER_CACHE": str(tmp_path / "cache")})
    console.run("process", console.file("customers_2025-10-31.csv", CUSTOMERS))
    console.run("process", console.file("accounts_2025-10-31.csv", ACCOUNTS))
    with serving(console, "--write") as served:
        home = served.get("/index.json").json
        assert home["root"] == bucket.uri
        assert {**home, **console.run("status", "--json").json} == {**home, "command": "status"}
        drop_id = home["recent"][0]["drop_id"]
        for path in ("/", "/drops", f"/drops/{drop_id}", "/history/account/1001", "/models", "/checks", "/metrics"):
            assert served.get(path).status == 200, path
        token = {"form_token": served.form_token()}
        later = ACCOUNTS.replace("9999.99", "12500.00").encode()
        planned = served.upload("/plan.json", "accounts_2025-11-30.csv", later, token).json
        assert planned["effects"]["account_summary"]["changes"] == {"changed": 1}
        assert served.post("/drops", {**token, "upload": planned["upload"], "feed": "account"}).status == 303
        assert [name.rpartition("/")[2] for name in bucket.names("inbox/")] == ["accounts_2025-11-30.csv"]
        assert console.run("watch", "--once").code == 0
        assert served.get("/explain/account_summary/1001.json").json["account"]["balance"] == "12500.00"
