"""The lease port over Redis: one short, owned, renewed lock a user, so that replicas do not queue up.

Efficiency only: losing it or never getting it costs nothing but a collision at the claim.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

from service.adapters.cache_values import hashed
from service.adapters.redis_health import RedisUnavailable
from service.adapters.redis_lane import Script
from service.adapters.redis_link import RedisLink
from service.broker.model import UserKey
from service.broker.ports import LeaseState, Observer

# Asks whose it is even when SET says no: the reply to an earlier SET of ours may have been lost.
_TAKE = Script("""
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
return redis.call('GET', KEYS[1]) == ARGV[1] and 1 or 0
""")

_RENEW = Script("""
return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('PEXPIRE', KEYS[1], ARGV[2]) or 0
""")

_RELEASE = Script("""
return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0
""")


class RedisLeases:
    """Leases that expire by themselves `ttl_s` seconds after their holder was last heard of."""

    def __init__(self, link: RedisLink, observer: Observer, *, ttl_s: float = 20.0) -> None:
        self._link = link
        self._observer = observer
        self._ttl_s = ttl_s
        self._ttl_ms = max(1, round(ttl_s * 1000))

    @asynccontextmanager
    async def hold(self, key: UserKey) -> AsyncIterator[LeaseState]:
        """Try once for the lease; renew it while the block runs, give it back after."""
        name, owner = f"tb:l:{hashed(key)}", secrets.token_hex(16)
        state = await self._take(name, owner)
        renewal = _Later(self._ttl_s / 3, lambda: self._renew(key, name, owner)) if state.held else None
        try:
            yield state
        finally:
            if renewal is not None:
                renewal.cancel()
            if not state.busy:
                await self._release(name, owner, insist=state.held)

    async def _take(self, name: str, owner: str) -> LeaseState:
        try:
            held = await self._link.locks.ask(_TAKE.call([name], owner, self._ttl_ms)) == 1
        except RedisUnavailable:
            return LeaseState(held=False, busy=False)
        return LeaseState(held=held, busy=not held)

    async def _release(self, name: str, owner: str, *, insist: bool) -> None:
        """Give it back; also where only the reply that granted it may have been lost."""
        with suppress(RedisUnavailable):
            await self._link.locks.ask(_RELEASE.call([name], owner, insist=insist))

    async def _renew(self, key: UserKey, name: str, owner: str) -> None:
        while True:
            with suppress(RedisUnavailable):
                if await self._link.locks.ask(_RENEW.call([name], owner, self._ttl_ms)) != 1:
                    self._observer.note("lease.lost", key)
                    return
            await asyncio.sleep(self._ttl_s / 3)


class _Later:
    """A task that begins only after some time: most leases are given back before they are renewed."""

    def __init__(self, after_s: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._work = work
        self._task: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(after_s, self._begin)

    def cancel(self) -> None:
        """Begin no more, or end."""
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _begin(self) -> None:
        self._task = asyncio.create_task(self._work())
