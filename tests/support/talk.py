"""A connection on which a test says bytes as they are, in chunks as it likes, and hears whole answers."""

import asyncio
import re
from contextlib import asynccontextmanager

from tests.support.doors import HELD
from tests.support.waiting import eventually

LONGEST_S = 5
BEARER = f"Authorization: Bearer {HELD}"
CLOSE = "Connection: close"


def request(*lines, target="/refresh", method="GET", version="HTTP/1.1", body=b""):
    """A request with a host and these header lines."""
    return "\r\n".join([f"{method} {target} {version}", "Host: x", *lines, "", ""]).encode("latin-1") + body


GOOD = request(BEARER)
HEALTH = request(target="/healthz")
LAST = request(CLOSE, target="/healthz")


def length_of(head):
    """How long the body is that a head announces."""
    named = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    return int(named[1]) if named else 0


class Talk:
    """One connection: `said` by a client, or `given` to the server's end as chunks of exactly these bytes."""

    def __init__(self, reader, writer, connection):
        self.reader = reader
        self.writer = writer
        self.connection = connection

    def say(self, raw):
        self.writer.write(raw)

    def give(self, *chunks):
        for chunk in chunks:
            self.connection.data_received(chunk)

    async def hear(self, *, body=True):
        """Read one answer; to HEAD it has no body."""
        async with asyncio.timeout(LONGEST_S):
            head = await self.reader.readuntil(b"\r\n\r\n")
            return head + await self.reader.readexactly(length_of(head) if body else 0)

    async def rest(self):
        """Read all that comes until the connection ends."""
        return await asyncio.wait_for(self.reader.read(), LONGEST_S)


def connections(house, listener="public"):
    """The server's ends of a listener's connections."""
    return house.listeners.open[listener].runner.server.connections


@asynccontextmanager
async def talk(house, listener="public"):
    """Connect to a listener, on which nobody else connects meanwhile."""
    before = set(connections(house, listener))
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port(listener))
    await eventually(lambda: len(connections(house, listener)) > len(before), every_s=0)
    (connection,) = set(connections(house, listener)) - before
    try:
        yield Talk(reader, writer, connection)
    finally:
        writer.close()
