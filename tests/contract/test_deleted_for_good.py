"""What is left of a deleted user: nothing in the tables, and in old copies nothing that a key still opens."""

import pytest

from service.adapters.postgres.rewrap import START, PostgresRewrap
from service.adapters.vault import Vault
from service.broker.errors import SealBroken
from tests.support.cached import ANNA, BERT
from tests.support.stored import open_stores

OLD, NEW = ("old", b"o" * 32), ("new", b"n" * 32)
EVERYTHING = "SELECT to_jsonb(t)::text FROM {} t WHERE user_id = 'anna'"


@pytest.fixture
async def stores(database_url):
    async with open_stores(database_url, vault=Vault([OLD])) as opened:
        yield opened


@pytest.fixture
async def copy(stores):
    """The row of a user as a backup has it, and the user deleted after that."""
    await stores.link(ANNA)
    await stores.link(BERT, "second")
    row = await stores.raw.fetchrow("SELECT * FROM grants WHERE user_id = 'anna'")
    await stores.users.forget(ANNA, actor="a-test")
    return row


def opened(row, *keys):
    place = {"client": row["client"], "user_id": row["user_id"], "generation": row["generation"]}
    return Vault(keys).open(row["refresh_sealed"], column="refresh", **place)


async def test_no_table_holds_a_token_or_a_fingerprint_of_the_user(stores, copy):
    for table in ("users", "grants", "lineage"):
        assert await stores.raw.fetch(EVERYTHING.format(table)) == []
    left = [row[0] for row in await stores.raw.fetch(EVERYTHING.format("audit_events"))]
    assert len(left) == 2
    assert all('"fingerprint": null' in event and "sealed" not in event for event in left)


async def test_an_old_copy_opens_while_the_key_of_its_time_is_there(copy):
    assert opened(copy, NEW, OLD).startswith("first.")


async def test_once_the_others_are_sealed_anew_and_the_key_is_gone_it_opens_no_more(
    stores, copy, database_url
):
    assert (await PostgresRewrap(stores.database, Vault([NEW, OLD])).page(START, 100)).resealed == 1
    with pytest.raises(SealBroken):
        opened(copy, NEW)
    async with open_stores(database_url, vault=Vault([NEW])) as newer:
        assert (await newer.grants.load(BERT)).pair.refresh_token.startswith("second.")
