"""While PostgreSQL is away every store says so in one way; once it is back, so are they, on their own."""

import asyncio
from uuid import UUID

import pytest

from service.broker.errors import StorageUnavailable
from service.broker.model import ClaimKind, Event, EventQuery, GrantState, Intent, Recorded
from service.broker.ports import (
    Aftermath,
    ClaimStore,
    EventStore,
    GrantStore,
    Upkeep,
    UserQuery,
    UserStore,
)
from sql.migrate import migrate
from tests.support.builders import DAY, NOON, a_claim, a_grant, a_new_grant, a_profile, a_settlement, a_use
from tests.support.cached import ANNA
from tests.support.stored import fingerprint_of, open_stores
from tests.support.waiting import eventually

CLAIM = a_claim()
INTENT = Intent(NOON, "x", 1)
OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
A_RECORD = Recorded(UUID(int=1), ANNA, Event(NOON, "token.read"))


@pytest.fixture
async def stores(own_servers):
    await migrate(own_servers.postgres.url)
    async with open_stores(own_servers.postgres.url) as stores:
        # The tests' servers are quick and forgetful; here what was committed is to outlive a crash.
        await stores.raw.execute("ALTER DATABASE postgres SET synchronous_commit = on")
        yield stores


@pytest.fixture
async def shared(database_url):
    """Stores on the shared server, with little patience and few connections."""
    async with open_stores(database_url, timeout_s=0.5, connections=2) as stores:
        yield stores


def every_call(stores):
    """One call of each method of each store, by its name."""
    claims, grants, users, upkeep = stores.claims, stores.grants, stores.users, stores.upkeep
    return {
        "claim": lambda: claims.claim(ANNA, 7, "x"),
        "claim_due": lambda: claims.claim_due("first-client", 5, NOON, "x"),
        "restamp": lambda: claims.restamp(CLAIM, ClaimKind.FORCE),
        "settle": lambda: claims.settle(a_settlement(CLAIM)),
        "end_claim": lambda: claims.end_claim(CLAIM, Aftermath()),
        "now": grants.now,
        "find": lambda: grants.find(fingerprint_of("first")),
        "load": lambda: grants.load(ANNA),
        "mark_refused": lambda: grants.mark_refused(ANNA, 7),
        "distrust": lambda: grants.distrust(ANNA),
        "clear_distrust": lambda: grants.clear_distrust(ANNA, 7, NOON),
        "note_uses": lambda: grants.note_uses([a_use(a_grant())]),
        "behind": lambda: grants.behind([(ANNA, 7)]),
        "vouch": lambda: grants.vouch(ANNA, NOON),
        "request_force": lambda: grants.request_force(ANNA, revoke=True, actor="x"),
        "set_state": lambda: grants.set_state(ANNA, GrantState.DEAD, "x", due_at=None, actor="x"),
        "write": lambda: stores.events.write([A_RECORD]),
        "page": lambda: stores.events.page(ANNA, EventQuery()),
        "load_user": lambda: users.load_user(ANNA),
        "list_users": lambda: users.list_users(UserQuery("first-client")),
        "begin_create": lambda: users.begin_create(ANNA, a_profile(), "x"),
        "note_attempt": lambda: users.note_attempt(ANNA, INTENT),
        "abandon_create": lambda: users.abandon_create(ANNA, INTENT, uncertain=False),
        "link": lambda: users.link(a_new_grant(), None, replace=True),
        "held": lambda: users.held(ANNA.client, [a_new_grant()]),
        "link_new": lambda: users.link_new(ANNA.client, [(a_new_grant(), None)]),
        "change_profile": lambda: users.change_profile(ANNA, a_profile(), fields=["name"], actor="x"),
        "forget": lambda: users.forget(ANNA, actor="a-test"),
        "gauges": lambda: upkeep.gauges("first-client", NOON),
        "prepare_partitions": lambda: upkeep.prepare_partitions(NOON),
        "prune": lambda: upkeep.prune(NOON, DAY),
    }


async def answers_of(stores):
    """Call everything at once; returns the class of each answer by the method's name."""
    calls = every_call(stores)
    outcomes = await asyncio.gather(*(call() for call in calls.values()), return_exceptions=True)
    return {name: type(outcome) for name, outcome in zip(calls, outcomes, strict=True)}


async def answers(stores):
    """Whether the database answers this process again."""
    try:
        await stores.grants.now()
    except StorageUnavailable:
        return False
    return True


async def test_every_promised_method_is_tried(shared):
    promised = [vars(port) for port in (ClaimStore, GrantStore, UserStore, EventStore, Upkeep)]
    names = {name for methods in promised for name in methods if not name.startswith("_")}
    assert set(every_call(shared)) == names


async def test_a_database_that_is_away_is_named_alike_by_every_method(stores, own_servers):
    await stores.link()
    own_servers.postgres.stop()
    assert set((await answers_of(stores)).values()) == {StorageUnavailable}


async def test_a_database_that_was_never_there_is_named_alike_too(own_servers):
    async with open_stores(own_servers.postgres.url) as stores:
        own_servers.postgres.stop()
        assert set((await answers_of(stores)).values()) == {StorageUnavailable}


