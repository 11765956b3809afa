"""Upstream was away for long, or fails for one user for good: nobody is forced, and no herd comes after."""

import pytest

from service.broker.errors import UpstreamUnavailable
from service.broker.model import Marks
from tests.support.served import ANYWHERE, served
from tests.support.waiting import eventually

AT_ONCE = 34
"""Half of what may lie ready at 600 calls a minute, and what comes in meanwhile."""
AWAY = ["error_before", "drop_before"]


async def enrolled_users(world, count):
    """Users in use who have cost the budget nothing."""
    people = []
    for number in range(count):
        person, enrolment = world.seed(f"user-{number:02}")
        await world.enrol(person, enrolment)
        await person.token()
        people.append(person)
    return people


async def away_for_six_hours(world, kind):
    """Take upstream away until every pair has ended long since; the worker goes on trying."""
    world.sandbox.fault(kind, "*")
    most = 0
    for _ in range(8):
        await world.later(minutes=45)
        most = max(most, (await world.sweep()).claimed)
    world.sandbox.clear_faults()
    return most


async def first_batch(world):
    """How many the first sweep rotates for which the outage has left any budget."""
    rotated = 0

    async def begun():
        nonlocal rotated
        rotated = (await world.sweep()).rotated
        return rotated

    await eventually(begun, within_s=20)
    return rotated


@pytest.mark.parametrize("kind", AWAY)
async def test_after_six_hours_everybody_is_had_back_inside_the_budget_and_nobody_by_force(worlds, kind):
    world = await worlds(UPSTREAM_RATE="600/min")
    people = await enrolled_users(world, 40)
    assert await away_for_six_hours(world, kind) <= AT_ONCE
    await world.later(hours=2)
    assert 0 < await first_batch(world) <= AT_ONCE
    tokens = [await person.token() for person in people]
    assert all(map(world.sandbox.is_live, tokens))
    assert world.sandbox.journal.calls.get("force", 0) == 0
    assert {(await person.grant()).marks for person in people} == {Marks()}


async def test_a_caller_does_not_wait_behind_what_is_overdue(worlds):
    world = await worlds(UPSTREAM_RATE="90/min")
    *overdue, anna = await enrolled_users(world, 20)
    await world.later(hours=6)
    await anna.set(due_at=world.broker.clock())
    await world.sweep()
    assert (await world.sweep()).rotated <= 1
    assert anna.calls() == []
    assert world.sandbox.is_live(await anna.token())
    assert 0 < sum(len(person.calls()) for person in overdue) < len(overdue)


@pytest.mark.parametrize("failures", [0, 3, 12])
async def test_who_asks_meanwhile_is_told_to_come_back_within_a_minute(world, failures):
    anna = await world.user()
    await world.later(hours=2)
    await anna.set(failures=failures)
    await world.stop_upstream()
    with pytest.raises(UpstreamUnavailable) as told:
        await anna.token()
    assert 15 <= told.value.retry_after_s <= 45


async def test_a_user_who_always_fails_backs_off_alone_and_is_shown_with_the_reason(worlds):
    world = await worlds(**ANYWHERE)
    anna, *others = await enrolled_users(world, 4)
    world.sandbox.fault("error_before", "refresh", user=anna.upstream_id)
    for _ in range(3):
        await world.later(minutes=52)
        await world.sweep()
        for person in others:
            await person.token()
    assert [person.calls("refresh") for person in others] == [["refresh"] * 3] * 3
    assert (await anna.grant()).failures == 3
    async with served(world) as house:
        _, shown = await house.service("GET", f"/v1/users/{anna.key.user_id}")
    assert "500" in str(shown)


async def test_a_user_who_always_fails_is_tried_less_and_less_often_and_never_given_up(world):
    (anna,) = await enrolled_users(world, 1)
    await world.later(minutes=52)
    world.sandbox.fault("error_before", "refresh", user=anna.upstream_id)
    for _ in range(30):
        await world.sweep()
        await world.later(minutes=5)
    assert 5 <= len(anna.calls("refresh")) <= 10
    world.sandbox.clear_faults()
    await world.later(hours=2)
    await world.sweep()
    assert world.sandbox.is_live((await anna.tokens())[0])
    assert anna.calls("force") == []
