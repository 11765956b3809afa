"""Holds answers at the stand-in from another process: through its gates, over HTTP."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from http import HTTPStatus

import aiohttp

_ARRIVES_WITHIN_S = 60


class HeldGate:
    """A gate of the stand-in; whoever hears of its id may open it."""

    def __init__(self, http, url):
        self._http = http
        self._url = url
        self.id = int(url.rpartition("/")[2])

    async def arrived(self):
        """Wait until a call was executed and is held before its answer; False when none was in time."""
        params = {"arrived": 1, "timeout_s": _ARRIVES_WITHIN_S}
        async with self._http.get(self._url, params=params) as answer:
            return answer.status == HTTPStatus.OK

    async def open(self):
        """Let what is held go, and hold no more."""
        async with self._http.delete(self._url):
            pass


def holding(origin):
    """Return a context manager that holds the answers of a client's route at the stand-in of that origin."""

    @asynccontextmanager
    async def held(route, client):
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout()) as http:
            gates = f"{origin}/_sandbox/gates"
            where = {"route": route, "point": "after", "client": client}
            async with http.post(gates, json=where) as answer:
                gate = HeldGate(http, f"{gates}/{(await answer.json())['id']}")
            try:
                yield gate
            finally:
                await asyncio.shield(gate.open())

    return held
