"""Looks at the addresses of the listeners: free, ours already, or somebody else's.

Binds for an instant and never accepts; what listens already is asked whether it is a broker.
"""

from __future__ import annotations

import asyncio
import errno
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import aiohttp

from service.api.sockets import bind
from service.doctor.findings import Finding, doubtful, fine, wrong
from service.settings.grammar import is_loopback

if TYPE_CHECKING:
    from service.settings import Address, Settings

_WITHIN_S = 3.0
_LARGEST_BODY = 16_384
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, never listened on
_ASKED = {"public": "/healthz", "internal": "/v1/users", "observe": "/readyz"}


async def examine_listeners(settings: Settings) -> list[Finding]:
    """Return what is to be said of each address that this role listens on."""
    names = ("public", "internal", "observe") if settings.role == "serve" else ("observe",)
    addresses = {name: getattr(settings, f"{name}_address") for name in names}
    found = await asyncio.gather(*(_examine(name, at, settings) for name, at in addresses.items()))
    return [*found, *_exposed(settings)]


async def _examine(name: str, address: Address, settings: Settings) -> Finding:
    check, setting = f"listeners.{name}", f"TOKEN_BROKER_{name.upper()}_ADDRESS"
    try:
        bind(address).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return await _occupied(check, setting, name, address, settings)
        why = error.strerror or type(error).__name__
        return wrong(
            check,
            f"{address} cannot be listened on: {why}",
            f"Set {setting} to an address of this machine and a port it may use.",
        )
    return fine(check, f"{address} is free")


async def _occupied(check: str, setting: str, name: str, address: Address, settings: Settings) -> Finding:
    """Ask who listens there."""
    tls = name == "internal" and settings.internal_tls_certificate_file is not None
    if tls:
        return fine(check, f"{address} is taken, as it is where this broker runs already (TLS: not asked)")
    answer = await _ask(name, address)
    if answer is None:
        mend = f"End what listens there (ss -ltnp shows it), or set {setting} to another port."
        return wrong(check, f"{address} is taken by something that is not a broker", mend)
    down = [dependency for dependency, state in answer.items() if state != "up"]
    if down:
        what = f"the broker that runs there says that it cannot use: {', '.join(down)}"
        return wrong(
            check, what, "What is wrong with them is said above; its log has dependency.down with the reason."
        )
    return fine(check, f"a broker answers on {address}")


async def _ask(name: str, address: Address) -> Mapping[str, str] | None:
    """Return what a broker says of its dependencies, None when what answers is no broker."""
    host = _LOOPBACK.get(address.host, address.host)
    url = f"http://{f'[{host}]' if ':' in host else host}:{address.port}{_ASKED[name]}"
    timeout = aiohttp.ClientTimeout(total=_WITHIN_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.get(url, allow_redirects=False) as answer,
        ):
            said = json.loads(await answer.content.read(_LARGEST_BODY))
    except (aiohttp.ClientError, OSError, ValueError):
        return None
    return _ours(name, said) if isinstance(said, dict) else None


def _ours(name: str, said: Mapping[str, object]) -> Mapping[str, str] | None:
    if name == "internal":
        return {} if said.get("code") == "key_unknown" else None
    if not isinstance(said.get("status"), str):
        return None
    dependencies = said.get("dependencies")
    return (
        {str(key): str(state) for key, state in dependencies.items()}
        if isinstance(dependencies, dict)
        else {}
    )


def _exposed(settings: Settings) -> list[Finding]:
    """Judge whether keys and tokens travel in the open on the internal listener."""
    address = settings.internal_address
    if settings.role != "serve" or is_loopback(address.host) or settings.internal_tls_certificate_file:
        return []
    what = f"the internal listener is on {address} without TLS: keys and tokens can be read on the way to it"
    mend = (
        "Set TOKEN_BROKER_INTERNAL_TLS_CERTIFICATE_FILE and _KEY_FILE, or listen on 127.0.0.1; "
        "let nobody but your services reach it."
    )
    return [doubtful("listeners.internal", what, mend)]
