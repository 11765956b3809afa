"""Stored pairs are sealed anew under the first key: all that can be, as they are, beside all else."""

import pytest

from service.adapters.postgres.rewrap import START, PostgresRewrap
from service.adapters.vault import Vault
from service.broker.model import UserKey
from tests.support.builders import a_settlement
from tests.support.stored import open_stores

OLD, NEW, LOST = ("old", b"o" * 32), ("new", b"n" * 32), ("lost", b"l" * 32)
BOTH = Vault([NEW, OLD])
USERS = [UserKey("first-client", f"u{number}") for number in range(5)]
ALL = 100
ROW = "SELECT * FROM grants WHERE user_id = $1"


@pytest.fixture
async def stores(database_url):
    """The stores of a process that seals with the old key."""
    async with open_stores(database_url, vault=Vault([OLD])) as opened:
        yield opened


@pytest.fixture
async def linked(stores):
    """Five users whose pairs the old key has sealed."""
    return [await stores.link(key, key.user_id) for key in USERS]


@pytest.fixture
def rewrapping(stores):
    return PostgresRewrap(stores.database, BOTH)


async def seal_with(database_url, key, user):
    async with open_stores(database_url, vault=Vault([key])) as other:
        await other.link(user, user.user_id)


async def dump(stores, *but):
    rows = [dict(row) for row in await stores.raw.fetch("SELECT * FROM grants ORDER BY user_id")]
    return [{name: value for name, value in row.items() if name not in but} for row in rows]


SEALED = ("key_id", "access_sealed", "refresh_sealed")


async def test_what_was_sealed_anew_opens_with_the_first_key_alone(linked, rewrapping, database_url):
    page = await rewrapping.page(START, ALL)
    assert (page.resealed, page.missed, page.broken, page.after) == (5, 0, 0, None)
    async with open_stores(database_url, vault=Vault([NEW])) as newer:
        assert [await newer.grants.load(key) for key in USERS] == linked


async def test_nothing_but_the_seals_changes(stores, linked, rewrapping):
    await stores.claims.claim(USERS[0], linked[0].generation, "somebody")
    before = await dump(stores, *SEALED)
    await rewrapping.page(START, ALL)
    assert await dump(stores, *SEALED) == before


async def test_page_after_page_each_row_is_taken_once(linked, rewrapping):
    taken, after = [], START
    while after is not None:
        page = await rewrapping.page(after, 2)
        taken.append(page.resealed)
        after = page.after
    assert taken == [2, 2, 1]
    assert (await rewrapping.page(START, ALL)).resealed == 0


async def test_a_row_under_a_key_that_is_not_held_stays_as_it_is(stores, linked, rewrapping, database_url):
    await seal_with(database_url, LOST, UserKey("first-client", "lost"))
    before = await stores.raw.fetchrow(ROW, "lost")
    assert (await rewrapping.page(START, ALL)).resealed == 5
    assert await stores.raw.fetchrow(ROW, "lost") == before
    assert await rewrapping.sealed() == {"lost": 1, "new": 5}


async def test_a_row_that_does_not_open_stays_as_it_is_and_is_counted(stores, linked, rewrapping):
    await stores.set(USERS[2], access_sealed=await stores.column("access_sealed", USERS[3]))
    before = await stores.raw.fetchrow(ROW, "u2")
    page = await rewrapping.page(START, ALL)
    assert (page.resealed, page.broken) == (4, 1)
    assert await stores.raw.fetchrow(ROW, "u2") == before


class Interrupted(PostgresRewrap):
    """Does something else between reading a page and writing it."""

    meanwhile = None

    async def _write(self, first, anew):
        await self.meanwhile()
        return await super()._write(first, anew)


async def test_a_pair_that_was_replaced_meanwhile_is_not_touched(stores, linked):
    claimed = await stores.claims.claim(USERS[1], linked[1].generation, "somebody")
    interrupted = Interrupted(stores.database, BOTH)
    interrupted.meanwhile = lambda: stores.claims.settle(a_settlement(claimed.claim))
    page = await interrupted.page(START, ALL)
    assert (page.resealed, page.missed) == (4, 1)
    assert (await stores.grants.load(USERS[1])).pair.access_token.startswith("next.")
    assert await stores.column("key_id", USERS[1]) == "old"


async def test_a_pair_of_the_same_generation_from_a_restored_row_is_not_touched(stores, linked):
    interrupted = Interrupted(stores.database, BOTH)
    interrupted.meanwhile = lambda: stores.set(USERS[1], refresh_sealed=b"another")
    assert (await interrupted.page(START, ALL)).missed == 1
    assert await stores.column("refresh_sealed", USERS[1]) == b"another"


async def test_a_user_who_is_deleted_meanwhile_stays_deleted(stores, linked):
    interrupted = Interrupted(stores.database, BOTH)
    interrupted.meanwhile = lambda: stores.users.forget(USERS[1], actor="a-test")
    assert (await interrupted.page(START, ALL)).resealed == 4
    assert await stores.raw.fetchrow(ROW, "u1") is None


async def test_a_row_that_somebody_holds_is_passed_over_and_taken_later(stores, linked, rewrapping):
    async with stores.holding("UPDATE grants SET failures = 1 WHERE user_id = 'u1'"):
        held = await rewrapping.page(START, ALL)
    assert (held.resealed, held.missed) == (4, 1)
    assert (await rewrapping.page(START, ALL)).resealed == 1


async def test_two_at_once_seal_each_row_once(stores, linked, rewrapping):
    interrupted = Interrupted(stores.database, BOTH)
    other = []

    async def meanwhile():
        other.append((await rewrapping.page(START, ALL)).resealed)

    interrupted.meanwhile = meanwhile
    assert (await interrupted.page(START, ALL)).resealed == 0
    assert other == [5]


async def test_fingerprints_are_counted_while_they_count(stores, linked, rewrapping):
    await stores.raw.execute(
        "UPDATE lineage SET counts_until = clock_timestamp() + '1h' WHERE user_id <> 'u0'"
    )
    (noted,) = (await rewrapping.noted()).values()
    assert noted.count == 4
