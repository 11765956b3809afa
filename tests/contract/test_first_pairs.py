"""First pairs, many in one statement: stored as `link` stores one, past what stands in another's way."""

import asyncio

import pytest

from service.broker.model import HeldPair, Profile, UserKey
from tests.support.builders import a_new_grant
from tests.support.stored import fingerprint_of, open_stores, stands

CLIENT = "first-client"


@pytest.fixture
async def stores(database_url):
    async with open_stores(database_url) as stores:
        yield stores


def first(name, *, upstream_id=None, email=None, **changes):
    """A user's first pair and profile, ready to be stored."""
    key = UserKey(CLIENT, name)
    grant = a_new_grant(name, key=key, upstream_id=upstream_id or f"up-{name}", **changes)
    return grant, None if email is None else Profile(email=email, name=name)


async def test_it_stores_what_linking_one_by_one_stores(stores):
    together, alone = first("anna", email="anna@app.test"), first("bert", email="bert@app.test")
    assert await stores.users.link_new(CLIENT, [together]) == {"anna"}
    await stores.users.link(*alone, replace=False)
    anna, bert = [await stores.grants.load(UserKey(CLIENT, name)) for name in ("anna", "bert")]
    assert (anna.pair.access_token, anna.pair.expires_at) == (
        together[0].pair.access_token,
        bert.pair.expires_at,
    )
    assert (anna.state, anna.reason, anna.marks) == (bert.state, bert.reason, bert.marks)
    assert (await stores.grants.find(fingerprint_of("anna")))[1] == stands(anna)
    users = [await stores.users.load_user(UserKey(CLIENT, name)) for name in ("anna", "bert")]
    assert [user.profile for user in users] == [together[1], alone[1]]
    [event], [other] = [await stores.happened(UserKey(CLIENT, name)) for name in ("anna", "bert")]
    assert (event.kind, event.event, event.actor) == (other.kind, other.event, other.actor)
    assert event.generation == anna.generation


@pytest.mark.parametrize(
    "taken",
    [first("anna"), first("other", upstream_id="up-anna"), first("other", email="anna@app.test")],
    ids=["id", "upstream user", "e-mail"],
)
async def test_what_stands_in_the_way_of_one_is_no_hindrance_to_the_others(stores, taken):
    await stores.users.link(*first("anna", email="anna@app.test"), replace=False)
    before = await stores.grants.load(UserKey(CLIENT, "anna"))
    assert await stores.users.link_new(CLIENT, [taken, first("bert")]) == {"bert"}
    assert await stores.grants.load(UserKey(CLIENT, "anna")) == before
    assert await stores.raw.fetchval("SELECT count(*) FROM lineage") == 2
    assert await stores.raw.fetchval("SELECT count(*) FROM audit_events") == 2


async def test_of_two_who_want_the_same_upstream_user_one_is_stored(stores):
    pairs = [first("anna", upstream_id="up-1"), first("bert", upstream_id="up-1")]
    assert await stores.users.link_new(CLIENT, pairs) == {"anna"}


async def test_a_user_who_is_being_created_is_left_alone(stores):
    key = UserKey(CLIENT, "anna")
    await stores.users.begin_create(key, Profile(email="anna@app.test"), "this-process")
    assert await stores.users.link_new(CLIENT, [first("anna")]) == frozenset()
    assert await stores.grants.load(key) is None


async def test_two_imports_at_once_store_each_user_once(stores):
    pairs = [first(f"user-{number}") for number in range(50)]
    one, other = await asyncio.gather(*(stores.users.link_new(CLIENT, pairs) for _ in range(2)))
    assert one | other == {grant.key.user_id for grant, _ in pairs}
    assert not one & other
    assert await stores.raw.fetchval("SELECT count(*) FROM audit_events") == 50


async def test_it_is_told_what_is_held_and_whether_the_user_has_had_that_token(stores):
    await stores.users.link_new(CLIENT, [first("anna"), first("bert")])
    other_token = a_new_grant("newer", key=UserKey(CLIENT, "bert"), upstream_id="up-bert")
    held = await stores.users.held(CLIENT, [first("anna")[0], other_token, first("carl")[0]])
    issued = first("anna")[0].pair.issued_at
    assert held == {
        "anna": HeldPair("LIVE", "up-anna", issued, known=True),
        "bert": HeldPair("LIVE", "up-bert", issued, known=False),
    }


async def test_a_token_that_another_user_has_had_is_not_known_of_this_one(stores):
    await stores.users.link_new(CLIENT, [first("anna"), first("bert")])
    annas = a_new_grant("anna", key=UserKey(CLIENT, "bert"), upstream_id="up-bert")
    assert not (await stores.users.held(CLIENT, [annas]))["bert"].known


_READ = "SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'users'"


async def test_a_later_batch_looks_its_users_up_by_their_key_and_not_among_all(database_url):
    async with open_stores(database_url, connections=1) as stores:

        async def rows_read(batch):
            """How many rows of the users' indexes were read by the end of a batch of 500."""
            await stores.users.link_new(CLIENT, [first(f"user-{batch}-{number}") for number in range(500)])
            async with stores.database.connection() as connection:
                await connection.execute("SELECT pg_stat_force_next_flush()")
            return int(await stores.raw.fetchval(_READ))

        read = [await rows_read(batch) for batch in range(5)]
    assert read[4] - read[3] < 10 * 500
