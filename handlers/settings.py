"""Settings from flags, environment and `dropledger.toml`, in this order of precedence."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from core.errors import ConfigurationError

TOML = Path("dropledger.toml")


class Settings(BaseSettings):
    """What can be set; docs/operating.md describes each."""

    model_config = SettingsConfigDict(env_prefix="DROPLEDGER_", toml_file=TOML, extra="forbid")

    root: str = "ledger"
    warehouse: str = ""
    pipeline: str = "lending"
    log: Literal["auto", "console", "json"] = "auto"
    wait_seconds: float = Field(default=30.0, ge=0)
    memory_limit: str = Field(default="", pattern=r"^(\d+ ?[KMGT]i?B)?$")
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
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def read_settings(*, root: str | None = None, warehouse: str | None = None) -> Settings:
    """The settings in force; a flag that was not given is None.

    Raises:
        ConfigurationError: a setting is unknown or out of range.
    """
    flags = {name: value for name, value in (("root", root), ("warehouse", warehouse)) if value is not None}
    try:
        return Settings(**flags)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(
            f"the setting {name} cannot be used",
            why=first["msg"],
            hint=f"correct DROPLEDGER_{name.upper()} or the entry in {TOML}; docs/operating.md lists the settings",
        ) from error
    except ValueError as error:  # what the TOML parser raises
        raise ConfigurationError(f"{TOML} cannot be read", why=str(error), hint="correct the file") from error
