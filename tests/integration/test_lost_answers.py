"""Rotations whose answer is lost, for callers who wait and ahead of time.

Each fault strikes one call: before upstream has executed it, or after.
"""

import asyncio

import pytest

from service.broker.errors import RefreshInProgress
from service.broker.model import Marks
from tests.support.world import A_BACK_OFF_S, A_CLAIM_S

UNEXECUTED = [
    ("error_before", {}),
    ("error_before", {"status": 418}),
    ("html_before", {}),
    ("drop_before", {}),
    ("database_error", {}),
]
EXECUTED = [
    ("error_after", {}),
    ("html_after", {}),
    ("drop_after", {}),
    ("malformed", {"variant": "empty_tokens"}),
    ("malformed", {"variant": "not_json"}),
    ("wrong_owner", {}),
]


async def used_user(world):
    anna = await world.user()
    await anna.token()
    return anna


async def token_after_the_claim_ran_out(world, anna):
    """Ask with an expired pair; the flight waits out its own claim and presents again."""
    waiting = asyncio.create_task(anna.token())
    await world.notes.hears("refresh.unknown")
    await world.later(seconds=A_CLAIM_S)
    return await waiting


@pytest.mark.parametrize(("kind", "options"), UNEXECUTED)
async def test_a_caller_gets_the_pair_of_the_second_presentation(world, kind, options):
    anna = await used_user(world)
    await world.later(hours=2)
    world.sandbox.fault(kind, "refresh", count=1, **options)
    assert world.sandbox.is_live(await token_after_the_claim_ran_out(world, anna))
    assert anna.calls() == ["refresh", "refresh"]


@pytest.mark.parametrize(("kind", "options"), EXECUTED)
async def test_a_caller_whose_pair_was_lost_gets_one_by_force(world, kind, options):
    anna = await used_user(world)
    await world.later(hours=2)
    world.sandbox.fault(kind, "refresh", count=1, **options)
    assert world.sandbox.is_live(await token_after_the_claim_ran_out(world, anna))
    assert anna.calls() == ["refresh", "refresh", "force"]


@pytest.mark.parametrize(("kind", "calls"), [("hang_before", []), ("hang_after", ["force"])])
async def test_a_caller_is_served_though_upstream_never_answered(worlds, kind, calls):
    world = await worlds(UPSTREAM_TIMEOUT="0.8s")
    anna = await used_user(world)
    await world.later(hours=2)
    world.sandbox.fault(kind, "refresh", count=1)
    assert world.sandbox.is_live(await token_after_the_claim_ran_out(world, anna))
    assert anna.calls() == ["refresh", "refresh", *calls]


@pytest.mark.parametrize(("kind", "options"), UNEXECUTED)
async def test_ahead_of_time_it_is_presented_again_and_nobody_notices(world, kind, options):
    anna = await used_user(world)
    await world.later(minutes=52)
    world.sandbox.fault(kind, "refresh", count=1, **options)
    await world.sweep()
    await world.later(seconds=A_BACK_OFF_S)
    await world.sweep()
    assert anna.calls() == ["refresh", "refresh"]
    assert world.sandbox.is_live(await anna.token())
    assert (await anna.grant()).marks == Marks()


@pytest.mark.parametrize(("kind", "options"), EXECUTED)
async def test_ahead_of_time_the_access_token_is_kept_until_it_dies(world, kind, options):
    anna = await used_user(world)
    token = await anna.token()
    await world.later(minutes=52)
    world.sandbox.fault(kind, "refresh", count=1, **options)
    await world.sweep()
    await world.later(seconds=A_BACK_OFF_S)
    await world.sweep()
    assert anna.calls() == ["refresh", "refresh"]
    assert (await anna.grant()).marks == Marks(refresh_token_dead=True)
    assert await anna.token() == token


async def test_a_token_is_not_presented_twice_within_one_claim(world):
    anna = await used_user(world)
    await world.later(minutes=52)
    world.sandbox.fault("error_before", "refresh")
    for _ in range(3):
        await world.sweep()
        await anna.token()
    assert anna.calls() == ["refresh"]


async def test_a_caller_is_told_to_come_back_when_no_answer_ever_comes(worlds):
    quick = {"UPSTREAM_TIMEOUT": "0.3s", "DATABASE_TIMEOUT": "0.5s", "LEASE_TTL": "1s"}
    world = await worlds(CLAIM_DEADLINE="1s", **quick)
    anna = await used_user(world)
    await world.later(hours=2)
    world.sandbox.fault("error_before", "refresh")
    with pytest.raises(RefreshInProgress):
        await anna.token()
    assert anna.calls() in (["refresh"], ["refresh", "refresh"])


async def test_lost_answers_in_a_row_are_presented_again_less_and_less_often(world):
    anna = await used_user(world)
    await world.later(minutes=52)
    world.sandbox.fault("error_before", "refresh")
    for _ in range(4):
        await anna.set(due_at=world.broker.clock(), claim_owner=None)
        await world.sweep()
    ((wait,),) = await world.sql("SELECT due_at - clock_timestamp() FROM grants")
    assert wait.total_seconds() > 30
