"""Pages that wait for the first of them with the same token: one look, one call, and each judged anew."""

import asyncio

import pytest

from service.broker.errors import TokenUnknown, UpstreamUnavailable


class Follower:
    """One who presents a token after somebody else has set out with it."""

    def __init__(self, world, token, broker=None):
        self.at_hand = (broker or world.broker).at_hand
        self.told = asyncio.get_running_loop().create_future()
        self.token = token
        self.waits = self.at_hand.follow(self.at_hand.fingerprint(token), self.told.set_result)

    async def given(self):
        """The token that it is given; None where it has to go its own way."""
        hit = await self.told
        current = None if hit is None else self.at_hand.for_browser(hit, self.at_hand.clock())
        return current and current.access_token


@pytest.fixture
async def crowded(world):
    """An expired token, with which somebody is about to set out."""
    anna, token = await world.used_user(hours=2)
    assert not Follower(world, token).waits
    return anna, token


async def test_those_who_follow_are_given_what_the_first_had_rotated(world, crowded):
    anna, token = crowded
    with world.sandbox.gate("refresh") as gate:
        first = asyncio.create_task(world.browser(token))
        await gate.arrived()
        followers = [Follower(world, token) for _ in range(3)]
        gate.open()
    given = {await first, *[await one.given() for one in followers]}
    assert given == {(await anna.tokens())[0]}
    assert anna.calls() == ["refresh"]
    assert [facts["count"] for facts in world.heard("refresh.joined")] == [1, 1, 1]


async def test_they_are_given_what_another_process_rotated(pair_of_brokers):
    world, other = pair_of_brokers, pair_of_brokers.brokers[1]
    anna, token = await world.used_user(hours=2)
    assert not Follower(world, token, other).waits
    with world.sandbox.gate("refresh") as gate:
        here = asyncio.create_task(world.browser(token))
        await gate.arrived()
        there = asyncio.create_task(world.browser(token, other))
        follower = Follower(world, token, other)
        gate.open()
    assert {await here, await there, await follower.given()} == {(await anna.tokens())[0]}
    assert anna.calls() == ["refresh"]


async def test_upstream_is_asked_once_though_it_fails_for_all_of_them(world, crowded):
    anna, token = crowded
    await world.stop_upstream()
    first = asyncio.create_task(world.browser(token))
    followers = [Follower(world, token) for _ in range(2)]
    with pytest.raises(UpstreamUnavailable):
        await first
    assert [await one.given() for one in followers] == [None, None]
    epoch = (await anna.grant()).failures
    for _ in followers:
        with pytest.raises(UpstreamUnavailable):
            await world.browser(token)
    assert (await anna.grant()).failures == epoch


async def test_a_revoke_that_comes_meanwhile_is_known_to_each_of_them(world, crowded):
    anna, token = crowded
    with world.sandbox.gate("refresh") as gate:
        first = asyncio.create_task(world.browser(token))
        await gate.arrived()
        follower = Follower(world, token)
        await anna.set(not_before_generation=(await anna.grant()).generation)
        gate.open()
    with pytest.raises(TokenUnknown):
        await first
    assert await follower.given() is None


async def test_those_who_complain_while_upstream_is_asked_about_their_token_join_the_check(world):
    anna, token = await world.used_user(minutes=1)
    assert not Follower(world, token).waits
    with world.sandbox.gate("check") as gate:
        first = asyncio.create_task(world.browser(token))
        before = Follower(world, token)
        await gate.arrived()
        meanwhile = Follower(world, token)
        gate.open()
    assert {await first, await before.given(), await meanwhile.given()} == {token}
    assert anna.calls() == ["check"]


async def test_who_complains_once_the_check_has_ended_is_not_given_what_it_confirmed(world):
    anna, token = await world.used_user(minutes=1)
    assert not Follower(world, token).waits
    first = asyncio.create_task(world.browser(token))
    follower = Follower(world, token)
    assert {await first, await follower.given()} == {token}
    assert not Follower(world, token).waits
    assert await world.browser(token) == (await anna.tokens())[0] != token


async def test_where_upstream_refuses_the_token_they_are_given_the_next_one(world):
    anna, token = await world.used_user(minutes=1)
    world.sandbox.kill(token)
    assert not Follower(world, token).waits
    first = asyncio.create_task(world.browser(token))
    follower = Follower(world, token)
    assert {await first, await follower.given()} == {(await anna.tokens())[0]}


async def test_a_revoke_that_comes_while_a_crowd_is_told_is_known_to_the_rest_of_it(world):
    """A crowd is told over many turns of the loop, and what the first came to may be a second old."""
    anna, token = await world.used_user(minutes=1)
    await anna.rotate()
    generation = (await anna.grant()).generation
    assert not Follower(world, token).waits
    first = asyncio.create_task(world.browser(token))
    followers = [Follower(world, token) for _ in range(200)]
    await followers[0].told
    await world.ports.cache.block(anna.key, generation)
    assert await first
    assert [await one.given() for one in followers[-60:]] == [None] * 60


async def test_a_token_of_nobody_leaves_everybody_to_be_refused_alone(world):
    token = "eyJ.made-up.token-of-nobody"
    assert not Follower(world, token).waits
    first = asyncio.create_task(world.browser(token))
    follower = Follower(world, token)
    with pytest.raises(TokenUnknown):
        await first
    assert await follower.given() is None
