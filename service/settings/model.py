"""The settings as one immutable object: their names, types and defaults.

Says what a single value may be. What values mean together is in `checks`, where they come from in
`load`. Must import nothing of this program but the grammar and the secrets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.secrets import Secret, recheck_all
from service.settings import grammar, urls
from service.settings.grammar import Address, Network, Rate
from service.settings.keys import ApiKey, KeyRing, sensitive_parts

T = TypeVar("T")

PREFIX = "TOKEN_BROKER_"
UNPREFIXED = frozenset({"CAL_API_URL", "CAL_OAUTH_CLIENT_ID", "X_CAL_SECRET_KEY"})

Role = Literal["serve", "work", "migrate"]
LONGEST_WINDOW = timedelta(days=7)


def env_name(field: str) -> str:
    """Return the environment variable a field is read from."""
    name = field.upper()
    return name if name in UNPREFIXED else PREFIX + name


def _lower(text: str) -> str:
    return text.lower()


def _origins(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(grammar.parse_list(text, urls.parse_origin)))


def _networks(text: str) -> tuple[Network, ...]:
    return grammar.parse_list(text, grammar.parse_network)


def _span_of_time(text: str) -> timedelta:
    duration = grammar.parse_duration(text)
    if not duration:
        raise ValueError("must be longer than 0")
    return duration


def _window(text: str) -> timedelta:
    duration = grammar.parse_duration(text)
    if duration > LONGEST_WINDOW:
        raise ValueError(f"must be at most {grammar.show_duration(LONGEST_WINDOW)}")
    return duration


Span = Annotated[timedelta, BeforeValidator(_span_of_time)]
Window = Annotated[timedelta, BeforeValidator(_window)]
ClientId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
AddressOf = Annotated[Address, BeforeValidator(grammar.parse_address)]
RateOf = Annotated[Rate, BeforeValidator(grammar.parse_rate)]
LimitOf = Annotated[Rate | None, BeforeValidator(grammar.parse_limit)]
AppUrl = Annotated[str, BeforeValidator(urls.parse_app_url)]


def _of(default: T, example: str) -> T:
    """Give a field its default and the example that an error shows."""
    return Field(default, examples=[example])


def _span(text: str) -> timedelta:
    """Give a duration its default, which is its example as well."""
    return _of(grammar.parse_duration(text), text)


class Values(BaseSettings):
    """Every setting that is neither a secret nor a client."""

    model_config = SettingsConfigDict(
        frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True, validate_default=False
    )

    cal_api_url: str = _of("https://api.cal.com/v2", "https://api.cal.com/v2")
    cal_oauth_client_id: ClientId | None = _of(None, "clxyz0123456789")
    allow_insecure_upstream: Annotated[bool, BeforeValidator(grammar.parse_flag)] = _of(False, "true")
    clients_file: Path | None = _of(None, "/etc/token-broker/clients.toml")

    public_address: AddressOf = _of(Address("0.0.0.0", 8080), "0.0.0.0:8080")  # noqa: S104 the documented default
    public_path: Annotated[str, BeforeValidator(grammar.parse_path)] = _of("/refresh", "/api/cal/refresh")
    internal_address: AddressOf = _of(Address("127.0.0.1", 8081), "127.0.0.1:8081")
    observe_address: AddressOf = _of(Address("0.0.0.0", 9090), "0.0.0.0:9090")  # noqa: S104 the documented default
    trusted_proxies: Annotated[tuple[Network, ...], BeforeValidator(_networks)] = _of((), "10.0.0.0/8")
    workers: Annotated[int, BeforeValidator(grammar.parse_count), Field(ge=1, le=128)] = _of(1, "2")
    allowed_origins: Annotated[tuple[str, ...], BeforeValidator(_origins)] = _of(
        (), "https://app.example.com,https://admin.example.com"
    )

    superseded_window: Window = _span("24h")
    binding_idle: Span = _span("7d")
    binding_absolute: Span = _span("30d")
    session_check_url: AppUrl | None = _of(None, "http://app.internal/api/session")
    assertion_jwks: Annotated[str, BeforeValidator(urls.parse_key_source)] | None = _of(
        None, "https://app.example.com/.well-known/jwks.json"
    )

    refresh_margin: Span = _span("10m")
    min_life: Span = _span("60s")
    access_token_lifetime: Span = _span("60m")
    ahead: Literal["used", "all"] = _of("used", "used")

    upstream_rate: RateOf = _of(grammar.parse_rate("450/min"), "450/min")
    user_rotations: LimitOf = _of(grammar.parse_limit("6/min"), "6/min")
    address_failures: LimitOf = _of(grammar.parse_limit("20/min"), "20/min")

    database_timeout: Span = _span("3s")
    upstream_timeout: Span = _span("10s")
    lease_ttl: Span = _span("20s")
    claim_deadline: Span = _span("20s")
    answer_timeout: Span = _span("8s")
    public_answer_timeout: Span = _span("35s")
    distrust_window: Span = _span("60s")
    drain: Span = _span("45s")
    grace: Span = _span("60s")

    access_log: Annotated[Literal["misses", "all", "none"], BeforeValidator(_lower)] = _of("misses", "all")
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = _of(
        "info", "debug"
    )
    log_format: Annotated[Literal["json", "console"], BeforeValidator(_lower)] = _of("json", "console")


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """One OAuth client; `origins` are the browser origins that may refresh its users' tokens."""

    name: str
    kind: Literal["calcom-platform"]
    id: str
    secret: Secret[str]
    api_url: str
    rate: Rate
    origins: tuple[str, ...]


class Settings(Values):
    """Everything a process is told at its start; secrets its role does not need are empty."""

    role: Role
    database_url: Secret[str]
    redis_url: Secret[str]
    encryption_keys: Secret[KeyRing]
    fingerprint_keys: Secret[KeyRing]
    api_keys: Secret[tuple[ApiKey, ...]]
    clients: tuple[ClientSettings, ...]
    warnings: tuple[str, ...] = ()

    @property
    def secrets(self) -> tuple[Secret[Any], ...]:
        """Every secret there is, those of the clients included."""
        shared = (
            self.database_url,
            self.redis_url,
            self.encryption_keys,
            self.fingerprint_keys,
            self.api_keys,
        )
        return shared + tuple(client.secret for client in self.clients)

    @property
    def public_origins(self) -> frozenset[str]:
        """Every origin that some client's browsers may come from."""
        return frozenset(self.allowed_origins).union(*(client.origins for client in self.clients))

    def recheck_secrets(self, complain: Callable[[str, str], None]) -> tuple[str, ...]:
        """Re-read the secret files that changed and return their names; see `Secret.recheck`."""
        return recheck_all(self.secrets, complain)

    def sensitive_texts(self) -> frozenset[str]:
        """Return every text that must never be seen in a log, as of now."""
        return frozenset().union(*(sensitive_parts(secret.raw) for secret in self.secrets))
