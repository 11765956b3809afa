"""The port Sightings over Redis: what processes tell each other for people to see, each for a short time.

Nothing is decided by it, and all of it may be lost.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

import orjson

from service.adapters.queue import NAME as QUEUE_NAME
from service.adapters.redis_health import RedisUnavailable
from service.adapters.redis_lane import Call, Reply
from service.adapters.redis_link import RedisLink
from service.broker.ports.overview import Seen, SweepSight

_SWEEP_KEPT_MS = 7 * 24 * 3600 * 1000
_CIRCUIT_KEPT_MS = 10_000
"""Several times as long as it takes until it is told again."""


class RedisSightings:
    """Tells and shows what processes have seen."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link

    async def swept(self, client: str, sight: SweepSight) -> None:
        """Tell of a sweep; not while Redis is away."""
        told = [sight.at.timestamp(), sight.claimed, sight.parked, sight.seconds]
        await self._set(f"tb:s:{client}", orjson.dumps(told), _SWEEP_KEPT_MS)

    async def circuit_open(self, client: str, reason: str) -> None:
        """Tell that the client's circuit is open; it is forgotten unless it is told again."""
        await self._set(f"tb:o:{client}", reason.encode(), _CIRCUIT_KEPT_MS)

    async def seen(self, client: str) -> Seen | None:
        """Return what was told, None while Redis is away."""
        try:
            # In one turn of the loop: they travel together.
            sweep, circuit, ticks = await asyncio.gather(
                self._ask("GET", f"tb:s:{client}"),
                self._ask("GET", f"tb:o:{client}"),
                self._ask("ZCARD", QUEUE_NAME),
            )
        except RedisUnavailable:
            return None
        return Seen(_sweep(sweep), None if circuit is None else str(circuit, "utf-8"), int(ticks))

    async def _ask(self, *words: str) -> Reply:
        return await self._link.locks.ask(Call(words, writes=False))

    async def _set(self, name: str, value: bytes, kept_ms: int) -> None:
        with suppress(RedisUnavailable):
            await self._link.locks.ask(Call(("SET", name, value, "PX", kept_ms)))


def _sweep(told: bytes | None) -> SweepSight | None:
    if told is None:
        return None
    at, claimed, parked, seconds = orjson.loads(told)
    return SweepSight(datetime.fromtimestamp(at, UTC), claimed, parked, seconds)
