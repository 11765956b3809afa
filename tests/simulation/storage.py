"""One process's stores over the simulated tables: each call takes its way, and storage may fail it.

A call that fails may have been carried out all the same (its acknowledgement was lost), or be carried out
a little later.
"""

from __future__ import annotations

from contextlib import suppress

from service.broker.errors import BrokerError, StorageUnavailable
from tests.simulation.profile import DATABASE_TIMEOUT_S

_WRITING_WEIGHS = 2
_READING_WEIGHS = 1


class Line:
    """A process's connections to storage."""

    def __init__(self, world):
        self._world = world

    async def ask(self, weight, statement, *arguments):
        world = self._world
        if world.loop.over:
            raise StorageUnavailable
        if seconds := world.way_s():
            await world.spend(seconds)
        if world.storage_down:
            await self._miss()
        if world.strike(weight):
            await world.alive()
        fails = world.likely(world.profile.storage_fails)
        if fails and world.random() < 0.6:
            await self._fail(weight, statement, arguments)
        answer = statement(*arguments)
        world.say("has {} done: {!r:.60}", statement.__name__, answer)
        if world.strike(weight):
            await world.alive()
        if seconds := world.way_s():
            await world.spend(seconds)
        if world.storage_down:
            await self._miss()
        if fails:
            world.troubles["acknowledgement is lost"] += 1
            raise StorageUnavailable("the acknowledgement was lost")
        return answer

    async def _miss(self):
        """Find that the database is away."""
        await self._world.spend(DATABASE_TIMEOUT_S if self._world.random() < 0.3 else 0.01)
        raise StorageUnavailable

    async def _fail(self, weight, statement, arguments):
        """Fail before anything is done; what writes may still be done a little later."""
        world = self._world
        world.troubles["statement fails"] += 1
        if weight == _WRITING_WEIGHS and world.random() < 0.3:
            world.troubles["statement lands late"] += 1
            world.later(world.between(0.0, DATABASE_TIMEOUT_S), _carry_out, statement, arguments)
        await world.spend(world.between(0.0, DATABASE_TIMEOUT_S))
        raise StorageUnavailable


def _carry_out(statement, arguments):
    with suppress(BrokerError):
        statement(*arguments)


class ClaimStore:
    """The port ClaimStore of one process."""

    def __init__(self, line, claims, fingerprints):
        self._line = line
        self._claims = claims
        self._fingerprints = fingerprints

    def claim(self, key, generation, owner):
        return self._line.ask(_WRITING_WEIGHS, self._claims.claim, key, generation, owner)

    def claim_due(self, client, limit, now, owner):
        return self._line.ask(_WRITING_WEIGHS, self._claims.claim_due, client, limit, now, owner)

    def restamp(self, claim, kind):
        return self._line.ask(_WRITING_WEIGHS, self._claims.restamp, claim, kind)

    def settle(self, settlement):
        fingerprint = self._fingerprints.of(settlement.pair.access_token)[0]
        return self._line.ask(_WRITING_WEIGHS, self._claims.settle, settlement, fingerprint)

    def end_claim(self, claim, aftermath):
        return self._line.ask(_WRITING_WEIGHS, self._claims.end_claim, claim, aftermath)


class GrantStore:
    """The port GrantStore of one process."""

    def __init__(self, line, grants):
        self._line = line
        self._grants = grants

    def now(self):
        return self._line.ask(_READING_WEIGHS, self._grants.now)

    def find(self, fingerprints):
        return self._line.ask(_READING_WEIGHS, self._grants.find, fingerprints)

    def load(self, key):
        return self._line.ask(_READING_WEIGHS, self._grants.load, key)

    def mark_refused(self, key, generation):
        return self._line.ask(_WRITING_WEIGHS, self._grants.mark_refused, key, generation)

    def distrust(self, key):
        return self._line.ask(_WRITING_WEIGHS, self._grants.distrust, key)

    def clear_distrust(self, key, generation, confirmed_at):
        return self._line.ask(_WRITING_WEIGHS, self._grants.clear_distrust, key, generation, confirmed_at)

    def note_uses(self, uses):
        return self._line.ask(_WRITING_WEIGHS, self._grants.note_uses, uses)

    def vouch(self, key, at):
        return self._line.ask(_WRITING_WEIGHS, self._grants.vouch, key, at)

    def request_force(self, key, *, revoke, actor):
        return self._line.ask(_WRITING_WEIGHS, self._grants.request_force, key, revoke)

    def set_state(self, key, state, reason, *, due_at, actor):
        return self._line.ask(_WRITING_WEIGHS, self._grants.set_state, key, state, reason, due_at)


class UserStore:
    """The port UserStore of one process."""

    def __init__(self, line, users, fingerprints):
        self._line = line
        self._users = users
        self._fingerprints = fingerprints

    def load_user(self, key):
        return self._line.ask(_READING_WEIGHS, self._users.load_user, key)

    def begin_create(self, key, profile, owner):
        return self._line.ask(_WRITING_WEIGHS, self._users.begin_create, key, profile, owner)

    def note_attempt(self, key, intent):
        return self._line.ask(_WRITING_WEIGHS, self._users.note_attempt, key, intent)

    def abandon_create(self, key, intent, *, uncertain):
        return self._line.ask(_WRITING_WEIGHS, self._users.abandon_create, key, intent, uncertain)

    def link(self, grant, profile, *, replace):
        fingerprint = self._fingerprints.of(grant.pair.access_token)[0]
        return self._line.ask(_WRITING_WEIGHS, self._users.link, grant, profile, replace, fingerprint)

    def forget(self, key, *, actor):
        return self._line.ask(_WRITING_WEIGHS, self._users.forget, key)
