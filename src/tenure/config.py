"""Settings: flags, then TENURE_* environment, then tenure.toml, then defaults. Wrong ones are refused."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from tenure.agent_tables import AnyAgentSettings, Duration
from tenure.core.binding import (
    MESSAGE_RECEIVED,
    Binding,
    BindingScope,
    DeliveryPolicy,
    ScopeType,
    actor_role,
)
from tenure.core.grant import Policy
from tenure.core.limits import Limits
from tenure.core.message import BusyPolicy
from tenure.core.principal import DEFAULT_TENANT, Role
from tenure.errors import ConfigError

Count = Annotated[int, Field(ge=0)]


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
    schedules_per_user: Count = 1_000
    streams_per_user: Count = 1_000
    commands_per_minute: Count | None = None
    approval_ttl_s: Count = 86_400
    hold_s: Annotated[float, Field(ge=0)] = 900.0
    held_runs: Count = 1_000
    files_per_session: Count = 1_000
    files_bytes_per_session: Count = 1 << 30
    max_attempts: Annotated[int, Field(ge=1)] = Policy().max_attempts

    def limits(self) -> Limits:
        """As the core knows them. The attempts of a run are a matter of each agent's policy."""
        return Limits(**self.model_dump(exclude={"max_attempts"}))


class McpSettings(BaseModel):
    """One `[mcp.NAME]` table of tenure.toml: a server of tools, by command or by address."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    command: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    env: dict[str, SecretStr] = {}
    folder: Path | None = None
    url: str | None = None
    headers: dict[str, SecretStr] = {}
    replay: dict[str, Literal["safe", "never"]] = {}
    timeout_s: Duration = 300.0

    @model_validator(mode="after")
    def check_reach(self) -> Self:
        """Refuse a table that names no way to the server, or two."""
        if (self.command is None) == (self.url is None):
            raise ValueError("give either command or url")
        if self.url is not None and not self.url.startswith(("http://", "https://")):
            raise ValueError("the url begins with neither http:// nor https://")
        beside_url, beside_command = bool(self.headers), bool(self.env or self.folder)
        if beside_command if self.command is None else beside_url:
            raise ValueError("headers go with url, env and folder with command")
        return self


class RetentionSettings(BaseModel):
    """How long journals are kept, in days; left out means for ever."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after_days: Duration | None = None


class ScopeSettings(BaseModel):
    """Which events a binding takes: those of this agent, bot or workspace, or of the whole tenant."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["agent", "bot", "workspace", "global"]
    id: Annotated[str, Field(min_length=1)] | None = None


class DeliverySettings(BaseModel):
    """What a binding allows of an event's delivery. `max_message_size` counts characters."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enable_streaming: bool = True
    enable_reply: bool = True
    max_message_size: Annotated[int, Field(ge=1)] | None = None


class BindingSettings(BaseModel):
    """One `[[bindings]]` table of tenure.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(min_length=1)]
    tenant: Annotated[str, Field(min_length=1)] = DEFAULT_TENANT
    agent: str
    scope: ScopeSettings
    event_types: Annotated[tuple[str, ...], Field(min_length=1)] = (MESSAGE_RECEIVED,)
    enabled: bool = True
    actor_roles: dict[Annotated[str, Field(min_length=1)], Role] = {}
    delivery: DeliverySettings = DeliverySettings()
    when_busy: BusyPolicy = BusyPolicy.QUEUE
    labels: dict[str, str] = {}

    def binding(self) -> Binding:
        """As the core knows it."""
        return Binding(
            id=self.id,
            tenant=self.tenant,
            agent=self.agent,
            scope=BindingScope(type=ScopeType(self.scope.type), id=self.scope.id),
            event_types=self.event_types,
            enabled=self.enabled,
            actor_roles=tuple(actor_role(name, role) for name, role in self.actor_roles.items()),
            delivery=DeliveryPolicy(**self.delivery.model_dump()),
            when_busy=self.when_busy,
            labels=self.labels,
        )


class Settings(BaseSettings):
    """Everything an operator can set. Environment names nest: TENURE_LIMITS__OPEN_SESSIONS=50."""

    model_config = SettingsConfigDict(
        env_prefix="TENURE_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    home: Path = Field(default_factory=default_home)
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8321
    store: str | None = None
    lease_s: Annotated[float, Field(ge=1, le=3_600)] = 10.0
    slots: Annotated[int, Field(ge=0)] | None = None
    address: str | None = None
    files_dir: Path | None = None
    demo: bool = False
    modules: tuple[str, ...] = ()
    entry_points: bool = True
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    gateway_url: str | None = None
    public_url: Annotated[str, Field(pattern=r"^https?://[^/?#\s]+/?$")] | None = None
    insecure_bind: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_json: bool = False
    limits: LimitSettings = LimitSettings()
    retention: RetentionSettings = RetentionSettings()
    agents: dict[str, AnyAgentSettings] = {}
    mcp: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")], McpSettings] = {}
    bindings: tuple[BindingSettings, ...] = ()

    @property
    def place(self) -> str:
        """Where everything is kept: the home, or the database without user, password and options."""
        if self.store is None:
            return str(self.home)
        parts = urlsplit(self.store)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


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


_SECRET = frozenset({"env", "headers", "api_key"})


def _given(where: tuple[int | str, ...], value: object) -> str:
    """The value that was given, unless it may be a secret."""
    hidden = where[:1] == ("mcp",) or not _SECRET.isdisjoint(where)
    return "" if hidden or isinstance(value, dict) else f" (given: {value!r})"


def _where(place: tuple[int | str, ...]) -> str:
    """A setting by its name in TOML, without the kind of agent that a table was told to be."""
    return ".".join(str(part) for n, part in enumerate(place) if (place[0], n) != ("agents", 2))


def _sentence(error: ValidationError, path: Path) -> str:
    lines = [
        f"{_where(fault['loc'])}: {fault['msg']}{_given(fault['loc'], fault['input'])}"
        for fault in error.errors()
    ]
    source = f"flags, TENURE_* environment or {path}"
    return f"The settings can't be used ({source}). " + "; ".join(lines) + ". Correct them and start again."
