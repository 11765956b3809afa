"""Whatever ails PostgreSQL: live tokens are served, no refresh token is spent, what was issued is kept."""

import asyncio
from datetime import datetime, timedelta

import pytest

from service.adapters.postgres import clock
from service.broker.errors import StorageUnavailable
from service.broker.model import ProfileChange
from tests.support.database_trouble import hanging
from tests.support.served import ANYWHERE
from tests.support.waiting import eventually

PATIENCE_S = 1.5
"""Less than one statement may take."""


@pytest.fixture
def stores(stoppable):
    return stoppable.url, stoppable.valkey.url


@pytest.fixture
async def world(worlds):
    return await worlds(**ANYWHERE)


async def is_served(house, token):
    """Whether a page is given a token for its own; until then it is told to come back."""
    status, body = await house.refresh(token)
    assert status == 200 or body["code"] == "storage_unavailable"
    return status == 200


async def test_without_it_the_app_is_given_live_tokens_by_a_key_that_vouches(world, house, stoppable):
    anna, _ = await world.used_user(minutes=5)
    token = await anna.token()
    stoppable.postgres.stop()
    status, body = await house.token(anna)
    assert (status, body.get("accessToken")) == (200, token)


async def test_while_it_hangs_nobody_with_a_live_token_waits_for_it(world, house, stoppable):
    anna, old = await world.used_user()
    await anna.rotate()
    await world.later(minutes=5)
    current = await anna.token()
    await house.refresh(old)
    loop = asyncio.get_running_loop()
    with hanging(stoppable.postgres):
        started_at = loop.time()
        answers = [await house.refresh(old), await house.token(anna)]
        assert loop.time() - started_at < PATIENCE_S
    assert [(status, body["accessToken"]) for status, body in answers] == [(200, current)] * 2


async def test_a_process_that_began_without_it_does_not_go_by_a_wrong_clock_of_its_own(
    world, stoppable, monkeypatch
):
    class Late(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) - timedelta(minutes=5)

    monkeypatch.setattr(clock, "datetime", Late)
    stoppable.postgres.stop()
    broker = await world.open_broker()
    stoppable.postgres.start()
    await world.notes.hears("clock.off")
    assert abs(broker.clock() - world.broker.clock()) < timedelta(seconds=5)


# --- It takes no writes -------------------------------------------------------------------------------


async def test_read_only_it_still_finds_live_tokens(world, house, operator):
    anna, old = await world.used_user()
    current = await anna.rotate()
    await operator.take_no_writes()
    await world.drop_caches()
    await eventually(lambda: is_served(house, old))
    assert (await house.refresh(old))[1]["accessToken"] == current


async def test_read_only_nothing_is_spent_and_it_goes_on_by_itself_when_it_takes_writes(
    world, house, operator
):
    anna, token = await world.used_user(hours=2)
    await operator.take_no_writes()
    for _ in range(3):
        status, body = await house.refresh(token)
        assert (status, body["code"], body["accessToken"]) == (503, "storage_unavailable", "")
    assert anna.calls() == []
    await operator.take_writes()
    await eventually(lambda: is_served(house, token))
    assert anna.calls() == ["refresh"]


async def test_a_pair_issued_while_it_became_read_only_is_stored_when_it_takes_writes(world, house, operator):
    anna, token = await world.used_user(hours=2)
    with world.sandbox.gate("refresh", "after") as gate:
        asking = asyncio.create_task(house.refresh(token))
        await gate.arrived()
        await operator.take_no_writes()
    await world.notes.hears("refresh.unsettled", 2)
    await operator.take_writes()
    assert (await asking)[1]["accessToken"] == (await anna.tokens())[0]
    assert anna.calls() == ["refresh"]


# --- Its connections ----------------------------------------------------------------------------------


async def test_a_pair_issued_while_every_connection_was_killed_is_stored(world, house, operator):
    anna, token = await world.used_user(hours=2)
    with world.sandbox.gate("refresh", "after") as gate:
        asking = asyncio.create_task(house.refresh(token))
        await gate.arrived()
        await operator.kill_connections()
    assert (await asking)[1]["accessToken"] == (await anna.tokens())[0]
    assert anna.calls() == ["refresh"]
    assert world.heard("request.failed") == []


