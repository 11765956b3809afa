"""The events as PostgreSQL keeps them: written behind, read in pages, and what is left after a delete."""

import asyncio
from uuid import UUID, uuid4

import pytest

from service.broker.model import Event, EventKind, Place, Recorded
from tests.support.builders import HOUR, MINUTE, NOON, SECOND, TICK
from tests.support.cached import ANNA, BERT
from tests.support.stored import open_stores

WHO = {"address": "203.0.113.7", "origin": "https://a.example", "agent": "a1", "fingerprint": "f1"}
FULL = Event(
    NOON, "token.exchanged", 7, EventKind.EXCHANGE, "ok", "why", presented=5, actor="backend",
    request_id="r-1", facts={"distance": 4, "fields": ["name"]}, count=3, last_at=NOON + MINUTE, **WHO,
)  # fmt: skip
OLD = "INSERT INTO events (client, user_id, at, event, generation, actor) VALUES ($1, $2, $3, $4, 7, $5)"

MANY_ROWS = """
    INSERT INTO audit_events (client, user_id, at, kind, event, address)
    SELECT 'first-client', 'anna', now() - n * interval '1 second', 'exchange', 'token.read', '203.0.113.7'
    FROM generate_series(1, 12000) n
"""
REFUSES_TO_CHANGE_ALL = """
    CREATE FUNCTION too_many() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF (SELECT count(*) FROM changed) > 5000 THEN
            RAISE 'too many at once' USING ERRCODE = '57014';
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER too_many AFTER UPDATE ON audit_events REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION too_many()
"""


@pytest.fixture
async def stores(database_url):
    async with open_stores(database_url) as stores:
        yield stores


async def write(stores, *events, key=ANNA):
    recorded = [Recorded(event.id or uuid4(), key, event) for event in events]
    await stores.events.write(recorded)
    return recorded


def named(events):
    return [event.event for event in events]


def at(minutes, **changes):
    return Event(NOON + minutes * MINUTE, str(minutes), **changes)


async def test_an_event_comes_back_as_it_was_written(stores):
    await stores.link()
    [recorded] = await write(stores, FULL)
    assert (await stores.happened())[-1] == FULL._replace(id=recorded.id)


async def test_written_again_it_is_one_row_with_the_greater_count(stores):
    one = FULL._replace(id=UUID(int=1))
    more = one._replace(count=9, last_at=NOON + HOUR)
    for form in (one, more, one):
        await write(stores, form)
    [event] = await stores.happened()
    assert (event.count, event.last_at) == (9, NOON + HOUR)


async def test_an_event_about_no_user_is_kept_and_is_no_users(stores):
    await write(stores, at(0, actor="token-broker rewrap"), key=None)
    assert await stores.raw.fetchval("SELECT actor FROM audit_events") == "token-broker rewrap"
    assert await stores.happened() == []


async def test_they_are_read_newest_first_and_each_user_has_its_own(stores):
    await write(stores, at(1), at(3), at(2))
    await write(stores, at(4), key=BERT)
    assert named(await stores.happened()) == ["3", "2", "1"]


async def test_pages_visit_each_event_once_also_those_of_one_instant(stores):
    await write(stores, *[at(n // 3)._replace(event=f"e{n}") for n in range(12)])
    await stores.raw.execute(OLD, "first-client", "anna", NOON, "e12", None)
    seen, after = [], None
    while page := await stores.happened(most=5, after=after):
        seen += named(page)
        after = Place(page[-1].at, page[-1].id)
    assert sorted(seen) == sorted(f"e{n}" for n in range(13))
    assert len(seen) == 13


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["3", "2", "1"]),
        ({"kind": EventKind.ACT}, ["2"]),
        ({"since": NOON + 2 * MINUTE}, ["3", "2"]),
        ({"since": NOON + 2 * MINUTE + TICK}, ["3"]),
        ({"until": NOON + 2 * MINUTE}, ["1"]),
        ({"since": NOON + 2 * MINUTE, "until": NOON + 3 * MINUTE}, ["2"]),
    ],
)  # fmt: skip
async def test_they_are_asked_for_by_kind_and_time(stores, asked, found):
    await write(stores, at(1), at(2, kind=EventKind.ACT), at(3))
    assert named(await stores.happened(**asked)) == found


