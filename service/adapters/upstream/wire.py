"""The one HTTP client towards upstream, with its limits: what was sent once is never sent again.

Must never log, follow a redirect, read the environment, or raise for what the other side does. Decides
NotSent or Lost by aiohttp's trace of the request's headers, which fires before their first byte is
handed to the socket: a time-out while connecting is NotSent, the same time-out a moment later is Lost.
The same moment is the last at which a caller's `may_send` can keep a request back.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import aiohttp
import orjson
from yarl import URL

from service.adapters.upstream.exchange import Answer, Exchange, Lost, NotSent, Request, Withheld

MOST_BYTES = 64 * 1024
MOST_CONNECT_S = 3.0
MOST_CONNECTIONS = 100
KEPT_HEADERS = ("x-ratelimit-reset-default", "retry-after")

# Everything aiohttp is known to raise for what a peer, a resolver or a closing session does to it.
# TimeoutError is an OSError; UnicodeError (host names) is a ValueError.
_FAILURES = (aiohttp.ClientError, OSError, ValueError, LookupError, RuntimeError, AssertionError)


class SentOnce(aiohttp.ClientError):
    """The connection broke. Says so in a type that aiohttp does not answer by sending again."""


class KeptBack(aiohttp.ClientError):
    """The request's own caller no longer wants it sent."""


@dataclass(slots=True)
class _Sending:
    """Whether bytes of one request were about to be handed to the socket, or were kept back."""

    may_send: Callable[[], bool] | None = None
    begun: bool = False
    kept_back: bool = False

    def begin(self) -> None:
        """Note that bytes go out now; raises KeptBack when they may not."""
        if self.may_send is not None and not self.may_send():
            self.begun, self.kept_back = False, True
            raise KeptBack
        self.begun = True


async def _begin(_session: aiohttp.ClientSession, context: SimpleNamespace, _: object) -> None:
    if isinstance(context.trace_request_ctx, _Sending):
        context.trace_request_ctx.begin()


def _sending_trace() -> aiohttp.TraceConfig:
    """Ask at the headers, and again at the body: aiohttp keeps the headers until it has the body's bytes."""
    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(_begin)
    trace.on_request_chunk_sent.append(_begin)
    return trace


_TRACE = _sending_trace()


def open_session(
    connector: aiohttp.BaseConnector | None = None, *, traces: Sequence[aiohttp.TraceConfig] = ()
) -> aiohttp.ClientSession:
    """Open a session fit for Wire: no cookies, no environment, one call a connection.

    A connection that is kept alive would hand a late or second answer to whichever call comes next,
    hence to another user; and a call that meets a connection just closed by the peer would be Lost.
    """
    return aiohttp.ClientSession(
        connector=connector
        or aiohttp.TCPConnector(force_close=True, limit=0, limit_per_host=MOST_CONNECTIONS),
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=[_TRACE, *traces],
        trust_env=False,
        raise_for_status=False,
    )


class Wire:
    """Sends requests below one frozen base URL. `timeout_s` covers connect to last byte."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str, timeout_s: float) -> None:
        """Check that the session came from `open_session` and the URL is one; ValueError if not."""
        if _TRACE not in session.trace_configs or session.trust_env:
            raise ValueError("open the session with open_session()")
        if session.connector is None or not session.connector.force_close:
            raise ValueError("the session's connector must be made with force_close=True")
        self._session = session
        self._base_url = _checked(base_url)
        self._timeout_s = timeout_s
        # aiohttp rounds time-outs above its threshold up to a whole second; ours are exact.
        self._connect_only = aiohttp.ClientTimeout(
            connect=min(MOST_CONNECT_S, timeout_s / 2), ceil_threshold=float("inf")
        )

    async def send(self, request: Request) -> Exchange:
        """Send the request at most once and return what came of it; raises nothing but cancellation."""
        sending = _Sending(request.may_send)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._exchange(request, sending)
        except _FAILURES as error:
            reason = _named(error)
        if sending.kept_back:
            return Withheld()
        return Lost(reason) if sending.begun else NotSent(reason)

    async def _exchange(self, request: Request, sending: _Sending) -> Answer:
        async with self._session.request(
            request.method,
            URL(f"{self._base_url}{request.path}{request.query and '?'}{request.query}", encoded=True),
            headers={**_OWN_HEADERS, **request.headers, **_content_type(request)},
            data=None if request.body is None else json.dumps(request.body).encode(),
            allow_redirects=False,
            raise_for_status=False,
            timeout=self._connect_only,
            middlewares=(_once,),
            trace_request_ctx=sending,
        ) as response:
            return Answer(
                status=response.status,
                body=parse(await _read(response.content)),
                headers={name: response.headers[name] for name in KEPT_HEADERS if name in response.headers},
            )


# An answer is a few hundred bytes: compressing it would only add a decoder to what can go wrong.
_OWN_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "token-broker"}


def _content_type(request: Request) -> Mapping[str, str]:
    return {} if request.body is None else {"Content-Type": "application/json"}


def parse(raw: bytes | None) -> object:
    """Return the JSON value in these UTF-8 bytes, or None when there is none; never raises."""
    if raw is None:
        return None
    try:
        parsed: object = orjson.loads(raw.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError, LookupError):  # UnicodeError is a ValueError
        return None
    return parsed


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending again: it does so for GET, PUT and DELETE, on new connections too."""
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise SentOnce(type(error).__name__) from error


async def _read(content: aiohttp.StreamReader) -> bytes | None:
    """Return the body; None when it has more than MOST_BYTES after decompression."""
    raw = bytearray()
    while chunk := await content.read(MOST_BYTES + 1 - len(raw)):
        raw += chunk
    return bytes(raw) if len(raw) <= MOST_BYTES else None


def _named(error: BaseException) -> str:
    """Name a failure by its class alone: the texts of exceptions can hold what was sent."""
    if isinstance(error, SentOnce):
        return str(error)
    return type(error).__name__


def _checked(base_url: str) -> str:
    url = URL(base_url)
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError("the base URL must be http:// or https:// with a host")
    if url.user or url.password or url.query_string or url.fragment:
        raise ValueError("the base URL must hold no credentials, query or fragment")
    return str(url).rstrip("/")
