"""Creating managed users: once upstream, whatever breaks in between, and never over a stranger's."""

import asyncio

import pytest

from service.broker.errors import Conflict, ExistsUpstream, Invalid, UpstreamUnavailable
from service.broker.model import UserKey
from tests.support.world import a_profile


def calls(world):
    return [entry.route for entry in world.sandbox.journal]


def created_upstream(world):
    return len(world.sandbox.users("cl-default"))


async def served(world, name="anna"):
    current = await world.broker.answers.for_service(UserKey("default", name), min_ttl_s=None, vouch=False)
    return world.sandbox.is_live(current.access_token)


async def test_the_same_call_twice_creates_one_user(world):
    first, created = await world.create()
    again, created_again = await world.create()
    assert (created, created_again) == (True, False)
    assert first.upstream_id == again.upstream_id
    assert calls(world) == ["create"]
    assert await served(world)


async def test_twenty_calls_at_once_over_two_processes_create_one_user(pair_of_brokers):
    world = pair_of_brokers
    made = await asyncio.gather(*(world.create(broker=world.brokers[n % 2]) for n in range(20)))
    assert sum(created for _, created in made) == 1
    assert len({user.upstream_id for user, _ in made}) == 1
    assert created_upstream(world) == 1


async def test_processes_that_begin_at_once_do_not_take_each_other_for_strangers(pair_of_brokers):
    stores = [broker.answers._ports.users for broker in pair_of_brokers.brokers] * 8
    for number in range(60):
        key, profile = UserKey("default", f"user-{number}"), a_profile(f"user-{number}")
        begins = (store.begin_create(key, profile, f"owner-{n}") for n, store in enumerate(stores))
        assert len({user.intent.owner for user in await asyncio.gather(*begins)}) == 1


async def test_the_profile_is_kept_here_and_upstream(world):
    await world.create(time_zone="Europe/Rome", time_format=24, metadata={"plan": "pro"})
    user = await world.broker.users.read(UserKey("default", "anna"))
    row = world.sandbox.find_user("cl-default", "anna@example.com")
    assert user.profile == a_profile(time_zone="Europe/Rome", time_format=24, metadata={"plan": "pro"})
    assert (row.time_zone, row.time_format, row.metadata) == ("Europe/Rome", 24, {"plan": "pro"})


async def test_the_first_token_is_accepted_from_a_browser(world):
    anna = await world.user()
    token = await anna.token()
    assert await world.browser(token) == token


@pytest.mark.parametrize("fault", ["drop_after", "error_after", "html_after", "crash_tokenless"])
async def test_a_create_whose_answer_was_lost_adopts_its_own_user(world, fault):
    world.sandbox.fault(fault, "create", count=1)
    _, created = await world.create()
    assert created
    assert calls(world) == ["create", "create", "list", "force"]
    assert created_upstream(world) == 1
    assert await served(world)


@pytest.mark.parametrize("fault", ["drop_before", "error_before", "html_before"])
async def test_a_create_that_was_never_carried_out_is_sent_again(world, fault):
    world.sandbox.fault(fault, "create", count=1)
    await world.create()
    assert calls(world) == ["create", "create"]
    assert await served(world)


async def test_the_same_call_goes_on_where_an_earlier_one_gave_up(world):
    world.sandbox.fault("drop_after", "create", count=1)
    world.sandbox.fault("error_before", "list", count=1)
    with pytest.raises(UpstreamUnavailable, match="same call again"):
        await world.create()
    _, created = await world.create()
    assert created
    assert created_upstream(world) == 1
    assert await served(world)


async def test_an_adoption_whose_force_was_lost_is_taken_up_again(world):
    world.sandbox.fault("drop_after", "create", count=1)
    world.sandbox.fault("drop_after", "force", count=1)
    with pytest.raises(UpstreamUnavailable):
        await world.create()
    user, _ = await world.create()
    assert user.grant.marks.distrusted
    assert await served(world)


async def test_another_process_goes_on_when_the_creating_one_dies(pair_of_brokers):
    world = pair_of_brokers
    with world.sandbox.gate("create", "after") as gate:
        creating = asyncio.create_task(world.create())
        await gate.arrived()
        for task in world.broker.creation._flights._tasks:
            task.cancel()
    await asyncio.wait({creating})
    await world.later(seconds=6)
    await world.create(broker=world.brokers[1])
    assert created_upstream(world) == 1
    assert await served(world)


async def test_a_create_that_broke_off_before_its_user_was_connected_says_what_to_do(world):
    world.sandbox.fault("crash_unlinked", "create", count=1)
    with pytest.raises(ExistsUpstream, match="before it was connected to this OAuth client"):
        await world.create()
    assert "force" not in calls(world)


async def test_a_user_who_exists_upstream_is_left_alone(world):
    _, enrolment = world.seed()
    for _ in range(2):
        with pytest.raises(ExistsUpstream, match="enrol or recover"):
            await world.create()
    assert calls(world)[1:] == ["create", "create"]
    assert world.sandbox.is_live(enrolment.access_token)
    assert world.sandbox.is_usable(enrolment.refresh_token)


async def test_a_user_from_before_the_intent_is_not_adopted_after_a_lost_answer(world):
    _, enrolment = world.seed()
    await world.later(minutes=5)
    world.sandbox.fault("drop_before", "create", count=1)
    with pytest.raises(ExistsUpstream):
        await world.create()
    assert world.sandbox.is_live(enrolment.access_token)
    assert "force" not in calls(world)


async def test_the_e_mail_of_another_user_is_a_conflict_and_no_call_is_made(world):
    await world.create("anna")
    with pytest.raises(Conflict, match="e-mail"):
        await world.create("bert", email="anna@example.com")
    assert calls(world) == ["create"]


async def test_the_id_of_another_user_is_a_conflict_and_no_call_is_made(world):
    await world.create("anna")
    with pytest.raises(Conflict, match="another e-mail"):
        await world.create("anna", email="bert@example.com")
    assert calls(world) == ["create"]


async def test_what_upstream_refuses_is_named_and_nothing_is_left_behind(world):
    with pytest.raises(Invalid) as refusal:
        await world.create(time_zone="Mars/Olympus")
    assert list(refusal.value.fields) == ["timeZone"]
    _, created = await world.create(time_zone="Europe/Rome")
    assert created


async def test_a_create_in_one_process_is_waited_for_in_the_other(pair_of_brokers):
    world = pair_of_brokers
    with world.sandbox.gate("create") as gate:
        first = asyncio.create_task(world.create(broker=world.brokers[0]))
        await gate.arrived()
        second = asyncio.create_task(world.create(broker=world.brokers[1]))
        await asyncio.wait({second}, timeout=0.1)
        assert not second.done()
    assert [created for _, created in await asyncio.gather(first, second)] == [True, False]
    assert calls(world) == ["create"]
