"""Pairs are sealed anew while callers rotate, use and mark the same ones: no pair is lost."""

import asyncio
import random

import pytest

from service.adapters.postgres.rewrap import START, PostgresRewrap
from service.adapters.vault import Vault
from service.broker.model import UserKey
from tests.support.builders import a_settlement, a_use
from tests.support.stored import open_stores

OLD, NEW = ("old", b"o" * 32), ("new", b"n" * 32)
USERS = [UserKey("first-client", f"u{number:02}") for number in range(40)]
ROTATIONS = 120


@pytest.fixture
async def stores(database_url):
    """The stores of a process that knows both keys and still seals with the old one: the worst case."""
    async with open_stores(database_url, vault=Vault([OLD, NEW])) as opened:
        for key in USERS:
            await opened.link(key, f"{key.user_id}-first")
        yield opened


def held(grant):
    return grant.generation, grant.pair.access_token


async def rotate(stores, number, current):
    """Rotate a user chosen by chance, and write uses of all users in one statement as it goes."""
    key = random.choice(USERS)
    grant = await stores.grants.load(key)
    claimed = await stores.claims.claim(key, grant.generation, f"caller-{number}")
    if claimed is not None:
        await stores.grants.note_uses([a_use(await stores.grants.load(each)) for each in USERS[:10]])
        settled = await stores.claims.settle(a_settlement(claimed.claim, f"{key.user_id}-{number}"))
        current[key] = max(current.get(key, (0, "")), held(settled))


async def seal_anew(database_url, done):
    """Seal anew as another process does, over and over, until everybody else is done and nothing is left."""
    async with open_stores(database_url, vault=Vault([NEW, OLD])) as other:
        rewrapping = PostgresRewrap(other.database, Vault([NEW, OLD]))
        resealed = 0
        while not done.is_set() or set(await rewrapping.sealed()) != {"new"}:
            page = await rewrapping.page(START, len(USERS))
            resealed += page.resealed
            assert page.broken == 0
            await asyncio.sleep(0)
    return resealed


async def test_every_pair_is_the_one_that_was_settled_last_and_opens_with_the_new_key(stores, database_url):
    current, done = {}, asyncio.Event()
    sealing = asyncio.create_task(seal_anew(database_url, done))
    await asyncio.gather(*(rotate(stores, number, current) for number in range(ROTATIONS)))
    done.set()
    assert await sealing >= len(USERS)
    async with open_stores(database_url, vault=Vault([NEW])) as newer:
        found = {key: held(await newer.grants.load(key)) for key in current}
    assert len(current) > len(USERS) / 2
    assert found == current
