"""Processes with different deadlines, as they are while a setting is rolled out: whose counts?"""

from datetime import timedelta

import pytest

from service.adapters.postgres import PostgresClaims
from service.adapters.postgres.rows import Rows
from service.adapters.vault import key_id_of
from tests.support.cached import ANNA
from tests.support.stored import DEADLINE, RING, VAULT, WINDOW, open_stores

LONGER = 2 * DEADLINE


@pytest.fixture
async def stores(database_url):
    async with open_stores(database_url) as stores:
        yield stores


@pytest.fixture
def patient(stores):
    """The claims of a process with the longer deadline."""
    return PostgresClaims(
        stores.database,
        Rows(VAULT, LONGER, key_id_of),
        RING,
        claim_deadline=LONGER,
        distrust_window=WINDOW,
    )


async def test_a_claim_is_over_when_the_deadline_of_who_looks_at_it_has_passed(stores, patient):
    linked = await stores.link()
    claimed = await patient.claim(ANNA, linked.generation, "patient")
    await stores.let_pass(DEADLINE + timedelta(seconds=1))
    assert await patient.claim(ANNA, linked.generation, "another patient one") is None
    retaken = await stores.claims.claim(ANNA, linked.generation, "hasty")
    assert retaken.claim.epoch == claimed.claim.epoch + 1


async def test_a_longer_deadline_leaves_a_claim_alone_that_others_would_take(stores, patient):
    linked = await stores.link()
    await stores.claims.claim(ANNA, linked.generation, "hasty")
    await stores.let_pass(DEADLINE + timedelta(seconds=1))
    assert await patient.claim(ANNA, linked.generation, "patient") is None
