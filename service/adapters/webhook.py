"""Sends notices to the app's endpoint, signed after the Standard Webhooks specification (HMAC-SHA-256).

No redirect is followed, no proxy or cookie is used, of the answer only its status counts. The address is the
operator's own choice; what its name resolves to must still be a host, and not a cloud's metadata.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC
from http import HTTPStatus
from ipaddress import ip_address

import aiohttp
import orjson
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver
from yarl import URL

from service.adapters.upstream.wire import open_session
from service.broker.model.notice import Notice, NotReceived, Receipt, Received

MOST_CONNECT_S = 3.0
GONE_REST_S = 3600.0
MOST_BYTES = 16 * 1024
MOST_READ_S = 1.0
"""So much of an answer is read, and thrown away: a receiver that is cut off may take it for a failure."""

_FAILURES = (aiohttp.ClientError, OSError, ValueError, LookupError, RuntimeError, AssertionError)
_HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "token-broker"}


def payload_of(notice: Notice) -> bytes:
    """Return the body: the same bytes however often it is sent."""
    facts = dict(notice.facts)
    told = str(facts.get("calUserId") or "")
    if told.isascii() and told.isdecimal():
        facts["calUserId"] = int(told)
    user = {"userId": notice.user_id} if notice.user_id else {}
    at = notice.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    data = {"client": notice.client, **user, **facts}
    return orjson.dumps({"type": notice.type, "timestamp": at, "data": data})


def signed(keys: Sequence[bytes], message_id: str, at: int, body: bytes) -> dict[str, str]:
    """Return the headers that say which message this is, when it was sent and that it is ours."""
    content = b".".join((message_id.encode(), str(at).encode(), body))
    signatures = (base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode() for key in keys)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


class HostsOnly(AbstractResolver):
    """Resolves names, and finds nothing at addresses at which no service of anybody's can be."""

    def __init__(self, resolver: AbstractResolver | None = None) -> None:
        self._resolver = resolver or DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host that may be called."""
        found = await self._resolver.resolve(host, port, family)
        hosts = [one for one in found if _may_be_called(one["host"])]
        if not hosts:
            raise OSError(None, "the name leads to no address that may be called")
        return hosts

    async def close(self) -> None:
        """Close what resolves."""
        await self._resolver.close()


def _may_be_called(address: str) -> bool:
    found = ip_address(address.partition("%")[0])
    found = getattr(found, "ipv4_mapped", None) or found
    return not (found.is_link_local or found.is_unspecified or found.is_multicast)


def open_webhook_session() -> aiohttp.ClientSession:
    """Open a session fit for `Webhook`."""
    return open_session(aiohttp.TCPConnector(force_close=True, resolver=HostsOnly()))


class Webhook:
    """The app's endpoint; `keys` gives those that sign now, `timeout_s` is from connect to the last byte."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        keys: Callable[[], Sequence[bytes]],
        timeout_s: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._session = session
        self._url = URL(url, encoded=True)
        self._keys = keys
        self._timeout_s = timeout_s
        self._connect_only = aiohttp.ClientTimeout(
            connect=min(MOST_CONNECT_S, timeout_s), ceil_threshold=float("inf")
        )
        self._now = now

    async def send(self, notice: Notice) -> Receipt:
        """Send it once; raises nothing for what the other side does."""
        body = payload_of(notice)
        headers = signed(self._keys(), f"msg_{notice.id.hex}", int(self._now()), body)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._post(body, headers)
        except TimeoutError:
            return NotReceived("timeout")
        except _FAILURES as error:
            return NotReceived(type(error).__name__)

    async def _post(self, body: bytes, headers: dict[str, str]) -> Receipt:
        async with self._session.post(
            self._url,
            data=body,
            headers={**_HEADERS, **headers},
            allow_redirects=False,
            raise_for_status=False,
            timeout=self._connect_only,
        ) as response:
            # Whoever has answered has it, or has not: what follows the status changes nothing.
            with suppress(TimeoutError, *_FAILURES):
                async with asyncio.timeout(MOST_READ_S):
                    await response.content.read(MOST_BYTES)
            return _receipt(response)


def _receipt(response: aiohttp.ClientResponse) -> Receipt:
    if HTTPStatus(200) <= response.status < HTTPStatus(300):
        return Received()
    if response.status == HTTPStatus.GONE:
        return NotReceived("status 410", GONE_REST_S)
    stated = response.headers.get("Retry-After", "")
    rest_s = float(stated) if stated.isascii() and stated.isdecimal() and len(stated) < 10 else 0.0  # noqa: PLR2004 - no year has so many seconds
    return NotReceived(f"status {response.status}", rest_s)
