"""The client: asks the broker for a user's token, tells it which one was refused, and goes on asking a while.

Asking for a token may be repeated whatever came of it. A complaint may not once it may have been heard: heard
twice it rotates a pair that upstream had just confirmed. So after a lost answer the token is asked for first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp

from token_broker_client.cache import Cache
from token_broker_client.errors import BrokerError, TryAgain, Unreachable
from token_broker_client.patience import Patience
from token_broker_client.token import Token, life_s, read_token
from token_broker_client.wire import Lost, Said, Wire, sending_trace

_ONE_TRY_S = 12.0
"""Longer than the broker lets a service wait (8 s), shorter than anybody waits who has fallen silent."""

_Asked = tuple[str, float | str]
"""A user, and the life that a token must have or the token that was refused."""


class Broker:
    """A token broker's internal listener; used as `async with Broker(url, key) as broker`.

    `key` is an API key or a service account's token, or what is called for it each time. `client` names the
    OAuth client where the broker has several. `timeout_s` is what one call may take in all, its retries and
    pauses included. `keep_s` is for how long a token is given again without asking: as long may a revoke go
    unnoticed here.
    """

    def __init__(
        self,
        url: str,
        key: str | Callable[[], str],
        *,
        client: str | None = None,
        timeout_s: float = 20.0,
        keep_s: float = 2.0,
        ssl: Any = True,  # noqa: ANN401 - what aiohttp takes for it
    ) -> None:
        """Keep where to ask; nothing is opened yet. Raises ValueError for what is no URL."""
        if not url.startswith(("http://", "https://")) or "?" in url or "#" in url or "@" in url:
            raise ValueError("the URL must be http:// or https://, without a login, a query or a fragment")
        self._url = url.rstrip("/")
        self._key = key if callable(key) else lambda: key
        self._client = client
        self._timeout_s = timeout_s
        self._ssl = ssl
        self._cache = Cache(keep_s, time.monotonic)
        self._asking: dict[_Asked, asyncio.Task[Token]] = {}
        self._session: aiohttp.ClientSession | None = None
        self._wire: Wire | None = None

    async def __aenter__(self) -> Broker:
        """Open the connections."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._ssl),
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[sending_trace()],
            timeout=aiohttp.ClientTimeout(total=None),
        )
        self._wire = Wire(self._session, self._url, self._key)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give up what is under way and close the connections."""
        await self.aclose()

    async def aclose(self) -> None:
        """Give up what is under way and close the connections."""
        under_way = list(self._asking.values())
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def token(self, user_id: str, *, min_ttl: float = 0) -> Token:
        """Return the user's token, with at least `min_ttl` seconds of life.

        Raises a BrokerError: the class says why. Those who ask for the same at the same time share a call.
        """
        known = self._cache.find(user_id, min_ttl)
        if known is not None:
            return known
        return await self._shared((user_id, min_ttl), lambda: self._token(user_id, min_ttl, self._patience()))

    async def refused(self, user_id: str, access_token: str) -> Token:
        """Say that upstream refused this token of the user's; returns one that works.

        That may be the same one, when upstream has just confirmed it: then what was refused was the call.
        """
        self._cache.refuse(user_id, access_token)
        return await self._shared((user_id, access_token), lambda: self._heard(user_id, access_token))

    def forget(self, user_id: str) -> None:
        """Ask anew next time, as after a revoke of your own."""
        self._cache.forget(user_id)

    async def _shared(self, what: _Asked, work: Callable[[], Coroutine[Any, Any, Token]]) -> Token:
        """Let all who ask for the same wait for one call; who leaves does not stop it."""
        task = self._asking.get(what)
        if task is None:
            task = self._asking[what] = asyncio.create_task(work())
            task.add_done_callback(lambda ended: self._ended(what, ended))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():  # not the caller's doing
                raise Unreachable("The client was closed.") from None
            raise

    def _ended(self, what: _Asked, task: asyncio.Task[Token]) -> None:
        del self._asking[what]
        if not task.cancelled():
            task.exception()  # looked at: everybody may have left

    async def _token(self, user_id: str, min_ttl: float, patience: Patience) -> Token:
        path = self._path(user_id, "token", **({"min_ttl": f"{min_ttl:g}"} if min_ttl else {}))
        while True:
            try:
                return await self._ask(user_id, "GET", path, None, patience)
            except TryAgain as error:
                await self._pause(patience, error)

    async def _heard(self, user_id: str, access_token: str) -> Token:
        try:
            return await self._complain(user_id, access_token, self._patience())
        finally:
            self._cache.settle(user_id, access_token)

    async def _complain(self, user_id: str, access_token: str, patience: Patience) -> Token:
        path = self._path(user_id, "refresh")
        body: dict[str, object] = {"refused": access_token}
        while True:
            try:
                token = await self._ask(user_id, "POST", path, body, patience)
            except Lost as error:
                await self._pause(patience, error)
                token = await self._token(user_id, 0, patience)
                if token.access_token == access_token:
                    continue
            except TryAgain as error:
                await self._pause(patience, error)
                continue
            return token

    async def _ask(
        self, user_id: str, method: str, path: str, body: dict[str, object] | None, patience: Patience
    ) -> Token:
        """Ask once, and remember the token that came."""
        if self._wire is None:
            raise RuntimeError("enter the broker first: async with Broker(url, key) as broker")
        asked_at = time.monotonic()
        said = await self._wire.ask(method, path, body, max(0.0, min(patience.left_s(), _ONE_TRY_S)))
        token = read_token(said.body)
        self._remember(user_id, token, asked_at, said)
        return token

    def _remember(self, user_id: str, token: Token, asked_at: float, said: Said) -> None:
        self._cache.put(user_id, token, asked_at, life_s(token, said.headers))

    async def _pause(self, patience: Patience, error: BrokerError) -> None:
        """Wait before the next try; raises the error when there is no time for one."""
        pause_s = patience.pause_s(error.retry_after_s)
        if pause_s is None:
            raise error
        await asyncio.sleep(pause_s)

    def _path(self, user_id: str, what: str, **query: str) -> str:
        if not user_id or set(user_id) <= {"."}:
            raise ValueError("a user's id must not be empty, nor be dots alone")
        if self._client is not None:
            query["client"] = self._client
        return f"/v1/users/{quote(user_id, safe='')}/{what}{'?' if query else ''}{urlencode(query)}"

    def _patience(self) -> Patience:
        return Patience(time.monotonic, self._timeout_s, time.monotonic())
