"""What a field of the settings may be: how it is written, its default, what it means, who acts on it.

Must import nothing of this program but the grammar.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BeforeValidator, Field

from service.settings import callers, grammar, urls, webhooks
from service.settings.callers import Caller
from service.settings.grammar import Address, Network, Rate

T = TypeVar("T")

PREFIX = "TOKEN_BROKER_"
UNPREFIXED = frozenset({"CAL_API_URL", "CAL_OAUTH_CLIENT_ID", "X_CAL_SECRET_KEY"})

Role = Literal["serve", "work", "migrate", "rewrap", "webhooks"]
RUNNING: tuple[Role, ...] = ("serve", "work")
SERVING: tuple[Role, ...] = ("serve",)
WORKING: tuple[Role, ...] = ("work",)
STORING: tuple[Role, ...] = (*RUNNING, "rewrap")
ASKING: tuple[Role, ...] = (*STORING, "webhooks")
LONGEST_WINDOW = timedelta(days=7)
SHORTEST_RETENTION = timedelta(days=1)


def env_name(field: str) -> str:
    """Return the environment variable a field is read from."""
    name = field.upper()
    return name if name in UNPREFIXED else PREFIX + name


@dataclass(frozen=True, slots=True)
class Form:
    """How a value is written, in words for people; stands beside the parser that holds it."""

    words: str


def lower(text: str) -> str:
    """Read a word whatever its case."""
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


def _retention(text: str) -> timedelta:
    duration = grammar.parse_duration(text)
    if duration < SHORTEST_RETENTION:
        raise ValueError(f"must be at least {grammar.show_duration(SHORTEST_RETENTION)}")
    return duration


Span = Annotated[timedelta, BeforeValidator(_span_of_time), Form("duration")]
Window = Annotated[timedelta, BeforeValidator(_window), Form("duration, `7d` at most, or `0`")]
Retention = Annotated[timedelta, BeforeValidator(_retention), Form("duration, `1d` at least")]
ClientId = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$"), Form("1 to 64 letters, digits, `_` or `-`")
]
Flag = Annotated[bool, BeforeValidator(grammar.parse_flag), Form("`true` or `false`")]
Processes = Annotated[
    int, BeforeValidator(grammar.parse_count), Field(ge=1, le=128), Form("whole number from 1 to 128")
]
File = Annotated[Path, Form("path")]
UrlPath = Annotated[str, BeforeValidator(grammar.parse_path), Form("absolute URL path")]
AddressOf = Annotated[Address, BeforeValidator(grammar.parse_address), Form("`host:port`")]
Networks = Annotated[tuple[Network, ...], BeforeValidator(_networks), Form("list of addresses and networks")]
Origins = Annotated[tuple[str, ...], BeforeValidator(_origins), Form("list of origins")]
RateOf = Annotated[Rate, BeforeValidator(grammar.parse_rate), Form("rate")]
LimitOf = Annotated[Rate | None, BeforeValidator(grammar.parse_limit), Form("rate, or `0`: no limit")]
ApiUrl = Annotated[str, Form("URL")]
AppUrl = Annotated[str, BeforeValidator(urls.parse_app_url), Form("URL")]
Issuer = Annotated[str, BeforeValidator(urls.parse_issuer), Form("text as tokens have it")]
ServiceAccounts = Annotated[
    tuple[Caller, ...],
    BeforeValidator(callers.parse_service_accounts),
    Form("list of `namespace/name[:scope+scope[:client+client]]`"),
]
Certificates = Annotated[
    tuple[Caller, ...],
    BeforeValidator(callers.parse_certificates),
    Form("list of `name[:scope+scope[:client+client]]`"),
]
NoticeTypes = Annotated[
    tuple[str, ...], BeforeValidator(webhooks.parse_types), Form("list of types of events")
]
KeySource = Annotated[str, BeforeValidator(urls.parse_key_source), Form("URL or path")]


def setting(default: T, example: str, meaning: str, roles: tuple[Role, ...] = RUNNING) -> T:
    """Give a field its default, the example that an error shows, what it means, and who acts on it."""
    return Field(default, examples=[example], description=meaning, json_schema_extra={"roles": list(roles)})


def span(text: str, meaning: str, roles: tuple[Role, ...] = RUNNING) -> timedelta:
    """Give a duration its default, which is its example as well."""
    return setting(grammar.parse_duration(text), text, meaning, roles)


@dataclass(frozen=True, slots=True)
class SecretField:
    """A secret's place among the settings: as a field has it, but the value is nobody's to see."""

    form: str
    example: str
    meaning: str
    roles: tuple[Role, ...] = RUNNING


SECRETS = {
    "database_url": SecretField(
        "`postgresql://` URL; several hosts may stand in it",
        "postgresql://broker:password@db.internal:5432/broker",
        "PostgreSQL, where the token pairs are.",
        (*RUNNING, "migrate", "rewrap", "webhooks"),
    ),
    "redis_url": SecretField(
        "`redis://`, `rediss://`, `unix://` or `redis+sentinel://` URL",
        "redis://:password@redis.internal:6379/0",
        "Redis or Valkey, a single primary. Everything in it may be lost.",
    ),
    "encryption_keys": SecretField(
        "list of `id:base64(32 bytes)`",
        "2026a:<output of: openssl rand -base64 32>",
        "Seals every stored token: the first key seals, all open. Lost keys are lost tokens.",
        STORING,
    ),
    "fingerprint_keys": SecretField(
        "list of `id:base64(32 bytes)`",
        "2026a:<output of: openssl rand -base64 32>",
        "Finds the user of a token: the first key writes, all look up.",
    ),
    "api_keys": SecretField(
        "list of `name:sha256hex[:scope+scope[:client+client]]`",
        "backend:<output of: printf %s the-key | sha256sum>:users:read+tokens:read",
        "Who may call the internal listener: a hash of each caller's key, its scopes (`users:read`, "
        "`users:write`, `tokens:read`, `vouch`, `admin`; none named: all but `admin`) and its clients "
        "(none named: all).",
        SERVING,
    ),
    "webhook_secrets": SecretField(
        "list of `whsec_base64(24 to 64 bytes)`, 4 at most",
        "whsec_<output of: openssl rand -base64 32>",
        "Sign what is sent to `WEBHOOK_URL`, every one of them: a receiver needs to know one.",
        WORKING,
    ),
    "x_cal_secret_key": SecretField(
        "visible ASCII; in a file a second line may hold the secret before it",
        "the secret that Cal.com shows beside the OAuth client's id",
        "Secret of the OAuth client. Not used with `CLIENTS_FILE`. Two lines in its file are two secrets "
        "while it is changed: the new one, then the old one.",
    ),
}
