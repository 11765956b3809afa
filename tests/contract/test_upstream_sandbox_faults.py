"""What the Cal.com adapter makes of the stand-in's faults: lost, late, doubled and spoiled answers."""

import asyncio

import pytest

from sandbox.calcom import SandboxClient, SandboxConfig, serve
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
    Unknown,
)
from tests.support.calcom_platform import SECRET, platform

ANN = Profile(email="ann@example.com", name="Ann")
CONFIG = SandboxConfig(clients=(SandboxClient(id="cl1", secret=SECRET),))
SHORT_S = 0.6
# Route of the stand-in, and how a user's id and pair are used to call it.
CALLS = {
    "refresh": lambda provider, user, pair: provider.refresh(pair.refresh.secret),
    "force": lambda provider, user, pair: provider.recover(str(user.id)),
    "check": lambda provider, user, pair: provider.check(pair.access.secret),
    "create": lambda provider, user, pair: provider.create_user(ANN),
    "list": lambda provider, user, pair: provider.find_users("seed@example.com"),
    "read": lambda provider, user, pair: provider.read_user(str(user.id)),
    "change": lambda provider, user, pair: provider.change_user(str(user.id), ProfileChange({"bio": "x"})),
    "delete": lambda provider, user, pair: provider.delete_user(str(user.id)),
}
READS = ["check", "list", "read"]
CHANGES = ["refresh", "force", "create", "change", "delete"]
GOOD = {
    "refresh": Rotated, "force": Rotated, "check": Confirmed, "create": Created,
    "list": Found, "read": Found, "change": Done, "delete": Done,
}  # fmt: skip


class World:
    """A running stand-in with one user, and an adapter in front of it."""

    def __init__(self, running, session):
        self.upstream = running.sandbox
        self.provider = platform(session, running.url)
        self.hasty = platform(session, running.url, timeout_s=SHORT_S)
        self.user, self.pair = self.upstream.create_user("cl1", "seed@example.com")

    async def call(self, route, provider=None):
        return await CALLS[route](provider or self.provider, self.user, self.pair)

    def arrivals(self, route):
        return [entry for entry in self.upstream.journal if entry.route == route]


@pytest.fixture
async def world():
    async with serve(CONFIG) as running, open_session() as session:
        yield World(running, session)


LOST_ANSWERS = ["drop_before", "drop_after", "error_before", "error_after", "html_before", "html_after"]


@pytest.mark.parametrize("route", CHANGES)
@pytest.mark.parametrize("kind", LOST_ANSWERS)
async def test_a_change_whose_answer_is_no_use_is_unknown_and_sent_once(world, route, kind):
    world.upstream.fault(kind, route, count=1)
    assert isinstance(await world.call(route), Unknown)
    assert len(world.arrivals(route)) == 1


@pytest.mark.parametrize("route", READS)
@pytest.mark.parametrize("kind", LOST_ANSWERS)
async def test_a_read_whose_answer_is_no_use_is_unavailable_and_sent_once(world, route, kind):
    world.upstream.fault(kind, route, count=1)
    assert isinstance(await world.call(route), Unavailable)
    assert len(world.arrivals(route)) == 1


@pytest.mark.parametrize("route", CHANGES)
@pytest.mark.parametrize("kind", ["hang_before", "hang_after"])
async def test_a_change_that_is_not_answered_in_time_is_unknown(world, route, kind):
    world.upstream.fault(kind, route, count=1)
    assert await world.call(route, world.hasty) == Unknown("answer lost: TimeoutError")


@pytest.mark.parametrize("route", READS)
async def test_a_read_that_is_not_answered_in_time_is_unavailable(world, route):
    world.upstream.fault("hang_after", route, count=1)
    assert await world.call(route, world.hasty) == Unavailable("answer lost: TimeoutError")


@pytest.mark.parametrize("route", CHANGES)
@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_proxys_page_settles_nothing(world, route, status):
    world.upstream.fault("html_after", route, count=1, status=status)
    assert await world.call(route) == Unknown(f"status {status}, no definitive answer")


@pytest.mark.parametrize("route", list(CALLS))
async def test_a_throttled_call_did_nothing_and_may_come_back(world, route):
    world.upstream.fault("throttled", route, count=1, reset_s=42)
    assert await world.call(route) == Unavailable("upstream says too many requests", 42.0)
    assert isinstance(await world.call(route), GOOD[route])


@pytest.mark.parametrize("route", list(CALLS))
async def test_a_removed_route_is_a_fault_of_the_client(world, route):
    world.upstream.fault("route_removed", route, count=1)
    outcome = await world.call(route)
    assert isinstance(outcome, Denied)
    assert outcome.code is Denial.CLIENT_FAULT


@pytest.mark.parametrize("route", CHANGES)
async def test_trouble_of_the_database_is_unknown(world, route):
    world.upstream.fault("database_error", route, count=1)
    assert isinstance(await world.call(route), Unknown)


BAD_PAIRS = [
    "missing_tokens",
    "empty_tokens",
    "number_tokens",
    "null_data",
    "array",
    "not_json",
    "empty_body",
]


