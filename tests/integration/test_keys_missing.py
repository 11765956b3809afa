"""A process without the key of a user's tokens: it spends nothing and overwrites nothing."""

import pytest

from service.broker.errors import Invalid, SealBroken
from service.broker.model import Enrolment
from tests.support.environment import key_of

STORED = "SELECT generation, key_id, access_sealed, refresh_sealed, state FROM grants"


@pytest.fixture
async def world(worlds):
    return await worlds()


@pytest.fixture
async def without_key(world, worlds):
    """Another world on the same stores, with other encryption keys and an upstream of its own."""
    return await worlds(ENCRYPTION_KEYS=f"e2:{key_of('x')}")


ASKED = {
    "a page": lambda other, anna, token: other.browser(token),
    "a service": lambda other, anna, token: anna.token(other.broker),
    "a rotation": lambda other, anna, token: anna.rotate(other.broker),
    "a force": lambda other, anna, token: anna.rotate(other.broker, force=True),
}


@pytest.mark.parametrize("asking", ASKED)
async def test_whoever_asks_is_told_to_come_back_and_the_row_stays_as_it_is(world, without_key, asking):
    anna, token = await world.used_user(hours=2)
    before = await world.sql(STORED)
    with pytest.raises(SealBroken):
        await ASKED[asking](without_key, anna, token)
    assert await world.sql(STORED) == before
    assert without_key.sandbox.journal.calls == {}


async def test_ahead_of_time_nothing_is_spent_or_written_either(world, without_key):
    await world.used_user(minutes=52)
    before = await world.sql(STORED)
    await without_key.sweep()
    assert len(without_key.heard("grant.unreadable")) == 1
    assert await world.sql(STORED) == before
    assert without_key.sandbox.journal.calls == {}


async def test_what_it_finds_in_redis_is_a_miss_and_no_alarm(world, without_key):
    anna, token = await world.used_user(minutes=1)
    await anna.token()
    with pytest.raises(SealBroken):
        await anna.token(without_key.broker)
    assert len(without_key.heard("cache.key_missing")) >= 1
    assert without_key.heard("cache.foreign") == []
    assert await world.browser(token) == token


async def test_with_the_key_everything_is_there_as_before(world, without_key):
    anna, token = await world.used_user(hours=2)
    with pytest.raises(SealBroken):
        await anna.token(without_key.broker)
    assert world.sandbox.is_live(await world.browser(token))
    assert anna.calls("force") == []


async def as_upstream_of(world, without_key):
    """Anna, known upstream to the process that lacks the key of her tokens, too."""
    anna, _ = await world.used_user(hours=2)
    row, pair = without_key.sandbox.create_user("cl-default", "anna@example.com")
    await anna.set(upstream_id=str(row.id))
    await world.sql("UPDATE users SET upstream_id = $1", str(row.id))
    return anna, str(row.id), pair


async def test_a_pair_that_the_app_hands_over_does_not_replace_what_cannot_be_read(world, without_key):
    anna, upstream_id, pair = await as_upstream_of(world, without_key)
    before = await world.sql(STORED)
    enrolment = Enrolment(upstream_id, pair.access.secret, pair.refresh.secret)
    with pytest.raises(SealBroken):
        await without_key.enrol(anna, enrolment, replace=True)
    assert await world.sql(STORED) == before


async def test_an_administrator_has_the_user_back_while_the_row_stands(world, without_key):
    anna, upstream_id, pair = await as_upstream_of(world, without_key)
    users, about = without_key.broker.users, (anna.key, upstream_id, "anna@example.com")
    await users.recover(*about, vouch=False, actor="admin")
    token = await anna.token(without_key.broker)
    assert without_key.sandbox.is_live(token)
    assert not without_key.sandbox.is_live(pair.access.secret)
    assert [row["key_id"] for row in await world.sql(STORED)] == ["e2"]


async def test_a_recovery_that_upstream_does_not_verify_leaves_the_row_as_it_is(world, without_key):
    anna, upstream_id, _ = await as_upstream_of(world, without_key)
    before = await world.sql(STORED)
    with pytest.raises(Invalid):
        await without_key.broker.users.recover(
            anna.key, upstream_id, "bert@example.com", vouch=False, actor="admin"
        )
    assert await world.sql(STORED) == before


async def test_a_user_whose_tokens_cannot_be_read_can_be_deleted(world, without_key):
    anna, _, _ = await as_upstream_of(world, without_key)
    await without_key.broker.users.delete(anna.key, actor="test")
    assert await world.sql(STORED) == []


@pytest.mark.parametrize("order", ["pause", "revoke"])
async def test_another_order_leaves_what_is_sealed_as_it_is(world, without_key, order):
    anna, _, _ = await as_upstream_of(world, without_key)
    sealed = "SELECT generation, key_id, access_sealed, refresh_sealed FROM grants"
    before = await world.sql(sealed)
    with pytest.raises(SealBroken):
        await getattr(without_key.broker.users, order)(anna.key, actor="test")
    assert await world.sql(sealed) == before
    assert "force" not in without_key.sandbox.journal.calls


async def test_a_settlement_does_not_get_as_far_as_the_row(world, without_key):
    anna, _, _ = await as_upstream_of(world, without_key)
    grant = await anna.grant()
    claims = without_key.ports.claims
    with pytest.raises(SealBroken):
        await claims.claim(anna.key, grant.generation, "somebody")
