"""Claims: one holder at a time, by the database's clock, on request and in batches of what is due."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from service.broker.model import ClaimKind, GrantState, UserKey
from tests.support.builders import DAY, HOUR, MINUTE, NOON, SECOND, TICK, a_pair
from tests.support.cached import ANNA, BERT
from tests.support.stored import DEADLINE, WINDOW, open_stores

FAR_AHEAD = datetime(2100, 1, 1, tzinfo=UTC)
OTHER = UserKey("second-client", "anna")


@pytest.fixture
async def stores(database_url):
    async with open_stores(database_url) as stores:
        yield stores


def user(number, client="first-client"):
    return UserKey(client, f"user-{number:03}")


async def due_users(stores, count):
    """Store users due one minute after the other, from noon on, in an order that is not theirs."""
    for number in sorted(range(count), key=lambda number: number * 7 % count):
        await stores.link(user(number), f"pair-{number}", due_at=NOON + number * MINUTE)


async def swept(stores, limit=100, now=FAR_AHEAD, owner="a-worker", client="first-client"):
    """The keys of the grants that one claim_due gives, in its order."""
    return [due.grant.key for due in await stores.claims.claim_due(client, limit, now, owner)]


async def test_a_claim_is_committed_with_a_deadline_by_the_databases_clock(stores):
    linked = await stores.link()
    before = await stores.grants.now()
    claim = (await stores.claims.claim(ANNA, linked.generation, "this-process")).claim
    assert before <= claim.claimed_at <= await stores.grants.now()
    assert claim.deadline_at == claim.claimed_at + DEADLINE
    assert (claim.key, claim.generation, claim.epoch) == (ANNA, linked.generation, 1)
    assert (claim.kind, claim.owner) == (ClaimKind.REFRESH, "this-process")


async def test_the_claimed_grant_comes_whole_and_is_what_is_stored(stores):
    linked = await stores.link()
    claimed = await stores.claims.claim(ANNA, linked.generation, "this-process")
    assert replace(claimed, claim=None) == linked
    assert claimed.pair == a_pair()
    assert await stores.grants.load(ANNA) == claimed


async def test_a_claimed_grant_is_due_when_its_deadline_passes(stores):
    claimed = await stores.claimed()
    assert abs(await stores.column("due_at") - claimed.claim.deadline_at) < SECOND


async def test_only_one_of_many_concurrent_claims_wins(stores):
    linked = await stores.link()
    claims = [stores.claims.claim(ANNA, linked.generation, f"process-{n}") for n in range(30)]
    won = [grant.claim.owner for grant in await asyncio.gather(*claims) if grant is not None]
    assert len(won) == 1
    assert await stores.column("claim_owner") == won[0]


async def test_a_claim_waits_for_a_change_under_way_and_then_sees_it(stores):
    linked = await stores.link()
    async with stores.holding("UPDATE grants SET generation = generation + 1"):
        claiming = asyncio.create_task(stores.claims.claim(ANNA, linked.generation, "this-process"))
        await stores.until_blocked()
    assert await claiming is None


@pytest.mark.parametrize("off_by", [-1, 1])
async def test_only_the_current_generation_can_be_claimed(stores, off_by):
    linked = await stores.link()
    assert await stores.claims.claim(ANNA, linked.generation + off_by, "this-process") is None


@pytest.mark.parametrize("state", ["DEAD", "PAUSED"])
async def test_only_a_live_grant_can_be_claimed(stores, state):
    linked = await stores.link()
    await stores.set(state=state)
    assert await stores.claims.claim(ANNA, linked.generation, "this-process") is None
    assert await swept(stores) == []


async def test_a_user_who_is_not_there_cannot_be_claimed(stores):
    linked = await stores.link()
    for key in (BERT, OTHER, UserKey("", "")):
        assert await stores.claims.claim(key, linked.generation, "this-process") is None


@pytest.mark.parametrize("owner", ["this-process", "another-process"])
async def test_a_claim_before_its_deadline_is_nobodys_not_even_its_holders(stores, owner):
    claimed = await stores.claimed()
    await stores.let_pass(DEADLINE / 2)
    assert await stores.claims.claim(ANNA, claimed.generation, owner) is None


async def test_a_claim_past_its_deadline_is_retaken_with_the_next_epoch(stores):
    claimed = await stores.claimed()
    await stores.let_pass(DEADLINE)
    retaken = await stores.claims.claim(ANNA, claimed.generation, "another-process")
    assert (retaken.claim.epoch, retaken.claim.owner) == (2, "another-process")
    assert retaken.generation == claimed.generation


async def test_a_claim_past_its_deadline_is_retaken_once(stores):
    claimed = await stores.claimed()
    await stores.let_pass(DEADLINE)
    claims = [stores.claims.claim(ANNA, claimed.generation, f"process-{n}") for n in range(20)]
    assert sum(grant is not None for grant in await asyncio.gather(*claims)) == 1
    assert await stores.column("claim_epoch") == 2


async def test_retaking_the_claim_of_a_refresh_raises_no_distrust(stores):
    claimed = await stores.claimed()
    await stores.let_pass(DEADLINE)
    retaken = await stores.claims.claim(ANNA, claimed.generation, "another-process")
    assert retaken.marks == claimed.marks


@pytest.mark.parametrize("ahead_of_time", [False, True])
async def test_retaking_the_claim_of_a_force_refresh_opens_a_distrust_window(stores, ahead_of_time):
    claimed = await stores.claimed()
    await stores.claims.restamp(claimed.claim, ClaimKind.FORCE)
    await stores.let_pass(DEADLINE)
    if ahead_of_time:
        [due] = await stores.claims.claim_due("first-client", 1, FAR_AHEAD, "a-worker")
        retaken = due.grant
    else:
        retaken = await stores.claims.claim(ANNA, claimed.generation, "another-process")
    assert abs(retaken.marks.distrusted_until - retaken.claim.claimed_at - WINDOW) < SECOND
    assert retaken.claim.kind is ClaimKind.REFRESH


async def test_retaking_a_force_refresh_never_shortens_a_distrust_window(stores):
    claimed = await stores.claimed()
    await stores.claims.restamp(claimed.claim, ClaimKind.FORCE)
    await stores.set(distrusted_until=FAR_AHEAD)
    await stores.let_pass(DEADLINE)
    retaken = await stores.claims.claim(ANNA, claimed.generation, "another-process")
    assert retaken.marks.distrusted_until == FAR_AHEAD


async def test_what_is_due_is_claimed_and_nothing_else(stores):
    await due_users(stores, 4)
    assert await swept(stores, now=NOON - TICK) == []
    assert set(await swept(stores, now=NOON + MINUTE)) == {user(0), user(1)}
    assert await stores.grants.load(user(2)) == replace(await stores.grants.load(user(2)), claim=None)


async def test_a_grant_that_nothing_is_to_be_done_for_is_never_due(stores):
    await stores.link(due_at=None)
    assert await swept(stores) == []


@pytest.mark.parametrize("joins", ["hashjoin", "mergejoin", "nestloop"])
async def test_the_most_urgent_are_taken_first_and_no_more_than_asked_for(stores, joins):
    for other in {"hashjoin", "mergejoin", "nestloop"} - {joins}:
        name = await stores.raw.fetchval("SELECT current_database()")
        await stores.raw.execute(f"ALTER DATABASE {name} SET enable_{other} = off")
    await due_users(stores, 40)
    await stores.database.aclose()
    await stores.database.start()
    for first in (0, 7):
        assert set(await swept(stores, limit=7)) == {user(first + n) for n in range(7)}


async def test_what_was_claimed_comes_in_the_order_it_was_due(stores):
    await due_users(stores, 40)
    await stores.raw.execute("ANALYZE")
    assert await swept(stores, limit=9) == [user(number) for number in range(9)]


async def test_claims_ahead_of_time_are_claims_like_any_other(stores):
    linked = await stores.link(due_at=NOON)
    [due] = await stores.claims.claim_due("first-client", 1, FAR_AHEAD, "a-worker")
    assert (due.grant.pair, due.retaken) == (linked.pair, False)
    assert (due.grant.claim.owner, due.grant.claim.epoch) == ("a-worker", 1)
    assert await stores.claims.claim(ANNA, linked.generation, "this-process") is None


async def test_workers_that_sweep_at_once_share_the_work(stores):
    await due_users(stores, 20)
    shares = await asyncio.gather(*(swept(stores, 8, owner=f"worker-{n}") for n in range(4)))
    taken = [key for share in shares for key in share]
    assert len(taken) == len(set(taken)) == 20
    assert max(len(share) for share in shares) <= 8


async def test_a_grant_that_is_being_changed_is_skipped_without_waiting(stores):
    await due_users(stores, 3)
    async with stores.holding("SELECT FROM grants WHERE user_id = 'user-000' FOR UPDATE"):
        assert set(await swept(stores, limit=2)) == {user(1), user(2)}


async def test_a_claim_that_is_standing_is_not_due_whatever_the_hour(stores):
    await stores.claimed(due_at=NOON)
    assert await swept(stores) == []


async def test_a_claim_that_was_left_is_due_and_says_so(stores):
    claimed = await stores.claimed()
    await stores.link(BERT, "second", due_at=NOON)
    await stores.let_pass(DEADLINE)
    due = await stores.claims.claim_due("first-client", 2, FAR_AHEAD, "a-worker")
    assert {(one.grant.key, one.retaken, one.grant.claim.epoch) for one in due} == {
        (ANNA, True, claimed.claim.epoch + 1),
        (BERT, False, 1),
    }


async def test_one_clients_sweep_leaves_anothers_grants_alone(stores):
    await stores.link(OTHER, "other", due_at=NOON)
    await stores.link(ANNA, "first", due_at=NOON + HOUR)
    assert await swept(stores, limit=1) == [ANNA]
    assert await stores.column("claim_owner", OTHER) is None


async def test_a_limit_of_none_claims_nothing(stores):
    await due_users(stores, 1)
    assert await swept(stores, limit=0) == []


async def test_a_grant_whose_seal_is_broken_does_not_keep_the_others_from_their_turn(stores):
    await stores.link(ANNA, "first", due_at=NOON)
    await stores.link(BERT, "second", due_at=NOON + MINUTE)
    await stores.set(ANNA, access_sealed=b"v1.k1.altered")
    assert await swept(stores) == [BERT]
    assert [(event, key) for event, key, _ in stores.notes.heard] == [("grant.unreadable", ANNA)]


async def test_a_state_that_is_not_live_frees_nobody_elses_claim(stores):
    claimed = await stores.claimed()
    await stores.grants.set_state(ANNA, GrantState.PAUSED, "paused", due_at=None, actor="a-test")
    await stores.let_pass(DAY)
    assert await stores.claims.claim(ANNA, claimed.generation, "another-process") is None
    assert await swept(stores) == []