@pytest.mark.parametrize("how", ["restart", "crash"])
async def test_after_the_databases_return_everything_goes_on_and_is_still_there(stores, own_servers, how):
    claimed = await stores.claimed()
    own_servers.postgres.kill() if how == "crash" else own_servers.postgres.stop()
    assert not await answers(stores)
    own_servers.postgres.start()
    await eventually(lambda: answers(stores))
    assert await stores.grants.load(ANNA) == claimed
    assert (await stores.claims.settle(a_settlement(claimed.claim))).generation > claimed.generation


async def test_going_and_coming_are_noted_once_each_without_a_value(stores, own_servers):
    await stores.link()
    own_servers.postgres.stop()
    await answers_of(stores)
    own_servers.postgres.start()
    await eventually(lambda: answers(stores))
    assert stores.notes.events() == ["dependency.down", "dependency.up"]
    facts = repr(stores.notes.heard)
    assert own_servers.postgres.url.split(":")[2].split("@")[0] not in facts


async def test_when_every_connection_is_killed_each_costs_one_answer_at_most(stores):
    await asyncio.gather(*(stores.grants.now() for _ in range(5)))
    await stores.raw.execute(OTHERS)
    refused = [await answers(stores) for _ in range(12)].count(False)
    assert refused <= 5
    assert await answers(stores)


async def test_a_database_that_takes_no_writes_is_away_for_writers_and_there_for_readers(stores):
    linked = await stores.link()
    await stores.raw.execute("ALTER DATABASE postgres SET default_transaction_read_only = on")
    await stores.raw.execute(OTHERS)
    await eventually(lambda: answers(stores))
    assert await stores.grants.load(ANNA) == linked
    assert not await stores.database.ping()
    with pytest.raises(StorageUnavailable):
        await stores.claims.claim(ANNA, linked.generation, "x")


async def test_a_database_that_takes_writes_again_is_found_without_a_restart(stores):
    linked = await stores.link()
    await stores.raw.execute("ALTER DATABASE postgres SET default_transaction_read_only = on")
    await stores.raw.execute(OTHERS)
    await eventually(lambda: answers(stores))
    with pytest.raises(StorageUnavailable):
        await stores.claims.claim(ANNA, linked.generation, "x")
    await stores.raw.execute("ALTER DATABASE postgres RESET default_transaction_read_only")
    assert await stores.database.ping()
    assert await stores.claims.claim(ANNA, linked.generation, "x") is not None


async def test_a_row_that_is_locked_too_long_is_given_up_and_the_connection_stays_good(shared):
    linked = await shared.link()
    async with shared.holding("SELECT FROM grants FOR UPDATE"):
        with pytest.raises(StorageUnavailable):
            await shared.claims.claim(ANNA, linked.generation, "x")
        assert await shared.grants.load(ANNA) == linked
    assert await shared.claims.claim(ANNA, linked.generation, "x") is not None


@pytest.mark.parametrize("setting", ["statement_timeout", "lock_timeout"])
async def test_a_statement_that_the_server_breaks_off_is_given_up_alike(shared, setting):
    linked = await shared.link()
    name = await shared.raw.fetchval("SELECT current_database()")
    await shared.raw.execute(f"ALTER DATABASE {name} SET {setting} = '50ms'")
    async with open_stores(shared.database._dsn) as impatient:
        async with shared.holding("SELECT FROM grants FOR UPDATE"):
            with pytest.raises(StorageUnavailable) as given_up:
                await impatient.claims.claim(ANNA, linked.generation, "x")
        assert given_up.value.__suppress_context__  # the driver's words, which may hold a value
        assert await impatient.claims.claim(ANNA, linked.generation, "x") is not None


async def test_when_every_connection_is_taken_the_next_caller_hears_it_in_time(shared):
    async with shared.database.connection(), shared.database.connection():
        with pytest.raises(StorageUnavailable):
            await shared.grants.now()
    assert await answers(shared)


async def test_what_was_given_up_half_way_was_not_written(shared):
    async with shared.holding("LOCK TABLE lineage IN ACCESS EXCLUSIVE MODE"):
        with pytest.raises(StorageUnavailable):
            await shared.users.link(a_new_grant(), None, replace=True)
    assert await shared.users.load_user(ANNA) is None


async def test_a_caller_who_leaves_takes_no_connection_along(shared):
    linked = await shared.link()
    async with shared.holding("SELECT FROM grants FOR UPDATE"):
        claiming = asyncio.create_task(shared.claims.claim(ANNA, linked.generation, "x"))
        await shared.until_blocked()
        claiming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await claiming
    assert await shared.claims.claim(ANNA, linked.generation, "x") is not None


async def test_a_database_without_its_schema_is_named_alike(empty_database_url):
    async with open_stores(empty_database_url) as stores:
        answered = await answers_of(stores)
        assert {name for name, answer in answered.items() if answer is not StorageUnavailable} == {"now"}
        assert not await stores.database.ping()


async def test_a_store_that_was_closed_says_so(database_url):
    async with open_stores(database_url) as stores:
        await stores.database.aclose()
        assert set((await answers_of(stores)).values()) == {StorageUnavailable}
