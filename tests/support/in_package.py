"""What the package for Lambda with a Databricks warehouse can do on its own.

    python -I -S tests/support/in_package.py PACKAGE FOLDER imports|warehouse

Nothing but the standard library and PACKAGE is on the path; what comes of it is printed as JSON.
"""

import json
import os
import sys
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

IMPORTED = (
    "databricks.sdk.core",
    "databricks.sql.backend.thrift_backend",
    "databricks.sql.client",
    "databricks.sql.cloudfetch.downloader",
    "dropledger.handlers.aws_lambda.function",
    "dropledger.infra.databricks.connection",
    "dropledger.infra.databricks.warehouse",
    "dropledger.infra.aws.secrets",
)


def imports(folder: Path) -> dict[str, Any]:
    """Import what the function imports, and write Arrow's rows by DuckDB as an export does."""
    import boto3
    import duckdb
    import pyarrow as pa

    for module in IMPORTED:
        import_module(module)
    for service in ("s3", "sqs", "secretsmanager"):
        boto3.client(service, region_name="eu-west-1")
    amounts = pa.array([Decimal("1.20"), None]).cast(pa.decimal128(18, 2))  # the connector casts as well
    batch = pa.record_batch({"number": pa.array([1, 2]), "amount": amounts, "text": pa.array(["x", "ü"])})
    with duckdb.connect() as connection:
        for name, select in {"all": "*", "some": "text"}.items():
            connection.register("fetched", pa.RecordBatchReader.from_batches(batch.schema, iter([batch, batch])))
            rows = f"SELECT {select} FROM fetched{' WHERE number = 2' if name == 'some' else ''}"
            connection.execute(f"COPY ({rows}) TO '{folder / name}.csv' (FORMAT csv, HEADER)")
    written = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.csv")}
    return {"written": written, "rows": len(batch.to_pylist())}


def warehouse(folder: Path) -> dict[str, Any]:
    """Work in the warehouse of the environment's settings: upload, select, fetch, write."""
    from dropledger.handlers.wiring import wire

    with wire().warehouse.session() as session:
        session._transfers._upload("SELECT 'ü' AS text", "uploaded")
        session.scratch("both", "SELECT 7 AS number, text FROM uploaded UNION ALL SELECT 8, NULL")
        session.export("SELECT * FROM both ORDER BY number", folder / "both.csv")
        session.export("SELECT id, uuid() AS u FROM range(20000)", folder / "large.csv")  # comes by links
        rows = session.query("SELECT * FROM both WHERE number = :number", {"number": 7})
    written, large = ((folder / f"{name}.csv").read_text(encoding="utf-8") for name in ("both", "large"))
    return {"rows": rows, "written": written, "large": large.count("\n")}


if __name__ == "__main__":
    package, folder, what = sys.argv[1:]
    sys.path.insert(0, package)
    sys.dont_write_bytecode = True
    found = {"imports": imports, "warehouse": warehouse}[what](Path(folder))
    standard = str(Path(os.__file__).parent)
    files = {getattr(module, "__file__", None) or package for module in list(sys.modules.values())}
    found["elsewhere"] = sorted(
        file for file in files if not file.startswith((package, standard, __file__)) or "site-packages" in file
    )
    print(json.dumps(found))
