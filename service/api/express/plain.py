"""Reads a request that is one whole chunk, without a body and with harmless headers only; refuses the rest.

No parser of HTTP: a chunk is in this narrow form from its first byte to its last, or it is left to aiohttp's.
A header that could change where a request ends, or what a connection is, is in no list here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeVar

from aiohttp import HttpVersion11

LONGEST = 16_384
LONGEST_KEPT = 2_048
"""Of headers that are kept until the next request: many connections wait long, and each keeps its own."""

_LINE = re.compile(rb"(GET|HEAD|OPTIONS) (/[!-~]{0,2048}) HTTP/1\.1\r\n")
_HEADERS = re.compile(r"(?:[A-Za-z0-9-]{1,64}: (?! )[ -~]*(?<! )\r\n){1,64}\r\n")
"""Spaces around a value are no part of it, and aiohttp takes them off: none are taken here."""
_HEADER = re.compile(r"([^:]+): ([^\r]*)\r\n")
_HARMLESS = frozenset(
    {
        "accept", "accept-encoding", "accept-language", "authorization", "cache-control", "connection",
        "content-type", "cookie", "dnt", "forwarded", "host", "if-none-match", "origin", "pragma",
        "priority", "referer", "sec-ch-ua", "sec-ch-ua-mobile", "sec-ch-ua-platform", "sec-fetch-dest",
        "sec-fetch-mode", "sec-fetch-site", "sec-gpc", "traceparent", "tracestate", "user-agent", "via",
        "x-broker-assertion", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port",
        "x-forwarded-proto", "x-real-ip", "x-request-id",
    }
)  # fmt: skip
"""Headers that say nothing of the message's length, its connection or its encoding.

But that the connection is kept, as it is in any case: many libraries say so each time.
"""

_KEPT = "keep-alive"

Default = TypeVar("Default")


class Headers:
    """The headers of such a request, asked as aiohttp's are; none is there twice."""

    __slots__ = ("_given", "memo")

    def __init__(self, given: dict[str, str]) -> None:
        """Take them by their names in lower case."""
        self._given = given
        self.memo: dict[str, Any] = {}
        """What was found out by them alone, as long as the same ones come on the same connection."""

    def get(self, name: str, default: Default = None) -> str | Default:  # type: ignore[assignment]
        """Return a header's value."""
        return self._given.get(name.lower(), default)

    def getall(self, name: str, default: Sequence[str]) -> Sequence[str]:
        """Return every value of a header: one."""
        value = self._given.get(name.lower())
        return default if value is None else (value,)


class PlainRequest:
    """Such a request, as far as the doors look at one of aiohttp's."""

    __slots__ = ("headers", "method", "raw_path", "remote")

    version = HttpVersion11
    keep_alive = True
    scheme = "http"
    body_exists = False

    def __init__(self, method: str, raw_path: str, headers: Headers, remote: str | None) -> None:
        """`remote` is the address at the other end of the connection."""
        self.method = method
        self.raw_path = raw_path
        self.headers = headers
        self.remote = remote


class PlainReader:
    """Reads one connection's requests: a client's headers seldom change from one to the next."""

    __slots__ = ("_block", "_headers", "_remote")

    def __init__(self, remote: str | None) -> None:
        """`remote` is the address at the other end."""
        self._remote = remote
        self._block = b""
        self._headers: Headers | None = None

    def read(self, chunk: bytes) -> PlainRequest | None:
        """Return the request, or None when the chunk is anything but exactly one of this kind."""
        line = _LINE.match(chunk)
        if line is None or len(chunk) > LONGEST:
            return None
        headers = self._same(chunk[line.end() :])
        if headers is None:
            return None
        method, path = line.groups()
        return PlainRequest(method.decode("ascii"), path.decode("ascii"), headers, self._remote)

    def _same(self, block: bytes) -> Headers | None:
        if self._headers is not None and block == self._block:
            return self._headers
        headers = _headers(block)
        self._block, self._headers = (block, headers) if len(block) <= LONGEST_KEPT else (b"", None)
        return headers


def _headers(block: bytes) -> Headers | None:
    if not block.isascii():
        return None
    text = block.decode("ascii")
    lines = _HEADER.findall(text) if _HEADERS.fullmatch(text) else []
    given = {name.lower(): value for name, value in lines}
    if len(given) != len(lines) or "host" not in given or not given.keys() <= _HARMLESS:
        return None
    if given.get("connection", _KEPT).lower() != _KEPT:
        return None
    return Headers(given)