async def test_a_settlement_whose_connection_is_killed_half_way_is_made_again(world, house, operator):
    anna, token = await world.used_user(hours=2)
    with world.sandbox.gate("refresh", "after") as gate:
        asking = asyncio.create_task(house.refresh(token))
        await gate.arrived()
        async with operator.holding("grants") as held_up:
            gate.open()
            await held_up()
            await operator.kill_connections()
            await world.notes.hears("refresh.unsettled")
    assert (await asking)[1]["accessToken"] == (await anna.tokens())[0]
    assert anna.calls() == ["refresh"]


async def test_with_every_connection_taken_live_tokens_are_served_and_others_told_in_time(world, house):
    anna, ended = await world.used_user(hours=2)
    bert, _ = await world.used_user("bert")
    await bert.token()
    pool = world.broker.database._pool
    taken = [await pool.acquire() for _ in range(pool.get_max_size())]
    asked = await asyncio.gather(house.refresh(ended), house.token(bert))
    assert [(status, body.get("code")) for status, body in asked] == [
        (503, "storage_unavailable"),
        (200, None),
    ]
    assert anna.calls() == []
    for connection in taken:
        await pool.release(connection)
    assert await is_served(house, ended)


def connections_in_use(world):
    pool = world.broker.database._pool
    return pool.get_size() - pool.get_idle_size()


ORDERS = {
    "refresh": lambda world, anna, _: anna.rotate(),
    "force": lambda world, anna, _: anna.rotate(force=True),
    "check": lambda world, anna, token: world.browser(token),
    "create": lambda world, anna, _: world.create("bert"),
    "read": lambda world, anna, _: world.broker.users.recover(
        anna.key, str(anna.upstream_id), "anna@example.com", vouch=True, actor="test"
    ),
    "change": lambda world, anna, _: world.broker.users.change(
        anna.key, ProfileChange({"name": "Ann"}), actor="test"
    ),
    "delete": lambda world, anna, _: world.broker.users.delete(anna.key, actor="test"),
}


@pytest.mark.parametrize("route", ORDERS)
async def test_no_connection_is_held_while_upstream_is_asked(world, route):
    anna, token = await world.used_user(minutes=1)
    with world.sandbox.gate(route) as gate:
        ordered = asyncio.create_task(ORDERS[route](world, anna, token))
        await gate.arrived()
        assert connections_in_use(world) == 0
    await ordered


async def test_no_connection_is_held_while_the_worker_asks_upstream(world):
    people = [(await world.used_user(name))[0] for name in "abcd"]
    await world.later(minutes=52)
    with world.sandbox.gate("refresh") as gate:
        sweeping = asyncio.create_task(world.sweep())
        await gate.arrived(len(people))
        assert connections_in_use(world) == 0
    assert (await sweeping).rotated == len(people)


# --- Both stores --------------------------------------------------------------------------------------


async def test_without_both_stores_nothing_is_spent_and_everything_goes_on_when_they_are_back(
    world, house, stoppable
):
    anna, token = await world.used_user(hours=2)
    stoppable.postgres.stop()
    stoppable.valkey.stop()
    status, body = await house.refresh(token)
    assert (status, body["code"], body["accessToken"]) == (503, "storage_unavailable", "")
    with pytest.raises(StorageUnavailable):
        await world.broker.sweeps.sweep("default", 10)
    assert anna.calls() == []
    stoppable.postgres.start()
    stoppable.valkey.start()
    await eventually(lambda: is_served(house, token))
    assert anna.calls() == ["refresh"]


async def test_a_pair_issued_while_both_stores_went_down_is_stored_when_they_are_back(
    world, house, stoppable
):
    anna, token = await world.used_user(hours=2)
    with world.sandbox.gate("refresh", "after") as gate:
        asking = asyncio.create_task(house.refresh(token))
        await gate.arrived()
        stoppable.postgres.stop()
        stoppable.valkey.stop()
    await world.notes.hears("refresh.unsettled", 2)
    stoppable.postgres.start()
    stoppable.valkey.start()
    assert (await asking)[1]["accessToken"] == (await anna.tokens())[0]
    assert anna.calls() == ["refresh"]
