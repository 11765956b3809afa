"""How claims end: a new pair is committed once, over the claim it was obtained under, or not at all."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from service.adapters.postgres.settlements import next_generation
from service.broker.errors import BrokerError
from service.broker.model import Binding, ClaimKind, GrantState, Marks, Trigger
from service.broker.ports import Aftermath
from tests.support.builders import DAY, HOUR, MINUTE, NOON, SECOND, a_claim, a_pair, a_settlement
from tests.support.cached import ANNA, BERT
from tests.support.stored import DEADLINE, WINDOW, fingerprint_of, open_stores

FAR_AHEAD = datetime(2100, 1, 1, tzinfo=UTC)
EVERYTHING = """
    SELECT (SELECT jsonb_agg(g) FROM grants g) || (SELECT jsonb_agg(l) FROM lineage l)
        || (SELECT jsonb_agg(e) FROM audit_events e) || (SELECT jsonb_agg(u) FROM users u)
"""


@pytest.fixture
async def stores(database_url):
    async with open_stores(database_url) as stores:
        yield stores


async def retake(stores, claimed):
    """Let another process retake the claim; returns the grant as it holds it."""
    await stores.let_pass(DEADLINE)
    return await stores.claims.claim(claimed.key, claimed.generation, "another-process")


async def retake_oneself(stores, claimed):
    await stores.let_pass(DEADLINE)
    await stores.claims.claim(claimed.key, claimed.generation, claimed.claim.owner)


async def replace_pair(stores, claimed):
    await stores.link(claimed.key, "enrolled")


async def forget(stores, claimed):
    await stores.users.forget(claimed.key, actor="a-test")
    await stores.link(BERT, "second")


async def end(stores, claimed):
    await stores.claims.end_claim(claimed.claim, Aftermath(due_at=FAR_AHEAD))


async def settle(stores, claimed):
    await stores.claims.settle(a_settlement(claimed.claim, "settled"))


TAKEN_AWAY = [retake, retake_oneself, replace_pair, forget, end, settle]


@pytest.mark.parametrize("taken_away", TAKEN_AWAY)
async def test_who_has_lost_the_claim_writes_nothing(stores, taken_away):
    claimed = await stores.claimed()
    await taken_away(stores, claimed)
    before = await stores.raw.fetchval(EVERYTHING)
    assert await stores.claims.settle(a_settlement(claimed.claim)) is None
    assert await stores.claims.restamp(claimed.claim, ClaimKind.FORCE) is None
    aftermath = Aftermath(failed="late", state=GrantState.DEAD, reason="late", event="late", distrust=True)
    assert await stores.claims.end_claim(claimed.claim, aftermath) is False
    assert await stores.raw.fetchval(EVERYTHING) == before


async def recreate(stores, claimed):
    """Forget the user, create it anew and claim it: the epoch begins at 1 again."""
    await stores.users.forget(claimed.key, actor="a-test")
    return await stores.claimed(name="anew", owner=claimed.claim.owner)


async def test_a_claim_on_a_forgotten_user_settles_nothing_on_one_of_the_same_id(stores):
    claimed = await stores.claimed()
    anew = await recreate(stores, claimed)
    assert await stores.claims.settle(a_settlement(claimed.claim)) is None
    assert await stores.grants.load(ANNA) == anew


async def test_a_claim_on_a_forgotten_user_changes_nothing_on_one_of_the_same_id(stores):
    claimed = await stores.claimed()
    anew = await recreate(stores, claimed)
    assert await stores.claims.restamp(claimed.claim, ClaimKind.FORCE) is None
    assert await stores.claims.end_claim(claimed.claim, Aftermath(failed="late")) is False
    assert await stores.grants.load(ANNA) == anew


@pytest.mark.parametrize("kind", ClaimKind)
async def test_stamping_anew_starts_the_deadline_again_under_the_same_epoch(stores, kind):
    claimed = await stores.claimed()
    await stores.let_pass(DEADLINE / 2)
    before = await stores.grants.now()
    stamped = await stores.claims.restamp(claimed.claim, kind)
    assert stamped == replace(
        claimed.claim, kind=kind, claimed_at=stamped.claimed_at, deadline_at=stamped.claimed_at + DEADLINE
    )
    assert before <= stamped.claimed_at <= await stores.grants.now()
    assert (await stores.grants.load(ANNA)).claim == stamped


async def test_a_stamp_past_the_deadline_still_counts_while_nobody_has_retaken_it(stores):
    claimed = await stores.claimed()
    await stores.let_pass(DAY)
    stamped = await stores.claims.restamp(claimed.claim, ClaimKind.REFRESH)
    assert await stores.claims.claim(ANNA, stamped.generation, "another-process") is None


@pytest.mark.parametrize(("kind", "spent"), [(ClaimKind.REFRESH, False), (ClaimKind.FORCE, True)])
async def test_going_over_to_force_notes_that_the_refresh_token_is_not_to_be_presented(stores, kind, spent):
    claimed = await stores.claimed()
    await stores.claims.restamp(claimed.claim, kind)
    assert (await stores.grants.load(ANNA)).marks.refresh_token_dead is spent


async def test_a_settled_pair_is_the_next_generation_and_ends_the_claim(stores):
    claimed = await stores.claimed()
    settled = await stores.claims.settle(a_settlement(claimed.claim))
    assert settled.pair == a_pair("next", issued_at=NOON + HOUR)
    assert settled.generation > claimed.generation
    assert (settled.claim, settled.state) == (None, GrantState.LIVE)
    assert await stores.grants.load(ANNA) == settled


async def test_a_settled_pair_leaves_a_line_and_an_event_behind(stores):
    claimed = await stores.claimed()
    settlement = a_settlement(claimed.claim, trigger=Trigger.KEEPALIVE)
    settled = await stores.claims.settle(settlement)
    entry, standing = await stores.grants.find(fingerprint_of("next"))
    assert (entry.generation, entry.counts_until) == (settled.generation, settlement.counts_until)
    assert standing.generation == settled.generation
    [event] = await stores.happened(ANNA, 1)
    noted = (event.event, event.generation, event.trigger)
    assert noted == ("refresh.rotated", settled.generation, Trigger.KEEPALIVE)


@pytest.mark.parametrize("table", ["lineage", "audit_events"])
async def test_a_pair_is_committed_with_its_line_and_its_event_or_not_at_all(stores, table):
    claimed = await stores.claimed()
    await stores.raw.execute(f"ALTER TABLE {table} ADD CHECK (generation <= {claimed.generation}) NOT VALID")
    before = await stores.raw.fetchval(EVERYTHING)
    with pytest.raises(BrokerError):
        await stores.claims.settle(a_settlement(claimed.claim))
    assert await stores.raw.fetchval(EVERYTHING) == before


async def test_of_many_settlements_of_one_claim_one_is_committed(stores):
    claimed = await stores.claimed()
    settlements = [a_settlement(claimed.claim, f"pair-{number}") for number in range(10)]
    settled = await asyncio.gather(*(stores.claims.settle(settlement) for settlement in settlements))
    [only] = [grant for grant in settled if grant is not None]
    assert await stores.grants.load(ANNA) == only
    assert await stores.raw.fetchval("SELECT count(*) FROM lineage") == 2


async def test_a_claim_past_its_deadline_may_be_settled_while_nobody_has_retaken_it(stores):
    claimed = await stores.claimed()
    await stores.let_pass(DAY)
    assert await stores.claims.settle(a_settlement(claimed.claim)) is not None


async def test_a_new_pair_takes_the_marks_and_failures_of_the_old_one_off(stores):
    claimed = await stores.claimed()
    await stores.set(refused=True, refresh_token_dead=True, failures=3, retry_at=FAR_AHEAD)
    settled = await stores.claims.settle(a_settlement(claimed.claim))
    assert (settled.marks, settled.failures, settled.retry_at) == (Marks(), 0, None)


async def test_a_new_pair_keeps_the_distrust_the_revoke_and_the_binding(stores):
    claimed = await stores.claimed()
    await stores.set(distrusted_until=FAR_AHEAD, not_before_generation=5)
    await stores.grants.vouch(ANNA, FAR_AHEAD)
    settled = await stores.claims.settle(a_settlement(claimed.claim))
    assert (settled.marks.distrusted_until, settled.not_before_generation) == (FAR_AHEAD, 5)
    assert settled.binding == Binding(vouched_at=FAR_AHEAD)


@pytest.mark.parametrize(("used", "first_used_at"), [(True, NOON + HOUR), (False, None)])
async def test_a_pair_that_somebody_waits_for_counts_as_given(stores, used, first_used_at):
    claimed = await stores.claimed()
    await stores.set(first_used_at=NOON)
    settled = await stores.claims.settle(a_settlement(claimed.claim, used=used))
    assert settled.first_used_at == first_used_at


async def test_a_plain_rotation_leaves_an_ordered_force_pending_and_due_at_once(stores):
    claimed = await stores.claimed()
    await stores.grants.request_force(ANNA, revoke=True, actor="a-test")
    settled = await stores.claims.settle(a_settlement(claimed.claim, due_at=FAR_AHEAD))
    assert settled.marks == Marks(force_pending=True)
    assert settled.not_before_generation == claimed.generation
    assert await stores.column("due_at") <= await stores.grants.now()


async def test_a_force_refresh_carries_the_order_out(stores):
    claimed = await stores.claimed()
    await stores.grants.request_force(ANNA, revoke=True, actor="a-test")
    forced = await stores.claims.restamp(claimed.claim, ClaimKind.FORCE)
    settlement = a_settlement(forced)
    settled = await stores.claims.settle(settlement)
    assert settled.marks == Marks()
    assert await stores.column("due_at") == settlement.due_at


async def test_a_pair_that_arrives_for_a_paused_grant_is_kept_and_waits(stores):
    claimed = await stores.claimed()
    await stores.grants.set_state(ANNA, GrantState.PAUSED, "paused", due_at=None, actor="a-test")
    settled = await stores.claims.settle(a_settlement(claimed.claim))
    assert (settled.state, settled.pair.access_token[:4]) == (GrantState.PAUSED, "next")
    assert await stores.column("due_at") is None


async def test_generations_only_rise_however_quickly_pairs_are_replaced(stores):
    grant = await stores.link()
    generations = [grant.generation]
    for number in range(15):
        claimed = await stores.claims.claim(ANNA, generations[-1], "this-process")
        grant = await stores.claims.settle(a_settlement(claimed.claim, f"pair-{number}"))
        generations.append(grant.generation)
    assert generations == sorted(set(generations))


async def test_a_generation_is_not_used_again_after_an_older_row_was_restored(stores):
    claimed = await stores.claimed()
    await stores.raw.execute("CREATE TABLE backup AS SELECT * FROM grants")
    lost = await stores.claims.settle(a_settlement(claimed.claim))
    await stores.raw.execute("DELETE FROM grants; INSERT INTO grants SELECT * FROM backup")
    retaken = await retake(stores, claimed)
    settled = await stores.claims.settle(a_settlement(retaken.claim, "restored"))
    assert settled.generation > lost.generation


@pytest.mark.parametrize(
    ("old", "after_ms", "expected"), [(7, 0, 1000), (1000, 0, 1001), (5000, 0, 5001), (7, 0.9, 1000)]
)
def test_a_generation_is_the_databases_clock_in_ms_and_always_a_new_one(old, after_ms, expected):
    at = datetime.fromtimestamp(1, UTC) + after_ms * SECOND / 1000
    assert next_generation(old, at) == expected


async def test_a_claim_that_nobody_committed_settles_nothing(stores):
    linked = await stores.link()
    assert await stores.claims.settle(a_settlement(a_claim(generation=linked.generation))) is None
    assert await stores.grants.load(ANNA) == linked


async def test_distrust_opened_by_an_end_is_a_window_from_the_databases_now(stores):
    claimed = await stores.claimed()
    await stores.claims.end_claim(claimed.claim, Aftermath(distrust=True, due_at=NOON + MINUTE))
    opened = (await stores.grants.load(ANNA)).marks.distrusted_until
    assert abs(opened - await stores.grants.now() - WINDOW) < SECOND
