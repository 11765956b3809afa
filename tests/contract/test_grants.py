"""The truth about grants: found by any token they had, marked by generation, forced, paused, vouched for."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from service.broker.errors import SealBroken
from service.broker.model import Binding, GrantState, Marks, UserKey
from tests.support.builders import DAY, HOUR, NOON, SECOND, TICK, a_pair, a_settlement, a_use
from tests.support.cached import ANNA, BERT
from tests.support.stored import RING, WINDOW, fingerprint_of, open_stores, stands

FAR_AHEAD = datetime(2100, 1, 1, tzinfo=UTC)
OTHER = UserKey("second-client", "anna")
NOBODY = UserKey("first-client", "nobody")


@pytest.fixture
async def stores(database_url):
    async with open_stores(database_url) as stores:
        yield stores


async def rotated(stores, grant, name, **changes):
    claimed = await stores.claims.claim(grant.key, grant.generation, "this-process")
    return await stores.claims.settle(a_settlement(claimed.claim, name, **changes))


async def due(stores, key=ANNA):
    return await stores.column("due_at", key)


async def test_the_databases_clock_goes_on(stores):
    first = await stores.grants.now()
    assert first < await stores.grants.now()
    assert abs(first - datetime.now(UTC)) < HOUR


async def test_a_grant_is_loaded_as_it_was_stored(stores):
    pair = a_pair(refresh_token_expires_at=FAR_AHEAD)
    linked = await stores.link(pair=pair)
    assert await stores.grants.load(ANNA) == linked
    assert (linked.pair, linked.state, linked.upstream_id) == (pair, GrantState.LIVE, "up-anna")


@pytest.mark.parametrize("key", [BERT, OTHER, NOBODY, UserKey("", "")])
async def test_what_is_not_there_is_not_found(stores, key):
    await stores.link(ANNA)
    assert await stores.grants.load(key) is None
    assert await stores.grants.find(fingerprint_of("unknown")) is None
    assert await stores.grants.find([]) is None


async def test_every_token_a_grant_has_had_finds_it_with_its_own_generation(stores):
    first = await stores.link(name="first")
    second = await rotated(stores, first, "second")
    for name, grant in (("first", first), ("second", second)):
        entry, standing = await stores.grants.find(fingerprint_of(name))
        assert (entry.key, entry.generation) == (ANNA, grant.generation)
        assert standing == stands(second)


async def test_a_token_is_found_after_its_window_too(stores):
    await stores.link(counts_until=NOON - 300 * DAY)
    entry, _ = await stores.grants.find(fingerprint_of("first"))
    assert entry.counts_until == NOON - 300 * DAY


async def test_one_known_fingerprint_among_several_is_enough(stores):
    linked = await stores.link()
    fingerprints = [*fingerprint_of("under a newer key"), *fingerprint_of("first")]
    assert (await stores.grants.find(fingerprints))[1] == stands(linked)


async def test_a_token_that_came_twice_counts_for_its_newest_generation(stores):
    first = await stores.link(name="same")
    second = await rotated(stores, first, "same")
    entry, _ = await stores.grants.find(fingerprint_of("same"))
    assert entry.generation == second.generation


@pytest.mark.parametrize("state", ["DEAD", "PAUSED"])
async def test_a_token_is_found_whatever_became_of_its_grant(stores, state):
    linked = await stores.link()
    await stores.set(state=state, not_before_generation=linked.generation)
    _, standing = await stores.grants.find(fingerprint_of("first"))
    assert (standing.state, standing.not_before_generation) == (state, linked.generation)


async def test_a_token_is_found_without_opening_what_is_sealed(stores):
    linked = await stores.link()
    await stores.set(access_sealed=b"spoilt", refresh_sealed=b"spoilt")
    assert (await stores.grants.find(fingerprint_of("first")))[1] == stands(linked)


async def test_how_far_behind_a_token_is_is_how_many_its_user_has_had_since(stores):
    first = await stores.link(name="first")
    second = await rotated(stores, first, "second")
    third = await rotated(stores, second, "third")
    await stores.link(BERT, "another's")
    asked = [(ANNA, third.generation), (ANNA, first.generation), (NOBODY, 1), (ANNA, second.generation)]
    assert await stores.grants.behind(asked) == [0, 2, 0, 1]
    assert await stores.grants.behind([]) == []


async def test_a_refresh_token_finds_nobody(stores):
    linked = await stores.link()
    assert await stores.grants.find(RING.of(linked.pair.refresh_token)) is None


async def test_a_refused_token_marks_its_grant_and_makes_it_due_at_once(stores):
    linked = await stores.link()
    before = await stores.grants.now()
    assert await stores.grants.mark_refused(ANNA, linked.generation) is True
    assert (await stores.grants.load(ANNA)).marks == Marks(refused=True)
    assert before <= await due(stores) <= await stores.grants.now()


@pytest.mark.parametrize("off_by", [-1, 1])
async def test_only_the_current_generation_is_refused(stores, off_by):
    linked = await stores.link()
    assert await stores.grants.mark_refused(ANNA, linked.generation + off_by) is False
    assert await stores.grants.load(ANNA) == linked


@pytest.mark.parametrize("state", ["DEAD", "PAUSED"])
async def test_a_grant_that_is_not_live_is_neither_refused_nor_forced(stores, state):
    linked = await stores.link(due_at=None)
    await stores.set(state=state)
    assert await stores.grants.mark_refused(ANNA, linked.generation) is False
    assert (await stores.grants.request_force(ANNA, revoke=True, actor="a-test")).marks == Marks()
    assert await due(stores) is None


@pytest.mark.parametrize("order", ["refuse", "force"])
async def test_a_mark_leaves_a_claimed_grant_due_at_its_deadline(stores, order):
    claimed = await stores.claimed()
    at_deadline = await due(stores)
    if order == "refuse":
        await stores.grants.mark_refused(ANNA, claimed.generation)
    else:
        await stores.grants.request_force(ANNA, revoke=False, actor="a-test")
    assert await due(stores) == at_deadline
    assert (await stores.grants.load(ANNA)).claim == claimed.claim


async def test_distrust_opens_a_window_and_prolongs_it_but_never_shortens_it(stores):
    await stores.link()
    await stores.grants.distrust(ANNA)
    opened = (await stores.grants.load(ANNA)).marks.distrusted_until
    assert abs(opened - await stores.grants.now() - WINDOW) < SECOND
    await stores.grants.distrust(ANNA)
    assert (await stores.grants.load(ANNA)).marks.distrusted_until > opened
    await stores.set(distrusted_until=FAR_AHEAD)
    await stores.grants.distrust(ANNA)
    assert (await stores.grants.load(ANNA)).marks.distrusted_until == FAR_AHEAD


@pytest.mark.parametrize(
    ("off_by", "after", "closed"),
    [(0, TICK, True), (0, 0 * TICK, False), (0, -HOUR, False), (1, HOUR, False), (-1, HOUR, False)],
)
async def test_only_a_later_confirmation_of_this_generation_closes_the_window(stores, off_by, after, closed):
    linked = await stores.link()
    await stores.set(distrusted_until=NOON)
    assert await stores.grants.clear_distrust(ANNA, linked.generation + off_by, NOON + after) is closed
    assert (await stores.grants.load(ANNA)).marks.distrusted is not closed


async def test_there_is_no_window_to_close_where_none_is_open(stores):
    linked = await stores.link()
    assert await stores.grants.clear_distrust(ANNA, linked.generation, FAR_AHEAD) is False


async def test_vouching_only_goes_forward(stores):
    await stores.link()
    for at in (FAR_AHEAD, NOON):
        await stores.grants.vouch(ANNA, at)
        assert (await stores.grants.load(ANNA)).binding == Binding(vouched_at=FAR_AHEAD)


@pytest.mark.parametrize(("revoke", "event"), [(True, "grant.revoked"), (False, "grant.forced")])
async def test_an_order_to_force_stands_and_is_due_at_once(stores, revoke, event):
    linked = await stores.link(due_at=FAR_AHEAD)
    await stores.set(retry_at=FAR_AHEAD)
    ordered = await stores.grants.request_force(ANNA, revoke=revoke, actor="an-operator")
    assert (ordered.marks, ordered.retry_at) == (Marks(force_pending=True), None)
    assert ordered.not_before_generation == (linked.generation if revoke else 0)
    assert await due(stores) <= await stores.grants.now()
    [last, _] = await stores.happened(ANNA, 9)
    assert (last.event, last.actor, last.generation) == (event, "an-operator", linked.generation)


async def test_forcing_after_a_revoke_does_not_take_the_revoke_back(stores):
    linked = await stores.link()
    await stores.grants.request_force(ANNA, revoke=True, actor="a-test")
    forced = await stores.grants.request_force(ANNA, revoke=False, actor="a-test")
    assert forced.not_before_generation == linked.generation


async def test_nobody_is_forced_paused_or_marked_where_there_is_no_grant(stores):
    assert await stores.grants.request_force(NOBODY, revoke=True, actor="a-test") is None
    assert await stores.grants.set_state(NOBODY, GrantState.DEAD, "x", due_at=None, actor="a-test") is None
    assert await stores.grants.mark_refused(NOBODY, 7) is False
    assert await stores.happened(NOBODY, 9) == []


@pytest.mark.parametrize(
    ("state", "event"),
    [(GrantState.PAUSED, "grant.paused"), (GrantState.DEAD, "grant.dead"), (GrantState.LIVE, "grant.live")],
)
async def test_a_state_is_set_with_its_reason_its_next_instant_and_its_event(stores, state, event):
    linked = await stores.link()
    moved = await stores.grants.set_state(ANNA, state, "said so", due_at=NOON, actor="an-operator")
    assert moved == replace(linked, state=state, reason="said so")
    assert await due(stores) == (NOON if state is GrantState.LIVE else None)
    [last, _] = await stores.happened(ANNA, 9)
    assert (last.event, last.reason, last.actor) == (event, "said so", "an-operator")


async def test_a_claim_that_stands_is_due_by_its_deadline_again_when_the_user_is_resumed(stores):
    claimed = await stores.claimed()
    at_deadline = await due(stores)
    await stores.grants.set_state(ANNA, GrantState.PAUSED, "paused", due_at=None, actor="a-test")
    resumed = await stores.grants.set_state(
        ANNA, GrantState.LIVE, "resumed", due_at=FAR_AHEAD, actor="a-test"
    )
    assert resumed.claim == claimed.claim
    assert await due(stores) <= at_deadline


async def test_what_happened_is_told_newest_first_and_no_more_than_asked_for(stores):
    await stores.link()
    for revoke in (True, False, True):
        await stores.grants.request_force(ANNA, revoke=revoke, actor="a-test")
    events = [event.event for event in await stores.happened(ANNA, 3)]
    assert events == ["grant.revoked", "grant.forced", "grant.revoked"]


async def test_two_clients_with_the_same_user_ids_do_not_meet(stores):
    theirs = await stores.link(OTHER, "theirs")
    ours = await stores.link(ANNA, "ours")
    await stores.grants.mark_refused(ANNA, ours.generation)
    await stores.grants.request_force(ANNA, revoke=True, actor="a-test")
    await stores.grants.distrust(ANNA)
    await stores.grants.vouch(ANNA, FAR_AHEAD)
    await stores.grants.set_state(ANNA, GrantState.DEAD, "refused", due_at=None, actor="a-test")
    await stores.grants.note_uses([a_use(ours, by_browser=True)])
    assert await stores.grants.load(OTHER) == theirs
    assert [event.event for event in await stores.happened(OTHER, 9)] == ["grant.created"]
    assert (await stores.grants.find(fingerprint_of("theirs")))[1] == stands(theirs)


async def test_a_grant_whose_seal_is_broken_says_so_and_is_not_overwritten(stores):
    await stores.link()
    await stores.set(access_sealed=b"v1.k9.sealed under a key that is missing")
    with pytest.raises(SealBroken):
        await stores.grants.load(ANNA)
    assert await stores.column("access_sealed") == b"v1.k9.sealed under a key that is missing"
