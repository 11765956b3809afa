"""Opens what lets the app's services in by more than keys, as the settings name it: tokens and TLS.

Light to import: the supervisor of several processes checks, and serves nothing itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from service.settings import ConfigurationError, Problem

if TYPE_CHECKING:
    from service.adapters.key_sources import KeySource
    from service.adapters.listener_tls import ListenerTls, TlsFiles
    from service.adapters.service_accounts import ServiceAccounts
    from service.broker.ports import Observer
    from service.settings import Settings

LONGEST_S = 3.0
"""What one question to the cluster may take: a caller's first token waits for it."""
LOOK_EVERY_S = 2.0

KEYS_SETTING = "TOKEN_BROKER_SERVICE_ACCOUNT_JWKS"
DEPENDENCY = "service_account_keys"


@dataclass(frozen=True, slots=True)
class Means:
    """How callers may say who they are, besides keys."""

    tokens: ServiceAccounts | None = None
    tls: ListenerTls | None = None

    def looks(self) -> list[Callable[[], Awaitable[None]]]:
        """Return what takes up a change, or notices that what failed is well again, a means each."""
        return [means.look for means in (self.tokens, self.tls) if means is not None]


NO_MEANS = Means()


def require_usable(settings: Settings) -> None:
    """Raise ConfigurationError when a file cannot be used; an address is asked later."""
    if (path := _key_file(settings)) is not None:
        from service.adapters.key_sources import read_key_file

        try:
            read_key_file(path)
        except ValueError as wrong:
            raise ConfigurationError([Problem(KEYS_SETTING, str(wrong))]) from None
    if (files := _tls_files(settings)) is not None:
        from service.adapters.listener_tls import SETTING, TlsUnusableError, load

        try:
            load(files)
        except TlsUnusableError as wrong:
            name = SETTING.format(wrong.part.upper())
            raise ConfigurationError([Problem(name, f"names a file that {wrong}")]) from None


@asynccontextmanager
async def open_means(settings: Settings, observer: Observer) -> AsyncIterator[Means]:
    """Give the configured means, and keep them current while the block runs."""
    from service.broker.background import every
    from service.broker.flights import end_task

    require_usable(settings)
    means = Means(_tokens(settings, observer), _tls(settings, observer))
    async with AsyncExitStack() as stack:
        for look in means.looks():  # apart, so that a cluster that hangs holds up no certificate
            stack.push_async_callback(
                end_task, asyncio.create_task(every(LOOK_EVERY_S, look, observer, at_once=True))
            )
        yield means


def _tokens(settings: Settings, observer: Observer) -> ServiceAccounts | None:
    from service.adapters.service_accounts import ServiceAccounts

    if not settings.service_accounts or settings.service_account_issuer is None:
        return None
    return ServiceAccounts(_keys(settings, observer), settings.service_account_issuer, observer)


def _keys(settings: Settings, observer: Observer) -> KeySource:
    from service.adapters.key_addresses import asking_cluster
    from service.adapters.key_sources import KeyAddress, KeyFile

    path = _key_file(settings)
    if path is not None:
        return KeyFile(path, KEYS_SETTING, observer)
    timeout_s = min(LONGEST_S, settings.answer_timeout.total_seconds() / 2)
    ask = asking_cluster(
        settings.service_account_jwks or "",
        timeout_s,
        settings.service_account_jwks_ca_file,
        settings.service_account_jwks_token_file,
    )
    return KeyAddress(ask, observer, DEPENDENCY)


def _key_file(settings: Settings) -> Path | None:
    source = settings.service_account_jwks if settings.service_accounts else None
    return Path(source) if source and "://" not in source else None


def _tls(settings: Settings, observer: Observer) -> ListenerTls | None:
    from service.adapters.listener_tls import ListenerTls

    files = _tls_files(settings)
    return None if files is None else ListenerTls(files, observer)


def _tls_files(settings: Settings) -> TlsFiles | None:
    certificate, key = settings.internal_tls_certificate_file, settings.internal_tls_key_file
    if certificate is None or key is None:
        return None
    from service.adapters.listener_tls import TlsFiles

    return TlsFiles(certificate, key, settings.internal_tls_ca_file)
