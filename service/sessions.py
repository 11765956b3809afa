"""Opens what says who is signed in at the app, as the settings name it, and says at the start what does.

Light to import: the supervisor of several processes checks and announces, and serves nothing itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from service.settings import ConfigurationError, Problem

if TYPE_CHECKING:
    import aiohttp

    from service.api.session import Witnesses
    from service.broker.ports import Observer, Witness
    from service.settings import Settings

LONGEST_S = 3.0
"""What one answer of the app may take, and at most a quarter of what a browser waits in all."""
LOOK_EVERY_S = 5.0

KEYS_SETTING = "TOKEN_BROKER_ASSERTION_JWKS"
KEYS_DEPENDENCY = "assertion_keys"
_BEARER = (
    "whoever holds an access token of a user gets the current one: "
    "set TOKEN_BROKER_SESSION_CHECK_URL or TOKEN_BROKER_ASSERTION_JWKS to bind tokens to your app's sessions"
)


def require_usable_keys(settings: Settings) -> None:
    """Raise ConfigurationError when the file of keys cannot be used; an address is asked later."""
    path = _key_file(settings)
    if path is None:
        return
    from service.adapters.key_sources import read_key_file

    try:
        read_key_file(path)
    except ValueError as wrong:
        raise ConfigurationError([Problem(KEYS_SETTING, str(wrong))]) from None


def announce(settings: Settings, observer: Observer) -> None:
    """Say what identifies a browser's user; a warning when it is the token alone."""
    ways = {"session": settings.session_check_url, "assertion": settings.assertion_jwks}
    mode = "+".join(way for way, configured in ways.items() if configured) or "bearer"
    if mode == "bearer":
        observer.note("session.mode", mode=mode, reason=_BEARER)
    else:
        observer.note("session.mode", mode=mode)


@asynccontextmanager
async def open_witnesses(settings: Settings, observer: Observer) -> AsyncIterator[Witnesses]:
    """Give the configured witnesses; connections of their own, so that a slow app holds up nobody else."""
    from service.adapters.upstream import open_session
    from service.api.session import Witnesses
    from service.broker.background import every
    from service.broker.flights import end_task

    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(open_session())
        witnesses = Witnesses(
            _session_check(settings, session, observer), _assertions(settings, session, observer)
        )
        for one in (witnesses.cookies, witnesses.statements):
            if one is not None:  # apart, so that an address of keys that hangs holds the other up in nothing
                looking = every(LOOK_EVERY_S, one.look, observer, at_once=True)
                stack.push_async_callback(end_task, asyncio.create_task(looking))
        yield witnesses


def _session_check(settings: Settings, session: aiohttp.ClientSession, observer: Observer) -> Witness | None:
    from service.adapters.session_check import SessionCheck

    url = settings.session_check_url
    return SessionCheck(session, url, _timeout_s(settings), observer) if url else None


def _assertions(settings: Settings, session: aiohttp.ClientSession, observer: Observer) -> Witness | None:
    from service.adapters.assertions import Assertions
    from service.adapters.key_addresses import asking
    from service.adapters.key_sources import KeyAddress, KeyFile

    if settings.assertion_jwks is None:
        return None
    path = _key_file(settings)
    if path is not None:
        return Assertions(KeyFile(path, KEYS_SETTING, observer))
    ask = asking(session, settings.assertion_jwks, _timeout_s(settings))
    return Assertions(KeyAddress(ask, observer, KEYS_DEPENDENCY))


def _key_file(settings: Settings) -> Path | None:
    source = settings.assertion_jwks
    return Path(source) if source and "://" not in source else None


def _timeout_s(settings: Settings) -> float:
    return min(LONGEST_S, settings.public_answer_timeout.total_seconds() / 4)
