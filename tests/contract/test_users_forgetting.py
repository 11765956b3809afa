"""Forgetting a user leaves no token and no fingerprint, whoever else is at work on the user meanwhile."""

import asyncio
from datetime import UTC, datetime

import pytest

from tests.support.builders import a_new_grant, a_profile, a_settlement
from tests.support.cached import ANNA, BERT
from tests.support.stored import fingerprint_of, open_stores

FAR_AHEAD = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
async def stores(database_url):
    async with open_stores(database_url) as stores:
        yield stores


async def link(stores, name="first", profile=None, **changes):
    return await stores.users.link(a_new_grant(name, **changes), profile, replace=False)


async def lines(stores):
    return await stores.raw.fetchval("SELECT count(*) FROM lineage")


async def test_a_forgotten_user_is_gone_with_every_fingerprint(stores):
    linked = await link(stores, profile=a_profile())
    claimed = await stores.claims.claim(ANNA, linked.grant.generation, "this-process")
    await stores.claims.settle(a_settlement(claimed.claim, "second"))
    assert await stores.users.forget(ANNA, actor="a-test") is True
    assert (await stores.users.load_user(ANNA), await stores.grants.load(ANNA)) == (None, None)
    assert await lines(stores) == 0
    assert await stores.grants.find(fingerprint_of("second")) is None


async def test_who_is_not_there_cannot_be_forgotten(stores):
    await link(stores)
    assert await stores.users.forget(BERT, actor="a-test") is False
    assert await stores.users.forget(ANNA, actor="a-test") is True
    assert await stores.users.forget(ANNA, actor="a-test") is False


async def test_a_forgotten_users_ids_and_e_mail_are_free_again(stores):
    await link(stores, profile=a_profile())
    await stores.users.forget(ANNA, actor="a-test")
    taken = await link(stores, "second", a_profile(), key=BERT, upstream_id="up-anna")
    assert (taken.upstream_id, taken.profile) == ("up-anna", a_profile())


async def test_a_forgotten_users_history_stays_and_ends_with_it(stores):
    await link(stores)
    await stores.users.forget(ANNA, actor="a-test")
    events = await stores.happened(ANNA, 9)
    assert [event.event for event in events] == ["user.deleted", "grant.created"]


async def test_a_pair_that_is_settled_during_the_forgetting_leaves_no_fingerprint(stores):
    linked = await link(stores)
    insert = """INSERT INTO lineage SELECT '\\x01', 'f1', client, user_id, generation + 1, $1 FROM grants"""
    async with stores.holding("UPDATE grants SET generation = generation + 1") as settling:
        await settling.execute(insert, FAR_AHEAD)
        forgetting = asyncio.create_task(stores.users.forget(linked.key, actor="a-test"))
        await stores.until_blocked()
    assert await forgetting is True
    assert await lines(stores) == 0


async def test_a_pair_that_is_linked_during_the_forgetting_stands_in_nobodys_way_and_leaves_nothing(stores):
    await link(stores)
    insert = """INSERT INTO lineage SELECT '\\x01', 'f1', client, user_id, generation, $1 FROM grants"""
    async with stores.holding("SELECT FROM users FOR UPDATE") as linking:
        forgetting = asyncio.create_task(stores.users.forget(ANNA, actor="a-test"))
        await stores.until_blocked()
        await linking.execute("SET LOCAL lock_timeout = '500ms'")
        await linking.execute("UPDATE grants SET generation = generation + 1")
        await linking.execute(insert, FAR_AHEAD)
    assert await forgetting is True
    assert await lines(stores) == 0


async def test_a_first_pair_that_is_linked_during_the_forgetting_leaves_nothing(stores):
    await stores.users.begin_create(ANNA, a_profile(), "this-process")
    insert = """INSERT INTO lineage SELECT '\\x01', 'f1', client, user_id, 1, $1 FROM users"""
    async with stores.holding("SELECT FROM users FOR UPDATE") as linking:
        forgetting = asyncio.create_task(stores.users.forget(ANNA, actor="a-test"))
        await stores.until_blocked()
        await linking.execute(insert, FAR_AHEAD)
    assert await forgetting is True
    assert await lines(stores) == 0
