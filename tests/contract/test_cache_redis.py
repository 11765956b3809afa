"""What the cache leaves in Redis, and what it makes of what others have left there."""

import asyncio

import pytest

from service.adapters.cache_scripts import find_call
from service.adapters.cache_values import name_of_token, name_of_user
from service.adapters.vault import Vault
from service.broker.model import UserKey
from tests.support.cached import ANNA, BERT, a_fingerprint, a_token, presented
from tests.support.proxies import listening, say
from tests.support.worlds import RedisWorld


@pytest.fixture
def world(redis_world):
    return redis_world


@pytest.fixture
def token_of_anna(clock):
    return name_of_token(presented(clock, ANNA)[0])


@pytest.fixture
async def two_users(cache, clock):
    for user in (ANNA, BERT):
        await cache.put(a_token(clock, user), [presented(clock, user)])


async def find_anna(cache, clock):
    return await cache.find([presented(clock, ANNA)[0]])


async def everything_in(client):
    names = await client.keys("*")
    return b"".join(names) + b"".join([await client.get(name) for name in names])


@pytest.mark.usefixtures("two_users")
async def test_neither_tokens_nor_ids_can_be_read_in_redis(cache, client):
    await cache.note_confirmed(ANNA, 1, 60)
    await cache.block(BERT, 9)
    stored = await everything_in(client)
    assert stored
    for readable in (b"token-anna", b"anna", b"bert", b"first-client", b"4711"):
        assert readable not in stored


@pytest.mark.usefixtures("two_users")
async def test_every_key_ends_by_itself(cache, client):
    await cache.note_confirmed(ANNA, 1, 60)
    await cache.block(BERT, 9)
    await cache.put(a_token(cache._clock, BERT, generation=9), reopen=True)
    for name in await client.keys("*"):
        assert await client.pttl(name) > 0, name


async def test_a_users_answer_is_kept_as_long_as_its_token_lives(cache, client, clock, token_of_anna):
    await cache.put(a_token(clock, life_s=600), [presented(clock, counts_s=7200)])
    assert 595_000 < await client.pttl(name_of_user(ANNA)) <= 600_000
    assert 7_195_000 < await client.pttl(token_of_anna) <= 7_200_000


async def test_a_block_outlives_the_longest_token(cache, client):
    await cache.block(ANNA, 1)
    (name,) = await client.keys("tb:x:*")
    assert await client.get(name) == b"1!"
    assert 24 * 3600 * 1000 < await client.pttl(name) <= 25 * 3600 * 1000


async def test_look_ups_of_one_turn_of_the_loop_are_one_command(cache, other, client, clock):
    users = [ANNA, BERT, ANNA]
    await cache.put(a_token(clock))
    await client.config_resetstat()
    await asyncio.gather(*(other.current(user) for user in users for _ in range(50)))
    commands = await client.info("commandstats")
    assert commands["cmdstat_evalsha"]["calls"] == 1
    assert commands["cmdstat_mget"]["calls"] == 2
    assert commands["cmdstat_get"]["calls"] == 1  # once more for Bert, of whom nothing is there


async def test_look_ups_in_any_number_never_need_more_than_two_connections(redis_world, client):
    # A busy machine must not drop connections by the deadline here: how many there are is the question.
    patient = redis_world.cache(redis_world.link(deadline_s=10.0))
    await asyncio.gather(*(patient.current(UserKey("first-client", str(n))) for n in range(2000)))
    ours = [peer for peer in await client.client_list() if peer["cmd"].startswith("eval")]
    assert 1 <= len(ours) <= 2


async def test_a_token_whose_time_with_its_user_is_over_is_answered_as_one_that_never_was(
    cache, redis_world, clock, token_of_anna
):
    old, never = presented(clock)[0], a_fingerprint("of nobody")
    await cache.put(a_token(clock), [presented(clock)])
    await cache.block(ANNA, 1)
    await cache.put(a_token(clock, generation=2))
    [reply] = await redis_world.link().cache.exchange(
        [find_call([old, never])], asyncio.get_running_loop().time()
    )
    assert reply == [None, None, None, None]


@pytest.mark.parametrize(("only_current", "found"), [(True, False), (False, True)])
async def test_where_only_current_tokens_count_older_ones_end_with_their_generation(
    redis_world, cache, clock, only_current, found
):
    writing = redis_world.cache(only_current=only_current)
    old, new = presented(clock, generation=1), presented(clock, generation=2)
    await writing.put(a_token(clock, generation=1), [old])
    await writing.put(a_token(clock, generation=2), [new])
    await writing.put(a_token(clock, generation=2))
    assert (await cache.find([old[0]]) is not None) is found
    assert (await cache.find([new[0]])).current.generation == 2


@pytest.mark.usefixtures("two_users")
async def test_a_server_that_forgot_the_scripts_is_told_them_again(redis_world, other, client, clock):
    await client.script_flush()
    assert (await find_anna(other, clock)).current.key == ANNA
    await client.script_flush()
    await other.put(a_token(clock, generation=2))
    assert await other.block(ANNA, 2) is True
    assert redis_world.notes.heard == []


