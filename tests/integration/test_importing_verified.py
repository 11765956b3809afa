"""`import --verify`: upstream is asked about each pair, with what callers leave of the budget."""

import pytest

from service.broker.errors import UpstreamUnavailable
from service.broker.imports import Order

VERIFIED = Order("test", verify=True)


async def take(world, *seeded, order=VERIFIED):
    """Take over these users, and tell what came of each: its fate, or why it was rejected."""
    rows = [(person.key, enrolment) for person, enrolment in seeded]
    told = await world.broker.imports.take("default", rows, order)
    return [one.fate.value if one.error is None else one.error.code for one in told]


async def test_a_pair_that_upstream_accepts_is_taken_over(world):
    anna = world.seed("anna")
    assert await take(world, anna) == ["imported"]
    assert anna[0].calls() == ["check"]


async def test_a_live_token_that_upstream_refuses_is_a_pair_that_was_replaced_elsewhere(world):
    anna, bert = world.seed("anna"), world.seed("bert")
    world.sandbox.kill(anna[1].access_token)
    assert await take(world, anna, bert) == ["invalid", "imported"]
    assert await anna[0].grant() is None


async def test_of_an_expired_token_upstream_is_asked_whose_it_was(world):
    world.sandbox.advance(-2 * 3600)
    anna, bert = world.seed("anna"), world.seed("bert")
    world.sandbox.advance(2 * 3600)
    world.sandbox.delete_user(bert[0].upstream_id)
    assert await take(world, anna, bert) == ["imported", "grant_dead"]
    assert anna[0].calls() == ["read"]


async def test_what_is_there_already_costs_no_call(world):
    anna = world.seed("anna")
    await take(world, anna)
    anna[0].forget_calls()
    assert await take(world, anna) == ["already"]
    assert anna[0].calls() == []


async def test_a_dry_run_may_verify_as_well(world):
    anna, bert = world.seed("anna"), world.seed("bert")
    world.sandbox.kill(anna[1].access_token)
    assert await take(world, anna, bert, order=Order("test", verify=True, dry_run=True)) == [
        "invalid",
        "imported",
    ]
    assert await bert[0].grant() is None


@pytest.fixture
async def hasty(world):
    """A world whose verification waits for nothing for long."""
    world.broker.imports._verification.again_s = 0.001
    world.broker.imports._verification.patience_s = 0.1
    return world


async def test_an_upstream_that_fails_now_and_then_is_asked_again(hasty):
    anna = hasty.seed("anna")
    hasty.sandbox.fault("error_before", "check", count=2)
    assert await take(hasty, anna) == ["imported"]
    assert anna[0].calls() == ["check"] * 3


async def test_an_upstream_that_does_not_answer_ends_the_run_and_nothing_is_taken_over(hasty):
    anna = hasty.seed("anna")
    hasty.sandbox.fault("error_before", "check")
    with pytest.raises(UpstreamUnavailable):
        await take(hasty, anna)
    assert await anna[0].grant() is None


async def test_a_client_that_upstream_refuses_ends_the_run_at_once_and_rejects_nobody(hasty):
    hasty.sandbox.advance(-2 * 3600)
    anna = hasty.seed("anna")
    hasty.sandbox.advance(2 * 3600)
    hasty.sandbox.client("cl-default").secret = "another-secret"
    with pytest.raises(UpstreamUnavailable, match="refuses this OAuth client itself"):
        await take(hasty, anna)
    with pytest.raises(UpstreamUnavailable, match="could not be asked"):
        await take(hasty, anna)
    assert anna[0].calls() == ["read"]
    assert await anna[0].grant() is None


async def test_callers_come_first(worlds):
    world = await worlds(UPSTREAM_RATE="60/min")
    people = [world.seed(f"user-{number}") for number in range(20)]
    world.broker.imports._verification.patience_s = 0.1
    with pytest.raises(UpstreamUnavailable):
        await take(world, *people)
    assert await world.ports.budget.take("default", 0.0)
    assert len([entry for entry in world.sandbox.journal if entry.route == "check"]) < 20
