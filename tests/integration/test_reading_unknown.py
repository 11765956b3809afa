"""Tokens that identify nobody: to a browser they are all alike."""

import pytest

from service.broker.errors import GrantDead, GrantPaused, TokenUnknown, UserUnknown


async def is_unknown(world, token):
    with pytest.raises(TokenUnknown):
        await world.browser(token)


async def test_a_token_that_was_never_issued_is_unknown(world):
    await is_unknown(world, "a-token-that-was-never-issued")


async def test_a_token_past_its_window_is_unknown_and_one_inside_it_is_not(world):
    anna = await world.user()
    older = await anna.token()
    await world.later(hours=20)
    newer = await anna.token()
    await world.later(hours=5, minutes=1)
    await is_unknown(world, older)
    assert world.sandbox.is_live(await world.browser(newer))


async def test_without_a_window_only_the_current_token_counts(worlds):
    world = await worlds(SUPERSEDED_WINDOW="0")
    anna = await world.user()
    old = await anna.token()
    current = await anna.rotate()
    await is_unknown(world, old)
    await world.later(hours=24)
    assert world.sandbox.is_live(await world.browser(current))


@pytest.mark.parametrize("days", [7, 8])
async def test_a_browser_that_was_away_longer_than_the_binding_is_unknown(worlds, days):
    world = await worlds(SUPERSEDED_WINDOW="7d")
    anna = await world.user()
    token = await anna.token()
    await world.later(days=days)
    await is_unknown(world, token)


async def test_browsing_alone_keeps_a_user_going_no_longer_than_the_absolute_binding(world):
    anna = await world.user()
    token = await anna.token()
    for _ in range(29):
        await world.later(days=1)
        token = await world.browser(token)
    await world.later(days=1)
    await is_unknown(world, token)


async def test_nobody_browses_for_a_user_whom_the_app_has_not_vouched_for(world):
    anna = await world.user(vouch=False)
    token = await anna.token()
    await is_unknown(world, token)
    await world.broker.answers.for_service(anna.key, min_ttl_s=None, vouch=True)
    assert await world.browser(token) == token


async def test_a_vouched_token_call_binds_the_user_anew(worlds):
    world = await worlds(SUPERSEDED_WINDOW="7d")
    anna = await world.user()
    token = await anna.token()
    await world.later(days=6)
    await world.broker.answers.for_service(anna.key, min_ttl_s=None, vouch=True)
    await world.later(hours=24)
    await world.browser(token)


async def test_tokens_of_a_paused_user_are_unknown_in_every_process(pair_of_brokers):
    world = pair_of_brokers
    anna = await world.user()
    tokens = [await anna.token(), await anna.rotate(world.brokers[1])]
    await world.broker.users.pause(anna.key, actor="test")
    for broker in world.brokers:
        for token in tokens:
            with pytest.raises(TokenUnknown):
                await world.browser(token, broker)
        with pytest.raises(GrantPaused):
            await anna.token(broker)


async def test_tokens_of_a_deleted_user_are_unknown_in_every_process(pair_of_brokers):
    world = pair_of_brokers
    anna = await world.user()
    tokens = [await anna.token(), await anna.rotate(world.brokers[1])]
    await world.broker.users.delete(anna.key, actor="test")
    for broker in world.brokers:
        for token in tokens:
            with pytest.raises(TokenUnknown):
                await world.browser(token, broker)
        with pytest.raises(UserUnknown):
            await anna.token(broker)


async def test_tokens_of_a_dead_grant_are_unknown(world):
    anna = await world.user()
    token = await anna.token()
    world.sandbox.delete_user(anna.upstream_id)
    await world.later(hours=1)
    await is_unknown(world, token)
    await is_unknown(world, token)
    with pytest.raises(GrantDead):
        await anna.token()


async def test_revoked_tokens_are_unknown_in_every_process_and_the_new_one_is_not(pair_of_brokers):
    world = pair_of_brokers
    anna = await world.user()
    revoked = [await anna.token(), await anna.rotate(world.brokers[1])]
    await world.broker.users.revoke(anna.key, actor="test")
    for broker in world.brokers:
        for token in revoked:
            with pytest.raises(TokenUnknown):
                await world.browser(token, broker)
    current = await anna.token()
    assert await world.browser(current) == current
