"""Upstream refuses the client itself: its users are left alone, and all goes on once it is mended."""

from datetime import timedelta

import pytest

from service.broker import circuits
from service.broker.errors import UpstreamUnavailable
from service.broker.model import GrantState, Marks, ProfileChange
from tests.support.world import secret_file

FAULTS = [{"secret": "another-secret"}, {"owner_id": None}]
MENDED = {"secret": "secret-of-default", "owner_id": 11}


@pytest.fixture
def probed_at_once(monkeypatch):
    monkeypatch.setattr(circuits, "_PROBE_EVERY", timedelta(0))


async def is_refused(person):
    with pytest.raises(UpstreamUnavailable, match=r"this OAuth client itself|cannot issue one now"):
        await person.token()


@pytest.mark.parametrize("fault", FAULTS)
async def test_after_the_first_refusal_no_call_is_made_for_any_user(world, fault):
    anna, bert = await world.used_users("anna", "bert", hours=2)
    world.sandbox.change_client("cl-default", **fault)
    for person in (anna, bert, anna):
        await is_refused(person)
    assert (await world.sweep()).claimed == 0
    assert (anna.calls(), bert.calls()) == (["refresh"], [])
    assert len(world.heard("circuit.opened")) == 1


@pytest.mark.parametrize("fault", FAULTS)
async def test_no_grant_changes_its_state(world, fault):
    people = await world.used_users("anna", "bert", hours=2)
    world.sandbox.change_client("cl-default", **fault)
    for person in people:
        await is_refused(person)
        grant = await person.grant()
        assert (grant.state, grant.marks, grant.failures) == (GrantState.LIVE, Marks(), 0)
    assert "force" not in world.sandbox.journal.calls


async def test_ahead_of_time_the_circuit_opens_as_well(world):
    anna, bert = await world.used_users("anna", "bert", minutes=52)
    world.sandbox.rotate_secret("cl-default", "another-secret")
    await world.sweep()
    assert len(world.heard("circuit.opened")) == 1
    assert (await world.sweep()).claimed == 0
    assert {(await person.grant()).failures for person in (anna, bert)} == {0}


async def test_live_tokens_are_served_while_the_client_is_refused(world):
    anna, bert = await world.used_users("anna", "bert", minutes=52)
    world.sandbox.rotate_secret("cl-default", "another-secret")
    tokens = [await anna.token(), await bert.token()]
    await world.broker.drain(5)
    assert [await anna.token(), await bert.token()] == tokens


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_probe_finds_out_that_the_client_is_accepted_again(world, probed_at_once, fault):
    anna, bert = await world.used_users("anna", "bert", hours=2)
    world.sandbox.change_client("cl-default", **fault)
    await is_refused(anna)
    await is_refused(bert)
    world.sandbox.change_client("cl-default", **{name: MENDED[name] for name in fault})
    assert world.sandbox.is_live(await bert.token())
    assert len(world.heard("circuit.closed")) == 1
    assert bert.calls() == ["refresh"]


async def test_probes_are_made_at_most_every_ten_seconds(world):
    people = await world.used_users("anna", "bert", hours=2)
    world.sandbox.rotate_secret("cl-default", "another-secret")
    for _ in range(5):
        for person in people:
            await is_refused(person)
    assert world.sandbox.journal.calls.get("check", 0) == 0


async def test_a_force_refresh_that_the_lost_plan_forbids_is_the_clients_fault(world, probed_at_once):
    anna, _ = await world.used_users("anna", "bert", hours=2)
    await anna.lose_refresh_token()
    world.sandbox.change_client("cl-default", platform=False)
    await is_refused(anna)
    grant = await anna.grant()
    assert (grant.state, grant.failures, grant.marks.distrusted) == (GrantState.LIVE, 0, False)
    world.sandbox.change_client("cl-default", platform=True)
    assert world.sandbox.is_live(await anna.token())
    assert anna.calls() == ["refresh", "force", "force"]


ORDERS = {
    "change": lambda users, anna: users.change(anna.key, ProfileChange({"name": "Ann"}), actor="test"),
    "delete": lambda users, anna: users.delete(anna.key, actor="test"),
    "recover": lambda users, anna: users.recover(
        anna.key, str(anna.upstream_id), "anna@example.com", vouch=False, actor="test"
    ),
}


@pytest.mark.parametrize("order", list(ORDERS))
async def test_any_call_that_shows_it_opens_the_circuit(world, order):
    anna = await world.user()
    world.sandbox.rotate_secret("cl-default", "another-secret")
    with pytest.raises(UpstreamUnavailable):
        await ORDERS[order](world.broker.users, anna)
    assert len(world.heard("circuit.opened")) == 1


async def test_a_create_opens_the_circuit(world):
    world.sandbox.rotate_secret("cl-default", "another-secret")
    for _ in range(2):
        with pytest.raises(UpstreamUnavailable):
            await world.create()
    assert world.sandbox.journal.calls["create"] == 1


async def test_it_goes_on_by_itself_when_the_right_secret_is_mounted(worlds, probed_at_once, tmp_path):
    world = await worlds(brokers=2)
    people = await world.used_users("anna", "bert", hours=2)
    world.sandbox.rotate_secret("cl-default", "another-secret")
    for person, broker in zip(people, world.brokers, strict=True):
        with pytest.raises(UpstreamUnavailable):
            await person.token(broker)
    secret_file(tmp_path, "default").write_text("another-secret")
    await world.notes.hears("circuit.closed", 2)
    assert all([world.sandbox.is_live(await person.token()) for person in people])
    assert "force" not in world.sandbox.journal.calls


async def test_a_wrong_secret_that_is_mounted_costs_no_token_until_it_is_put_right(
    world, probed_at_once, tmp_path
):
    people = await world.used_users("anna", "bert", hours=2)
    secret_file(tmp_path, "default").write_text("mistyped")
    await world.notes.hears("secret.replaced")
    for person in people:
        await is_refused(person)
    secret_file(tmp_path, "default").write_text("secret-of-default")
    await world.notes.hears("circuit.closed")
    assert all([world.sandbox.is_live(await person.token()) for person in people])
    assert [person.calls("force") for person in people] == [[], []]
