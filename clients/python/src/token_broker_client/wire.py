"""One question to the broker and what came of it, as a value or an error. Asks once, follows no redirect.

Decides which errors mean that nothing was done, and so may be asked again whatever was asked.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace

import aiohttp
from yarl import URL

from token_broker_client.errors import BadAnswer, BrokerError, Unreachable, error_class

MOST_BYTES = 64 * 1024
_CODE = re.compile(r"[a-z_]{1,64}")
_SECONDS = re.compile(r"[0-9]{1,6}")
_FAILURES = (aiohttp.ClientError, OSError, ValueError, LookupError, RuntimeError, AssertionError)
_PROXYS_OWN = frozenset({502, 503, 504})
"""What proxies say of a broker that is away."""


@dataclass(frozen=True, slots=True)
class Said:
    """A good answer."""

    body: object = field(repr=False)
    headers: Mapping[str, str]


class Lost(Unreachable):
    """The question was sent and no whole answer came: what was asked may have been done."""


@dataclass(slots=True)
class _Sending:
    """Whether bytes of a request were handed to the socket."""

    begun: bool = False


async def _begin(_session: object, context: SimpleNamespace, _: object) -> None:
    if isinstance(context.trace_request_ctx, _Sending):
        context.trace_request_ctx.begun = True


def sending_trace() -> aiohttp.TraceConfig:
    """Return the trace that a session must have been made with."""
    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(_begin)
    return trace


class Wire:
    """Asks the broker at one URL, with a key that is read anew for each question."""

    def __init__(self, session: aiohttp.ClientSession, url: str, key: Callable[[], str]) -> None:
        self._session = session
        self._url = url
        self._key = key

    async def ask(self, method: str, path: str, body: Mapping[str, object] | None, within_s: float) -> Said:
        """Return a 2xx answer's body; raises what else came as a BrokerError, `Lost` among them."""
        sending = _Sending()
        try:
            async with asyncio.timeout(within_s):
                return await self._exchange(method, path, body, sending)
        except _FAILURES as error:
            kind = Lost if sending.begun else Unreachable
            # The class alone: the texts of exceptions may hold what was sent.
            raise kind(f"{Unreachable.__doc__} ({type(error).__name__})") from None

    async def _exchange(
        self, method: str, path: str, body: Mapping[str, object] | None, sending: _Sending
    ) -> Said:
        async with self._session.request(
            method,
            URL(f"{self._url}{path}", encoded=True),
            headers={"Authorization": f"Bearer {self._key()}", "Accept": "application/json"},
            json=body,
            allow_redirects=False,
            raise_for_status=False,
            trace_request_ctx=sending,
        ) as response:
            raw = await response.content.read(MOST_BYTES + 1)
            while len(raw) <= MOST_BYTES and (more := await response.content.read(MOST_BYTES + 1 - len(raw))):
                raw += more
            return _judged(response, _parsed(raw))


def _judged(response: aiohttp.ClientResponse, body: object) -> Said:
    if 200 <= response.status < 300:  # noqa: PLR2004 - the 2xx of RFC 9110 section 15.3
        return Said(body, response.headers)
    raise _problem(response, body)


def _parsed(raw: bytes) -> object:
    """Return the JSON in these bytes; None when there is none, or too much."""
    if len(raw) > MOST_BYTES:
        return None
    try:
        parsed: object = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return parsed


def _problem(response: aiohttp.ClientResponse, body: object) -> BrokerError:
    """Return what an answer without a token means."""
    said = body if isinstance(body, dict) else {}
    code, detail = said.get("code"), said.get("detail")
    known = isinstance(code, str) and _CODE.fullmatch(code)
    after_s = _retry_after_s(response.headers.get("Retry-After", ""))
    if not known:
        away = response.status in _PROXYS_OWN
        kind = Unreachable if away else BadAnswer
        words = f"{kind.__doc__} (status {response.status})"
        return kind(words, status=response.status, retry_after_s=after_s)
    return error_class(str(code), response.status)(
        detail if isinstance(detail, str) else "",
        code=str(code),
        status=response.status,
        retry_after_s=after_s,
        request_id=response.headers.get("X-Request-Id", "")[:64],
        fields=_fields(said.get("errors")),
    )


def _fields(errors: object) -> dict[str, str]:
    found = errors if isinstance(errors, list) else []
    return {str(one.get("field")): str(one.get("message")) for one in found if isinstance(one, dict)}


def _retry_after_s(text: str) -> float | None:
    """Return the seconds of a Retry-After; a date, which the broker never says, counts as none."""
    return float(text) if _SECONDS.fullmatch(text) else None
