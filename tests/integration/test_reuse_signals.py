"""Tokens that may be in wrong hands are answered as ever, and told of: line, figure, the user's history."""

import pytest

from service.broker.errors import TokenUnknown
from service.broker.model import EventQuery
from service.broker.reuse import FAR_BEHIND, MOST_ADDRESSES


async def noticed(world, anna):
    """What was told of anna's tokens, once everything is written that was to be."""
    await world.broker.behind.flush()
    await world.broker.answers.reuses.flush()
    await world.broker.audit.flush()
    told = [facts["kind"] for facts in world.heard("token.reuse", anna)]
    events = await world.broker.users.events(anna.key, EventQuery(limit=100))
    assert [event.reason for event in reversed(events) if event.event == "token.reuse"] == told
    return told


async def generations(anna, count):
    """A user's first token, and so many newer ones after it."""
    return [await anna.token(), *[await anna.rotate() for _ in range(count)]]


async def test_a_token_that_is_far_behind_is_answered_and_told_of(world):
    anna = await world.user()
    tokens = await generations(anna, FAR_BEHIND + 1)
    assert await world.browser(tokens[0]) == tokens[-1]
    assert await noticed(world, anna) == ["far_behind"]
    assert world.heard("token.reuse", anna)[0]["behind"] == FAR_BEHIND + 1


async def test_three_generations_are_not_far(world):
    anna = await world.user()
    for token in await generations(anna, FAR_BEHIND):
        await world.browser(token)
    assert await noticed(world, anna) == []


async def test_far_behind_is_noticed_of_what_comes_from_the_cache_too(world):
    anna = await world.user()
    _, old, *_ = await generations(anna, FAR_BEHIND + 2)
    assert (await world.ports.cache.find(world.ports.fingerprints.of(old))) is not None
    await world.browser(old)
    assert await noticed(world, anna) == ["far_behind"]


async def test_use_after_a_revoke_is_told_of_and_any_other_refusal_is_not(world):
    anna, bert = await world.user("anna"), await world.user("bert")
    tokens = {person: await person.token() for person in (anna, bert)}
    await world.broker.users.revoke(anna.key, actor="test")
    await world.broker.users.pause(bert.key, actor="test")
    for token in (*tokens.values(), "a-token-that-was-never-issued"):
        with pytest.raises(TokenUnknown):
            await world.browser(token)
    assert await noticed(world, anna) == ["revoked"]
    assert await noticed(world, bert) == []


async def test_every_refusal_is_told_of_with_its_reason_once_its_answer_is_given(world):
    anna, bert = await world.user("anna"), await world.user("bert")
    tokens = [await anna.token(), await bert.token(), "a-token-that-was-never-issued"]
    await world.broker.users.revoke(anna.key, actor="test")
    await world.broker.users.pause(bert.key, actor="test")
    for token in tokens:
        with pytest.raises(TokenUnknown):
            await world.browser(token)
    await world.broker.behind.flush()
    await world.broker.answers.reuses.flush()
    told = [(key, facts) for event, key, facts in world.notes.heard if event == "refresh.refused"]
    reasons = ("revoked", "paused", "unknown")
    assert told == [
        (key, {"reason": why}) for key, why in zip((anna.key, bert.key, None), reasons, strict=True)
    ]


@pytest.mark.parametrize(("addresses", "told"), [(8, []), (9, ["many_addresses"])])
async def test_one_token_from_many_addresses_is_answered_and_told_of(world, addresses, told):
    assert MOST_ADDRESSES == 8
    anna = await world.user()
    old, current = await generations(anna, 1)
    for number in range(addresses):
        answer = await world.broker.answers.for_browser(old, address=number)
        assert answer.access_token == current
    assert await noticed(world, anna) == told


async def test_many_addresses_that_each_hold_a_token_of_their_own_are_nothing(world):
    anna = await world.user()
    for number, token in enumerate((await generations(anna, 3))[:3]):
        for address in range(number * 3, number * 3 + 3):
            await world.broker.answers.for_browser(token, address=address)
    assert await noticed(world, anna) == []


async def test_what_was_noticed_last_is_written_before_the_process_ends(world):
    anna = await world.user()
    old = await anna.token()
    await world.broker.users.revoke(anna.key, actor="test")
    with pytest.raises(TokenUnknown):
        await world.browser(old)
    await world.broker.drain(5)
    events = await world.broker.users.events(anna.key, EventQuery(limit=100))
    assert "token.reuse" in {event.event for event in events}
