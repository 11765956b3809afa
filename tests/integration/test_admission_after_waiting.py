"""What was ordered while a caller waited counts for that caller too."""

import asyncio

import pytest

from service.broker.errors import GrantPaused, RefreshInProgress, TokenUnknown, UpstreamUnavailable
from service.broker.model import UserKey
from tests.support.waiting import eventually


async def marked(person):
    return (await person.grant()).marks.force_pending


async def test_a_caller_who_waits_is_not_carried_over_a_revoke(world):
    anna = await world.user()
    token = await anna.token()
    await world.later(hours=2)
    with world.sandbox.gate("refresh") as gate:
        waiting = asyncio.create_task(world.browser(token))
        await gate.arrived()
        revoking = asyncio.create_task(world.broker.users.revoke(anna.key, actor="a-test"))
        await eventually(lambda: marked(anna))
    await revoking

    with pytest.raises(TokenUnknown):
        await waiting


@pytest.mark.parametrize("route", ["refresh", "check"])
async def test_a_browser_that_waits_is_not_carried_over_a_pause(world, route):
    anna = await world.user()
    token = await anna.token()
    if route == "refresh":
        await world.later(hours=2)
    with world.sandbox.gate(route) as gate:
        waiting = asyncio.create_task(world.browser(token))
        await gate.arrived()
        await world.broker.users.pause(anna.key, actor="a-test")

    with pytest.raises(TokenUnknown):
        await waiting


async def test_a_service_that_waits_is_not_carried_over_a_pause(world):
    anna = await world.user()
    with world.sandbox.gate("refresh") as gate:
        waiting = asyncio.create_task(anna.rotate())
        await gate.arrived()
        await world.broker.users.pause(anna.key, actor="a-test")

    with pytest.raises(GrantPaused):
        await waiting


async def test_a_user_who_is_just_being_created_is_not_deleted_half(world):
    with world.sandbox.gate("create", "after") as gate:
        creating = asyncio.create_task(world.create())
        await gate.arrived()
        with pytest.raises(RefreshInProgress):
            await world.broker.users.delete(UserKey("default", "anna"), actor="a-test")
    user, created = await creating

    assert created
    assert world.sandbox.find_user("cl-default", "anna@example.com").id == int(user.upstream_id)


async def test_deleting_a_user_whose_create_was_lost_deletes_it_upstream_too(world):
    world.sandbox.fault("drop_after", "create", count=1)
    world.sandbox.fault("error_before", "list", count=1)
    with pytest.raises(UpstreamUnavailable):
        await world.create()
    assert len(world.sandbox.users("cl-default")) == 1

    await world.broker.users.delete(UserKey("default", "anna"), actor="a-test")

    assert world.sandbox.users("cl-default") == []
    assert (await world.create())[1]
