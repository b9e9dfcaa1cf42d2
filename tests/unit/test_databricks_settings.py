"""Who asks a SQL warehouse: by the environment, or by a secret that it names."""

import re

import pytest

from dropledger.core.errors import ConfigurationError
from dropledger.handlers.databricks_settings import read_databricks_settings

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:dropledger-AbCdEf"


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A SQL warehouse, and the ARN of a secret."""
    for name in ("TOKEN", "CLIENT_ID", "CLIENT_SECRET", "SCHEMA"):
        monkeypatch.delenv(f"DATABRICKS_{name}", raising=False)
    monkeypatch.setenv("DATABRICKS_HOST", "dbc-1234.cloud.databricks.com")
    monkeypatch.setenv("DATABRICKS_HTTP_PATH", "/sql/1.0/warehouses/1")
    monkeypatch.setenv("DATABRICKS_CATALOG", "loans")
    monkeypatch.setenv("DATABRICKS_SECRET_ARN", ARN)


def who_asks(secret: str) -> tuple[str, str, str]:
    settings = read_databricks_settings({ARN: secret}.__getitem__)
    asks = settings.credentials
    assert not {asks.token, asks.client_secret} & set(re.findall(r"'(.+?)'", repr(settings)))
    return asks.token, asks.client_id, asks.client_secret


@pytest.mark.parametrize(
    ("secret", "expected"),
    [
        ('{"token": "dapi1"}', ("dapi1", "", "")),
        ('{"client_id": "me", "client_secret": "hush", "engine": "x"}', ("", "me", "hush")),
        ("dapi1\n", ("dapi1", "", "")),
        ("12345", ("12345", "", "")),
    ],
)
def test_secret_says_who_asks(secret, expected):
    assert who_asks(secret) == expected


def test_secret_is_taken_rather_than_what_the_environment_says(monkeypatch):
    monkeypatch.setenv("DATABRICKS_TOKEN", "of the environment")
    assert who_asks('{"client_id": "me", "client_secret": "hush"}') == ("", "me", "hush")


def test_no_secret_is_asked_for_where_none_is_named(monkeypatch):
    monkeypatch.delenv("DATABRICKS_SECRET_ARN")
    monkeypatch.setenv("DATABRICKS_TOKEN", "of the environment")
    assert who_asks("of the secret") == ("of the environment", "", "")


@pytest.mark.parametrize(
    "secret",
    ["", "  ", "{}", '{"token": "hush"', '{"token": ["hush"]}', '{"client_id": "hush"}', '{"client_secret": "hush"}'],
)
def test_secret_that_says_nothing_is_told_without_its_text(secret):
    with pytest.raises(ConfigurationError, match="has neither token, nor client_id and client_secret") as told:
        who_asks(secret)
    error: BaseException | None = told.value
    assert ARN in str(error)
    while error is not None:
        assert "hush" not in repr(error)
        error = error.__cause__ or error.__context__


def test_catalog_has_no_default(monkeypatch: pytest.MonkeyPatch):
    """There is no catalog that every workspace has."""
    monkeypatch.delenv("DATABRICKS_CATALOG")
    with pytest.raises(ConfigurationError, match="needs DATABRICKS_CATALOG"):
        who_asks("dapi1")