@pytest.mark.usefixtures("two_users")
async def test_a_server_that_lost_everything_means_misses(cache, other, client, clock):
    await client.flushall()
    assert await find_anna(other, clock) is None
    await other.put(a_token(clock), [presented(clock)])
    clock.advance(1)
    assert (await find_anna(cache, clock)).source == "redis"


# --- What does not open ---------------------------------------------------------------------------------


@pytest.fixture
def alarms(redis_world):
    return lambda: redis_world.notes.events().count("cache.foreign")


@pytest.mark.usefixtures("two_users")
async def test_another_users_answer_is_a_miss_and_an_alarm(other, client, clock, alarms):
    await client.set(name_of_user(ANNA), await client.get(name_of_user(BERT)))
    assert await other.current(ANNA) is None
    assert alarms() == 1


@pytest.mark.usefixtures("two_users")
async def test_another_tokens_entry_is_a_miss_and_an_alarm(other, client, clock, alarms, token_of_anna):
    await client.set(token_of_anna, await client.get(name_of_token(presented(clock, BERT)[0])))
    assert await find_anna(other, clock) is None
    assert alarms() == 1


@pytest.mark.usefixtures("two_users")
async def test_an_answer_under_another_generation_is_a_miss_and_an_alarm(other, client, clock, alarms):
    held = await client.get(name_of_user(ANNA))
    await client.set(name_of_user(ANNA), held.replace(b"1:", b"2:", 1))
    assert await find_anna(other, clock) is None
    assert alarms() == 1


@pytest.mark.parametrize(
    "garbage",
    [b"?", b"1", b"1:2", b"1:2:3", b"x:y:z", b"1:ab:" + b"v1.k1." + bytes(40), b"", b"\xff\x00", b"9" * 40],
)
@pytest.mark.usefixtures("two_users")
async def test_garbage_is_a_miss_and_an_alarm(other, client, clock, alarms, garbage):
    await client.set(name_of_user(ANNA), garbage)
    assert await other.current(ANNA) is None
    assert alarms() == 1


@pytest.mark.parametrize("whose", ["user", "token"])
@pytest.mark.usefixtures("two_users")
async def test_a_value_of_another_type_is_a_miss_and_an_alarm(
    other, client, clock, alarms, token_of_anna, whose
):
    name = name_of_user(ANNA) if whose == "user" else token_of_anna
    await client.delete(name)
    await client.rpush(name, "a list")
    assert await find_anna(other, clock) is None
    assert alarms() == 1


@pytest.mark.usefixtures("two_users")
async def test_what_does_not_open_spoils_nobody_elses_look_up(other, client, clock, alarms):
    await client.set(name_of_user(ANNA), b"garbage")
    found = await asyncio.gather(other.current(ANNA), other.current(BERT))
    assert found[0] is None
    assert found[1].current.key == BERT


@pytest.mark.parametrize("garbage", [b"garbage", b"1:ab:c", b""])
@pytest.mark.usefixtures("two_users")
async def test_what_does_not_open_is_replaced_by_the_next_put(other, client, clock, garbage):
    await client.set(name_of_user(ANNA), garbage)
    await other.put(a_token(clock), [presented(clock)])
    clock.advance(1)
    assert (await find_anna(other, clock)).source == "redis"


@pytest.mark.parametrize("look", [lambda cache, clock: cache.current(ANNA), find_anna], ids=["user", "token"])
@pytest.mark.usefixtures("two_users")
async def test_an_answer_under_a_key_that_is_no_longer_held_is_a_miss_and_no_alarm(
    redis_world, clock, alarms, look
):
    after_its_removal = redis_world.cache(vault=Vault([("k2", b"2" * 32)]))
    assert await look(after_its_removal, clock) is None
    assert alarms() == 0
    assert redis_world.notes.events().count("cache.key_missing") == 1


@pytest.mark.usefixtures("two_users")
async def test_an_answer_that_another_key_of_the_same_name_sealed_is_an_alarm(redis_world, clock, alarms):
    stranger = redis_world.cache(vault=Vault([("k1", b"2" * 32)]))
    assert await find_anna(stranger, clock) is None
    assert alarms() == 1


@pytest.mark.parametrize("reply", [b"*0\r\n", b"*1\r\n$-1\r\n", b"*3\r\n$-1\r\n$-1\r\n$-1\r\n"])
async def test_an_answer_of_another_length_is_nobodys_and_is_told_of(reply):
    """An answer too many or too few: whose each of them is cannot be known."""
    async with listening(say(reply)) as url:
        world = RedisWorld(url)
        assert await world.cache().current(ANNA) is None
        await world.aclose()
    assert [facts for event, _, facts in world.notes.heard if event == "cache.foreign"] == [
        {"reason": "not an answer to this question"}
    ]
