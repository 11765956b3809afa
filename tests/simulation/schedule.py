"""Runs one schedule: people ask while blows fall, then all is calm, and everybody must be served.

The same seed and profile give the same schedule, step by step.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from service.broker.creation import new_grant
from service.broker.expiry import place_minted
from service.broker.model import Profile, UserKey
from tests.simulation import people
from tests.simulation.blows import Blows
from tests.simulation.calm import Calm
from tests.simulation.checker import findings_of
from tests.simulation.claims import Claims
from tests.simulation.coordination import Fingerprints
from tests.simulation.evidence import Evidence
from tests.simulation.grants import Grants
from tests.simulation.journal import Journal
from tests.simulation.loop import Stuck
from tests.simulation.profile import CLAIM_DEADLINE_S, draw_profile
from tests.simulation.replicas import CLIENT, Replica, terms_of
from tests.simulation.tables import Tables
from tests.simulation.upstream import Upstream
from tests.simulation.users import Users
from tests.simulation.world import World

NAMES = ("anna", "bert", "cleo")


@dataclass(frozen=True)
class Stores:
    """The statements that the processes' stores send."""

    claims: Claims
    grants: Grants
    users: Users


class Replicas(list):
    """Two services and the worker."""

    def of(self, process):
        """Return the replica whose present process this is, or None."""
        return next((replica for replica in self if replica.process is process), None)

    def any_service(self):
        services = [replica for replica in self[:-1] if replica.open] or self[:-1]
        return services[int(self.world.random() * len(services))]


class Schedule:
    """One schedule of a seed."""

    def __init__(self, seed, profile=None, trace=None):
        self.profile = profile or draw_profile(seed)
        self.world = world = World(seed, self.profile, trace)
        self.tables = Tables(
            lambda: world.loop.now,
            claim_deadline=timedelta(seconds=CLAIM_DEADLINE_S),
            distrust_window=timedelta(seconds=self.profile.window_s),
        )
        claims = Claims(self.tables, always_free=self.profile.claims_ignored)
        self.stores = Stores(claims, Grants(self.tables), Users(self.tables))
        self.journal = Journal(self.tables)
        self.upstream = Upstream(
            lambda: world.loop.now,
            lifetime_s=self.profile.lifetime_s,
            offset_s=world.between(-100.0, 100.0),
            lag_s=self.profile.lag * min(2.0, self.profile.lifetime_s / 40),
            states_end=self.profile.states_end,
        )
        self.findings = []
        self.excuses = 0
        self.behind = 0

    def run(self):
        """Run it and return what was found to be wrong, as texts."""
        world = self.world
        try:
            world.loop.run(self._run())
            evidence = Evidence(self.journal, self.tables, self.upstream, terms_of(self.profile), world.loop)
            self.findings += findings_of(evidence)
            self.excuses = evidence.excuses
        except Stuck as stuck:
            self.findings.append(f"stuck: {stuck}")
        finally:
            world.loop.close()
        return self.findings

    def forget(self):
        """Cut what holds the schedule together, so that it goes without the garbage collector."""
        self.world.loop.forget()
        for part in (*self.replicas, self.town, self.world, self):
            vars(part).clear()

    async def _run(self):
        world, profile = self.world, self.profile
        self.replicas = Replicas(self._replica(number) for number in range(3))
        self.replicas.world = world
        self.town = people.Town(world, self.replicas, self.upstream, self.journal)
        blows = Blows(world, self.replicas)
        world.expect_blows(blows)
        keys = [self._link(name) for name in NAMES[: profile.users]]
        asking = [world.loop.create_task(one) for one in self._people(keys)]
        await world.spend(profile.lifetime_s * profile.lifetimes)
        world.calm = True
        blows.mend_all()
        world.say("CALM")
        calm = Calm(world, self.tables, self.town, self.replicas)
        await calm.serve_everybody_at_once()
        for one in asking:
            await one
        await calm.come_to_rest()
        self.findings += calm.findings
        self.behind = calm.behind

    def _replica(self, number):
        return Replica(
            self.world, self.tables, self.stores, self.upstream, self.journal, number, sweeping=number == 2
        )

    def _people(self, keys):
        for key in keys:
            for _ in range(self.profile.tabs):
                yield people.browse(self.town, key)
            yield people.serve(self.town, key)
            if self.profile.orders:
                yield people.operate(self.town, key)
        if self.profile.leaves is not None:
            yield people.LEAVINGS[self.profile.leaves](self.town, keys[-1])
        if self.profile.creates:
            yield from (people.create(self.town, people.CREATED) for _ in range(2))

    def _link(self, name):
        """Give a user a first pair, as if created a moment ago."""
        key, terms = UserKey(CLIENT, name), terms_of(self.profile)
        created = self.upstream.create(f"{name}@app.test")
        placed = place_minted(
            created.minted,
            self.tables.now(),
            configured=terms.access_token_lifetime,
            margin=terms.refresh_margin,
            roll=self.world.random(),
        )
        grant = new_grant(
            key, created.user.upstream_id, placed.pair, terms, event="grant.created", actor="app"
        )
        fingerprint = Fingerprints().of(placed.pair.access_token)[0]
        self.stores.users.link(grant, Profile(email=f"{name}@app.test"), False, fingerprint)
        return key
