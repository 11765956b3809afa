"""Reads a request that is one whole chunk, without a body and with harmless headers only; refuses the rest.

No parser of HTTP: a chunk is in this narrow form from its first byte to its last, or it is left to aiohttp's.
A header that could change where a request ends, or what a connection is, is in no list here.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from aiohttp import HttpVersion11

from service.api.bearer import LONGEST_TOKEN, TOKEN_SIGNS

LONGEST = 16_384
LONGEST_KEPT = 2_048
"""Of headers that are kept until the next request: many connections wait long, and each keeps its own."""

_LINE = re.compile(rb"(GET|HEAD|OPTIONS) (/[!-~]{0,2048}) HTTP/1\.1\r\n")
_BEARER = re.compile(rb"\nauthorization: bearer ([!-~]+)\r\n", re.IGNORECASE)
_OF_TOKENS = (string.ascii_letters + string.digits + TOKEN_SIGNS).encode()
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

    __slots__ = ("_given", "memo", "token")

    def __init__(self, given: dict[str, str]) -> None:
        """Take them by their names in lower case."""
        self._given = given
        self.token = ""
        """The bearer token, where it is known already that it is nothing else."""
        self.memo: dict[str, Any] = {}
        """What was found out by them, without the token, as long as they come on the same connection."""

    def get(self, name: str, default: Default = None) -> str | Default:  # type: ignore[assignment]
        """Return a header's value."""
        return self._given.get(name.lower(), default)

    def getall(self, name: str, default: Sequence[str]) -> Sequence[str]:
        """Return every value of a header: one."""
        value = self._given.get(name.lower())
        return default if value is None else (value,)

    def present(self, scheme: str, token: str) -> None:
        """Take another token in the place of the one that came last."""
        self.token = token
        self._given["authorization"] = scheme + token


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


@dataclass(slots=True)
class _Seen:
    """Headers as they came last: the bytes before and after the token, and what stands for them."""

    front: bytes
    back: bytes
    scheme: str
    headers: Headers


class PlainReader:
    """Reads one connection's requests: but for the token, a client's headers seldom change.

    A request holds its headers no longer than until the next one is read.
    """

    __slots__ = ("_line", "_remote", "_seen", "_start")

    def __init__(self, remote: str | None) -> None:
        """`remote` is the address at the other end."""
        self._remote = remote
        self._line = b""
        self._start = ("", "")
        self._seen: _Seen | None = None

    def read(self, chunk: bytes) -> PlainRequest | None:
        """Return the request, or None when the chunk is anything but exactly one of this kind."""
        end = chunk.find(b"\n") + 1
        if len(chunk) > LONGEST or not (chunk[:end] == self._line or self._begins(chunk[:end])):
            return None
        headers = self._again(chunk, end) or self._anew(chunk[end:])
        return None if headers is None else PlainRequest(*self._start, headers, self._remote)

    def _begins(self, line: bytes) -> bool:
        start = _LINE.fullmatch(line)
        if start is None:
            return False
        method, path = start.groups()
        self._line, self._start = line, (method.decode("ascii"), path.decode("ascii"))
        return True

    def _again(self, chunk: bytes, begin: int) -> Headers | None:
        """Return the headers that came last if these are the same, but perhaps for the token."""
        seen = self._seen
        if seen is None or not (chunk.startswith(seen.front, begin) and chunk.endswith(seen.back)):
            return None
        token = chunk[begin + len(seen.front) : -len(seen.back)]
        # What it is made of cannot end a header: where it begins and ends is where it did before.
        if not 0 < len(token) <= LONGEST_TOKEN or token.translate(None, _OF_TOKENS):
            return None
        seen.headers.present(seen.scheme, token.decode("ascii"))
        return seen.headers

    def _anew(self, block: bytes) -> Headers | None:
        headers = _headers(block)
        bearer = None if headers is None or len(block) > LONGEST_KEPT else _BEARER.search(b"\n" + block)
        self._seen = None
        if headers is not None and bearer is not None:
            begin, end = bearer.span(1)
            scheme = block[begin - 8 : begin - 1].decode("ascii")
            self._seen = _Seen(block[: begin - 1], block[end - 1 :], scheme, headers)
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
