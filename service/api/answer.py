"""What a door answers, and how it goes onto the wire: one block of bytes, headers and body together.

aiohttp's own response class costs a third of a cached answer and names the server's version; this one
offers aiohttp's protocol exactly the three names it uses. Knows nothing of routes or errors.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

from aiohttp import HttpVersion11, web

POLICY = (
    b"Cache-Control: no-store\r\nPragma: no-cache\r\n"
    b"X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
)
VARY = b"Vary: Origin, Authorization\r\nCross-Origin-Resource-Policy: same-site\r\n"
OPEN = b"Vary: Origin, Authorization\r\nCross-Origin-Resource-Policy: cross-origin\r\n"
"""In place of VARY for what every page may load: code without any data in it."""

SLOW_READER_BYTES = 65536
SLOW_READER_S = 10.0


@dataclass(slots=True)
class Answer:
    """Status, body and special headers of an answer; the frame adds what every answer has."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: bytes = b""
    close: bool = False
    sharing: bytes = VARY


def header_block(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Return the headers as they are written; ValueError when a value could begin another header."""
    lines = [f"{name}: {value}" for name, value in pairs]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a header value contains a line break")
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


class Reply:
    """An answer made ready for its request: what aiohttp's protocol is given to write."""

    __slots__ = ("keep_alive", "status", "wire")

    def __init__(self, answer: Answer, request: web.BaseRequest, headers: bytes, *, close: bool) -> None:
        self.status = answer.status
        self.keep_alive = not (close or answer.close) and request.keep_alive and _persistent(request)
        self.wire = b"".join(
            (
                _head(answer.status, answer.content_type),
                _date(int(time.time())),
                answer.sharing,
                answer.headers,
                headers,
                _length(answer),
                b"\r\n" if self.keep_alive else b"Connection: close\r\n\r\n",
                b"" if request.method == "HEAD" else answer.body,
            )
        )

    async def prepare(self, request: web.BaseRequest) -> None:
        """Write everything; a peer that does not read is given a few seconds, then dropped."""
        transport = request.transport
        if transport is None:
            return
        transport.write(self.wire)
        if transport.get_write_buffer_size() > SLOW_READER_BYTES:
            try:
                async with asyncio.timeout(SLOW_READER_S):
                    await request.writer.drain()
            except TimeoutError:
                transport.abort()

    async def write_eof(self) -> None:
        """Do nothing: `prepare` has written it all."""


def written(body: bytes, request_id: str, sharing: bytes) -> bytes:
    """Return the wire of a good JSON answer on a connection that is kept, as `Reply` writes it."""
    return b"%b%b%bX-Request-Id: %b\r\n%bContent-Length: %d\r\n\r\n%b" % (
        _GOOD,
        _date(int(time.time())),
        VARY,
        request_id.encode("ascii"),
        sharing,
        len(body),
        body,
    )


def _persistent(request: web.BaseRequest) -> bool:
    return request.version >= HttpVersion11


def _length(answer: Answer) -> bytes:
    # RFC 9110 section 8.6: no Content-Length on 204.
    return b"" if answer.status == HTTPStatus.NO_CONTENT else b"Content-Length: %d\r\n" % len(answer.body)


@functools.lru_cache(maxsize=256)
def _head(status: int, content_type: str) -> bytes:
    line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
    kind = "" if status == HTTPStatus.NO_CONTENT else f"Content-Type: {content_type}\r\n"
    return f"{line}{kind}".encode("ascii") + POLICY


@functools.lru_cache(maxsize=2)
def _date(second: int) -> bytes:
    return f"Date: {formatdate(second, usegmt=True)}\r\n".encode("ascii")


_GOOD = _head(HTTPStatus.OK, "application/json")
