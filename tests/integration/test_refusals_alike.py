"""Whatever the reason a token is refused for, the same was asked and nothing was opened: no time tells it.

And what is answered from the cache has asked Redis once and the database never.
"""

import asyncio
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis

from service.broker.errors import TokenUnknown

STEPS = [
    "cache.find", "cache.current", "cache.put", "grants.find", "grants.load", "vault.opened", "vault.seal"
]  # fmt: skip
REFUSED_AS_EVER = ["cache.find", "grants.find"]
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
OLDEST = "generation = (SELECT min(generation) FROM lineage)"


async def unknown(worlds):
    world = await worlds()
    await world.user()
    return world, "a-token-that-was-never-issued"


async def past_its_window(worlds):
    world, old, _ = await superseded(worlds)
    await world.sql(f"UPDATE lineage SET counts_until = now() WHERE {OLDEST}")
    await world.drop_caches()
    return world, old


async def revoked(worlds):
    world, old, anna = await superseded(worlds)
    await world.browser(old)
    await world.broker.users.revoke(anna.key, actor="test")
    return world, old


async def paused(worlds):
    world, old, anna = await superseded(worlds)
    await world.broker.users.pause(anna.key, actor="test")
    return world, old


async def dead(worlds):
    world, old, anna = await superseded(worlds)
    world.sandbox.delete_user(anna.upstream_id)
    await world.later(hours=2)
    await refused(world, old)
    return world, old


async def deleted(worlds):
    world, old, anna = await superseded(worlds)
    await world.broker.users.delete(anna.key, actor="test")
    return world, old


async def no_longer_vouched_for(worlds):
    world = await worlds(SUPERSEDED_WINDOW="7d")
    anna = await world.user()
    old = await anna.token()
    await anna.rotate()
    await world.sql("UPDATE users SET vouched_at = now() - interval '30 days', refreshed_at = now()")
    await world.drop_caches()
    return world, old


async def superseded_where_only_the_current_counts(worlds):
    world = await worlds(SUPERSEDED_WINDOW="0")
    anna = await world.user()
    old = await anna.token()
    await world.browser(old)
    await anna.rotate()
    return world, old


REFUSED = [
    unknown,
    past_its_window,
    revoked,
    paused,
    dead,
    deleted,
    no_longer_vouched_for,
    superseded_where_only_the_current_counts,
]


async def superseded(worlds):
    """A world, an older token of its one user, and the user."""
    world = await worlds()
    anna = await world.user()
    old = await anna.token()
    await anna.rotate()
    return world, old, anna


async def refused(world, token):
    with pytest.raises(TokenUnknown):
        await world.browser(token)


@contextmanager
def steps_of(world, monkeypatch):
    """Everything that is asked, opened and told in the course of an answer, in its order."""
    steps, ours = [], asyncio.current_task()

    def noting(step, real):
        def noted(*args, **named):
            # What is told at the same time, behind the callers, is no part of it.
            if step or asyncio.current_task() is ours:
                steps.append(step or f"tells {args[0]}")
            return real(*args, **named)

        return noted

    with monkeypatch.context() as patched:
        for step in STEPS:
            name, method = step.split(".")
            port = world.ports.cache._values.vault if name == "vault" else getattr(world.ports, name)
            patched.setattr(port, method, noting(step, getattr(port, method)))
        patched.setattr(world.notes, "note", noting("", world.notes.note))
        yield steps


@pytest.mark.parametrize("why", REFUSED, ids=lambda why: why.__name__)
async def test_every_refusal_has_asked_the_same_and_opened_and_told_nothing(worlds, monkeypatch, why):
    world, token = await why(worlds)
    for _ in range(3):
        with steps_of(world, monkeypatch) as steps:
            await refused(world, token)
        assert steps == REFUSED_AS_EVER


@pytest.mark.parametrize("why", REFUSED, ids=lambda why: why.__name__)
async def test_redis_does_as_much_for_every_refusal_and_answers_alike(worlds, why):
    world, token = await why(worlds)
    await refused(world, token)
    scripts, reads = await commands(world)
    await refused(world, token)
    assert await commands(world) == (scripts + 1, reads + 2)


async def test_a_superseded_token_costs_a_look_in_redis_until_it_has_come_again_and_then_none(
    pair_of_brokers, monkeypatch
):
    world = pair_of_brokers
    anna = await world.user()
    old, current = await anna.rotate(), await anna.rotate()
    world.brokers.reverse()
    for opened in (["vault.opened"] * 2, ["vault.opened"] * 2, []):
        with steps_of(world, monkeypatch) as steps:
            assert await world.browser(old) == current
        assert steps == ["cache.find", *opened, "tells answer"]


async def commands(world):
    """How many scripts Redis has run, and how many values it has read in them."""
    async with Redis.from_url(world.settings.redis_url.value) as redis:
        stats = await redis.info("commandstats")
    return stats["cmdstat_evalsha"]["calls"], stats["cmdstat_get"]["calls"]


async def test_what_the_cache_holds_for_too_long_is_weighed_as_any_other(worlds):
    """As a process of another release or with other settings may have left it."""
    world, old, _ = await superseded(worlds)
    await world.browser(old)
    await world.sql("UPDATE users SET vouched_at = now() - interval '31 days'")
    ports = world.ports
    hit = await ports.cache.find(ports.fingerprints.of(old))
    over = hit.current._replace(
        binding=hit.current.binding._replace(vouched_at=LONG_AGO, refreshed_at=LONG_AGO)
    )
    await ports.cache.put(over, [(ports.fingerprints.of(old)[0], hit.presented)])
    await refused(world, old)
