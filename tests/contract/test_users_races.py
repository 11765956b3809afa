"""Two who change one user at once: the second sees what the first has committed, and acts on that."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from service.broker.model import GrantState
from tests.support.builders import a_new_grant, a_profile
from tests.support.cached import ANNA
from tests.support.stored import open_stores

STALLED = "LOCK TABLE lineage IN ACCESS EXCLUSIVE MODE"


@pytest.fixture
async def stores(database_url):
    async with open_stores(database_url) as stores:
        yield stores


def enrol(stores, name, **changes):
    return asyncio.create_task(stores.users.link(a_new_grant(name, **changes), None, replace=False))


@asynccontextmanager
async def enrolling(stores, **changes):
    """Run the block while an enrolment has written everything but its line, and let that end after it."""
    async with stores.holding(STALLED):
        task = enrol(stores, "first", **changes)
        await stores.until_blocked()
        yield task
        await stores.until_blocked(2)


async def known_users(stores, state):
    """Make the user known beforehand: with a dead grant, or with a create given up in doubt."""
    if state == "dead":
        await stores.link(name="dead")
        await stores.grants.set_state(ANNA, GrantState.DEAD, "user_gone", due_at=None, actor="a-test")
    elif state == "in doubt":
        intent = (await stores.users.begin_create(ANNA, a_profile(), "this-process")).intent
        await stores.users.abandon_create(ANNA, intent, uncertain=True)


@pytest.mark.parametrize("state", ["unknown", "dead", "in doubt"])
async def test_of_two_enrolments_at_once_one_is_stored(stores, state):
    await known_users(stores, state)
    async with enrolling(stores) as first:
        second = enrol(stores, "second")
    stored = (await first).grant
    assert await second is None
    assert await stores.grants.load(ANNA) == stored


@pytest.mark.parametrize("state", ["unknown", "dead", "in doubt"])
async def test_a_create_that_begins_during_an_enrolment_finds_the_user_linked(stores, state):
    await known_users(stores, state)
    async with enrolling(stores) as first:
        creating = asyncio.create_task(stores.users.begin_create(ANNA, a_profile(), "another-process"))
    stored = (await first).grant
    begun = await creating
    assert (begun.intent, begun.upstream_id) == (None, "up-anna")
    assert begun.grant.generation == stored.generation


async def test_a_pair_that_replaces_another_at_once_has_the_later_generation(stores):
    await stores.link(name="old")
    async with stores.holding(STALLED):
        links = [
            asyncio.create_task(stores.users.link(a_new_grant(name), None, replace=True))
            for name in ("first", "second")
        ]
        await stores.until_blocked(2)
    generations = sorted([user.grant.generation for user in await asyncio.gather(*links)])
    assert generations[0] < generations[1]
    assert (await stores.grants.load(ANNA)).generation == generations[1]


@asynccontextmanager
async def revived_meanwhile(stores):
    """Run the block while a transaction holds a dead user; that brings the grant to life before it ends."""
    await known_users(stores, "dead")
    async with stores.holding("SELECT FROM users FOR UPDATE") as reviving:
        yield
        await stores.until_blocked()
        await reviving.execute("UPDATE users SET vouched_at = clock_timestamp()")
        await reviving.execute("UPDATE grants SET state = 'LIVE', reason = 'grant.enrolled'")


async def test_who_waited_for_the_users_row_does_not_replace_a_pair_that_came_to_life(stores):
    async with revived_meanwhile(stores):
        late = enrol(stores, "late")
    assert await late is None


async def test_who_waited_for_the_users_row_begins_no_create_for_a_grant_that_came_to_life(stores):
    async with revived_meanwhile(stores):
        late = asyncio.create_task(stores.users.begin_create(ANNA, a_profile(), "another-process"))
    assert (await late).intent is None
