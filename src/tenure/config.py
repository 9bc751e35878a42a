"""Settings: flags, then TENURE_* environment, then tenure.toml, then defaults. Wrong ones are refused."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from tenure.core.grant import Policy
from tenure.core.limits import Limits
from tenure.errors import ConfigError

Count = Annotated[int, Field(ge=0)]
Duration = Annotated[float, Field(gt=0)]


def default_home() -> Path:
    """Where a server lives if nothing else is said: TENURE_HOME, else ~/.tenure."""
    given = os.environ.get("TENURE_HOME")
    return Path(given).expanduser() if given else Path.home() / ".tenure"


class LimitSettings(BaseModel):
    """Limits of the host. 0 means none allowed; left out means the default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    open_sessions: Count = 100_000
    open_sessions_per_user: Count = 1_000
    live_runs: Count = 256
    live_runs_per_user: Count = 64
    queued_messages_per_session: Count = 100
    streams_per_user: Count = 1_000
    commands_per_minute: Count | None = None
    max_attempts: Annotated[int, Field(ge=1)] = Policy().max_attempts

    def limits(self) -> Limits:
        """As the core knows them. The attempts of a run are a matter of each agent's policy."""
        return Limits(**self.model_dump(exclude={"max_attempts"}))


class AgentSettings(BaseModel):
    """One `[agents.NAME]` table of tenure.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    runner: Literal["python"] = "python"
    target: str
    deadline_s: Duration | None = None
    idle_s: Duration | None = None
    max_output_bytes: Annotated[int, Field(ge=1)] | None = None
    max_attempts: Annotated[int, Field(ge=1)] | None = None


class Settings(BaseSettings):
    """Everything an operator can set. Environment names nest: TENURE_LIMITS__OPEN_SESSIONS=50."""

    model_config = SettingsConfigDict(
        env_prefix="TENURE_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    home: Path = Field(default_factory=default_home)
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8321
    store: str | None = None
    demo: bool = False
    modules: tuple[str, ...] = ()
    entry_points: bool = True
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    insecure_bind: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_json: bool = False
    limits: LimitSettings = LimitSettings()
    agents: dict[str, AgentSettings] = {}


def load(flags: Mapping[str, object], config: Path | None = None) -> Settings:
    """The settings of one server. `flags` holds only what was given on the command line.

    Without `config`, tenure.toml in the home is read if it is there. Raises ConfigError that names the
    setting, the value and the way out.
    """
    given = flags.get("home")
    home = Path(str(given)) if given else default_home()
    path = config or home / "tenure.toml"
    if config is not None and not config.is_file():
        raise ConfigError(f"There is no configuration file {config}. Check the path given with --config.")
    values: dict[str, Any] = {**flags, "home": home}
    try:
        return _configured(path if path.is_file() else None)(**values)
    except ValidationError as error:
        raise ConfigError(_sentence(error, path)) from error
    except SettingsError as error:
        raise ConfigError(
            f"The settings can't be used: {error}. In the environment, write lists and tables as JSON, "
            'such as ["one", "two"], and start again.'
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is no valid TOML: {error}. Mend the line and start again.") from error


def _configured(path: Path | None) -> type[Settings]:
    """Settings that also read `path`."""

    class Configured(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=path)

    return Configured


def _sentence(error: ValidationError, path: Path) -> str:
    lines = [
        f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']} (given: {fault['input']!r})"
        for fault in error.errors()
    ]
    source = f"flags, TENURE_* environment or {path}"
    return f"The settings can't be used ({source}). " + "; ".join(lines) + ". Correct them and start again."
