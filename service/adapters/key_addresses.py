"""Asks an address for its public keys, once; when to ask is decided in `key_sources`.

The app's address is asked like upstream. A cluster's own API has a certificate by an authority of its own
and wants to know who asks: both files are read each time, because Kubernetes replaces them.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp

from service.adapters.upstream.exchange import Exchange, NotSent, Request
from service.adapters.upstream.wire import Wire, open_session

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST_TOKEN = 16 * 1024

# A cluster's API answers 406 to who does not name the first of them.
_HEADERS = {"Accept": "application/jwk-set+json, application/json"}

Ask = Callable[[], Awaitable[Exchange]]


def asking(session: aiohttp.ClientSession, url: str, timeout_s: float) -> Ask:
    """Return who asks this URL, as the settings have checked it, over a session that is open."""
    wire, request = _wire(session, url, timeout_s), _request(url, {})
    return lambda: wire.send(request)


def asking_cluster(url: str, timeout_s: float, authority: Path | None, token: Path | None) -> Ask:
    """Return who asks a cluster, each time by the authority and with the token that its files hold then."""

    async def ask() -> Exchange:
        try:
            request = _request(url, _bearer(token))
            connector = aiohttp.TCPConnector(force_close=True, ssl=_trusting(authority))
        except (OSError, ValueError) as wrong:
            # Never its text: a token that cannot be sent would stand in it.
            return NotSent(f"{type(wrong).__name__} in the files of the address")
        async with open_session(connector) as session:
            return await _wire(session, url, timeout_s).send(request)

    return ask


def _wire(session: aiohttp.ClientSession, url: str, timeout_s: float) -> Wire:
    parts = urlsplit(url)
    return Wire(session, f"{parts.scheme}://{parts.netloc}", timeout_s)


def _request(url: str, headers: Mapping[str, str]) -> Request:
    parts = urlsplit(url)
    return Request("GET", parts.path or "/", {**_HEADERS, **headers}, parts.query)


def _trusting(authority: Path | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority)


def _bearer(token: Path | None) -> Mapping[str, str]:
    if token is None:
        return {}
    text = token.read_text("ascii").strip()
    if not text or len(text) > LARGEST_TOKEN or not text.isprintable():
        raise ValueError("no token")
    return {"Authorization": f"Bearer {text}"}
