"""Everybody asks at once: 500 pages with one expired token, over several processes, one upstream call."""

from contextlib import closing
from itertools import pairwise

import pytest
import redis

from sandbox.calcom import SandboxConfig, serve
from sandbox.embedded.valkey import Valkey
from tests.e2e.callers import create_user, token_of
from tests.e2e.stampedes import (
    CLIENT,
    UPSTREAM_TAKES_S,
    calls_of,
    let_it_expire,
    services_of,
    stampede,
    waited_beyond,
)

AT_MOST_S = 0.25
UNHURRIED = {
    "DATABASE_TIMEOUT": "3s",
    "LEASE_TTL": "6s",
    "CLAIM_DEADLINE": "6s",
    "PUBLIC_ANSWER_TIMEOUT": "12s",
    "DRAIN": "14s",
}


@pytest.fixture
def own_valkey(server_folder):
    """A Valkey that this test may stop."""
    valkey = Valkey(server_folder)
    valkey.start()
    yield valkey
    valkey.stop()


async def an_expired_token(services, upstream, database_url):
    """Create a user, let the first token end, and have refreshes take their time from now on."""
    await create_user(services[0]["internal"], "ann")
    token = await token_of(services[0]["internal"], "ann")
    await let_it_expire(database_url, upstream)
    upstream.sandbox.fault("delay_before", "refresh", delay_s=UPSTREAM_TAKES_S)
    return token


def at_once(calls):
    """Pairs of calls of which the second came before the first had been answered."""
    calls = sorted(calls, key=lambda call: call.started_ms)
    return [(a, b) for a, b in pairwise(calls) if b.started_ms < a.ended_ms]


@pytest.mark.timeout(90)
async def test_five_hundred_pages_of_one_user_cost_one_refresh_and_wait_for_nothing_else(
    database_url, redis_url
):
    async with (
        serve(SandboxConfig(clients=(CLIENT,), throttle=False)) as upstream,
        services_of(2, database_url, redis_url, upstream) as services,
    ):
        token = await an_expired_token(services, upstream, database_url)
        with closing(redis.Redis.from_url(redis_url)) as client:
            client.flushall()

        answers = await stampede(services, token)

    refreshes = calls_of(upstream, "refresh")
    assert len(refreshes) == 1
    assert {status for status, _, _ in answers} == {200}
    assert len({body for _, body, _ in answers}) == 1
    beyond_s = waited_beyond(answers, refreshes[0])
    assert beyond_s < AT_MOST_S, f"p99 {beyond_s:.3f} s"


@pytest.mark.timeout(120)
async def test_without_redis_five_hundred_pages_over_four_services_still_cost_one_refresh(
    database_url, own_valkey, capsys
):
    async with (
        serve(SandboxConfig(clients=(CLIENT,), throttle=False)) as upstream,
        services_of(4, database_url, own_valkey.url, upstream, **UNHURRIED) as services,
    ):
        token = await an_expired_token(services, upstream, database_url)
        own_valkey.stop()

        answers = await stampede(services, token)

    refreshes = calls_of(upstream, "refresh")
    assert at_once(refreshes) == []
    assert [call.known for call in refreshes] == [True], "the refresh token was presented again"
    assert {status for status, _, _ in answers} == {200}
    assert len({body for _, body, _ in answers}) == 1
    with capsys.disabled():
        beyond_s = waited_beyond(answers, refreshes[0])
        print(f"\nstampede without Redis: p99 {beyond_s:.3f} s after upstream's answer")  # noqa: T201
