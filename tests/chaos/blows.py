"""Carries out what was drawn: each blow a function of the world and the blow, noted when it is struck.

A blow that would leave no service up waits for its turn, unless that is what it is for.
"""

from __future__ import annotations

import time
from contextlib import closing, suppress

import redis

from tests.chaos import dumps
from tests.chaos.fleet import State
from tests.chaos.plan import CLAIM_DEADLINE_S

_AGAIN_S = 0.3
_REDIS_S = 1.0
_FILLED_S = 5.0


def strike(world, blow):
    """Carry out one blow, later when nobody is there for it."""
    if not _BLOWS[blow.what](world, blow):
        world.later(_AGAIN_S, lambda: strike(world, blow))


def kill(world, blow):
    """SIGKILL one process; it is started again at once."""
    victim = _victim(world, blow)
    if victim is None:
        return False
    victim.kill()
    world.note("kill", who=victim.name)
    victim.start()
    return True


def kill_services(world, _):
    """SIGKILL every service at once."""
    victims = [one for one in world.replicas.values() if one.serves]
    for victim in victims:
        victim.kill()
        world.note("kill", who=victim.name)
    world.tick()  # from here on it is dark
    for victim in victims:
        victim.start()
    return True


def stop(world, blow):
    """SIGSTOP one process until its lease and its claims have run out."""
    victim = _victim(world, blow)
    if victim is None:
        return False
    for_s = CLAIM_DEADLINE_S + 0.2 + 1.8 * blow.other
    victim.stop()
    world.note("stop", who=victim.name, for_s=for_s)
    world.later(for_s, victim.go_on)
    return True


def terminate(world, blow):
    """SIGTERM one process; it is started again when it has ended."""
    victim = _victim(world, blow)
    if victim is None:
        return False
    world.note("restart", who=victim.name)
    world.end_gently(victim)
    return True


def roll(world, _):
    """SIGTERM every process, one after the other."""
    waiting = list(world.replicas.values())

    def next_one():
        if not waiting:
            return
        if _spare(world, waiting[0]):
            victim = waiting.pop(0)
            world.note("restart", who=victim.name)
            world.end_gently(victim)
        world.later(_AGAIN_S, next_one)

    next_one()
    return True


def redis_kill(world, blow):
    """SIGKILL Valkey, and start it again, empty, a moment later."""
    if not (world.stores.valkey.running and world.stores.postgres.running):
        return False
    world.stores.valkey.kill()
    world.emptied_at = time.monotonic()
    world.note("redis_kill")
    world.later(0.2 + 1.8 * blow.other, world.stores.valkey.start)
    return True


def redis_pause(world, blow):
    """Have Valkey answer nobody for a while."""
    ms = int(300 + 1700 * blow.other)
    return _redis(world, "redis_pause", lambda client: client.client_pause(ms, all=True))


def redis_flush(world, _):
    """Empty Valkey; what it held is looked through for secrets first."""
    with suppress(redis.RedisError):
        dumps.dump_redis(world.stores.valkey.url, world.folder)
    world.emptied_at = time.monotonic()
    return _redis(world, "flush", lambda client: client.flushall())


def postgres_restart(world, blow):
    """Stop PostgreSQL in good order, and start it again a moment later.

    Not while Redis is still all but empty: that is both stores at once, which `postgres_kill` sees to.
    """
    if time.monotonic() - world.emptied_at < _FILLED_S:
        return False
    return _postgres_gone(world, blow, "postgres_restart", world.stores.postgres.stop)


def postgres_kill(world, blow):
    """SIGKILL PostgreSQL; it recovers from its log when it is started again."""
    return _postgres_gone(world, blow, "postgres_kill", world.stores.postgres.kill)


def postgres_massacre(world, _):
    """Terminate every connection to PostgreSQL."""
    if not world.stores.postgres.running:
        return False
    world.note("massacre", connections=dumps.massacre(world.stores.postgres.url))
    return True


def _postgres_gone(world, blow, what, end):
    """Without it nobody is rotated, which is no fault of the broker's: it comes back as fast as it can."""
    if not (world.stores.valkey.running and world.stores.postgres.running):
        return False
    world.note(what)
    end()
    world.later(0.05 + 0.3 * blow.other, world.stores.postgres.start)
    return True


def _redis(world, what, do):
    if not world.stores.valkey.running:
        return False
    with closing(redis.Redis.from_url(world.stores.valkey.url, socket_timeout=_REDIS_S)) as client:
        try:
            do(client)
        except redis.RedisError:  # paused already
            return False
    world.note(what)
    return True


def _victim(world, blow):
    """Choose one that is up and may go."""
    names = sorted(name for name, one in world.replicas.items() if _spare(world, one))
    return world.replicas[names[int(blow.roll * len(names))]] if names else None


def _spare(world, replica):
    """Whether it is up, and, if it serves, all others that serve are up too."""
    if replica.state is not State.UP:
        return False
    others = [one for one in world.replicas.values() if one.serves and one is not replica]
    return not replica.serves or all(one.state is State.UP for one in others)


_BLOWS = {
    "kill": kill,
    "kill_services": kill_services,
    "stop": stop,
    "terminate": terminate,
    "roll": roll,
    "redis_kill": redis_kill,
    "redis_pause": redis_pause,
    "redis_flush": redis_flush,
    "postgres_restart": postgres_restart,
    "postgres_kill": postgres_kill,
    "postgres_massacre": postgres_massacre,
}
