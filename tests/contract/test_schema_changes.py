"""The schema changes under a pooled connection that has prepared its statements: nothing is lost to it."""

import asyncio

import pytest

from service.broker.model import Profile, UserKey
from tests.support.builders import a_new_grant, a_settlement
from tests.support.cached import ANNA, BERT
from tests.support.stored import fingerprint_of, open_stores

EXPANDED = """
    ALTER TABLE grants ADD COLUMN scope text, ADD COLUMN weight integer NOT NULL DEFAULT 1;
    ALTER TABLE users ADD COLUMN region text;
    ALTER TABLE lineage ADD COLUMN seen_at timestamptz;
    ALTER TABLE events ADD COLUMN detail text
"""
WIDENED = "ALTER TABLE grants ALTER COLUMN failures TYPE bigint"
A_PROFILE = Profile(email="bert@example.com", name="Bert")


@pytest.fixture
async def stores(database_url):
    """Stores of one connection: whatever it has prepared is used again."""
    async with open_stores(database_url, connections=1) as stores:
        yield stores


async def everything(stores, number):
    """Do what a process does about a user; returns what could go missing."""
    key, name = UserKey("first-client", f"user-{number}"), f"pair-{number}"
    created = await stores.users.begin_create(key, Profile(email=f"{number}@example.com", name="A"), "me")
    linked = (await stores.users.link(a_new_grant(name, key=key), None, replace=True)).grant
    claimed = await stores.claims.claim(key, linked.generation, "me")
    settled = await stores.claims.settle(a_settlement(claimed.claim, f"{name}-next"))
    found = await stores.grants.find(fingerprint_of(f"{name}-next"))
    is_current = found[1].generation == settled.generation
    return (
        created is not None,
        settled is not None,
        is_current,
        await stores.users.forget(key, actor="a-test"),
    )


@pytest.mark.parametrize("change", [EXPANDED, WIDENED], ids=["expanded", "widened"])
async def test_every_statement_goes_on_across_a_change(stores, change):
    assert await everything(stores, 1) == (True, True, True, True)
    await stores.raw.execute(change)
    assert await everything(stores, 2) == (True, True, True, True)


async def prepared(stores):
    """Have the one connection prepare what a settlement takes, on another user; gives a claim on ANNA."""
    linked = await stores.link(BERT, "others")
    claimed = await stores.claims.claim(BERT, linked.generation, "this-process")
    assert await stores.claims.settle(a_settlement(claimed.claim, "others-next"))
    return (await stores.claimed()).claim


@pytest.mark.parametrize("change", [EXPANDED, WIDENED], ids=["expanded", "widened"])
async def test_a_settlement_that_meets_a_change_half_way_waits_for_it_and_is_made(stores, change):
    claim = await prepared(stores)
    async with stores.holding(change):
        settling = asyncio.create_task(stores.claims.settle(a_settlement(claim)))
        await stores.until_blocked(or_done=[settling])
        assert not settling.done()
    settled = await settling
    assert (await stores.grants.find(fingerprint_of("next")))[1].generation == settled.generation


@pytest.mark.parametrize("change", [EXPANDED, WIDENED], ids=["expanded", "widened"])
async def test_a_first_pair_that_meets_a_change_half_way_waits_for_it_and_is_stored(stores, change):
    await stores.users.link(a_new_grant("first", key=ANNA), None, replace=True)
    async with stores.holding(change):
        linking = asyncio.create_task(
            stores.users.link(a_new_grant("bert", key=BERT), A_PROFILE, replace=True)
        )
        await stores.until_blocked(or_done=[linking])
        assert not linking.done()
    assert (await linking).grant is not None
    assert (await stores.grants.find(fingerprint_of("bert")))[0].key == BERT
