"""Chunks that hold one plain request, or nearly, and what aiohttp reads in the same bytes."""

import asyncio

from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy

from service.api.express.plain import PlainReader

PARSERS = {"compiled": HttpRequestParser, "python": HttpRequestParserPy}
PEER = "192.0.2.7"
TOKEN = "Authorization: Bearer held-token.hhhhhhhhhh"


def read_plain(raw, reader=None):
    """Read a chunk as the first of its connection, or as the next one of a reader."""
    return (reader or PlainReader(PEER)).read(raw)


def chunk(*lines, start="GET /refresh HTTP/1.1", host="Host: x", end="\r\n"):
    return "\r\n".join([start, *([host] if host else []), *lines, end]).encode("latin-1")


def padded(length):
    """A plain request of so many bytes."""
    bare = chunk(TOKEN, "Cookie: c")
    return bare.replace(b"Cookie: c", b"Cookie: " + b"c" * (length - len(bare) + 1))


class Flow:
    """What the parser tells to slow down."""

    def pause_reading(self):
        pass


def parsed(parser, raw):
    """What aiohttp reads in these bytes: one message and nothing else, as the doors see it."""
    loop = asyncio.new_event_loop()
    try:
        reading = parser(Flow(), loop, 2**16, max_line_size=65536, max_field_size=65536)
        ((message, payload),), upgraded, rest = reading.feed_data(raw)
    finally:
        loop.close()
    assert payload.is_eof()
    assert (upgraded, rest, message.upgrade, message.chunked, message.should_close) == (
        False,
        b"",
        *[False] * 3,
    )
    return (message.method, message.path, tuple(message.version), dict(message.headers))
