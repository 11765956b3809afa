"""Taking up what another process leaves waiting: one connection that fails stops nothing."""

import asyncio
import socket

from service.api import rescue
from service.api.rescue import Rescue
from service.api.sites import Taker

WITHIN_S = 10.0


class Heard(asyncio.Protocol):
    """Says which connection it was given."""

    def __init__(self, made):
        self._made = made

    def connection_made(self, transport):
        self._made.put_nowait(transport)
        transport.close()


def listening():
    """A listener that nobody accepts from."""
    return socket.create_server(("127.0.0.1", 0))


async def test_a_connection_that_cannot_be_taken_up_does_not_keep_the_next_from_it(monkeypatch):
    made, failures = asyncio.Queue(), [OSError("reset while it waited")]

    def make():
        if failures:
            raise failures.pop()
        return Heard(made)

    monkeypatch.setattr(rescue, "EVERY_S", 0.01)
    with listening() as left, socket.create_connection(left.getsockname()):
        taking = Rescue(Taker(make, None), [left])
        with socket.create_connection(left.getsockname()):
            async with asyncio.timeout(WITHIN_S):
                await made.get()
        await taking.end()
    assert failures == []
