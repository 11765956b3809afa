"""An upstream that can be odd: hands every call on to the stand-in, or answers it with bytes of its own.

Each OAuth client has a path of its own here, so that one client's oddity is nobody else's.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

_AT = "127.0.0.1"


class Odd:
    """The running server; `trap` counts the connections of who follows a redirect or a link in a token."""

    def __init__(self, stand_in_port):
        self._stand_in_port = stand_in_port
        self._scripts = {}
        self.asked = {}
        self.trapped = 0
        self.port = self.trap_port = 0

    def url(self, client):
        """Return the upstream's address for this client."""
        return f"http://{_AT}:{self.port}/{client}/v2"

    @property
    def trap_url(self):
        """Return an address that nobody may come to."""
        return f"http://{_AT}:{self.trap_port}/keys"

    def arm(self, client, script):
        """Have every call of the client answered by the script from now on; None: by the stand-in again.

        A script is bytes, or a coroutine function that is given the writer.
        """
        self._scripts[client] = script

    async def serve(self, reader, writer):
        """Read one request and answer it."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(_length(head))
            client, request = _without_client(head)
            script = self._scripts.get(client)
            if script is None:
                await self._hand_on(request + body, writer)
            else:
                self.asked[client] = self.asked.get(client, 0) + 1
                await self._say(writer, script)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the broker hung up, as it should where an answer does not end
        finally:
            writer.close()

    async def trap(self, _, writer):
        """Count somebody who should not have come."""
        self.trapped += 1
        writer.close()

    async def _say(self, writer, script):
        if callable(script):
            await script(writer)
        else:
            writer.write(script.replace(b"{trap}", self.trap_url.encode()))
            await writer.drain()

    async def _hand_on(self, request, writer):
        reader, onward = await asyncio.open_connection(_AT, self._stand_in_port)
        try:
            onward.write(request)
            while data := await reader.read(65536):
                writer.write(data)
            await writer.drain()
        finally:
            onward.close()


def _length(head):
    lines = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return int(lines[0].partition(b":")[2]) if lines else 0


def _without_client(head):
    """Return whose call it is, and the request as the stand-in takes it: its path, and one connection."""
    method, target, rest = head.split(b" ", 2)
    _, client, path = target.split(b"/", 2)
    version, headers = rest.split(b"\r\n", 1)
    kept = b"\r\n".join(
        line for line in headers.split(b"\r\n") if not line.lower().startswith(b"connection:")
    )
    return client.decode(), b" ".join((method, b"/" + path, version)) + b"\r\nConnection: close\r\n" + kept


@asynccontextmanager
async def odd_upstream(stand_in_port):
    """Run the server and its trap; gives the Odd."""
    odd = Odd(stand_in_port)
    async with (
        await asyncio.start_server(odd.serve, _AT, 0) as server,
        await asyncio.start_server(odd.trap, _AT, 0) as trap,
    ):
        odd.port = server.sockets[0].getsockname()[1]
        odd.trap_port = trap.sockets[0].getsockname()[1]
        yield odd
