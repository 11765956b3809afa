"""A new key is rolled out in two steps: every process knows it before any process writes with it."""

import pytest

from service.broker.errors import SealBroken, TokenUnknown
from tests.support.environment import key_of

KINDS = ["ENCRYPTION_KEYS", "FINGERPRINT_KEYS"]
FIRST = {"ENCRYPTION_KEYS": f"e1:{key_of('e')}", "FINGERPRINT_KEYS": f"f1:{key_of('f')}"}
SECOND = f"new:{key_of('n')}"
OLD, KNOWN, WRITING = "old alone", "new one last", "new one first"
STEPS = [(KNOWN, OLD), (KNOWN, KNOWN), (WRITING, KNOWN), (WRITING, WRITING)]
"""What the two processes hold after each of them was replaced, one at a time."""


def keys(kind, state):
    first = FIRST[kind]
    return {kind: {OLD: first, KNOWN: f"{first},{SECOND}", WRITING: f"{SECOND},{first}"}[state]}


async def understand_each_other(world, anna, one, other):
    """Let each process rotate, and the other one answer for the tokens before and after."""
    for writing, reading in ((one, other), (other, one)):
        before = await anna.token(reading)
        await world.drop_caches()
        current = await anna.rotate(writing)
        assert await world.browser(before, reading) == current
        assert await anna.token(reading) == current
        await world.drop_caches()


@pytest.mark.parametrize("kind", KINDS)
async def test_in_two_steps_every_process_understands_every_other(worlds, kind):
    world = await worlds(**keys(kind, OLD))
    anna = await world.user()
    for states in STEPS:
        one, other = [await world.open_broker(**keys(kind, state)) for state in states]
        await understand_each_other(world, anna, one, other)
    assert anna.calls("force") == []
    assert world.heard("cache.foreign") == []


@pytest.mark.parametrize(
    ("kind", "harm"), [("ENCRYPTION_KEYS", SealBroken), ("FINGERPRINT_KEYS", TokenUnknown)]
)
async def test_in_one_step_processes_that_do_not_know_it_yet_turn_users_away(worlds, kind, harm):
    world = await worlds(**keys(kind, OLD))
    anna = await world.user()
    newer = await world.open_broker(**keys(kind, WRITING))
    token = await anna.rotate(newer)
    await world.drop_caches()
    with pytest.raises(harm):
        await world.browser(token)


async def test_each_rotation_seals_with_the_new_key_so_that_the_old_one_can_go_at_last(worlds):
    world = await worlds(**keys("ENCRYPTION_KEYS", OLD))
    anna = await world.user()
    newer = await world.open_broker(**keys("ENCRYPTION_KEYS", WRITING))
    await anna.rotate(newer)
    assert [row["key_id"] for row in await world.sql("SELECT DISTINCT key_id FROM grants")] == ["new"]
    await world.drop_caches()
    last = await world.open_broker(ENCRYPTION_KEYS=SECOND)
    assert await anna.token(last) == await anna.token(newer)


async def test_an_old_fingerprint_key_is_needed_while_a_token_under_it_counts(worlds):
    world = await worlds(**keys("FINGERPRINT_KEYS", OLD))
    anna = await world.user()
    token = await anna.token()
    newer = await world.open_broker(**keys("FINGERPRINT_KEYS", WRITING))
    await anna.rotate(newer)
    await world.drop_caches()
    assert await world.browser(token, newer) == await anna.token(newer)
    await world.drop_caches()
    with pytest.raises(TokenUnknown):
        await world.browser(token, await world.open_broker(FINGERPRINT_KEYS=SECOND))
