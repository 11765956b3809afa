"""What is known when a claim ends without a new pair is written on the grant, and nothing else is."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from service.broker.model import GrantState, Marks
from service.broker.ports import Aftermath
from tests.support.builders import MINUTE, NOON
from tests.support.cached import ANNA
from tests.support.stored import DEADLINE, open_stores

FAR_AHEAD = datetime(2100, 1, 1, tzinfo=UTC)
SOON = NOON + MINUTE


@pytest.fixture
async def stores(database_url):
    async with open_stores(database_url) as stores:
        yield stores


async def ended(stores, claimed, **aftermath):
    """End the claim so and return the grant as it stands then."""
    assert await stores.claims.end_claim(claimed.claim, Aftermath(**{"due_at": SOON, **aftermath})) is True
    return await stores.grants.load(ANNA)


async def test_an_ended_claim_leaves_the_grant_as_it_was_and_free(stores):
    claimed = await stores.claimed()
    assert await ended(stores, claimed) == replace(claimed, claim=None)
    again = await stores.claims.claim(ANNA, claimed.generation, "another-process")
    assert again.claim.epoch == claimed.claim.epoch + 1


async def test_a_failure_is_counted_and_named_with_its_instant(stores):
    claimed = await stores.claimed()
    before = await stores.grants.now()
    await ended(stores, claimed, failed="throttled")
    claimed = await stores.claims.claim(ANNA, claimed.generation, "this-process")
    grant = await ended(stores, claimed, failed="timeout")
    assert (grant.failures, grant.last_error) == (2, "timeout")
    assert before < grant.last_error_at <= await stores.grants.now()


async def test_an_end_that_is_no_failure_keeps_the_last_one(stores):
    claimed = await stores.claimed()
    await stores.set(failures=3, last_error="timeout", last_error_at=NOON)
    grant = await ended(stores, claimed)
    assert (grant.failures, grant.last_error, grant.last_error_at) == (3, "timeout", NOON)


async def test_when_to_try_again_is_kept(stores):
    grant = await ended(stores, await stores.claimed(), retry_at=FAR_AHEAD, due_at=FAR_AHEAD)
    assert (grant.retry_at, await stores.column("due_at")) == (FAR_AHEAD, FAR_AHEAD)


async def test_what_the_aftermath_leaves_open_stays_as_it_is(stores):
    claimed = await stores.claimed()
    await stores.set(retry_at=NOON)
    due_at = await stores.column("due_at")
    assert (await ended(stores, claimed, due_at=None)).retry_at == NOON
    assert await stores.column("due_at") == due_at


async def test_a_claim_may_be_left_to_its_deadline(stores):
    claimed = await stores.claimed()
    grant = await ended(stores, claimed, keep_claim=True, due_at=claimed.claim.deadline_at)
    assert grant.claim == claimed.claim
    assert await stores.claims.claim(ANNA, claimed.generation, "another-process") is None
    await stores.let_pass(DEADLINE)
    assert await stores.claims.claim(ANNA, claimed.generation, "another-process") is not None


@pytest.mark.parametrize(
    ("before", "said", "after"),
    [(False, True, True), (False, None, False), (True, None, True), (True, False, False)],
)
async def test_what_is_known_of_the_refresh_token_is_kept(stores, before, said, after):
    claimed = await stores.claimed()
    await stores.set(refresh_token_dead=before)
    assert (await ended(stores, claimed, refresh_token_dead=said)).marks.refresh_token_dead is after


async def test_distrust_never_shortens_a_window_that_stands(stores):
    claimed = await stores.claimed()
    await stores.set(distrusted_until=FAR_AHEAD)
    grant = await ended(stores, claimed, distrust=True)
    assert grant.marks == Marks(distrusted_until=FAR_AHEAD)


async def test_an_end_without_distrust_leaves_a_window_open(stores):
    claimed = await stores.claimed()
    await stores.set(distrusted_until=NOON)
    assert (await ended(stores, claimed)).marks.distrusted_until == NOON


async def test_a_buried_grant_is_dead_for_its_reason_and_never_due_again(stores):
    claimed = await stores.claimed()
    buried = await ended(stores, claimed, state=GrantState.DEAD, reason="user_gone", event="grant.died")
    assert (buried.state, buried.reason, buried.claim) == (GrantState.DEAD, "user_gone", None)
    assert await stores.column("due_at") is None
    [event] = await stores.happened(ANNA, 1)
    assert (event.event, event.reason) == ("grant.died", "user_gone")


async def test_a_reason_without_a_state_is_the_events_and_not_the_grants(stores):
    grant = await ended(stores, await stores.claimed(), reason="throttled", event="refresh.unavailable")
    assert grant.reason == "grant.created"
    assert (await stores.happened(ANNA, 1))[0].reason == "throttled"


async def test_a_grant_that_was_paused_meanwhile_stays_so_and_is_not_due(stores):
    claimed = await stores.claimed()
    await stores.grants.set_state(ANNA, GrantState.PAUSED, "paused", due_at=None, actor="a-test")
    paused = await ended(stores, claimed, failed="throttled")
    assert (paused.state, paused.reason) == (GrantState.PAUSED, "paused")
    assert await stores.column("due_at") is None


async def test_only_an_end_that_names_its_event_is_in_the_history(stores):
    claimed = await stores.claimed()
    await ended(stores, claimed, failed="throttled")
    assert [event.event for event in await stores.happened(ANNA, 9)] == ["grant.created"]
    claimed = await stores.claims.claim(ANNA, claimed.generation, "this-process")
    await ended(stores, claimed, failed="throttled", event="refresh.unavailable")
    [event, _] = await stores.happened(ANNA, 9)
    noted = (event.event, event.reason, event.generation)
    assert noted == ("refresh.unavailable", "throttled", claimed.generation)


async def order_a_force(stores, claimed):
    await stores.grants.request_force(claimed.key, revoke=True, actor="a-test")


async def refuse(stores, claimed):
    await stores.grants.mark_refused(claimed.key, claimed.generation)


@pytest.mark.parametrize("mark", [order_a_force, refuse])
async def test_a_mark_that_came_during_the_claim_makes_the_grant_due_at_once_when_it_ends(stores, mark):
    claimed = await stores.claimed()
    await mark(stores, claimed)
    await ended(stores, claimed, due_at=FAR_AHEAD)
    assert await stores.column("due_at") <= await stores.grants.now()


@pytest.mark.parametrize("mark", [order_a_force, refuse])
async def test_a_mark_that_the_claims_holder_knew_of_waits_for_its_retry(stores, mark):
    linked = await stores.link()
    await mark(stores, linked)
    claimed = await stores.claims.claim(ANNA, linked.generation, "this-process")
    await ended(stores, claimed, due_at=FAR_AHEAD, retry_at=FAR_AHEAD, known=claimed.marks)
    assert await stores.column("due_at") == FAR_AHEAD


async def test_one_known_mark_does_not_hide_another_that_came_since(stores):
    linked = await stores.link()
    await refuse(stores, linked)
    claimed = await stores.claims.claim(ANNA, linked.generation, "this-process")
    await order_a_force(stores, claimed)
    await ended(stores, claimed, due_at=FAR_AHEAD, known=claimed.marks)
    assert await stores.column("due_at") <= await stores.grants.now()
