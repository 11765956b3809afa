"""What a blow does: kill or stop the process that runs, or take away what it depends on for a while."""

from __future__ import annotations

from tests.simulation.profile import CLAIM_DEADLINE_S

_ON_A_PROCESS = (("kill", 0.50), ("stop", 0.30), ("retire", 0.05))
_PROCESS_BLOWS = frozenset(kind for kind, _ in _ON_A_PROCESS)
_ON_A_STORE = (
    ("flush", 0.04),
    ("lose_redis", 0.04),
    ("lose_storage", 0.04),
    ("lose_upstream", 0.02),
    ("refuse_client", 0.01),
)


_ON_ANOTHER = 0.2


class Blows:
    """Deals blows and mends, some time later, what they broke; `Replicas` knows whom a process belongs to."""

    def __init__(self, world, replicas):
        self._world = world
        self._replicas = replicas

    def fall(self, process):
        """Let a blow fall on this process or on what it depends on, or on one that only waits just now."""
        replica, others = self._replicas.of(process), self._waiting(process)
        if others and self._world.random() < _ON_ANOTHER:
            replica = others[int(self._world.random() * len(others))]
            self._world.troubles["one that waits is struck"] += 1
        kind = self._kind(replica)
        self._world.troubles[kind] += 1
        blow = getattr(self, f"_{kind}")
        if kind in _PROCESS_BLOWS:
            blow(replica)
        else:
            blow()

    def _waiting(self, process):
        others = [one for one in self._replicas if one.process is not process]
        return [one for one in others if one.process.alive and not one.process.stopped]

    def _kind(self, replica):
        if replica is not None and self._world.profile.stops:
            return "stop"
        kinds = _ON_A_STORE if replica is None else (*_ON_A_PROCESS, *_ON_A_STORE)
        return _drawn(kinds, self._world.random())

    def mend_all(self):
        """Undo everything that is still broken."""
        world = self._world
        world.redis.down = world.storage_down = world.upstream_down = world.client_refused = False
        for replica in self._replicas:
            replica.restore()

    def _kill(self, replica):
        replica.kill()
        self._world.later(self._world.between(0.5, 15.0), replica.restore)

    def _stop(self, replica):
        world = self._world
        longest = (3.0, CLAIM_DEADLINE_S * 1.2, CLAIM_DEADLINE_S * 2, 110.0)[int(world.random() * 4)]
        if world.profile.stops:
            longest = CLAIM_DEADLINE_S * 2
        seconds = longest * world.between(0.6, 1.0)
        world.say(f"STOPPED for {seconds:.1f} s")
        replica.process.stopped_at = world.loop.now
        replica.process.stopped_for += seconds
        world.loop.stop(replica.process)
        world.later(seconds, world.loop.resume, replica.process)

    def _retire(self, replica):
        replica.retire()

    def _flush(self):
        store = self._world.redis
        self._world.say("REDIS FLUSHED")
        for shelf in (store.users, store.tokens, store.blocks, store.confirmed, store.leases, store.buckets):
            shelf.clear()

    def _lose_redis(self):
        self._lose(self._world.redis, "down", 30.0)

    def _lose_storage(self):
        self._lose(self._world, "storage_down", 40.0)

    def _lose_upstream(self):
        self._lose(self._world, "upstream_down", 60.0)

    def _refuse_client(self):
        self._lose(self._world, "client_refused", 60.0)

    def _lose(self, place, name, longest_s):
        seconds = longest_s * self._world.random() ** 2
        self._world.say(f"LOST {name} for {seconds:.1f} s")
        setattr(place, name, True)
        self._world.later(seconds, setattr, place, name, False)


def _drawn(kinds, chance):
    whole = sum(share for _, share in kinds)
    chance *= whole
    for kind, share in kinds:
        chance -= share
        if chance < 0:
            return kind
    return kinds[-1][0]
