"""The product's ports with faults around them: points to fail at, and mechanisms that are taken away.

Each wrapper changes only what it must and hands everything else through to the real port.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta


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
        await self._points.reach("before_claim")
        claimed = await self._inner.claim(key, generation, owner)
        if claimed is not None:
            await self._points.reach("after_claim")
        return claimed

    async def claim_due(self, client, limit, now, owner):
        await self._points.reach("before_claim")
        due = await self._inner.claim_due(client, limit, now, owner)
        if due:
            await self._points.reach("after_claim")
        return due

    async def settle(self, settlement):
        await self._points.reach("before_commit")
        grant = await self._inner.settle(settlement)
        await self._points.reach("after_commit")
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
            await self._points.reach("before_cache")
        await self._inner.put(current, presented, reopen=reopen)
        if ours:
            await self._points.reach("after_cache")


class PointedLeases(Through):
    """Leases with points around their return."""

    def __init__(self, inner, points):
        super().__init__(inner)
        self._points = points

    @asynccontextmanager
    async def hold(self, key):
        async with self._inner.hold(key) as state:
            yield state
            await self._points.reach("before_release")
        await self._points.reach("after_release")


class PointedProvider(Through):
    """An upstream with points before a call and after its answer; what lies between is `sent`."""

    def __init__(self, inner, points):
        super().__init__(inner)
        self._points = points

    async def refresh(self, *args, **options):
        await self._points.reach("before_send")
        outcome = await self._inner.refresh(*args, **options)
        await self._points.reach("after_recv")
        return outcome

    async def recover(self, *args, **options):
        await self._points.reach("before_force")
        outcome = await self._inner.recover(*args, **options)
        await self._points.reach("after_force")
        return outcome


def pointed(ports, points):
    """Return the ports with points around everything a refresh does."""
    settled = set()
    return replace(
        ports,
        claims=PointedClaims(ports.claims, points, settled),
        cache=PointedCache(ports.cache, points, settled),
        leases=PointedLeases(ports.leases, points),
        providers={name: PointedProvider(one, points) for name, one in ports.providers.items()},
    )


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
