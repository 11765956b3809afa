"""Intents: one create at a time, taken over when left, and a holder who lost it links nothing."""

import asyncio

import pytest

from service.broker.errors import Conflict
from service.broker.model import GrantState, UserKey
from service.broker.ports import UserQuery
from tests.support.builders import NOON, a_new_grant, a_profile
from tests.support.cached import ANNA, BERT
from tests.support.stored import DEADLINE, fingerprint_of, open_stores

PROFILE = a_profile()


@pytest.fixture
async def stores(database_url):
    async with open_stores(database_url) as stores:
        yield stores


async def begin(stores, owner="this-process", profile=PROFILE, key=ANNA):
    return await stores.users.begin_create(key, profile, owner)


async def attempted(stores, owner="this-process", key=ANNA):
    """Begin a create and note its first attempt; returns the intent."""
    return await stores.users.note_attempt(key, (await begin(stores, owner, key=key)).intent)


async def link(stores, intent, name="first", key=ANNA):
    return await stores.users.link(a_new_grant(name, key=key, intent=intent), PROFILE, replace=True)


async def gone_upstream(stores):
    """A user whose grant is dead because upstream has no such user any more."""
    await stores.link()
    await stores.grants.set_state(ANNA, GrantState.DEAD, "user_gone", due_at=None, actor="a-test")


async def test_a_create_begins_with_an_intent_that_is_ours(stores):
    before = await stores.grants.now()
    user = await begin(stores)
    intent = user.intent
    assert (intent.owner, intent.epoch, intent.attempts, intent.uncertain) == ("this-process", 1, 0, False)
    assert before < intent.begun_at < await stores.grants.now()
    assert (user.profile, user.upstream_id, user.grant) == (PROFILE, None, None)
    assert await stores.users.load_user(ANNA) == user


async def test_of_many_who_begin_at_once_one_holds_the_intent(stores):
    begun = await asyncio.gather(*(begin(stores, f"process-{number}") for number in range(20)))
    holders = {user.intent.owner for user in begun}
    assert len(holders) == 1
    assert sum(user.intent.owner == f"process-{number}" for number, user in enumerate(begun)) == 1


async def test_another_process_sees_who_is_at_it(stores):
    await begin(stores)
    seen = await begin(stores, "another-process")
    assert (seen.intent.owner, seen.intent.epoch) == ("this-process", 1)


async def test_an_intent_past_its_deadline_is_taken_over_with_the_next_epoch(stores):
    left = await attempted(stores)
    await stores.let_pass(DEADLINE / 2)
    assert (await begin(stores, "another-process")).intent.owner == "this-process"
    await stores.let_pass(DEADLINE / 2)
    taken = (await begin(stores, "another-process")).intent
    assert (taken.owner, taken.epoch) == ("another-process", left.epoch + 1)
    assert (taken.begun_at, taken.attempts, taken.uncertain) == (left.begun_at, 1, True)


async def test_an_intent_that_was_left_is_taken_over_once(stores):
    await begin(stores)
    await stores.let_pass(DEADLINE)
    begun = await asyncio.gather(*(begin(stores, f"process-{number}") for number in range(10)))
    assert {user.intent.epoch for user in begun} == {2}
    assert sum(user.intent.owner == f"process-{number}" for number, user in enumerate(begun)) == 1


async def test_a_process_takes_up_its_own_intent_again_and_fences_its_earlier_self(stores):
    first = (await begin(stores)).intent
    second = (await begin(stores)).intent
    assert second.epoch == first.epoch + 1
    assert await stores.users.note_attempt(ANNA, first) is None
    await stores.users.abandon_create(ANNA, first, uncertain=False)
    assert await link(stores, first) is None
    assert (await stores.users.load_user(ANNA)).intent == second


async def test_an_attempt_is_counted_and_starts_the_deadline_anew(stores):
    begun = (await begin(stores)).intent
    await stores.let_pass(DEADLINE / 2)
    noted = await stores.users.note_attempt(ANNA, begun)
    assert (noted.attempts, noted.uncertain, noted.epoch) == (1, True, begun.epoch)
    assert (await stores.users.load_user(ANNA)).intent == noted
    await stores.let_pass(DEADLINE * 0.7)
    assert (await begin(stores, "another-process")).intent == noted
    assert (await stores.users.note_attempt(ANNA, noted)).attempts == 2


async def test_who_has_lost_the_intent_writes_nothing(stores):
    lost = await attempted(stores)
    await stores.let_pass(DEADLINE)
    taken = await begin(stores, "another-process")
    assert await stores.users.note_attempt(ANNA, lost) is None
    await stores.users.abandon_create(ANNA, lost, uncertain=False)
    assert await link(stores, lost) is None
    assert await stores.users.load_user(ANNA) == taken
    assert await stores.grants.find(fingerprint_of("first")) is None


async def test_a_link_under_the_intent_ends_it(stores):
    intent = await attempted(stores)
    linked = await link(stores, intent)
    assert (linked.intent, linked.upstream_id) == (None, "up-anna")
    again = await begin(stores, "another-process")
    assert (again.intent, again.grant.generation) == (None, linked.grant.generation)


async def test_a_link_under_an_intent_past_its_deadline_counts_while_nobody_has_taken_it(stores):
    intent = await attempted(stores)
    await stores.let_pass(DEADLINE)
    assert await link(stores, intent) is not None


