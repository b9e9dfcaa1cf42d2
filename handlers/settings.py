"""Settings from flags, environment and `dropledger.toml`, in this order of precedence."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from core.definition import BUILT_IN
from core.errors import ConfigurationError

TOML = "dropledger.toml"
_PIPELINE_FILE = "pipeline.yaml"
_ON_THIS_MACHINE = ("http://127.0.0.1:", "http://localhost:")


_pipeline: ContextVar[str | None] = ContextVar("pipeline", default=None)


_files: ContextVar[tuple[Path, ...]] = ContextVar("files", default=())


@contextmanager
def pipeline_named(name: str | None) -> Iterator[None]:
    """Let the settings that are read in the block name this pipeline, as a flag does; None where there was no flag."""
    token = _pipeline.set(name)
    try:
        yield
    finally:
        _pipeline.reset(token)


class Settings(BaseSettings):
    """What can be set; docs/operating.md describes each."""

    model_config = SettingsConfigDict(env_prefix="DROPLEDGER_", extra="forbid")

    root: str = Field(default="ledger", min_length=1)
    warehouse: str = ""
    pipeline: str = "lending"
    log: Literal["auto", "console", "json"] = "auto"
    wait_seconds: float = Field(default=30.0, ge=0)
    memory_limit: str = Field(default="", pattern=r"^(\d+ ?[KMGT]i?B)?$")
    outputs: Literal["always", "on_demand"] | Annotated[float, Field(gt=0)] = "always"
    cache: Path = Path("~/.cache/dropledger")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, *(_InFile(settings_cls, file) for file in _files.get())


class _InFile(TomlConfigSettingsSource):
    """The settings in a file, whose paths are told from the folder that it lies in."""

    def __init__(self, settings_cls: type[BaseSettings], file: Path) -> None:
        self._folder = file.parent
        super().__init__(settings_cls, file)

    def __call__(self) -> dict[str, Any]:
        found = super().__call__()
        return {name: self._told_from_here(name, value) for name, value in found.items()}

    def _told_from_here(self, name: str, value: Any) -> Any:
        if name not in {"root", "warehouse", "pipeline", "cache"} or not isinstance(value, str) or not value:
            return value
        path = self._folder / value
        is_a_name = {
            "root": value.startswith("s3://"),
            "warehouse": value == "databricks",
            "pipeline": (BUILT_IN / value / _PIPELINE_FILE).is_file() or not (path / _PIPELINE_FILE).is_file(),
            "cache": value.startswith("~"),
        }
        return value if is_a_name[name] else str(path)


class DatabricksSettings(BaseSettings):
    """Where a SQL warehouse is and who asks, by the names that Databricks' own programs read from the environment."""

    model_config = SettingsConfigDict(env_prefix="DATABRICKS_", extra="ignore")

    host: str
    http_path: str
    catalog: str = Field(min_length=1)
    db_schema: str = Field(default="", validation_alias="DATABRICKS_SCHEMA", pattern=r"^\w*$")
    token: SecretStr = SecretStr("")
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    secret_arn: str = ""
    cloud_fetch: bool = True


class DatabricksSecret(BaseModel):
    """What a secret says of who asks; what else is in it is for others."""

    token: SecretStr = SecretStr("")
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")


def read_databricks_settings(text_of_secret: Callable[[str], str]) -> DatabricksSettings:
    """The settings of Databricks in force.

    Where they name a secret by its ARN, token or client are what `text_of_secret` gives for that.

    Raises:
        ConfigurationError: one that is needed is missing, or out of range.
    """
    try:
        settings = DatabricksSettings()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]).upper().removeprefix("DATABRICKS_")
        raise ConfigurationError(
            f"the warehouse databricks needs DATABRICKS_{name}",
            why=first["msg"],
            hint="set it as docs/databricks.md says",
        ) from error
    if settings.secret_arn:
        found = _read_secret(settings.secret_arn, text_of_secret(settings.secret_arn))
        settings = settings.model_copy(update=dict(found))
    elif not _says_who_asks(settings):
        raise ConfigurationError(
            "the warehouse databricks needs DATABRICKS_TOKEN, or DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET",
            hint="set them as docs/databricks.md says",
        )
    if settings.host.startswith("http://") and not settings.host.startswith(_ON_THIS_MACHINE):
        raise ConfigurationError(
            f"DATABRICKS_HOST is {settings.host}, which would send the token in plain text",
            hint="name the host alone, or with https://",
        )
    return settings


def _says_who_asks(given: DatabricksSettings | DatabricksSecret) -> bool:
    return bool(given.token.get_secret_value() or (given.client_id and given.client_secret.get_secret_value()))


def _read_secret(arn: str, text: str) -> DatabricksSecret:
    """A secret, whose text is in no error: JSON with token or client, or else the token itself."""
    if text.lstrip().startswith("{"):
        try:
            found = DatabricksSecret.model_validate(json.loads(text))
        except ValueError:  # which quotes it
            found = DatabricksSecret()
    else:
        found = DatabricksSecret(token=SecretStr(text.strip()))
    if not _says_who_asks(found):
        raise ConfigurationError(
            f"the secret {arn} has neither token, nor client_id and client_secret",
            hint='store JSON like {"token": "..."} or {"client_id": "...", "client_secret": "..."}, or the bare token',
        )
    return found


def _beside(root: str) -> Path | None:
    """The file of settings in the root, if it has one; a root in a bucket has none."""
    file = Path(root) / TOML
    return file if not root.startswith("s3://") and file.is_file() else None


def _above() -> Path | None:
    """The nearest file of settings, from the current folder upwards.

    In the folders above, one that belongs to somebody else is no file of this user's settings: in a folder that all
    may write to it would name another pipeline, whose SQL is run.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        file = folder / TOML
        if file.is_file() and (folder == here or file.stat().st_uid in {0, os.geteuid()}):
            return file
    return None


def read_settings(*, root: str | None = None, warehouse: str | None = None) -> Settings:
    """The settings in force; a flag that was not given is None.

    Raises:
        ConfigurationError: a setting is unknown or out of range.
    """
    given = (("root", root), ("warehouse", warehouse), ("pipeline", _pipeline.get()))
    flags = {name: value for name, value in given if value is not None}
    above = _above()
    found = _read(flags, [above] if above else [])
    beside = _beside(found.root)
    if beside is None or (above is not None and beside.samefile(above)):
        return found
    # What the root itself says of it goes before what is said of it elsewhere, but for where it is.
    return _read({**flags, "root": found.root}, [beside, above] if above else [beside])


def _read(flags: Mapping[str, str], files: Sequence[Path]) -> Settings:
    token = _files.set(tuple(files))
    where = " or ".join(str(file) for file in files) or TOML
    try:
        return Settings(**flags)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            near = get_close_matches(name.lower(), Settings.model_fields, 1)
            raise ConfigurationError(
                f"there is no setting {name}" + (f"; did you mean {near[0]}?" if near else ""),
                hint=f"correct the entry in {where}; the settings are: {', '.join(Settings.model_fields)}",
            ) from error
        raise ConfigurationError(
            f"the setting {name} cannot be used",
            why=first["msg"],
            hint=f"correct DROPLEDGER_{name.upper()} or the entry in {where}; docs/operating.md lists the settings",
        ) from error
    except ValueError as error:  # what the TOML parser raises
        raise ConfigurationError(f"{where} cannot be read", why=str(error), hint="correct the file") from error
    finally:
        _files.reset(token)
