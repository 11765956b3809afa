"""The promises of the wake-up port, kept with real Valkey and in memory alike."""

import asyncio
import gc

import pytest

from service.adapters.redis_link import RedisLink
from service.broker.model import UserKey
from tests.support.cached import ANNA, BERT
from tests.support.waiting import eventually

LONG_S = 10.0
SHORT_S = 0.05


async def waiting(wakeups, key, seen, timeout_s=LONG_S):
    """A task that has begun to wait."""
    task = asyncio.create_task(wakeups.wait(key, seen, timeout_s))
    await asyncio.sleep(0)
    return task


async def test_a_new_generation_wakes_waiters_of_every_process(world):
    here, there = await world.wakeups(), await world.wakeups()
    tasks = [await waiting(process, ANNA, 4) for process in (here, there, here)]
    await here.notify(ANNA, 5)
    assert await asyncio.gather(*tasks) == [True, True, True]


async def test_the_process_that_says_so_wakes_its_own_waiters_at_once(world):
    here = await world.wakeups()
    task = await waiting(here, ANNA, 4)
    notifying = asyncio.create_task(here.notify(ANNA, 5))
    await asyncio.wait({task, notifying}, return_when=asyncio.FIRST_COMPLETED)
    assert task.result() is True
    await notifying


@pytest.mark.parametrize("generation", [3, 4])
async def test_a_generation_that_was_seen_wakes_nobody(world, generation):
    here = await world.wakeups()
    task = await waiting(here, ANNA, 4, SHORT_S)
    await here.notify(ANNA, generation)
    assert await task is False


async def test_another_users_generation_wakes_nobody(world):
    here = await world.wakeups()
    task = await waiting(here, ANNA, 4, SHORT_S)
    await here.notify(BERT, 5)
    await here.notify(UserKey("second-client", ANNA.user_id), 5)
    assert await task is False


async def test_waiting_ends_when_the_time_has_passed(world):
    here = await world.wakeups()
    assert await here.wait(ANNA, 4, 0) is False
    assert await here.wait(ANNA, 4, SHORT_S) is False


async def test_who_comes_too_late_for_the_announcement_does_not_wait(world):
    here, there = await world.wakeups(), await world.wakeups()
    task = await waiting(there, ANNA, 4)
    await here.notify(ANNA, 5)
    await task
    for process in (here, there):
        assert await process.wait(ANNA, 4, 0) is True
        assert await process.wait(ANNA, 5, 0) is False


async def test_an_older_announcement_does_not_hide_a_newer_one(world):
    here = await world.wakeups()
    await here.notify(ANNA, 7)
    await here.notify(ANNA, 5)
    assert await here.wait(ANNA, 6, 0) is True


async def test_a_waiter_who_leaves_takes_nobody_along(world):
    here = await world.wakeups()
    leaves, stays = await waiting(here, ANNA, 4), await waiting(here, ANNA, 4)
    leaves.cancel()
    await asyncio.wait({leaves})
    await here.notify(ANNA, 5)
    assert await stays is True


async def test_nothing_is_kept_of_waiters_who_are_gone(world):
    here = await world.wakeups()
    await asyncio.gather(*(here.wait(UserKey("first-client", str(number)), 1, 0) for number in range(100)))
    gc.collect()
    assert here._waiters._waiting == {}


# --- With Redis -----------------------------------------------------------------------------------------


async def drop_subscriptions(client):
    await client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")


async def test_a_broken_subscription_is_taken_up_again(redis_world, client):
    here, there = await redis_world.wakeups(), await redis_world.wakeups()
    await drop_subscriptions(client)
    await eventually(lambda: not there.listening.is_set())
    await there.listening.wait()
    task = await waiting(there, ANNA, 4)
    await here.notify(ANNA, 5)
    assert await task is True
    assert redis_world.notes.events()[0] == "dependency.down"
    await eventually(lambda: redis_world.notes.events()[-1] == "dependency.up")


async def test_a_silent_subscription_is_kept_while_it_answers(redis_world, client):
    here = await redis_world.wakeups(ping_every_s=0.02)

    async def asked_ten_times():
        return (await client.info("commandstats")).get("cmdstat_ping", {}).get("calls", 0) >= 10

    await client.config_resetstat()
    await eventually(asked_ten_times)
    assert here.listening.is_set()
    assert redis_world.notes.heard == []


async def test_a_subscription_that_went_dead_without_a_word_is_found_out(redis_world):
    silent = asyncio.Event()

    async def swallow(reader, writer):
        while not silent.is_set() and await reader.read(1000):
            writer.write(b"*3\r\n$9\r\nsubscribe\r\n$7\r\ntb:wake\r\n:1\r\n")
            silent.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(swallow, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        link = RedisLink(f"redis://127.0.0.1:{port}", redis_world.notes)
        here = await redis_world.wakeups(link, ping_every_s=0.02)
        await eventually(lambda: not here.listening.is_set())
        assert redis_world.notes.heard[0][2]["reason"] == "timeout"
        await here.aclose()


@pytest.mark.parametrize(
    "message",
    [b"", b"{", b"[]", b'["first-client","anna"]', b'["a","b","c"]', b"null", b"\xff", b"[[]]", b'{"a":1}'],
)
async def test_a_message_that_makes_no_sense_is_passed_over(redis_world, client, message):
    here = await redis_world.wakeups()
    task = await waiting(here, ANNA, 4)
    await client.publish("tb:wake", message)
    await client.publish("tb:wake", b'["first-client","anna",5]')
    assert await task is True


async def test_what_is_told_in_one_turn_of_the_loop_is_one_message_and_wakes_everybody(redis_world, client):
    here, there = await redis_world.wakeups(), await redis_world.wakeups()
    keys = [UserKey("first-client", str(number)) for number in range(5)]
    tasks = [await waiting(there, key, 4) for key in keys]
    await client.config_resetstat()
    await asyncio.gather(*(here.notify(key, 5) for key in keys))
    assert await asyncio.gather(*tasks) == [True] * 5
    assert (await client.info("commandstats"))["cmdstat_publish"]["calls"] == 1


async def test_what_is_told_alone_is_told_as_releases_before_this_one_understand_it(redis_world, client):
    here = await redis_world.wakeups()
    async with client.pubsub() as heard:
        await heard.subscribe("tb:wake")
        await heard.get_message(timeout=LONG_S)
        await here.notify(ANNA, 5)
        message = await heard.get_message(timeout=LONG_S)
    assert message["data"] == b'["first-client","anna",5]'
