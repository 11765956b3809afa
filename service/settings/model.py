"""The settings as one immutable object: their names, types and defaults.

Says what a single value may be. What values mean together is in `checks`, where they come from in
`load`. Must import nothing of this program but the grammar and the secrets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.secrets import Secret, recheck_all
from service.settings import grammar
from service.settings.fields import (
    SERVING,
    STORING,
    AddressOf,
    ApiUrl,
    AppUrl,
    ClientId,
    File,
    Flag,
    KeySource,
    LimitOf,
    Networks,
    Origins,
    Processes,
    RateOf,
    Role,
    Span,
    UrlPath,
    Window,
    lower,
    setting,
    span,
)
from service.settings.grammar import Address, Rate
from service.settings.keys import ApiKey, KeyRing, sensitive_parts


class Values(BaseSettings):
    """Every setting that is neither a secret nor a client. The meanings are shown as they stand here."""

    model_config = SettingsConfigDict(
        frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True, validate_default=False
    )

    cal_api_url: ApiUrl = setting(
        "https://api.cal.com/v2",
        "https://api.cal.com/v2",
        "Upstream. `https://`, or `http://` to this machine: the client secret travels with every call.",
    )
    cal_oauth_client_id: ClientId | None = setting(
        None,
        "clxyz0123456789",
        "Id of the OAuth client. Not used with `CLIENTS_FILE`.",
    )
    allow_insecure_upstream: Flag = setting(
        False, "true", "Accept an `http://` upstream that is not on this machine. For test networks only."
    )
    clients_file: File | None = setting(
        None,
        "/etc/token-broker/clients.toml",
        "TOML file of several OAuth clients, in place of the one of the environment.",
    )

    public_address: AddressOf = setting(
        Address("0.0.0.0", 8080),  # noqa: S104 the documented default
        "0.0.0.0:8080",
        "The listener that browsers reach, by way of your app or proxy.",
        SERVING,
    )
    public_path: UrlPath = setting(
        "/refresh", "/api/cal/refresh", "Where the refresh endpoint is on the public listener.", SERVING
    )
    internal_address: AddressOf = setting(
        Address("127.0.0.1", 8081),
        "127.0.0.1:8081",
        "The listener for your own services. It hands out tokens: never let browsers reach it.",
        SERVING,
    )
    observe_address: AddressOf = setting(
        Address("0.0.0.0", 9090),  # noqa: S104 the documented default
        "0.0.0.0:9090",
        "`/healthz`, `/readyz`, `/metrics` and nothing else. On one machine the worker needs another port.",
    )
    trusted_proxies: Networks = setting(
        (),
        "10.0.0.0/8",
        "Networks of the proxies in front, whose `X-Forwarded-For`, `-Proto` and `-Host` are believed.",
        SERVING,
    )
    workers: Processes = setting(
        1,
        "2",
        "Service processes that share the listeners, one for each core. Any of them answers `/metrics` and "
        "`/readyz` for all; each opens up to 10 connections to PostgreSQL.",
        SERVING,
    )
    allowed_origins: Origins = setting(
        (),
        "https://app.example.com,https://admin.example.com",
        "Exact browser origins that may call the public listener. None: same-origin only.",
        SERVING,
    )

    superseded_window: Window = span(
        "24h",
        "How long after its own expiry an access token still identifies its user. "
        "`0`: only the current one does, up to 24 h past its expiry.",
    )
    binding_idle: Span = span(
        "7d",
        "How long the refresh endpoint alone keeps a user going, counted from its last use or the last "
        "time your app vouched for the user.",
        SERVING,
    )
    binding_absolute: Span = span(
        "30d",
        "The same, counted from the last vouching alone: using the endpoint does not extend it.",
        SERVING,
    )
    session_check_url: AppUrl | None = setting(
        None,
        "http://app.internal/api/session",
        "Your app's endpoint that is asked, with the browser's cookies, who is signed in: only that user's "
        "token is handed out. It answers `2xx` with the user's own `id` in a JSON object, `401` or `403` for "
        "nobody.",
        SERVING,
    )
    assertion_jwks: KeySource | None = setting(
        None,
        "https://app.example.com/.well-known/jwks.json",
        "Public keys (JWKS) of signed statements of who is signed in, in the header `X-Broker-Assertion`: "
        "only that user's token is handed out. A changed file is read again, an address every 5 minutes.",
        SERVING,
    )

    refresh_margin: Span = span(
        "10m",
        "How long before its end a pair is replaced ahead, drawn once a pair between this and half as much "
        "again; at most half the lifetime.",
    )
    min_life: Span = span(
        "60s", "No answer carries a token with less life than this; at most a quarter of the lifetime."
    )
    access_token_lifetime: Span = span("60m", "Used where a token states no expiry: `iat` and this.")
    ahead: Literal["used", "all"] = setting(
        "used",
        "used",
        "Which pairs are replaced ahead of their end: those that somebody was given (`used`), or `all`. "
        "The rest are kept alive before their refresh token ages out.",
    )

    upstream_rate: RateOf = setting(
        grammar.parse_rate("450/min"),
        "450/min",
        "Calls a client may make upstream, shared by all processes, callers first. "
        "With Redis down each process may use a quarter.",
    )
    user_rotations: LimitOf = setting(
        grammar.parse_limit("6/min"),
        "6/min",
        "Rotations and upstream checks that callers may ask for one user. Cached answers are never limited.",
        SERVING,
    )
    address_failures: LimitOf = setting(
        grammar.parse_limit("20/min"),
        "20/min",
        "Unknown tokens that are looked up for one address. Good tokens are never limited.",
        SERVING,
    )

    database_timeout: Span = span("3s", "One statement in PostgreSQL.", STORING)
    upstream_timeout: Span = span("10s", "One call upstream, from connect to the last byte.")
    lease_ttl: Span = span("20s", "The lock a user in Redis. It is renewed while it is needed.")
    claim_deadline: Span = span("20s", "The claim in PostgreSQL: after it any process may carry on.")
    answer_timeout: Span = span(
        "8s", "How long one of your services waits, then `503`. The refresh goes on.", SERVING
    )
    public_answer_timeout: Span = span(
        "35s", "How long a browser waits, then `503`. Proxies in front must wait longer.", SERVING
    )
    distrust_window: Span = span("60s", "How long a force-refresh of unknown outcome may still land.")
    drain: Span = span("45s", "How long refreshes that run may take to end at shutdown.")
    grace: Span = span("60s", "What the platform allows between SIGTERM and SIGKILL.")

    access_log: Annotated[Literal["misses", "all", "none"], BeforeValidator(lower)] = setting(
        "misses", "all", "`all` also logs the answers that came from a cache; all are counted anyway."
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(lower)] = setting(
        "info", "debug", "The least level that is logged."
    )
    log_format: Annotated[Literal["json", "console"], BeforeValidator(lower)] = setting(
        "json", "console", "One JSON object a line, or lines for people."
    )


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """One OAuth client; `origins` are the browser origins that may refresh its users' tokens.

    `secret` holds two secrets while it is changed, the new one first.
    """

    name: str
    kind: Literal["calcom-platform"]
    id: str
    secret: Secret[tuple[str, ...]]
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
