"""The process's way to Redis: one lane for cached answers, one for locks and budgets, one state of health.

Two lanes, so that a burst of look-ups does not hold up a lease.
"""

from __future__ import annotations

import asyncio

from service.adapters import redis_allowance
from service.adapters.redis_health import Breaker, Health, RedisUnavailable
from service.adapters.redis_lane import Call, Lane
from service.adapters.redis_url import Connection, Connections
from service.broker.ports import Observer

_PINGS = (
    Call(("PING",), writes=False, insist=True),
    Call(("SET", "tb:p", 1, "PX", 60_000), insist=True),
)


class RedisLink:
    """Reaches the Redis at `url`; no call takes longer than `deadline_s` seconds in all.

    After a failure calls are refused for `rest_s` seconds, then one is tried. Connects on first use.
    Raises ValueError for a URL that cannot be used.
    """

    def __init__(
        self, url: str, observer: Observer, *, deadline_s: float = 0.25, rest_s: float = 1.0
    ) -> None:
        self.deadline_s = deadline_s
        self.health = Health(observer)
        self._connections = Connections(url, connect_timeout_s=deadline_s)
        breaker = Breaker(rest_s)
        self.cache = Lane(self._connections, self.health, breaker, deadline_s)
        self.locks = Lane(self._connections, self.health, breaker, deadline_s)

    @property
    def well(self) -> bool:
        """Whether nothing is known to be wrong."""
        return self.health.well

    def begin_request(self) -> None:
        """Have all that is asked in this context from now on take no longer than one question may."""
        redis_allowance.begin(self.deadline_s)

    def spend(self, seconds: float) -> None:
        """Count what a request has waited for an answer before it was begun here."""
        redis_allowance.spend(seconds)

    def reload(self, url: str) -> None:
        """Log in as this URL says from the next connection on; those that are open go on."""
        self._connections.reload(url)

    def make_connection(self) -> Connection:
        """Return an unconnected connection, for who must hold one of its own."""
        return self._connections.make()

    async def ping(self) -> bool:
        """Whether Redis reads and writes now; asks even while it is left alone."""
        asked = [self.locks.ask(call) for call in _PINGS]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        return not any(isinstance(answer, RedisUnavailable) for answer in answers)

    async def aclose(self) -> None:
        """Wait for what is out and close every connection."""
        await self.cache.aclose()
        await self.locks.aclose()
        await self._connections.aclose()
