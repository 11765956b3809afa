"""Every setting that is neither a secret nor a client: its name, type, default and meaning.

Says what a single value may be. What values mean together is in `checks`, where they come from in
`load`. Must import nothing of this program but the grammar.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator
from pydantic_settings import SettingsConfigDict

from service.settings import grammar
from service.settings.fields import (
    ASKING,
    SERVING,
    WORKING,
    AddressOf,
    ApiUrl,
    AppUrl,
    Certificates,
    ClientId,
    File,
    Flag,
    Issuer,
    KeySource,
    LimitOf,
    Networks,
    Origins,
    Processes,
    RateOf,
    Retention,
    ServiceAccounts,
    Span,
    UrlPath,
    Window,
    lower,
    setting,
    span,
)
from service.settings.grammar import Address
from service.settings.webhook_model import WebhookValues


class Values(WebhookValues):
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
    internal_tls_certificate_file: File | None = setting(
        None,
        "/run/secrets/internal-tls/tls.crt",
        "Certificate (PEM, with its chain) with which the internal listener speaks TLS 1.2 or newer, and "
        "nothing else. This and the next two are read again when they change.",
        SERVING,
    )
    internal_tls_key_file: File | None = setting(
        None, "/run/secrets/internal-tls/tls.key", "Its private key (PEM, not encrypted).", SERVING
    )
    internal_tls_ca_file: File | None = setting(
        None,
        "/run/secrets/internal-tls/ca.crt",
        "Authorities (PEM) of the callers' certificates: with it nobody connects without one.",
        SERVING,
    )
    caller_certificates: Certificates = setting(
        (),
        "spiffe://cluster.local/ns/shop/sa/backend:users:read+tokens:read",
        "Callers whose certificate is all they need, by a URI or host's name among its alternative names, "
        "with scopes and clients as for `API_KEYS`, which may then be left out. A key or token that is "
        "presented as well decides alone.",
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

    service_accounts: ServiceAccounts = setting(
        (),
        "shop/backend:users:read+tokens:read",
        "Kubernetes service accounts that may call the internal listener with their pods' own tokens (of "
        "the audience `token-broker`, an hour long at most), with scopes and clients as for `API_KEYS`, "
        "which may then be left out.",
        SERVING,
    )
    service_account_issuer: Issuer | None = setting(
        None,
        "https://kubernetes.default.svc.cluster.local",
        "Who issues those tokens, exactly as `iss` in them says: "
        "`kubectl get --raw /.well-known/openid-configuration`.",
        SERVING,
    )
    service_account_jwks: KeySource | None = setting(
        None,
        "https://kubernetes.default.svc/openid/v1/jwks",
        "Public keys (JWKS) of the cluster, from a file or an address. A changed file is read again, an "
        "address every 5 minutes and when a token names a key that is not there.",
        SERVING,
    )
    service_account_jwks_ca_file: File | None = setting(
        None,
        "/run/secrets/kubernetes/ca.crt",
        "Authority of that address's certificate; the public ones without it. Read each time.",
        SERVING,
    )
    service_account_jwks_token_file: File | None = setting(
        None,
        "/run/secrets/kubernetes/token",
        "Token that the address is asked with, as a cluster's own API wants it. Read each time.",
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

    database_timeout: Span = span("3s", "One statement in PostgreSQL.", ASKING)
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

    events_kept: Retention = span(
        "90d",
        "How long it is kept what happened to a user and who asked for its tokens; whole days go at a time.",
        WORKING,
    )
    access_log: Annotated[Literal["misses", "all", "none"], BeforeValidator(lower)] = setting(
        "misses", "all", "`all` also logs the answers that came from a cache; all are counted anyway."
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(lower)] = setting(
        "info", "debug", "The least level that is logged."
    )
    log_format: Annotated[Literal["json", "console"], BeforeValidator(lower)] = setting(
        "json", "console", "One JSON object a line, or lines for people."
    )
