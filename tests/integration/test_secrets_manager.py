"""Secrets by their ARNs."""

from uuid import uuid4

import boto3
import pytest

from dropledger.core.errors import ConfigurationError
from dropledger.handlers.wiring import wire
from dropledger.infra.aws.secrets import text_of_secret

pytestmark = pytest.mark.usefixtures("s3")


def stored(region: str = "eu-west-1", **content: str | bytes) -> str:
    """The ARN of a new secret."""
    client = boto3.client("secretsmanager", region_name=region)
    arn: str = client.create_secret(Name=uuid4().hex, **content)["ARN"]
    return arn


def test_text_is_the_present_one():
    arn = stored(SecretString="before")
    boto3.client("secretsmanager").put_secret_value(SecretId=arn, SecretString="now")
    assert text_of_secret(arn) == "now"


def test_secret_of_another_region_is_found():
    assert text_of_secret(stored("us-east-1", SecretString="far away")) == "far away"


def test_secret_that_is_not_there_is_told():
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:none-AbCdEf"
    with pytest.raises(ConfigurationError, match=arn) as told:
        text_of_secret(arn)
    assert "DATABRICKS_SECRET_ARN" in told.value.hint


def test_secret_that_is_no_text_is_told():
    with pytest.raises(ConfigurationError, match="is no text"):
        text_of_secret(stored(SecretBinary=b"\0"))


def test_secret_that_nobody_may_read_is_told(monkeypatch):
    """Without credentials nothing is even asked."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    with pytest.raises(ConfigurationError, match="cannot be read") as told:
        text_of_secret("arn:aws:secretsmanager:eu-west-1:123456789012:secret:some-AbCdEf")
    assert "configure AWS credentials" in told.value.hint


def test_warehouse_is_wired_by_a_secret(monkeypatch, tmp_path):
    for name, value in (
        ("DROPLEDGER_CACHE", str(tmp_path)),
        ("DATABRICKS_HOST", "dbc-1234.cloud.databricks.com"),
        ("DATABRICKS_HTTP_PATH", "/sql/1.0/warehouses/1"),
        ("DATABRICKS_CATALOG", "loans"),
        ("DATABRICKS_SECRET_ARN", stored(SecretString='{"token": "dapi1"}')),
    ):
        monkeypatch.setenv(name, value)
    runtime = wire(root=str(tmp_path / "root"), warehouse="databricks")
    assert runtime.warehouse.location == "databricks:loans.lending"