async def test_what_began_before_and_went_on_belongs_to_the_time_too(stores):
    await write(stores, at(0, count=2, last_at=NOON + 3 * MINUTE))
    assert named(await stores.happened(since=NOON + 3 * MINUTE)) == ["0"]
    assert await stores.happened(since=NOON + 3 * MINUTE + TICK) == []


async def test_what_an_older_release_wrote_and_writes_is_read_among_them(stores):
    await write(stores, at(1), at(3))
    await stores.raw.execute(OLD, "first-client", "anna", NOON + 2 * MINUTE, "old.act", "ops")
    await stores.raw.execute(OLD, "first-client", "anna", NOON, "old.change", None)
    found = await stores.happened()
    assert named(found) == ["3", "old.act", "1", "old.change"]
    assert [event.kind for event in found[1::2]] == [EventKind.ACT, EventKind.CHANGE]
    assert named(await stores.happened(kind=EventKind.ACT)) == ["old.act"]
    assert named(await stores.happened(since=NOON + SECOND, until=NOON + 3 * MINUTE)) == ["old.act", "1"]


async def test_a_deleted_users_events_say_what_happened_and_not_who_asked(stores):
    await stores.link()
    await write(stores, FULL)
    await stores.users.forget(ANNA, actor="ops")
    deleted, _, exchange = await stores.happened()
    assert (deleted.event, deleted.actor) == ("user.deleted", "ops")
    assert (exchange.outcome, exchange.actor, exchange.count) == ("ok", "backend", 3)
    assert {name: getattr(exchange, name) for name in WHO} == dict.fromkeys(WHO)


@pytest.mark.parametrize("known", WHO)
async def test_the_least_that_is_known_of_who_asked_goes_as_well(stores, known):
    await stores.link()
    await write(stores, FULL._replace(**(dict.fromkeys(WHO) | {known: WHO[known]})))
    await stores.users.forget(ANNA, actor="ops")
    assert getattr((await stores.happened())[-1], known) is None


async def test_a_long_history_is_forgotten_in_statements_that_each_take_a_moment(stores):
    await stores.link()
    await stores.raw.execute(MANY_ROWS)
    await stores.raw.execute(REFUSES_TO_CHANGE_ALL)
    await stores.users.forget(ANNA, actor="ops")
    assert await stores.raw.fetchval("SELECT count(*) FROM audit_events WHERE address IS NOT NULL") == 0


async def test_another_users_stay_as_they_are(stores):
    await stores.link(ANNA)
    await stores.link(BERT, "second")
    await write(stores, FULL, key=BERT)
    await stores.users.forget(ANNA, actor="ops")
    assert (await stores.happened(BERT))[-1].address == "203.0.113.7"


async def test_who_asked_is_not_written_behind_a_delete(stores):
    await stores.link()
    async with stores.holding("DELETE FROM users WHERE user_id = 'anna'"):
        writing = asyncio.create_task(write(stores, FULL))
        await stores.until_blocked(or_done=[writing])
        assert not writing.done()
    await writing
    assert (await stores.happened())[-1].address is None


async def test_an_order_and_its_event_are_committed_together_or_not_at_all(stores):
    linked = await stores.link()
    await stores.raw.execute("ALTER TABLE audit_events ADD CHECK (event <> 'grant.revoked') NOT VALID")
    with pytest.raises(Exception, match="cannot be stored"):
        await stores.grants.request_force(ANNA, revoke=True, actor="ops")
    assert await stores.grants.load(ANNA) == linked
