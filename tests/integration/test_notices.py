"""What happens in the whole broker is written down for the app, and nothing in it is secret."""

from datetime import timedelta

import pytest

from service.broker import circuits
from service.broker.errors import GrantDead, TokenUnknown, UpstreamUnavailable
from tests.support.waiting import eventually

WRITTEN = "SELECT type, user_id, facts->>'reason' AS reason FROM notices ORDER BY seq"


async def written(world):
    return [tuple(row) for row in await world.sql(WRITTEN)]


@pytest.fixture
def probed_at_once(monkeypatch):
    monkeypatch.setattr(circuits, "_PROBE_EVERY", timedelta(0))


async def test_a_user_who_is_gone_upstream_dies_and_comes_back_when_created_anew(world):
    anna = await world.user()
    world.sandbox.delete_user(anna.upstream_id)
    await world.later(hours=2)
    for _ in range(2):
        with pytest.raises(GrantDead):
            await anna.token()
    await world.create()
    assert await written(world) == [
        ("grant.died", "anna", "user_gone"),
        ("grant.recovered", "anna", "created"),
    ]
    told = await world.sql("SELECT facts->>'calUserId' AS of FROM notices ORDER BY seq")
    assert told[0]["of"] == str(anna.upstream_id)
    assert told[1]["of"] != told[0]["of"]


async def test_a_pair_that_was_lost_upstream_is_had_back(world):
    anna = await world.user()
    token = await anna.token()
    await anna.lose_refresh_token()
    world.sandbox.kill(token)
    assert await world.browser(token) != token
    assert await written(world) == [("grant.recovered", "anna", "forced")]


async def test_an_order_is_no_news_to_who_gave_it(world):
    anna = await world.user()
    await anna.rotate(force=True)
    await world.broker.answers._grants.pause(anna.key, actor="test")
    await world.broker.answers._grants.resume(anna.key, actor="test")
    assert await written(world) == []


async def test_a_token_that_is_used_after_a_revoke_is_told_of_once(world):
    anna = await world.user()
    token = await anna.token()
    await world.broker.answers._grants.revoke(anna.key, actor="test")
    for _ in range(3):
        with pytest.raises(TokenUnknown):
            await world.browser(token)
    await world.broker.answers.reuses.flush()
    await world.broker.audit.flush()
    assert await written(world) == [("token.reuse", "anna", "revoked")]


async def test_a_client_that_is_refused_is_told_of_once_by_all_processes_and_when_it_is_well_again(
    pair_of_brokers, probed_at_once
):
    world = pair_of_brokers
    anna = await world.user()
    await world.later(hours=2)
    world.sandbox.rotate_secret("cl-default", "another-secret")
    for broker in world.brokers:
        with pytest.raises(UpstreamUnavailable):
            await anna.token(broker)
    await eventually(lambda: heard_in_the_database(world, 1))
    world.sandbox.change_client("cl-default", secret="secret-of-default")
    await eventually(lambda: heard_in_the_database(world, 2))
    assert [row[0] for row in await written(world)] == ["circuit.opened", "circuit.closed"]
    assert await world.sql("SELECT FROM open_circuits") == []


async def heard_in_the_database(world, count):
    return len(await written(world)) >= count


async def test_nothing_of_a_token_or_a_secret_is_in_it(world):
    anna = await world.user()
    tokens = list(await anna.tokens())
    await anna.lose_refresh_token()
    world.sandbox.kill(tokens[0])
    tokens.append(await world.browser(tokens[0]))
    world.sandbox.delete_user(anna.upstream_id)
    await world.later(hours=2)
    with pytest.raises(GrantDead):
        await anna.token()
    stored = str([tuple(row) for row in await world.sql("SELECT notices::text FROM notices")])
    assert "grant.died" in stored
    assert not any(secret in stored for secret in (*tokens, "secret-of-default", "anna@example.com"))
