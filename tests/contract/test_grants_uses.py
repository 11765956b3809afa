"""First uses, written behind in one statement: they make a parked pair due again, once a generation."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from service.broker.model import Binding, Marks, UserKey
from service.broker.policy import Terms, due_at
from tests.support.builders import HOUR, MINUTE, NOON, a_use
from tests.support.cached import ANNA, BERT
from tests.support.stored import open_stores

FAR_AHEAD = datetime(2100, 1, 1, tzinfo=UTC)
STALE, USED_AT = NOON + 50 * MINUTE, NOON + 5 * MINUTE
WINDOW_ENDS = NOON + 10 * MINUTE


@pytest.fixture
async def stores(database_url):
    async with open_stores(database_url) as stores:
        yield stores


async def used(stores, grant, **changes):
    """Note one use of the grant and return the grant as it stands then."""
    await stores.grants.note_uses([a_use(grant, **{"at": USED_AT, **changes})])
    return await stores.grants.load(grant.key)


async def due(stores, key=ANNA):
    return await stores.column("due_at", key)


async def test_the_first_use_makes_a_parked_pair_due_when_it_becomes_stale(stores):
    grant = await used(stores, await stores.link())
    assert grant.first_used_at == USED_AT
    assert await due(stores) == STALE


async def test_only_the_first_use_counts(stores):
    linked = await stores.link()
    await used(stores, linked)
    await stores.set(due_at=FAR_AHEAD)
    assert (await used(stores, linked, at=USED_AT + HOUR)).first_used_at == USED_AT
    assert await due(stores) == FAR_AHEAD


@pytest.mark.parametrize("off_by", [-1, 1])
async def test_a_use_of_another_generation_does_not_count(stores, off_by):
    linked = await stores.link()
    before = await due(stores)
    grant = await used(stores, linked, generation=linked.generation + off_by)
    assert (grant.first_used_at, await due(stores)) == (None, before)


async def test_a_use_never_puts_off_what_is_due_earlier(stores):
    linked = await stores.link(due_at=NOON)
    await used(stores, linked)
    assert await due(stores) == NOON


@pytest.mark.parametrize(
    ("columns", "instant"),
    [
        ({"retry_at": None}, STALE),
        ({"retry_at": NOON}, STALE),
        ({"retry_at": NOON + 2 * HOUR}, NOON + 2 * HOUR),
        ({"distrusted_until": WINDOW_ENDS}, WINDOW_ENDS),
        ({"distrusted_until": NOON + 2 * HOUR}, STALE),
    ],
)
async def test_a_pair_in_use_is_due_when_the_policy_says(stores, columns, instant):
    linked = await stores.link(due_at=FAR_AHEAD)
    await stores.set(**columns)
    grant = await used(stores, linked)
    assert await due(stores) == instant == due_at(grant, Terms(), used=True)


async def test_a_distrusted_pair_in_use_still_waits_its_back_off_out(stores):
    linked = await stores.link(due_at=FAR_AHEAD)
    await stores.set(distrusted_until=WINDOW_ENDS, retry_at=NOON + 2 * HOUR)
    await used(stores, linked)
    assert await due(stores) == NOON + 2 * HOUR


@pytest.mark.parametrize("columns", [{"refresh_token_dead": True}, {"state": "PAUSED"}, {"state": "DEAD"}])
async def test_a_use_does_not_hasten_what_the_worker_cannot_replace(stores, columns):
    linked = await stores.link(due_at=FAR_AHEAD)
    await stores.set(**columns)
    assert (await used(stores, linked)).first_used_at == USED_AT
    assert await due(stores) == FAR_AHEAD


async def test_a_use_leaves_a_claim_and_its_deadline_alone(stores):
    claimed = await stores.claimed()
    at_deadline = await due(stores)
    assert (await used(stores, claimed)) == replace(claimed, first_used_at=USED_AT)
    assert await due(stores) == at_deadline


async def test_a_browser_slides_the_binding_forward_only(stores):
    linked = await stores.link()
    for at in (FAR_AHEAD, NOON):
        grant = await used(stores, linked, at=at, by_browser=True)
        assert grant.binding == Binding(linked.binding.vouched_at, FAR_AHEAD)


async def test_a_service_does_not_slide_the_binding(stores):
    linked = await stores.link()
    assert (await used(stores, linked)).binding == linked.binding


async def test_a_browsers_use_of_an_older_generation_slides_the_binding_all_the_same(stores):
    linked = await stores.link()
    grant = await used(stores, linked, generation=1, by_browser=True)
    assert (grant.first_used_at, grant.binding.refreshed_at) == (None, USED_AT)


async def test_many_uses_are_written_in_one_statement(stores):
    keys = [UserKey("first-client", f"user-{number}") for number in range(50)]
    grants = [await stores.link(key, key.user_id) for key in keys]
    await stores.grants.note_uses([a_use(grant, by_browser=True) for grant in grants])
    [counted] = await stores.raw.fetch("SELECT count(first_used_at) AS n, count(refreshed_at) AS m"
                                       " FROM grants JOIN users USING (client, user_id)")  # fmt: skip
    assert (counted["n"], counted["m"]) == (50, 50)


async def test_uses_of_users_who_are_gone_do_not_keep_the_others_from_being_written(stores):
    linked = await stores.link()
    gone = a_use(linked, key=BERT)
    await stores.grants.note_uses([gone, a_use(linked)])
    assert (await stores.grants.load(ANNA)).first_used_at == NOON


async def test_nothing_to_write_is_written_without_complaint(stores):
    await stores.grants.note_uses([])


async def test_two_processes_that_write_the_same_users_do_not_stand_in_each_others_way(stores):
    keys = [UserKey("first-client", f"user-{number}") for number in range(30)]
    uses = [a_use(await stores.link(key, key.user_id), by_browser=True) for key in keys]
    batches = [uses, uses[::-1], uses[15:] + uses[:15]]
    await asyncio.gather(*(stores.grants.note_uses(batch) for batch in batches * 3))
    assert await stores.raw.fetchval("SELECT count(*) FROM grants WHERE first_used_at IS NULL") == 0


async def test_a_use_takes_no_mark_off(stores):
    linked = await stores.link()
    await stores.set(refused=True, distrusted_until=NOON, force_pending=True)
    grant = await used(stores, linked)
    assert grant.marks == Marks(refused=True, distrusted_until=NOON, force_pending=True)