@pytest.mark.parametrize("route", ["refresh", "force", "create"])
@pytest.mark.parametrize("variant", BAD_PAIRS)
async def test_a_success_without_a_usable_pair_is_unknown(world, route, variant):
    world.upstream.fault("malformed", route, count=1, variant=variant)
    assert isinstance(await world.call(route), Unknown)


@pytest.mark.parametrize("route", ["refresh", "force"])
async def test_a_pair_without_stated_ends_takes_them_from_its_tokens(world, route):
    world.upstream.fault("malformed", route, count=1, variant="no_expiry")
    outcome = await world.call(route)
    assert outcome.minted.stated.ends_at is not None
    assert outcome.minted.stated.refresh_token_ends_at is not None


async def test_a_spent_token_presented_again_after_a_lost_answer_is_dead(world):
    world.upstream.fault("drop_after", "refresh", count=1)
    assert isinstance(await world.call("refresh"), Unknown)
    outcome = await world.call("refresh")
    assert isinstance(outcome, Denied)
    assert outcome.code is Denial.REFRESH_TOKEN_DEAD


async def test_an_unspent_token_presented_again_after_a_lost_request_is_exchanged(world):
    world.upstream.fault("drop_before", "refresh", count=1)
    assert isinstance(await world.call("refresh"), Unknown)
    assert isinstance(await world.call("refresh"), Rotated)


@pytest.mark.parametrize(("variant", "kind"), [("first", Rotated), ("second", Denied)])
async def test_a_request_doubled_on_its_way_means_what_the_seen_answer_says(world, variant, kind):
    world.upstream.fault("duplicate", "refresh", count=1, variant=variant)
    assert isinstance(await world.call("refresh"), kind)


async def test_a_force_refresh_that_lands_late_is_unknown_when_its_connection_breaks(world):
    world.upstream.fault("zombie", "force", count=1, delay_s=0.05)
    with world.upstream.gate("force", "after") as late:
        assert isinstance(await world.call("force"), Unknown)
        await late.arrived()
    outcome = await world.call("check")
    assert isinstance(outcome, Denied)
    assert outcome.code is Denial.TOKEN_REFUSED


async def test_a_new_token_that_a_replica_does_not_know_yet_looks_dead_and_is_not(world):
    lag = world.upstream.fault("replica_lag", "refresh", delay_s=60)
    outcome = await world.call("refresh")
    assert isinstance(outcome, Denied)
    assert outcome.code is Denial.REFRESH_TOKEN_DEAD
    world.upstream.clear_faults(fault_id=lag.id)
    assert isinstance(await world.call("refresh"), Rotated)


async def test_a_pair_of_another_user_is_told_by_its_owner(world):
    world.upstream.fault("wrong_owner", "refresh", count=1)
    outcome = await world.call("refresh")
    assert outcome.minted.stated.owner_id != str(world.user.id)


@pytest.mark.parametrize(("kind", "recovers"), [("crash_tokenless", True), ("crash_unlinked", False)])
async def test_a_creation_that_crashed_half_way_is_unknown_and_then_exists(world, kind, recovers):
    world.upstream.fault(kind, "create", count=1)
    assert isinstance(await world.call("create"), Unknown)
    again = await world.call("create")
    assert again.code is Denial.EXISTS
    assert again.detail == str(world.upstream.find_user("cl1", ANN.email).id)
    outcome = await world.provider.recover(again.detail)
    assert isinstance(outcome, Rotated) if recovers else outcome.code is Denial.USER_GONE


CLIENT_FAULTS = {
    "another secret": {"secret": "rotated"},
    "no owner": {"owner_id": None},
    "no platform": {"platform": False},
    "no organization": {"organization_id": None},
}


@pytest.mark.parametrize("route", CHANGES)
@pytest.mark.parametrize("change", ["another secret", "no owner"])
async def test_refused_credentials_are_a_fault_of_the_client(world, route, change):
    world.upstream.change_client("cl1", **CLIENT_FAULTS[change])
    for outcome in (await world.call(route), await world.provider.probe()):
        assert isinstance(outcome, Denied)
        assert outcome.code is Denial.CLIENT_FAULT


@pytest.mark.parametrize(("route", "change"), [("force", "no platform"), ("create", "no organization")])
async def test_a_lost_plan_is_a_fault_of_the_client(world, route, change):
    world.upstream.change_client("cl1", **CLIENT_FAULTS[change])
    outcome = await world.call(route)
    assert isinstance(outcome, Denied)
    assert outcome.code is Denial.CLIENT_FAULT


async def test_credentials_are_probed_by_the_cheapest_call(world):
    assert await world.provider.probe() == Confirmed()
    assert [entry.route for entry in world.upstream.journal if entry.status] == ["check"]


async def test_a_stopped_upstream_is_unavailable_for_every_call():
    async with open_session() as session:
        async with serve(CONFIG) as running:
            world = World(running, session)
        outcomes = await asyncio.gather(*(world.call(route) for route in CALLS))
    assert outcomes == [Unavailable("not sent: ClientConnectorError")] * len(CALLS)
