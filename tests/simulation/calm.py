"""When faults have stopped: everybody is served in time, what was begun ends, and nothing is left over.

Checks I1, and the part of I6 that holds at rest.
"""

from __future__ import annotations

from service.broker.errors import GrantDead
from service.broker.model import GrantState
from tests.simulation import people
from tests.simulation.profile import CLAIM_DEADLINE_S, DATABASE_TIMEOUT_S, UPSTREAM_TIMEOUT_S

SERVED_WITHIN_S = CLAIM_DEADLINE_S + UPSTREAM_TIMEOUT_S + DATABASE_TIMEOUT_S + 2.0
_PROBED_WITHIN_S = 12.0
_AGAIN_S = 1.0
_ROUNDING_S = 1.1


class Calm:
    """What must come of a world that is calm; `findings` says what did not."""

    def __init__(self, world, tables, town, replicas):
        self.findings = []
        self.behind = 0
        self._world = world
        self._tables = tables
        self._town = town
        self._replicas = replicas

    async def serve_everybody_at_once(self):
        """Have every user served by every process, and a create that was begun end well, all in time."""
        by = self._world.loop.now + SERVED_WITHIN_S + self._held_back_s()
        if self._world.profile.creates:
            await self._create(people.CREATED, by)
        await self._serve_everybody(by)

    async def come_to_rest(self):
        """Wait until nothing of before can land any more, have everybody served again, and look around."""
        world, profile = self._world, self._world.profile
        await world.spend(profile.zombie_s + UPSTREAM_TIMEOUT_S + profile.tick_s)
        await self._serve_everybody(world.loop.now + SERVED_WITHIN_S)
        await world.spend(profile.tick_s + 2.0)
        for replica in self._replicas:
            if await replica.run(_left_flying(replica.broker)):
                self.findings.append(f"flights of {replica.name} do not end")
        for key, row in self._tables.grants.items():
            self._look_at(key, row)

    def _held_back_s(self):
        """Return how long upstream's word, a circuit or a limit may hold callers back."""
        paused_until = max(replica.budget_paused_until() for replica in self._replicas)
        return max(0.0, paused_until - self._world.loop.now) + _PROBED_WITHIN_S

    async def _serve_everybody(self, by):
        tasks = [
            self._world.loop.create_task(self._serve(key, replica, by))
            for key in list(self._tables.grants)
            if key not in self._town.deleting
            for replica in self._replicas[:-1]
        ]
        for task in tasks:
            await task

    async def _serve(self, key, replica, by):
        while True:
            call = await self._town.token(key, replica=replica)
            token = call.token()
            if token is not None and self._town.upstream.accepts(token):
                return
            if self._world.loop.now > by:
                answer = token or call.outcome
                self.findings.append(f"I1 bricked: {key.user_id} is not served by {call.by}: {answer!r}")
                return
            if isinstance(call.outcome, GrantDead) and key in self._town.gone:
                await people.create_once(self._town, key.user_id)
            elif token is not None:
                await self._town.complain(key, token)
            await self._world.spend(_AGAIN_S)

    async def _create(self, name, by):
        """The same call again ends what a create has begun."""
        while True:
            call = await people.create_once(self._town, name)
            if isinstance(call.outcome, tuple):
                return
            if self._world.loop.now > by:
                self.findings.append(f"I1 never created: {name} by {call.by}: {call.outcome!r}")
                return
            await self._world.spend(_AGAIN_S)

    def _look_at(self, key, row):
        """At rest the row's token works upstream, unless a mark says that it may not."""
        cached, _ = self._world.redis.users.get(key, (None, None))
        self.behind += cached is not None and cached.generation < row.generation
        left_s = (row.pair.expires_at - self._tables.now()).total_seconds()
        marked = row.refused or row.force_pending or row.distrusted_until is not None
        fit = row.state is GrantState.LIVE and not marked and left_s > _ROUNDING_S
        if fit and key not in self._town.gone and not self._town.upstream.accepts(row.pair.access_token):
            self.findings.append(f"I6 at rest the token in the row of {key.user_id} does not work")


async def _left_flying(broker):
    rooms = broker.refresh, broker.confirmations, broker.creation
    return sum([await room.drain(SERVED_WITHIN_S) for room in rooms])
