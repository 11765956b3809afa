"""Every call of the port against the strict stand-in for Cal.com, as the broker will make it."""

import asyncio
from datetime import timedelta

import pytest

from sandbox.calcom import Limits, SandboxClient, SandboxConfig, serve
from service.adapters.upstream import open_session
from service.broker.model import (
    Confirmed,
    Created,
    Denial,
    Denied,
    Done,
    Found,
    Profile,
    ProfileChange,
    Rotated,
    Unavailable,
)
from tests.support.calcom_platform import SECRET, platform

ANN = Profile(email="ann+work@example.com", name="Ann", time_zone="Europe/Rome", metadata={"plan": "pro"})
CLIENTS = (SandboxClient(id="cl1", secret=SECRET), SandboxClient(id="cl2", secret="another-secret"))
CONFIG = SandboxConfig(clients=CLIENTS, journal_tokens=True)


@pytest.fixture
async def running():
    async with serve(CONFIG) as served:
        yield served


@pytest.fixture
def upstream(running):
    return running.sandbox


@pytest.fixture
async def provider(running):
    async with open_session() as session:
        yield platform(session, running.url)


@pytest.fixture
async def ann(provider):
    return await provider.create_user(ANN)


def denial(outcome):
    assert isinstance(outcome, Denied), outcome
    return outcome.code


def entries(upstream, route):
    return [entry for entry in upstream.journal if entry.route == route]


# --- Users --------------------------------------------------------------------------------------------


async def test_a_created_user_comes_with_its_first_pair(upstream, ann):
    assert isinstance(ann, Created)
    stored = upstream.user(int(ann.user.upstream_id))
    assert stored.email == "ann+work+cl1@example.com"
    assert ann.user.email == "ann+work@example.com"
    assert (stored.time_zone, stored.metadata) == ("Europe/Rome", {"plan": "pro"})
    assert upstream.is_live(ann.minted.access_token)
    assert upstream.is_usable(ann.minted.refresh_token)


async def test_a_pair_says_whose_it_is_and_how_long_it_lives(ann, provider):
    said = ann.minted.stated
    assert said.owner_id == ann.user.upstream_id
    assert timedelta(minutes=59) <= said.ends_at - said.issued_at <= timedelta(minutes=60)
    assert timedelta(days=364) <= said.refresh_token_ends_at - said.issued_at <= timedelta(days=365)
    described = provider.describe(ann.minted.access_token)
    assert (described.owner_id, described.ends_at) == (said.owner_id, said.ends_at)


async def test_the_same_user_again_exists_and_is_named(ann, provider):
    again = await provider.create_user(ANN)
    assert again == Denied(Denial.EXISTS, ann.user.upstream_id)


async def test_of_two_creations_at_once_the_second_learns_only_that_the_user_exists(upstream, provider):
    with upstream.gate("create", "read") as gate:
        both = asyncio.gather(provider.create_user(ANN), provider.create_user(ANN))
        await gate.arrived(2)
    outcomes = sorted(await both, key=lambda outcome: type(outcome).__name__)
    assert isinstance(outcomes[0], Created)
    assert outcomes[1] == Denied(Denial.EXISTS, "")


async def test_wrong_details_are_named_by_their_fields(provider):
    wrong = Profile(email="bob@example.com", name="Bob", time_zone="Mars/Olympus", time_format=100)
    assert await provider.create_user(wrong) == Denied(Denial.INVALID, "timeFormat,timeZone")
    assert await provider.create_user(Profile("bob@example.com")) == Denied(Denial.INVALID, "name")


@pytest.mark.parametrize(
    "address", ["ann+work@example.com", "ANN+work@example.com", "ann+work+cl1@example.com"]
)
async def test_a_user_is_found_by_the_apps_form_of_the_address(ann, provider, address):
    found = await provider.find_users(address)
    assert found == Found(() if "cl1" in address else (ann.user,))


async def test_nobody_is_found_where_nobody_is(ann, provider):
    assert await provider.find_users("ann@example.com") == Found(())


async def test_an_address_upstream_does_not_understand_is_invalid(provider):
    assert await provider.find_users("nobody") == Denied(Denial.INVALID, "email")


async def test_a_user_is_read_by_its_id(ann, provider):
    assert await provider.read_user(ann.user.upstream_id) == Found((ann.user,))
    assert denial(await provider.read_user("999999")) is Denial.USER_GONE


async def test_a_change_reaches_the_user(upstream, ann, provider):
    change = ProfileChange({"email": "ann.b@example.com", "time_format": 24, "week_start": "Monday"})
    assert await provider.change_user(ann.user.upstream_id, change) == Done()
    changed = upstream.user(int(ann.user.upstream_id))
    assert changed.email == "ann.b+cl1@example.com"
    assert (changed.time_format, changed.week_start) == (24, "Monday")


async def test_a_change_to_anothers_address_exists(ann, provider):
    await provider.create_user(Profile("bob@example.com", name="Bob"))
    outcome = await provider.change_user(ann.user.upstream_id, ProfileChange({"email": "bob@example.com"}))
    assert outcome == Denied(Denial.EXISTS, "")


