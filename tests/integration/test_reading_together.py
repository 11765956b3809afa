"""Many callers at once: one upstream call, and the same token for all."""

import asyncio

import pytest


async def all_at_once(*callers):
    return set(await asyncio.gather(*callers))


@pytest.mark.parametrize("tabs", [2, 10])
async def test_tabs_that_wake_together_after_expiry_share_one_refresh(world, tabs):
    anna = await world.user()
    token = await anna.token()
    await world.later(hours=2)
    answers = await all_at_once(*(world.browser(token) for _ in range(tabs)))
    assert answers == {(await anna.tokens())[0]}
    assert anna.calls() == ["refresh"]


async def test_fifty_callers_over_two_processes_share_one_refresh(pair_of_brokers):
    world = pair_of_brokers
    anna = await world.user()
    token = await anna.token()
    await world.later(hours=2)
    browsers = [world.browser(token, world.brokers[n % 2]) for n in range(30)]
    services = [anna.token(world.brokers[n % 2]) for n in range(20)]
    assert await all_at_once(*browsers, *services) == {(await anna.tokens())[0]}
    assert anna.calls() == ["refresh"]


async def test_fifty_tabs_on_three_generations_share_one_refresh(pair_of_brokers):
    world = pair_of_brokers
    anna = await world.user()
    tokens = [await anna.token(), await anna.rotate(), await anna.rotate()]
    await world.later(hours=2)
    anna.forget_calls()
    tabs = (world.browser(tokens[n % 3], world.brokers[n % 2]) for n in range(50))
    assert len(await all_at_once(*tabs)) == 1
    assert anna.calls() == ["refresh"]


async def test_many_callers_of_a_stale_token_start_one_refresh_behind_them(pair_of_brokers):
    world = pair_of_brokers
    anna = await world.user()
    token = await anna.token()
    await world.later(minutes=52)
    callers = (anna.token(world.brokers[n % 2]) for n in range(20))
    with world.sandbox.gate("refresh") as gate:
        assert await all_at_once(*callers) == {token}
        await gate.arrived()
    for broker in world.brokers:
        await broker.drain(5)
    assert anna.calls() == ["refresh"]


async def test_complaints_over_two_processes_about_a_refused_token_cost_one_refresh(pair_of_brokers):
    world = pair_of_brokers
    anna = await world.user()
    token = await anna.token()
    await world.later(minutes=1)
    world.sandbox.kill(token)
    tabs = (world.browser(token, world.brokers[n % 2]) for n in range(20))
    assert await all_at_once(*tabs) == {(await anna.tokens())[0]}
    assert anna.calls("refresh") == ["refresh"]


async def test_users_do_not_wait_for_each_other(world):
    people = [await world.user(name) for name in ("anna", "bert", "cleo")]
    await world.later(hours=2)
    with world.sandbox.gate("refresh", user=people[0].upstream_id) as gate:
        waiting = asyncio.create_task(people[0].token())
        await gate.arrived()
        tokens = await all_at_once(*(person.token() for person in people[1:]))
        assert not waiting.done()
    assert len({await waiting, *tokens}) == 3
