"""A TCP server that reads one HTTP request a connection and then does what its script says."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from service.adapters.upstream.exchange import Exchange, Request
from service.adapters.upstream.wire import Wire, open_session

REFRESH = Request(
    "POST", "/oauth/c/refresh", {"x-cal-secret-key": "s3cret"}, body={"refreshToken": "one-time"}
)


class Peer:
    """A server that reads a request and then does what its script says; remembers what it read."""

    def __init__(self, script: Callable[["Peer"], Awaitable[None]], *, reads: bool = True) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.url = ""
        self.port = 0
        self.read, self.released = asyncio.Event(), asyncio.Event()
        self._script, self._reads = script, reads

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.reader, self.writer = reader, writer
        try:
            if self._reads:
                self.requests.append(await read_request(reader))
                self.read.set()
            await self._script(self)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client went away, as some of these tests want it to
        finally:
            writer.close()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length")]
    return head + await reader.readexactly(length[0] if length else 0)


@asynccontextmanager
async def running(script: Callable[[Peer], Awaitable[None]], *, reads: bool = True) -> AsyncIterator[Peer]:
    peer = Peer(script, reads=reads)
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    peer.url = f"http://127.0.0.1:{peer.port}/v2"
    async with server:
        yield peer
        peer.released.set()


async def send(base_url: str, request: Request = REFRESH, *, timeout_s: float = 5) -> Exchange:
    async with open_session() as session:
        return await Wire(session, base_url, timeout_s).send(request)


def says(raw: bytes) -> Callable[[Peer], Awaitable[None]]:
    async def script(peer: Peer) -> None:
        peer.writer.write(raw)
        await peer.writer.drain()

    return script


def http(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def silence(peer: Peer) -> None:
    await peer.released.wait()


async def hang_up(peer: Peer) -> None:
    peer.writer.close()


async def reset(peer: Peer) -> None:
    linger = struct.pack("ii", 1, 0)
    peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    peer.writer.transport.abort()