async def test_a_change_upstream_does_not_accept_is_named(ann, provider):
    outcome = await provider.change_user(ann.user.upstream_id, ProfileChange({"week_start": "Someday"}))
    assert outcome == Denied(Denial.INVALID, "weekStart")


async def test_a_deleted_user_is_gone_for_every_call(ann, provider):
    gone = ann.user.upstream_id
    assert await provider.delete_user(gone) == Done()
    change = ProfileChange({"bio": "x"})
    later = [
        await provider.delete_user(gone),
        await provider.read_user(gone),
        await provider.recover(gone),
        await provider.change_user(gone, change),
    ]
    assert [denial(outcome) for outcome in later] == [Denial.USER_GONE] * 4
    assert denial(await provider.refresh(ann.minted.refresh_token)) is Denial.REFRESH_TOKEN_DEAD
    assert denial(await provider.check(ann.minted.access_token)) is Denial.TOKEN_REFUSED


async def test_another_clients_user_is_gone_too(upstream, provider):
    user, pair = upstream.create_user("cl2", "eve@example.com")
    assert denial(await provider.recover(str(user.id))) is Denial.USER_GONE
    assert denial(await provider.refresh(pair.refresh.secret)) is Denial.REFRESH_TOKEN_DEAD
    assert await provider.find_users("eve@example.com") == Found(())


# --- Tokens -------------------------------------------------------------------------------------------


async def test_a_refresh_token_is_exchanged_once(upstream, ann, provider):
    rotated = await provider.refresh(ann.minted.refresh_token)
    assert isinstance(rotated, Rotated)
    assert rotated.minted.stated.owner_id == ann.user.upstream_id
    assert upstream.is_live(rotated.minted.access_token)
    assert denial(await provider.refresh(ann.minted.refresh_token)) is Denial.REFRESH_TOKEN_DEAD


async def test_the_loser_of_two_presentations_at_once_learns_that_the_token_is_dead(upstream, ann, provider):
    token = ann.minted.refresh_token
    with upstream.gate("refresh", "read") as gate:
        both = asyncio.gather(provider.refresh(token), provider.refresh(token))
        await gate.arrived(2)
    outcomes = await both
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Denied", "Rotated"]
    assert {entry.status for entry in entries(upstream, "refresh")} == {200, 404}


async def test_a_force_refresh_replaces_every_token(ann, provider):
    recovered = await provider.recover(ann.user.upstream_id)
    assert isinstance(recovered, Rotated)
    assert await provider.check(recovered.minted.access_token) == Confirmed()
    assert denial(await provider.check(ann.minted.access_token)) is Denial.TOKEN_REFUSED
    assert denial(await provider.refresh(ann.minted.refresh_token)) is Denial.REFRESH_TOKEN_DEAD


async def test_a_live_token_is_confirmed_and_an_expired_one_refused(upstream, ann, provider):
    assert await provider.check(ann.minted.access_token) == Confirmed()
    upstream.expire(int(ann.user.upstream_id))
    assert denial(await provider.check(ann.minted.access_token)) is Denial.TOKEN_REFUSED
    upstream.purge("cl1")
    assert denial(await provider.check(ann.minted.access_token)) is Denial.TOKEN_REFUSED
    assert [entry.status for entry in entries(upstream, "check")] == [200, 498, 401]


async def test_a_token_that_only_upstreams_cache_still_knows_is_refused():
    async with serve(SandboxConfig(clients=CLIENTS, redis_warm=True)) as running, open_session() as session:
        provider = platform(session, running.url)
        _, pair = running.sandbox.create_user("cl1", "ann@example.com")
        assert await provider.check(pair.access.secret) == Confirmed()
        running.sandbox.kill(pair.access.secret)
        assert denial(await provider.check(pair.access.secret)) is Denial.TOKEN_REFUSED


async def test_a_client_id_header_never_stands_beside_a_token():
    limits = Limits(client=1, access_token=50, address=50)
    async with serve(SandboxConfig(clients=CLIENTS, limits=limits)) as running, open_session() as session:
        provider = platform(session, running.url)
        _, pair = running.sandbox.create_user("cl1", "ann@example.com")
        assert await provider.probe() == Confirmed()
        assert isinstance(await provider.probe(), Unavailable)
        assert await provider.check(pair.access.secret) == Confirmed()


async def test_the_throttler_says_when_to_come_back():
    limits = Limits(client=2, block_s=40)
    async with serve(SandboxConfig(clients=CLIENTS, limits=limits)) as running, open_session() as session:
        provider = platform(session, running.url)
        outcomes = [await provider.probe() for _ in range(3)]
    assert outcomes[:2] == [Confirmed()] * 2
    assert 38 <= outcomes[2].retry_after_s <= 40
    assert outcomes[2].reason == "upstream says too many requests"


async def test_no_token_or_secret_is_told_by_any_outcome(upstream, ann, provider):
    wrong = "presented-by-mistake-" + "x" * 30
    outcomes = [
        await provider.refresh(wrong),
        await provider.check(wrong),
        await provider.recover("999999"),
        ann,
    ]
    raw = {token for entry in upstream.journal for token in (entry.tokens or {}).values()}
    assert raw
    assert not [token for token in (*raw, wrong, SECRET) if token in repr(outcomes)]
