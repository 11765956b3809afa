"""A stub of Cal.com that is never the bottleneck: `python -m bench.upstream PORT DELAY_MS`.

It takes any refresh token of ours, answers with a new pair of the same owner, at once or after the delay,
and tells at `GET /calls` how many it has replaced and when the last answer was written (monotonic clock).
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import cast

import orjson
import uvloop

from bench import tokens

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n\r\n%b"
_REFUSED = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Calls:
    """What all connections have been asked together."""

    def __init__(self, delay_s: float) -> None:
        self.delay_s = delay_s
        self.refreshes = 0
        self.ended_at = 0.0


class Upstream(asyncio.Protocol):
    """One keep-alive connection; requests on it come one after another."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._bytes = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its type

    def data_received(self, data: bytes) -> None:
        """Answer once the whole request is there."""
        self._bytes += data
        head, found, body = self._bytes.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        self._bytes = b""
        self._answer(head.split(b" ", 2)[1], body)

    def _answer(self, path: bytes, body: bytes) -> None:
        if path == b"/calls":
            self._write(orjson.dumps({"refreshes": self._calls.refreshes, "ended_at": self._calls.ended_at}))
        elif not path.endswith(b"/refresh"):
            self._write(b'{"status":"success"}')
        elif self._calls.delay_s > 0:
            asyncio.get_running_loop().call_later(self._calls.delay_s, self._refresh, body)
        else:
            self._refresh(body)

    def _refresh(self, body: bytes) -> None:
        try:
            answer = _pair(tokens.owner_of(orjson.loads(body)["refreshToken"]))
        except (KeyError, ValueError):
            self._transport.write(_REFUSED)
            return
        self._calls.refreshes += 1
        self._write(answer)
        self._calls.ended_at = time.monotonic()

    def _write(self, body: bytes) -> None:
        self._transport.write(_HEAD % (len(body), body))


def _pair(owner: int) -> bytes:
    ends_at = int(time.time()) + tokens.LIFETIME_S
    data = {
        "accessToken": tokens.access_token(owner, ends_at),
        "refreshToken": tokens.refresh_token(owner),
        "accessTokenExpiresAt": ends_at * 1000,
    }
    return orjson.dumps({"status": "success", "data": data})


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


async def _serve(port: int, delay_s: float) -> None:
    calls = Calls(delay_s)
    server = await asyncio.get_running_loop().create_server(
        lambda: Upstream(calls), "127.0.0.1", port, backlog=1024
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), float(sys.argv[2]) / 1000))
