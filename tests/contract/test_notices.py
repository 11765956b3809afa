"""What the app is told is written with the change it tells of, once, and leaves in that order."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from service.adapters.postgres.notices import PostgresNotices
from service.broker.errors import StorageUnavailable
from service.broker.model import ClaimKind, Event, EventKind, GrantState, Recorded, Trigger
from service.broker.model.notice import Backlog, Chosen, NoticeOutcome
from service.broker.ports import Aftermath
from service.settings.webhooks import TYPES
from tests.support.builders import DAY, HOUR, MINUTE, NOON, a_new_grant, a_pair, a_settlement
from tests.support.cached import ANNA, BERT
from tests.support.stored import open_stores

HOLD = timedelta(seconds=25)
DEAD = Aftermath(state=GrantState.DEAD, reason="refused", event="grant.died")


@pytest.fixture
async def stores(database_url):
    async with open_stores(database_url) as stores:
        yield stores


@pytest.fixture
def notices(stores):
    return PostgresNotices(stores.database)


async def written(stores, columns="type, user_id, facts->>'reason' AS reason"):
    """What was written so far, in its order."""
    return [tuple(row) for row in await stores.raw.fetch(f"SELECT {columns} FROM notices ORDER BY seq")]


async def tell(stores, *keys, of="grant.died"):
    """Write a notice of each of these users, as a change would."""
    statement = "INSERT INTO notices (type, client, user_id, mark) VALUES ($1, $2, $3, $4)"
    for key in keys:
        await stores.raw.execute(statement, of, key.client, key.user_id, str(uuid4()))


async def claimed(stores, notices, most=10, owner="this-worker", types=TYPES, ahead=0 * DAY):
    return await notices.claim(owner, types, most, await stores.grants.now() + ahead, HOLD)


def users(claimed):
    return [notice.user_id for notice in claimed]


async def bury(stores, key=ANNA, **changes):
    claimed = await stores.claimed(key, **changes)
    assert await stores.claims.end_claim(claimed.claim, DEAD)
    return claimed


# What is written


async def test_a_grant_that_dies_is_told_of_with_its_death(stores):
    grant = await bury(stores)
    assert await written(stores) == [("grant.died", "anna", "refused")]
    facts = "facts->>'calUserId', (facts->>'generation')::bigint, client"
    assert await written(stores, facts) == [("up-anna", grant.generation, "first-client")]


async def test_a_death_that_another_process_was_quicker_to_prevent_is_not_told_of(stores):
    claimed = await stores.claimed()
    await stores.claims.settle(a_settlement(claimed.claim))
    assert not await stores.claims.end_claim(claimed.claim, DEAD)
    assert await written(stores) == []


async def test_any_other_end_of_a_claim_is_nobodys_business(stores):
    claimed = await stores.claimed()
    await stores.claims.end_claim(claimed.claim, Aftermath(failed="timeout", event="refresh.unavailable"))
    assert await written(stores) == []


async def test_a_death_that_is_rolled_back_is_not_told_of(stores):
    claimed = await stores.claimed()
    await stores.raw.execute("ALTER TABLE audit_events ADD CHECK (event <> 'grant.died') NOT VALID")
    with pytest.raises(Exception, match="cannot be stored"):
        await stores.claims.end_claim(claimed.claim, DEAD)
    assert await written(stores) == []
    assert await stores.column("state") == "LIVE"


async def test_a_grant_that_is_said_to_be_dead_outside_a_refresh_is_told_of_once(stores):
    await stores.link()
    for _ in range(2):
        await stores.grants.set_state(ANNA, GrantState.DEAD, "user_gone", due_at=None, actor="a-test")
    await stores.grants.set_state(ANNA, GrantState.PAUSED, "paused", due_at=None, actor="a-test")
    assert await written(stores) == [("grant.died", "anna", "user_gone")]


@pytest.mark.parametrize(
    ("kind", "trigger", "told"),
    [
        (ClaimKind.FORCE, Trigger.RECOVERY, [("grant.recovered", "anna", "forced")]),
        (ClaimKind.FORCE, Trigger.FORCED, []),
        (ClaimKind.REFRESH, Trigger.REQUEST, []),
    ],
)
async def test_a_pair_that_was_had_back_by_force_is_told_of_unless_it_was_ordered(
    stores, kind, trigger, told
):
    claim = await stores.claims.restamp((await stores.claimed()).claim, kind)
    assert await stores.claims.settle(a_settlement(claim, trigger=trigger)) is not None
    assert await written(stores) == told


async def test_a_dead_grant_with_a_new_pair_is_told_of(stores):
    await bury(stores)
    await stores.users.link(a_new_grant("again", event="grant.enrolled"), None, replace=False)
    assert await written(stores) == [
        ("grant.died", "anna", "refused"),
        ("grant.recovered", "anna", "enrolled"),
    ]


async def test_a_pair_that_replaces_a_living_one_is_not(stores):
    await stores.link()
    await stores.link(name="again", event="grant.enrolled")
    assert await written(stores) == []


def reuse(at=NOON, **changes):
    what = {"kind": EventKind.SIGNAL, "reason": "revoked", "presented": 7, "address": "192.0.2.1"}
    return Recorded(uuid4(), ANNA, Event(at, "token.reuse", **what | changes))


async def test_a_sign_of_misuse_is_told_of_once_an_hour_without_who_showed_the_token(stores):
    await stores.link()
    await stores.events.write([reuse(), reuse(NOON + 5 * MINUTE, address="192.0.2.2"), reuse(NOON + HOUR)])
    await stores.events.write([reuse(presented=6), reuse(kind=EventKind.EXCHANGE, presented=5)])
    assert await written(stores, "facts->>'reason', (facts->>'generation')::bigint") == [
        ("revoked", 7), ("revoked", 7), ("revoked", 6),
    ]  # fmt: skip
    assert "192.0.2" not in str(await written(stores, "facts::text, mark"))


async def test_an_event_that_is_written_again_because_it_counted_on_is_not_told_of_again(stores):
    one = reuse()
    for _ in range(2):
        await stores.events.write([one])
    assert len(await written(stores)) == 1


async def test_circuits_are_told_of_once_however_many_processes_hold_them_open(stores, notices):
    for _ in range(3):
        await notices.opened("acme", "client_fault")
    for _ in range(2):
        await notices.closed("acme")
    await notices.opened("acme", "client_fault")
    types = [row[:2] for row in await written(stores)]
    assert types == [("circuit.opened", ""), ("circuit.closed", ""), ("circuit.opened", "")]


async def test_a_circuit_that_nobody_holds_open_any_more_is_closed(stores, notices):
    await notices.opened("acme", "client_fault")
    assert await notices.close_left(MINUTE) == 0
    await stores.raw.execute("UPDATE open_circuits SET seen_at = seen_at - interval '2 minutes'")
    assert await notices.close_left(MINUTE) == 1
    assert (await written(stores))[-1] == ("circuit.closed", "", "left")


YEAR = 365 * DAY
LAST_WEEKS = NOON + YEAR - 10 * DAY


async def held_for_a_year(stores, **columns):
    await stores.link(pair=a_pair(refresh_token_expires_at=NOON + YEAR))
    await stores.set(**columns)


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"state": "PAUSED", "due_at": None}, "paused"),
        ({"retry_at": LAST_WEEKS + HOUR}, "failing"),
        ({"due_at": LAST_WEEKS - 25 * HOUR}, "overdue"),
    ],
)
async def test_a_refresh_token_near_its_end_that_is_not_being_replaced_is_told_of_once(
    stores, notices, columns, why
):
    await held_for_a_year(stores, **columns)
    assert await notices.note_endings("first-client", LAST_WEEKS - 5 * DAY, 14 * DAY) == 0
    assert await notices.note_endings("first-client", LAST_WEEKS, 14 * DAY) == 1
    assert await notices.note_endings("first-client", LAST_WEEKS, 14 * DAY) == 0
    assert await written(stores) == [("refresh_token.ending", "anna", why)]


@pytest.mark.parametrize("columns", [{"due_at": LAST_WEEKS - HOUR}, {"state": "DEAD", "due_at": None}])
async def test_one_that_will_be_replaced_in_time_or_is_past_help_is_not(stores, notices, columns):
    await held_for_a_year(stores, **columns)
    assert await notices.note_endings("first-client", LAST_WEEKS, 14 * DAY) == 0


# Who sends what, in which order


async def test_of_each_user_the_first_that_waits_is_given_out_alone(stores, notices):
    await tell(stores, ANNA, ANNA, BERT, ANNA)
    first = await claimed(stores, notices)
    assert users(first) == ["anna", "bert"]
    assert await claimed(stores, notices, owner="another") == []
    now = await stores.grants.now()
    for notice in first:
        assert await notices.settle(notice, NoticeOutcome.DELIVERED, now, None)
    assert users(await claimed(stores, notices, owner="another")) == ["anna"]


async def test_no_two_workers_that_ask_at_once_are_given_the_same(stores, notices):
    await tell(stores, ANNA, BERT)
    async with stores.holding("SELECT FROM notices WHERE user_id = 'anna' FOR UPDATE"):
        assert users(await claimed(stores, notices)) == ["bert"]
    given = await asyncio.gather(*(claimed(stores, notices, owner=str(one)) for one in range(5)))
    assert [users(one) for one in given if one] == [["anna"]]


async def test_who_ends_without_a_word_is_waited_for_as_long_as_its_claim_holds(stores, notices):
    await tell(stores, ANNA, ANNA)
    (lost,) = await claimed(stores, notices)
    await stores.raw.execute("UPDATE notices SET claimed_until = claimed_until - $1::interval", HOLD)
    (again,) = await claimed(stores, notices, owner="another")
    assert (again.id, again.attempts) == (lost.id, 2)
    now = await stores.grants.now()
    assert not await notices.settle(lost, NoticeOutcome.DELIVERED, now, None)
    assert not await notices.put_off(lost, now, "timeout")
    assert await notices.settle(again, NoticeOutcome.DELIVERED, now, None)


async def test_one_that_is_put_off_holds_up_its_own_user_and_nobody_else(stores, notices):
    await tell(stores, ANNA, ANNA, BERT)
    anna, _ = await claimed(stores, notices)
    await notices.put_off(anna, await stores.grants.now() + HOUR, "status 500")
    await tell(stores, ANNA)
    assert await claimed(stores, notices) == []
    assert users(await claimed(stores, notices, ahead=HOUR + MINUTE)) == ["anna"]


async def test_what_was_put_off_is_due_at_once_when_it_is_to_hurry(stores, notices):
    await tell(stores, ANNA, ANNA)
    (anna,) = await claimed(stores, notices)
    await notices.put_off(anna, await stores.grants.now() + HOUR, "status 500")
    assert await notices.hurry(await stores.grants.now()) == 2
    assert [notice.id for notice in await claimed(stores, notices)] == [anna.id]


async def test_what_nobody_wants_is_in_nobodys_way_and_passed_over_after_a_while(stores, notices):
    await tell(stores, ANNA, of="token.reuse")
    await tell(stores, ANNA)
    wanted = ("grant.died",)
    assert [notice.type for notice in await claimed(stores, notices, types=wanted)] == ["grant.died"]
    now = await stores.grants.now()
    assert await notices.pass_over(wanted, now - MINUTE, now) == 0
    assert await notices.pass_over(wanted, now + MINUTE, now) == 1
    assert await written(stores, "type, outcome") == [("token.reuse", "unwanted"), ("grant.died", None)]


async def test_what_waits_is_counted(stores, notices):
    assert await notices.backlog(TYPES, await stores.grants.now()) == Backlog(0, 0.0)
    await tell(stores, ANNA, BERT)
    counted = await notices.backlog(TYPES, await stores.grants.now() + HOUR)
    assert (counted.waiting, round(counted.oldest_s / 3600)) == (2, 1)


# Again, and no more


async def delivered(stores, notices, *keys):
    await tell(stores, *keys)
    now = await stores.grants.now()
    while given := await claimed(stores, notices):
        for notice in given:
            await notices.settle(notice, NoticeOutcome.DELIVERED, now, None)


async def test_what_is_replayed_is_sent_again_in_its_order_under_its_ids(stores, notices):
    await delivered(stores, notices, ANNA, ANNA, BERT)
    ids = [row[0] for row in await written(stores, "id")]
    assert await notices.replay(Chosen(user_id="anna")) == 2
    (first,) = await claimed(stores, notices)
    assert (first.id, first.attempts) == (ids[0], 1)


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (Chosen(), 3),
        (Chosen(types=("grant.died",)), 3),
        (Chosen(types=("token.reuse",)), 0),
        (Chosen(client="another"), 0),
        (Chosen(states=("given_up",)), 0),
        (Chosen(states=("delivered", "given_up"), user_id="bert"), 1),
        (Chosen(since=NOON), 3),
        (Chosen(until=NOON), 0),
        (Chosen(ids=(uuid4(),)), 0),
    ],
)
async def test_only_what_fits_all_that_was_asked_for_is_replayed(stores, notices, wanted, count):
    await delivered(stores, notices, ANNA, ANNA, BERT)
    assert await notices.replay(wanted) == count


async def test_what_waits_is_not_touched_by_a_replay(stores, notices):
    await tell(stores, ANNA)
    assert await notices.replay(Chosen()) == 0


async def test_what_is_too_old_is_deleted_sent_or_not(stores, notices):
    await delivered(stores, notices, ANNA)
    await tell(stores, BERT)
    now = await stores.grants.now()
    assert await notices.prune(now - DAY) == 0
    assert await notices.prune(now + MINUTE) == 2


async def test_without_its_database_it_says_so(stores, notices):
    await stores.database.aclose()
    with pytest.raises(StorageUnavailable):
        await notices.claim("this-worker", TYPES, 1, NOON, HOLD)
