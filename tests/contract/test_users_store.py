"""Users: linked to their first pair, replaced only when told to, told apart, listed, changed, forgotten."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from service.broker.errors import Conflict
from service.broker.model import Binding, GrantState, Marks, Profile, UserKey
from service.broker.ports import UserQuery
from tests.support.builders import NOON, SECOND, a_new_grant, a_pair, a_profile, a_settlement
from tests.support.cached import ANNA, BERT
from tests.support.stored import WINDOW, fingerprint_of, open_stores, stands

FAR_AHEAD = datetime(2100, 1, 1, tzinfo=UTC)
OTHER = UserKey("second-client", "anna")
FULL = Profile(
    email="anna@app.test",
    name="Anna",
    time_zone="Europe/Berlin",
    time_format=24,
    week_start="Monday",
    locale="de",
    avatar_url="https://app.test/anna.png",
    bio="ok",
    metadata={"plan": "free", "beta": True, "seats": 3, "share": 0.5},
)


@pytest.fixture
async def stores(database_url):
    async with open_stores(database_url) as stores:
        yield stores


async def link(stores, name="first", profile=None, *, replace=False, **changes):
    return await stores.users.link(a_new_grant(name, **changes), profile, replace=replace)


async def page(stores, **query):
    users = await stores.users.list_users(UserQuery(**{"client": "first-client", **query}))
    return [user.key.user_id for user in users]


async def test_linking_stores_the_user_with_its_pair_its_line_and_its_event(stores):
    linked = await link(stores, profile=FULL)
    grant = linked.grant
    assert (linked.key, linked.upstream_id, linked.profile, linked.intent) == (ANNA, "up-anna", FULL, None)
    assert (grant.pair, grant.state, grant.reason) == (a_pair(), GrantState.LIVE, "grant.created")
    assert (await stores.grants.find(fingerprint_of("first")))[1] == stands(grant)
    [event] = await stores.happened(ANNA, 9)
    assert (event.event, event.generation, event.actor) == ("grant.created", grant.generation, "a-test")


async def test_a_linked_user_is_vouched_for_from_then_on(stores):
    before = await stores.grants.now()
    linked = await link(stores)
    vouched_at = linked.grant.binding.vouched_at
    assert before < vouched_at < await stores.grants.now()
    assert linked.grant.binding == Binding(vouched_at, None)


async def test_without_the_scope_to_vouch_a_first_pair_binds_nobody_and_a_later_one_changes_nothing(stores):
    unbound = (await link(stores, vouch=False)).grant.binding
    assert unbound.vouched_at == datetime.fromtimestamp(0, UTC)
    await stores.grants.vouch(ANNA, NOON)
    grant = (await link(stores, "second", replace=True, vouch=False)).grant
    assert grant.binding.vouched_at == NOON


async def test_a_loaded_user_is_what_was_linked_with_its_tokens_left_sealed(stores):
    linked = await link(stores, profile=FULL)
    loaded = await stores.users.load_user(ANNA)
    assert (loaded.grant.pair.access_token, loaded.grant.pair.refresh_token) == ("", "")
    assert replace(loaded, grant=linked.grant) == linked


async def test_a_user_may_be_linked_without_a_profile(stores):
    assert (await link(stores)).profile == Profile(email="")
    assert (await link(stores, "second", FULL, replace=True)).profile == FULL
    assert (await link(stores, "third", replace=True)).profile == FULL


async def test_users_without_an_e_mail_do_not_stand_in_each_others_way(stores):
    await link(stores, key=ANNA, profile=Profile(email=""))
    assert await link(stores, "second", key=BERT, profile=Profile(email="")) is not None


async def test_a_paused_users_pair_is_not_replaced(stores):
    await link(stores)
    await stores.set(state=GrantState.PAUSED)
    assert await link(stores, "second", replace=True) is None


async def test_a_live_pair_is_replaced_only_when_told_to(stores):
    await link(stores)
    before = await stores.grants.load(ANNA)
    assert await link(stores, "second") is None
    assert await stores.grants.load(ANNA) == before
    assert await stores.grants.find(fingerprint_of("second")) is None
    assert (await link(stores, "second", replace=True)).grant.state is GrantState.LIVE


async def test_a_dead_grant_is_replaced_without_being_told_to(stores):
    await link(stores)
    await stores.set(state="DEAD", reason="user_gone")
    revived = await link(stores, "second", upstream_id="up-2", event="grant.enrolled")
    assert (revived.grant.state, revived.grant.reason) == (GrantState.LIVE, "grant.enrolled")
    assert (revived.upstream_id, revived.grant.upstream_id) == ("up-2", "up-2")


async def test_a_replaced_pairs_token_still_identifies_the_user(stores):
    first = (await link(stores)).grant
    second = (await link(stores, "second", replace=True)).grant
    entry, standing = await stores.grants.find(fingerprint_of("first"))
    assert (entry.generation, standing) == (first.generation, stands(second))


async def test_a_replacing_pair_starts_with_a_clean_slate(stores):
    claimed = await stores.claimed()
    await stores.set(refused=True, refresh_token_dead=True, force_pending=True, failures=3)
    await stores.set(first_used_at=NOON, retry_at=NOON, not_before_generation=5)
    grant = (await link(stores, "second", replace=True, due_at=FAR_AHEAD)).grant
    assert (grant.marks, grant.claim, grant.failures) == (Marks(), None, 0)
    assert (grant.first_used_at, grant.retry_at, grant.not_before_generation) == (None, None, 5)
    assert await stores.column("due_at") == FAR_AHEAD
    assert grant.generation > claimed.generation
    assert await stores.claims.claim(ANNA, grant.generation, "another-process") is not None


@pytest.mark.parametrize(("distrust", "opened"), [(True, True), (False, False)])
async def test_a_pair_may_begin_its_life_distrusted(stores, distrust, opened):
    grant = (await link(stores, distrust=distrust)).grant
    assert grant.marks.distrusted is opened
    if opened:
        assert abs(grant.marks.distrusted_until - await stores.grants.now() - WINDOW) < SECOND


async def test_a_replacing_pair_keeps_a_distrust_window_open(stores):
    await link(stores)
    await stores.set(distrusted_until=FAR_AHEAD)
    assert (await link(stores, "second", replace=True)).grant.marks.distrusted_until == FAR_AHEAD


async def test_generations_rise_over_links_rotations_and_forgetting(stores):
    generations = []
    for number in range(6):
        linked = await link(stores, f"pair-{number}", replace=True)
        claimed = await stores.claims.claim(ANNA, linked.grant.generation, "this-process")
        settled = await stores.claims.settle(a_settlement(claimed.claim, f"next-{number}"))
        generations += [linked.grant.generation, settled.generation]
        if number == 3:
            await stores.users.forget(ANNA, actor="a-test")
    assert generations == sorted(set(generations))


@pytest.mark.parametrize("same", [{"upstream_id": "up-anna"}, {}])
async def test_an_upstream_user_or_an_e_mail_belongs_to_one_user_of_a_client(stores, same):
    await link(stores, profile=a_profile())
    with pytest.raises(Conflict, match="upstream user" if same else "e-mail"):
        await link(stores, "second", a_profile("bert" if same else "anna"), key=BERT, **same)
    assert await stores.users.load_user(BERT) is None
    assert await stores.grants.find(fingerprint_of("second")) is None


async def test_two_clients_may_have_the_same_ids_e_mails_and_upstream_ids(stores):
    ours = await link(stores, "ours", a_profile(), key=ANNA, upstream_id="up-1")
    theirs = await link(stores, "theirs", a_profile(), key=OTHER, upstream_id="up-1")
    assert await stores.users.forget(OTHER, actor="a-test") is True
    assert await stores.grants.load(ANNA) == ours.grant
    assert await stores.users.load_user(OTHER) is None
    assert theirs.profile == ours.profile


async def test_of_two_first_pairs_at_once_one_is_stored(stores):
    async with stores.holding("LOCK TABLE users IN SHARE MODE"):
        links = [asyncio.create_task(link(stores, name)) for name in ("first", "second")]
        await stores.until_blocked(2)
    linked = [user for user in await asyncio.gather(*links) if user is not None]
    assert len(linked) == 1


async def test_a_profile_is_changed_as_a_whole(stores):
    await link(stores, profile=FULL)
    changed = replace(a_profile("anna.new"), bio="new")
    await stores.users.change_profile(ANNA, changed, fields=["bio"], actor="a-test")
    assert (await stores.users.load_user(ANNA)).profile == changed


async def test_a_profile_cannot_take_another_users_e_mail(stores):
    await link(stores, key=ANNA, profile=a_profile("anna"))
    await link(stores, "second", key=BERT, profile=a_profile("bert"))
    with pytest.raises(Conflict, match="e-mail"):
        await stores.users.change_profile(BERT, a_profile("anna"), fields=["bio"], actor="a-test")
    assert (await stores.users.load_user(BERT)).profile == a_profile("bert")


async def test_pages_follow_one_another_in_the_order_of_ids(stores):
    names = ["B", "a", "c", "a:1", "Z", "10", "9"]
    for name in names:
        await link(stores, name, key=UserKey("first-client", name))
    pages, cursor = [], None
    while found := await page(stores, limit=3, cursor=cursor):
        pages.append(found)
        cursor = found[-1]
    assert [len(found) for found in pages] == [3, 3, 1]
    assert sorted(names) == [name for found in pages for name in found]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["anna", "bert"]),
        ({"client": "second-client"}, ["anna"]),
        ({"client": "third-client"}, []),
        ({"state": GrantState.DEAD}, ["bert"]),
        ({"state": GrantState.PAUSED}, []),
        ({"upstream_id": "up-anna"}, ["anna"]),
        ({"email": "bert@app.test"}, ["bert"]),
        ({"email": "bert@app.test", "state": GrantState.LIVE}, []),
        ({"cursor": "anna"}, ["bert"]),
        ({"limit": 1}, ["anna"]),
    ],
)
async def test_a_page_shows_the_users_asked_for_and_no_other_clients(stores, query, found):
    for key in (ANNA, BERT, OTHER):
        await link(stores, str(key), a_profile(key.user_id), key=key)
    await stores.set(BERT, state="DEAD")
    assert await page(stores, **query) == found


async def test_a_page_opens_no_token_and_is_not_stopped_by_a_broken_seal(stores):
    await link(stores)
    await stores.set(access_sealed=b"altered", refresh_sealed=b"altered")
    [user] = await stores.users.list_users(UserQuery("first-client"))
    assert user.grant.pair.access_token == ""
    assert await stores.users.load_user(ANNA) == user
