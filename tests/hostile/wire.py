"""One connection to a listener: bytes go out as they are, answers come in and are taken apart strictly."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from typing import NamedTuple

ANSWERS_WITHIN_S = 20.0
ENDS_WITHIN_S = 10.0
_STATUS = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) [A-Za-z -]+")
_HEADER = re.compile(rb"([A-Za-z-]+): ([ -~]+)")


class Answer(NamedTuple):
    """An answer as it came."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    raw: bytes

    def of(self, name):
        """Return every value of a header."""
        return [value for known, value in self.headers if known.lower() == name.lower()]


class Broken(Exception):
    """What came back is no answer; the message says how."""


class Line:
    """A connection; every answer that comes over it is told to `heard`."""

    def __init__(self, reader, writer, heard):
        self._reader = reader
        self._writer = writer
        self._heard = heard

    async def send(self, data):
        """Send bytes, as far as the other side takes them."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except ConnectionError:
            pass  # what the other side says, or that it says nothing, is seen when reading

    async def answer(self, *, head=False, within_s=ANSWERS_WITHIN_S):
        """Return the next answer, None when the connection ended instead; `head`: it has no body."""
        async with asyncio.timeout(within_s):
            try:
                lines = await self._reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                if getattr(error, "partial", b""):
                    raise Broken(f"half a head: {error.partial[:80]!r}") from None
                return None
            answer = await self._whole(lines, head=head)
        self._heard(answer)
        return answer

    async def _whole(self, lines, *, head):
        first, *rest = lines[:-4].split(b"\r\n")
        status, headers = _STATUS.fullmatch(first), [_HEADER.fullmatch(line) for line in rest]
        if status is None or None in headers:
            raise Broken(f"a head that is none: {lines[:200]!r}")
        pairs = tuple((match[1].decode(), match[2].decode()) for match in headers)
        code = int(status[1])
        length = [value for name, value in pairs if name.lower() == "content-length"]
        if len(length) != (0 if code in {100, 204} else 1):
            raise Broken(f"{len(length)} lengths: {lines[:200]!r}")
        try:
            body = await self._reader.readexactly(int(length[0])) if length and not head else b""
        except (asyncio.IncompleteReadError, ConnectionError):
            raise Broken(f"the body is shorter than {length[0]}") from None
        return Answer(code, pairs, body, lines + body)

    async def ended(self, within_s=ENDS_WITHIN_S):
        """Return what still came until the other side ended the connection; None when it did not."""
        try:
            async with asyncio.timeout(within_s):
                return await self._reader.read()
        except TimeoutError:
            return None
        except ConnectionError:
            return b""


@asynccontextmanager
async def line(port, heard, source=None):
    """Open a connection to a port of this machine, from another address of it if `source` names one."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, limit=2**20, local_addr=source and (source, 0)
    )
    try:
        yield Line(reader, writer, heard)
    finally:
        writer.transport.abort()
