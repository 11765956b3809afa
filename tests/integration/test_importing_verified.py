"""`token-broker import --verify`: upstream is asked about each pair, within what callers leave of the budget."""

import pytest

from service.broker.errors import UpstreamUnavailable
from service.broker.imports import Fate, Order
from service.broker.model import UserKey

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
    world.sandbox.kill_access(anna[1].access_token)
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
    world.sandbox.kill_access(anna[1].access_token)
    assert await take(world, anna, bert, order=Order("test", verify=True, dry_run=True)) == [
        "invalid",
        "imported",
    ]
    assert await bert[0].grant() is None


async def test_an_upstream_that_fails_now_and_then_is_asked_again(world):
    anna = world.seed("anna")
    world.sandbox.fault("error_before", "check", count=2)
    assert await take(world, anna) == ["imported"]


async def test_an_upstream_that_does_not_answer_ends_the_run_and_nothing_is_taken_over(world):
    anna = world.seed("anna")
    world.sandbox.fault("error_before", "check")
    with pytest.raises(UpstreamUnavailable):
        await take(world, anna)
    assert await anna[0].grant() is None


async def test_a_wrong_client_secret_ends_the_run_and_rejects_nobody(world):
    anna = world.seed("anna")
    world.broker.circuits.open("default", "the client secret is wrong")
    world.broker.imports._verification.patience_s = 0.1
    with pytest.raises(UpstreamUnavailable):
        await take(world, anna)
    assert await anna[0].grant() is None


async def test_callers_come_first(worlds):
    world = await worlds(UPSTREAM_RATE="60/min")
    people = [world.seed(f"user-{number}") for number in range(20)]
    budget = world.ports.budget
    while await budget.take_ahead("default", 20):
        pass
    world.broker.imports._verification.patience_s = 0.1
    with pytest.raises(UpstreamUnavailable):
        await take(world, *people)
    assert await budget.take("default", 0.0)
    assert world.heard("user.vouched") == []
    assert Fate.IMPORTED
    assert UserKey