async def test_a_link_under_an_intent_happens_once(stores):
    intent = await attempted(stores)
    linked = await link(stores, intent)
    assert await link(stores, intent, "second") is None
    assert (await stores.grants.load(ANNA)).generation == linked.grant.generation


async def test_a_link_under_an_intent_of_a_user_who_is_gone_stores_nothing(stores):
    intent = await attempted(stores)
    await stores.users.forget(ANNA, actor="a-test")
    assert await link(stores, intent) is None
    assert await stores.users.load_user(ANNA) is None


async def test_an_enrolment_during_a_create_wins_and_the_create_links_nothing(stores):
    intent = await attempted(stores)
    enrolled = await stores.link(name="enrolled")
    assert await link(stores, intent) is None
    assert await stores.grants.load(ANNA) == enrolled


async def test_an_intent_given_up_for_certain_leaves_nothing(stores):
    intent = await attempted(stores)
    await stores.users.abandon_create(ANNA, intent, uncertain=False)
    assert await stores.users.load_user(ANNA) is None
    assert (await begin(stores, key=BERT)).intent.owner == "this-process"


async def test_an_intent_given_up_in_doubt_stays_for_the_next_who_comes(stores):
    intent = await attempted(stores)
    await stores.users.abandon_create(ANNA, intent, uncertain=True)
    left = (await stores.users.load_user(ANNA)).intent
    assert (left.owner, left.uncertain, left.attempts) == ("", True, 1)
    taken = (await begin(stores, "another-process")).intent
    assert (taken.owner, taken.epoch, taken.begun_at) == ("another-process", 2, intent.begun_at)
    assert (taken.attempts, taken.uncertain) == (1, True)


async def test_a_holder_who_gave_up_links_nothing_later(stores):
    intent = await attempted(stores)
    await stores.users.abandon_create(ANNA, intent, uncertain=True)
    assert await link(stores, intent) is None


async def test_a_user_being_created_is_on_no_page_and_has_no_grant(stores):
    await attempted(stores)
    assert await stores.users.list_users(UserQuery(ANNA.client)) == []
    assert await stores.grants.load(ANNA) is None


async def test_a_user_that_is_linked_comes_back_as_it_is(stores):
    await stores.link()
    before = await stores.users.load_user(ANNA)
    assert await begin(stores, "another-process", a_profile("another")) == before


@pytest.mark.parametrize(
    ("state", "reason"), [(GrantState.DEAD, "refused"), (GrantState.PAUSED, "paused"), (GrantState.LIVE, "x")]
)
async def test_only_a_user_gone_upstream_is_created_anew(stores, state, reason):
    await stores.link()
    await stores.grants.set_state(ANNA, state, reason, due_at=None, actor="a-test")
    assert (await begin(stores)).intent is None


async def test_a_user_gone_upstream_gets_a_new_intent_and_a_new_pair(stores):
    await gone_upstream(stores)
    intent = (await begin(stores)).intent
    assert (intent.owner, intent.attempts, intent.uncertain) == ("this-process", 0, False)
    noted = await stores.users.note_attempt(ANNA, intent)
    linked = await link(stores, noted, "anew")
    assert (linked.grant.state, linked.intent) == (GrantState.LIVE, None)


async def test_giving_up_on_a_user_gone_upstream_keeps_the_user_and_its_dead_grant(stores):
    await gone_upstream(stores)
    before = (await stores.users.load_user(ANNA)).grant
    intent = await attempted(stores)
    await stores.users.abandon_create(ANNA, intent, uncertain=False)
    user = await stores.users.load_user(ANNA)
    assert (user.grant, user.intent, user.upstream_id) == (before, None, "up-anna")


async def test_a_new_intent_counts_its_attempts_from_nought(stores):
    await gone_upstream(stores)
    await stores.users.abandon_create(ANNA, await attempted(stores), uncertain=False)
    intent = (await begin(stores)).intent
    assert (intent.attempts, intent.uncertain) == (0, False)


async def test_an_e_mail_of_another_user_is_a_conflict_and_nothing_is_begun(stores):
    await begin(stores)
    with pytest.raises(Conflict, match="e-mail"):
        await begin(stores, key=BERT)
    assert await stores.users.load_user(BERT) is None


async def test_an_id_that_is_being_created_with_another_e_mail_is_a_conflict(stores):
    left = await begin(stores)
    await stores.let_pass(DEADLINE)
    with pytest.raises(Conflict):
        await begin(stores, "another-process", a_profile("bert"))
    assert await stores.users.load_user(ANNA) == left


async def test_two_clients_create_users_of_the_same_id_and_e_mail(stores):
    ours = await attempted(stores)
    theirs = await attempted(stores, key=UserKey("second-client", "anna"))
    await stores.users.abandon_create(ANNA, ours, uncertain=False)
    linked = await link(stores, theirs, "theirs", UserKey("second-client", "anna"))
    assert linked.grant.pair.issued_at == NOON
    assert await stores.users.load_user(ANNA) is None


async def test_an_intent_of_one_user_does_nothing_for_another(stores):
    intent = await attempted(stores)
    assert await stores.users.note_attempt(BERT, intent) is None
    await stores.users.abandon_create(BERT, intent, uncertain=False)
    assert await link(stores, intent, key=BERT) is None
    assert (await stores.users.load_user(ANNA)).intent == intent
