"""Several OAuth clients on one broker: the same ids and e-mails in each, and nothing shared."""

import asyncio

import pytest

from service.broker.errors import Invalid, TokenUnknown, UpstreamUnavailable, UserUnknown
from service.broker.model import GrantState, UserKey
from service.broker.ports import UserQuery


@pytest.fixture
async def world(worlds):
    return await worlds(clients=("acme", "zeta"))


@pytest.fixture
async def namesakes(world):
    """A user of the same id and e-mail under each client, and their tokens."""
    anna, other = await world.user("anna", "acme"), await world.user("anna", "zeta")
    return anna, other, await anna.token(), await other.token()


def owner_of(world, token):
    return world.sandbox.state.access[token].user_id


async def test_the_same_id_and_e_mail_are_two_users(world, namesakes):
    anna, other, token, others = namesakes
    assert anna.upstream_id != other.upstream_id
    assert (owner_of(world, token), owner_of(world, others)) == (anna.upstream_id, other.upstream_id)


async def test_a_token_answers_for_its_own_client_only(world, namesakes):
    anna, other, token, others = namesakes
    new, newer = await anna.rotate(), await other.rotate()
    assert await world.browser(token) == new
    assert await world.browser(others) == newer


async def test_a_token_of_one_client_is_no_complaint_under_another(world, namesakes):
    _, other, token, _ = namesakes
    with pytest.raises(Invalid):
        await world.broker.answers.complain(other.key, token, actor="test")
    assert other.calls() == []


async def test_a_user_of_one_client_is_nobody_under_another(world):
    await world.user("anna", "acme")
    key = UserKey("zeta", "anna")
    with pytest.raises(UserUnknown):
        await world.broker.answers.for_service(key, min_ttl_s=None, vouch=False)
    assert await world.broker.users.page(UserQuery("zeta")) == []


async def test_flights_of_namesakes_do_not_join(world, namesakes):
    anna, other, *_ = namesakes
    await world.later(hours=2)
    with world.sandbox.gate("refresh") as gate:
        asking = [asyncio.create_task(person.token()) for person in (anna, other)]
        await gate.arrived(2)
    tokens = await asyncio.gather(*asking)
    assert [owner_of(world, token) for token in tokens] == [anna.upstream_id, other.upstream_id]


async def test_orders_about_one_leave_the_other_alone(world, namesakes):
    anna, other, token, others = namesakes
    await world.broker.users.revoke(anna.key, actor="test")
    await world.broker.users.pause(anna.key, actor="test")
    with pytest.raises(TokenUnknown):
        await world.browser(token)
    assert await other.token() == others
    await world.broker.users.delete(anna.key, actor="test")
    assert await other.token() == others
    assert (await other.grant()).state is GrantState.LIVE
    assert other.calls() == []


async def test_the_circuit_of_one_client_leaves_the_other_closed(world, namesakes):
    anna, other, *_ = namesakes
    await world.later(hours=2)
    world.sandbox.rotate_secret("cl-acme", "another-secret")
    with pytest.raises(UpstreamUnavailable):
        await anna.token()
    assert world.sandbox.is_live(await other.token())
    assert [facts["client"] for facts in world.heard("circuit.opened")] == ["acme"]
    assert (await world.sweep(client="acme")).claimed == 0


async def test_the_pause_of_one_client_leaves_the_others_budget_alone(world, namesakes):
    anna, other, *_ = namesakes
    await world.later(hours=2)
    world.sandbox.fault("throttled", "refresh", client="cl-acme", reset_s=40)
    with pytest.raises(UpstreamUnavailable):
        await anna.token()
    assert await world.ports.budget.take_ahead("acme", 1) == 0
    assert world.sandbox.is_live(await other.token())


async def test_what_one_client_uses_up_is_there_for_the_other(worlds):
    world = await worlds(clients=("acme", "zeta"), UPSTREAM_RATE="9/min")
    other = await world.user("anna", "zeta")
    assert await world.ports.budget.take("acme", 0)
    assert not await world.ports.budget.take("acme", 0)
    await world.drop_caches()
    assert world.sandbox.is_live(await other.token())


async def test_a_sweep_works_on_its_own_client_only(world, namesakes):
    anna, other, *_ = namesakes
    await world.later(minutes=52)
    assert (await world.sweep(client="acme")).rotated == 1
    assert (anna.calls(), other.calls()) == (["refresh"], [])


async def test_every_call_is_reported_under_its_client(world, namesakes):
    anna, other, *_ = namesakes
    await anna.rotate()
    clients = [facts["client"] for facts in world.heard("upstream.call") if facts["call"] == "refresh"]
    assert clients == ["acme"]
    assert [facts["trigger"] for facts in world.heard("refresh.rotated", anna)] == ["request"]
    assert world.heard("refresh.rotated", other) == []
