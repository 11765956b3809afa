"""The budget port over Redis: one bucket of upstream calls a client, shared by all replicas.

Callers who wait reserve the next free calls in their turn; work ahead of time takes only what lies ready
beyond their share. With Redis down each process goes on with a quarter of the rate.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from hashlib import blake2b

from service.adapters.bucket import Bucket
from service.adapters.budget_scripts import AHEAD, GIVE_BACK, LOOK, PAUSE, TAKE
from service.adapters.redis_health import RedisUnavailable
from service.adapters.redis_lane import Reply, Script
from service.adapters.redis_link import RedisLink
from service.adapters.redis_url import Word
from service.broker.ports import BudgetSight, Observer

_ALONE = 0.25


def capacity_of(rate_s: float) -> float:
    """Return how many calls may lie ready: with them no minute sees more than ten ninths of the rate."""
    return max(1.0, rate_s * 60 / 9)


class RedisBudget:
    """Keeps each client to its rate, in calls a second; raises KeyError for a client that has none."""

    def __init__(self, link: RedisLink, observer: Observer, rates: Mapping[str, float]) -> None:
        self._link = link
        self._observer = observer
        self._rates = dict(rates)
        self._alone = {
            client: Bucket(rate_s * _ALONE, max(1.0, capacity_of(rate_s) * _ALONE))
            for client, rate_s in rates.items()
        }

    async def take(self, client: str, timeout_s: float) -> bool:
        """Take one call for a caller who waits; False, at once, when none comes free in time."""
        ends_at = _now() + timeout_s
        waited = False
        while True:
            wait_s = await self._reserve(client, max(0.0, ends_at - _now()), waited=waited)
            if wait_s is None:
                return False
            if wait_s <= 0:
                return True
            try:
                await asyncio.sleep(wait_s)
            except asyncio.CancelledError:
                await self.give_back(client, 1)
                raise
            waited = True

    async def take_ahead(self, client: str, most: int) -> int:
        """Take up to `most` calls for work ahead of time, leaving the callers' share; 0 is an answer."""
        if most < 1:
            return 0
        try:
            taken, ready = await self._run(AHEAD, client, most)
        except RedisUnavailable:
            return self._alone[client].take_ahead(_now(), most)
        self._tell(client, ready)
        return int(float(taken))

    async def give_back(self, client: str, count: int) -> None:
        """Return calls that were taken and not made."""
        try:
            await self._run(GIVE_BACK, client, count)
        except RedisUnavailable:
            self._alone[client].give_back(_now(), count)

    async def pause(self, client: str, seconds: float) -> None:
        """Let nobody call for so long: upstream has said so."""
        self._alone[client].pause(_now(), seconds)
        try:
            await self._run(PAUSE, client, seconds)
        except RedisUnavailable:
            return

    async def look(self, client: str) -> BudgetSight | None:
        """Return what the budget holds and take nothing; None while Redis is away."""
        try:
            ready, paused_s = await self._run(LOOK, client)
        except RedisUnavailable:
            return None
        rate_s = self._rates[client]
        return BudgetSight(rate_s * 60, capacity_of(rate_s), float(ready), float(paused_s))

    async def _reserve(self, client: str, longest_s: float, *, waited: bool) -> float | None:
        """Return in how many seconds a call is ours, None when that is too long."""
        try:
            wait_s, ready = await self._run(TAKE, client, longest_s, int(waited))
        except RedisUnavailable:
            return self._alone[client].take(_now(), longest_s, waited=waited)
        self._tell(client, ready)
        return float(wait_s) if float(wait_s) >= 0 else None

    async def _run(self, script: Script, client: str, *values: Word) -> Reply:
        rate_s = self._rates[client]
        name = f"tb:b:{blake2b(client.encode(), digest_size=16).hexdigest()}"
        return await self._link.locks.ask(script.call([name], rate_s, capacity_of(rate_s), *values))

    def _tell(self, client: str, ready: bytes) -> None:
        self._observer.note("budget.remaining", client=client, value=max(0, math.floor(float(ready))))


def _now() -> float:
    return asyncio.get_running_loop().time()
