"""The product's ports with faults around them: points to fail at, and mechanisms that are taken away.

Each wrapper changes only what it must and hands everything else through to the real port.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from service.broker.model import Rotated


class Through:
    """A port that answers as the one behind it."""

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        return getattr(self._inner, name)


class PointedClaims(Through):
    """Claims and settlements with points around their commits."""

    def __init__(self, inner, points, settled):
        super().__init__(inner)
        self._points = points
        self._settled = settled

    async def claim(self, key, generation, owner):
        await self._points.reach("before_claim", key.client)
        claimed = await self._inner.claim(key, generation, owner)
        if claimed is not None:
            await self._points.reach("after_claim", key.client)
        return claimed

    async def claim_due(self, client, limit, now, owner):
        await self._points.reach("before_claim", client)
        due = await self._inner.claim_due(client, limit, now, owner)
        if due:
            await self._points.reach("after_claim", client)
        return due

    async def settle(self, settlement):
        client = settlement.claim.key.client
        await self._points.reach("before_commit", client)
        grant = await self._inner.settle(settlement)
        await self._points.reach("after_commit", client)
        if grant is not None:
            self._settled.add((grant.key, grant.generation))
        return grant


class PointedCache(Through):
    """A cache with points around the entry of a pair that this process has just settled."""

    def __init__(self, inner, points, settled):
        super().__init__(inner)
        self._points = points
        self._settled = settled

    async def put(self, current, presented=(), *, reopen=False):
        ours = (current.key, current.generation) in self._settled
        self._settled.discard((current.key, current.generation))
        if ours:
            await self._points.reach("before_cache", current.key.client)
        await self._inner.put(current, presented, reopen=reopen)
        if ours:
            await self._points.reach("after_cache", current.key.client)


class PointedLeases(Through):
    """Leases with points around their return."""

    def __init__(self, inner, points):
        super().__init__(inner)
        self._points = points

    @asynccontextmanager
    async def hold(self, key):
        async with self._inner.hold(key) as state:
            yield state
            await self._points.reach("before_release", key.client)
        await self._points.reach("after_release", key.client)


class PointedProvider(Through):
    """One client's upstream with points before a call, once it was executed there, and with its pair in hand.

    `held` holds the answers of a route at the stand-in, so that "executed and not yet answered" is a
    moment that can be waited for; who is told of the blow lets the answers go.
    """

    def __init__(self, inner, points, client, held):
        super().__init__(inner)
        self._points = points
        self._client = client
        self._held = held

    async def refresh(self, *args, **options):
        await self._points.reach("before_send", self._client)
        outcome = await self._sent("refresh", "after_send", partial(self._inner.refresh, *args, **options))
        if isinstance(outcome, Rotated):
            await self._points.reach("after_recv", self._client)
        return outcome

    async def recover(self, *args, **options):
        await self._points.reach("before_force", self._client)
        outcome = await self._sent("force", "force_sent", partial(self._inner.recover, *args, **options))
        if isinstance(outcome, Rotated):
            await self._points.reach("after_force", self._client)
        return outcome

    async def _sent(self, route, at, call):
        if not self._points.awaits(at, self._client):
            return await call()
        async with self._held(route, self._client) as gate:
            calling, arrival = asyncio.ensure_future(call()), asyncio.ensure_future(gate.arrived())
            try:
                await asyncio.wait({calling, arrival}, return_when=asyncio.FIRST_COMPLETED)
                if arrival.done() and arrival.result():
                    await self._points.reach(at, self._client, gate=gate.id)
                return await calling
            finally:
                # What ends the caller ends the call: the connection is closed under it.
                await _ended(calling, arrival)


async def _ended(*tasks):
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def pointed(ports, points, held):
    """Return the ports with points around everything a refresh does."""
    settled = set()
    return replace(
        ports,
        claims=PointedClaims(ports.claims, points, settled),
        cache=PointedCache(ports.cache, points, settled),
        leases=PointedLeases(ports.leases, points),
        providers={name: PointedProvider(one, points, name, held) for name, one in ports.providers.items()},
    )


class RestingBudget(Through):
    """A budget with nothing for work ahead of time until the folder holds a file named for the client."""

    def __init__(self, inner, folder):
        super().__init__(inner)
        self._folder = Path(folder)

    async def take_ahead(self, client, most):
        rests = not (self._folder / client).exists()
        return 0 if rests else await self._inner.take_ahead(client, most)


@dataclass(frozen=True)
class Without:
    """Mechanisms taken away, for negative controls."""

    claims: bool = False
    recovery: bool = False
    claim_deadline_s: float = 20.0


class UnguardedClaims(Through):
    """Claims that stop nobody: another's is overlooked, and one that was lost still counts."""

    def __init__(self, inner, free, deadline):
        super().__init__(inner)
        self._free = free
        self._deadline = deadline

    async def claim(self, key, generation, owner):
        await self._free(key)
        return await self._inner.claim(key, generation, owner)

    async def restamp(self, claim, kind):
        stamped = await self._inner.restamp(claim, kind)
        return stamped or replace(claim, deadline_at=claim.deadline_at + 1000 * self._deadline)


class Unrecovering(Through):
    """An upstream that offers no recovery, as far as the broker knows."""

    recovers = False


def weakened(ports, without, database):
    """Return the ports without some mechanisms."""
    if without.recovery:
        ports = replace(ports, providers={name: Unrecovering(one) for name, one in ports.providers.items()})
    if without.claims:

        async def free(key):
            async with database.connection() as connection:
                await connection.execute(
                    "UPDATE grants SET claimed_at = 'epoch' WHERE client = $1 AND user_id = $2"
                    " AND claim_owner IS NOT NULL",
                    key.client,
                    key.user_id,
                )

        deadline = timedelta(seconds=without.claim_deadline_s)
        ports = replace(ports, claims=UnguardedClaims(ports.claims, free, deadline))
    return ports
