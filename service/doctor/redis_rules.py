"""Judges what Redis says of itself: latency, version, eviction, room, persistence. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from service.doctor.findings import Finding, doubtful, fine, unseen, wrong

DEADLINE_S = 0.25
"""How long service and worker wait for an answer: see RedisLink."""
SLOW_S = 0.05
_OLDEST = (6, 2)
_NEARLY_FULL = 0.9


@dataclass(frozen=True, slots=True)
class Facts:
    """What the server says of itself, and the times that short questions took."""

    info: Mapping[str, str]
    times_s: tuple[float, ...]

    def number(self, name: str) -> int:
        """Return a figure of INFO; 0 where it does not have it."""
        text = self.info.get(name, "")
        return int(text) if text.isdecimal() else 0


def judge_latency(facts: Facts) -> Finding:
    """Judge whether Redis answers before the broker gives it up, and so that it is worth asking."""
    middle_s = statistics.median(facts.times_s)
    took = (
        f"{middle_s * 1000:.1f} ms (of {len(facts.times_s)}, the slowest {max(facts.times_s) * 1000:.1f} ms)"
    )
    mend = (
        "Bring Redis nearer to the broker (the same zone), or see what keeps it busy: "
        "SLOWLOG GET, LATENCY DOCTOR."
    )
    if middle_s >= DEADLINE_S:
        what = (
            f"Redis answers in {took}: later than the {DEADLINE_S * 1000:.0f} ms that the "
            "broker waits, so it works without"
        )
        return wrong("redis.latency", what, mend)
    if middle_s >= SLOW_S:
        return doubtful("redis.latency", f"Redis answers in {took}: PostgreSQL would be as soon", mend)
    return fine("redis.latency", f"Redis answers in {took}")


def judge_info(facts: Facts) -> Iterator[Finding]:
    """Judge what the server says of itself."""
    if not facts.info:
        yield unseen(
            "redis.policy", "its user may not run INFO: version, policy and persistence are not known"
        )
        return
    yield _version(facts)
    yield _policy(facts)
    yield from _room(facts)
    yield from _persistence(facts)


def _version(facts: Facts) -> Finding:
    shown = facts.info.get("valkey_version") or facts.info.get("redis_version", "0")
    name = "Valkey" if "valkey_version" in facts.info else "Redis"
    if facts.info.get("redis_mode") == "cluster" or facts.info.get("cluster_enabled") == "1":
        what = "it is a Redis Cluster: the worker's queue cannot live there"
        return wrong(
            "redis.version", what, "Have TOKEN_BROKER_REDIS_URL lead to a single primary, or to sentinels."
        )
    # Valkey goes on telling, as its own, the last version of Redis that it was made from.
    spoken = facts.info.get("redis_version", "0").split(".")
    if tuple(int(part) for part in spoken[:2] if part.isdecimal()) < _OLDEST:
        return wrong("redis.version", f"{name} {shown} is too old", "Run Redis 6.2, Valkey 7.2 or newer.")
    return fine("redis.version", f"{name} {shown}, a single primary")


def _policy(facts: Facts) -> Finding:
    policy = facts.info.get("maxmemory_policy", "")
    if policy in {"noeviction", ""}:
        return fine("redis.policy", "nothing is evicted (noeviction)")
    what = (
        f"maxmemory-policy is {policy}: locks, budgets and the marks of revoked users "
        "may vanish before their time"
    )
    mend = "CONFIG SET maxmemory-policy noeviction, and the same in its configuration file."
    # Without a limit the policy never acts: it is a trap for later, not a fault.
    limited = facts.number("maxmemory") > 0
    return wrong("redis.policy", what, mend) if limited else doubtful("redis.policy", what, mend)


def _room(facts: Facts) -> Iterator[Finding]:
    most, used = facts.number("maxmemory"), facts.number("used_memory")
    if most and used > _NEARLY_FULL * most:
        what = (
            f"{used / most:.0%} of maxmemory is used: when it is full nothing is cached "
            "and no budget is shared"
        )
        yield wrong(
            "redis.memory",
            what,
            "Raise maxmemory, or find out what else fills it: the broker's own keys all expire.",
        )
    open_now, allowed = facts.number("connected_clients"), facts.number("maxclients")
    if allowed and open_now > _NEARLY_FULL * allowed:
        what = f"{open_now} of {allowed} connections are taken"
        yield wrong("redis.clients", what, "Raise maxclients, or find out who holds so many: CLIENT LIST.")


def _persistence(facts: Facts) -> Iterator[Finding]:
    """Judge what it writes to disk: it need not, but where it cannot it soon refuses every write."""
    failed = [
        name
        for name in ("rdb_last_bgsave_status", "aof_last_bgrewrite_status", "aof_last_write_status")
        if facts.info.get(name, "ok") != "ok"
    ]
    if failed:
        what = f"it cannot write to its disk ({', '.join(failed)}) and may refuse every write for that"
        yield wrong(
            "redis.persistence",
            what,
            'See its log: mostly a full disk. Or do without persistence: CONFIG SET save "" turns it off.',
        )
        return
    kept = "append-only file" if facts.info.get("aof_enabled") == "1" else "snapshots or none"
    yield fine("redis.persistence", f"{kept}; nothing that the broker keeps there may not be lost")
