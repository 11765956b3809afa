"""Changing and deleting users, upstream and here."""

import asyncio

import pytest

from service.broker.errors import (
    Conflict,
    GrantDead,
    GrantPaused,
    Invalid,
    TokenUnknown,
    UpstreamUnavailable,
    UserUnknown,
)
from service.broker.model import ProfileChange


def change(world, person, **fields):
    return world.broker.users.change(person.key, ProfileChange(fields), actor="test")


def delete(world, person):
    return world.broker.users.delete(person.key, actor="test")


async def test_a_change_is_made_upstream_and_here(world):
    anna = await world.user()
    changed = await change(world, anna, email="ann@example.com", time_zone="Europe/Rome")
    row = world.sandbox.find_user("cl-default", "ann@example.com")
    assert (changed.profile.email, changed.profile.time_zone) == ("ann@example.com", "Europe/Rome")
    assert (row.id, row.time_zone) == (anna.upstream_id, "Europe/Rome")
    assert (await world.broker.users.read(anna.key)).profile == changed.profile


async def test_a_change_keeps_the_tokens(world):
    anna = await world.user()
    token = await anna.token()
    await change(world, anna, name="Ann")
    assert await anna.token() == token
    assert anna.calls() == ["change"]


async def test_the_e_mail_of_another_user_is_a_conflict_and_no_call_is_made(world):
    anna, _ = await world.user("anna"), await world.user("bert")
    with pytest.raises(Conflict):
        await change(world, anna, email="bert@example.com")
    assert anna.calls() == []


async def test_an_e_mail_that_is_taken_upstream_is_a_conflict_and_stays_as_it_was(world):
    anna = await world.user("anna")
    world.seed("bert")
    with pytest.raises(Conflict):
        await change(world, anna, email="bert@example.com")
    assert (await world.broker.users.read(anna.key)).profile.email == "anna@example.com"


async def test_what_upstream_refuses_is_named_and_stays_as_it_was(world):
    anna = await world.user()
    with pytest.raises(Invalid) as refusal:
        await change(world, anna, week_start="Someday")
    assert list(refusal.value.fields) == ["weekStart"]
    assert (await world.broker.users.read(anna.key)).profile.week_start is None


async def test_a_change_whose_answer_was_lost_can_be_repeated(world):
    anna = await world.user()
    world.sandbox.fault("drop_after", "change", count=1)
    with pytest.raises(UpstreamUnavailable):
        await change(world, anna, name="Ann")
    assert (await change(world, anna, name="Ann")).profile.name == "Ann"


async def test_a_change_of_a_user_who_is_gone_upstream_says_so(world):
    anna = await world.user()
    world.sandbox.delete_user(anna.upstream_id)
    with pytest.raises(GrantDead):
        await change(world, anna, name="Ann")
    with pytest.raises(GrantDead):
        await anna.token()


async def test_a_deleted_user_is_forgotten_here_and_upstream(world):
    anna = await world.user()
    token = await anna.token()
    await delete(world, anna)
    assert world.sandbox.user(anna.upstream_id) is None
    assert not world.sandbox.is_live(token)
    assert await world.sql("SELECT user_id FROM users UNION SELECT user_id FROM lineage") == []
    with pytest.raises(UserUnknown):
        await world.broker.users.read(anna.key)


async def test_a_delete_that_was_done_finds_nobody_the_second_time(world):
    anna = await world.user()
    await delete(world, anna)
    with pytest.raises(UserUnknown):
        await delete(world, anna)
    assert anna.calls() == ["delete"]


@pytest.mark.parametrize("fault", ["error_before", "drop_after"])
async def test_a_delete_that_broke_off_serves_nobody_and_goes_on_when_repeated(world, fault):
    anna = await world.user()
    token = await anna.token()
    world.sandbox.fault(fault, "delete", count=1)
    with pytest.raises(UpstreamUnavailable):
        await delete(world, anna)
    with pytest.raises(TokenUnknown):
        await world.browser(token)
    await delete(world, anna)
    assert world.sandbox.user(anna.upstream_id) is None


async def test_a_delete_that_broke_off_is_not_undone_by_resuming(world):
    anna = await world.user()
    world.sandbox.fault("error_before", "delete", count=1)
    with pytest.raises(UpstreamUnavailable):
        await delete(world, anna)
    with pytest.raises(GrantPaused, match="deleted"):
        await world.broker.users.resume(anna.key, actor="test")


async def test_a_user_who_is_gone_upstream_can_be_deleted(world):
    anna = await world.user()
    world.sandbox.delete_user(anna.upstream_id)
    await delete(world, anna)
    with pytest.raises(UserUnknown):
        await anna.token()


async def test_a_rotation_that_ends_after_its_user_was_deleted_is_served_to_nobody(world):
    anna = await world.user()
    token = await anna.token()
    with world.sandbox.gate("refresh", "after") as gate:
        rotating = asyncio.create_task(anna.rotate())
        await gate.arrived()
        await delete(world, anna)
    with pytest.raises(UserUnknown):
        await rotating
    with pytest.raises(TokenUnknown):
        await world.browser(token)


async def test_the_id_of_a_deleted_user_can_be_created_again_and_old_tokens_stay_unknown(world):
    anna = await world.user()
    token = await anna.token()
    await delete(world, anna)
    user, created = await world.create()
    assert created
    assert int(user.upstream_id) != anna.upstream_id
    assert world.sandbox.is_live(await anna.token())
    with pytest.raises(TokenUnknown):
        await world.browser(token)
