"""A reply that comes after it was given up must never be taken for the answer to a later question.

Redis is reached through a proxy that holds many of its answers back until shortly after the deadline.
"""

import asyncio
from random import Random

import pytest

from service.adapters.cache import RedisCache
from service.adapters.redis_health import RedisUnavailable
from service.adapters.redis_lane import Call, _something_there
from service.adapters.redis_link import RedisLink
from service.adapters.redis_url import Connections
from service.adapters.vault import Vault
from service.broker.model import UserKey
from tests.support.cached import a_token, presented
from tests.support.proxies import Proxy, listening

DEADLINE_S = 0.03
USERS = [UserKey("first-client", f"user-{number}") for number in range(40)]


@pytest.fixture(params=[1, 2, 3])
async def shaky_link(request, redis_world):
    """A link many of whose calls time out, and that tries again at once."""
    draw = Random(request.param)
    proxy = Proxy(redis_world.url, lambda: draw.choice([0, 0, 0.5, 1.2]) * DEADLINE_S)
    async with listening(proxy.serve, redis_world.url) as url:
        link = RedisLink(url, redis_world.notes, deadline_s=DEADLINE_S, rest_s=0.0)
        yield link
        await link.aclose()


async def asked(lane, number):
    """What came back for a question that says what its answer must be."""
    try:
        return number, await lane.ask(Call(("ECHO", number), writes=False))
    except RedisUnavailable:
        return number, None


async def test_every_reply_answers_its_own_question(shaky_link):
    answers = []
    for wave in range(0, 240, 4):
        lanes = [shaky_link.cache, shaky_link.locks] * 2
        answers += await asyncio.gather(*(asked(lane, wave + place) for place, lane in enumerate(lanes)))
    answered = [(number, reply) for number, reply in answers if reply is not None]
    assert 20 < len(answered) < 220
    assert [reply for _, reply in answered] == [b"%d" % number for number, _ in answered]


async def ask_all(cache, clock, draw):
    """Many users' questions of every kind at once; returns whose answer each was and whose was asked."""
    users = [draw.choice(USERS) for _ in range(60)]
    found = await asyncio.gather(*(cache.find([presented(clock, user)[0]]) for user in users[:20]))
    current = await asyncio.gather(*(cache.current(user) for user in users[20:40]))
    confirmed = [cache.recently_confirmed(user, USERS.index(user) + 1) for user in users[40:]]
    assert not any(await asyncio.gather(*confirmed))
    hits = [*found, *current]
    return [(user, hit.current) for user, hit in zip(users, hits, strict=False) if hit is not None]


async def test_nobody_is_given_another_users_token(redis_world, shaky_link):
    clock, writer = redis_world.clock, redis_world.cache()
    cache = RedisCache(shaky_link, Vault([("k1", b"k" * 32)]), redis_world.notes, clock, near_life_s=0)
    for number, user in enumerate(USERS):
        await writer.put(a_token(clock, user), [presented(clock, user)])
        await writer.note_confirmed(user, number, 60)
    draw, answers = Random(7), []
    for _ in range(25):
        answers += await ask_all(cache, clock, draw)
    assert len(answers) > 200
    assert "dependency.down" in redis_world.notes.events()
    assert all(current.key == user and user.user_id in current.access_token for user, current in answers)
    assert "cache.foreign" not in redis_world.notes.events()


class Chatterbox:
    """A server that says one thing more than it was asked, with its answer or a moment after it."""

    def __init__(self, *, at_once):
        self.at_once = at_once
        self.connections = 0
        self.said = asyncio.Event()

    async def serve(self, reader, writer):
        self.connections += 1
        while asked := await reader.read(65536):
            commands = asked.count(b"*")
            answer = b"+answer of connection %d\r\n" % self.connections if b"ECHO" in asked else b"+OK\r\n"
            writer.write(answer * commands + (b"+unasked\r\n" if self.at_once and b"ECHO" in asked else b""))
            if not self.at_once and b"ECHO" in asked:
                await writer.drain()
                await asyncio.sleep(0.02)
                writer.write(b"+unasked\r\n")
            self.said.set()


@pytest.mark.parametrize("at_once", [True, False], ids=["with its answer", "after it"])
async def test_where_something_was_said_unasked_nothing_more_is_asked(redis_world, at_once):
    box = Chatterbox(at_once=at_once)
    async with listening(box.serve) as url:
        link, replies = RedisLink(url, redis_world.notes), []
        for _ in range(3):
            box.said.clear()
            replies.append(await link.cache.ask(Call(("ECHO", 1), writes=False)))
            await box.said.wait()
            await asyncio.sleep(0.02)
        await link.aclose()

    assert replies == [b"answer of connection %d" % number for number in (1, 2, 3)]


async def test_a_connection_can_be_looked_into(redis_world):
    """Else each batch would take redis-py's own way, a turn of the loop and a time-out more."""
    connection = Connections(redis_world.url, connect_timeout_s=1).make()
    assert _something_there(connection) is None
    await connection.connect()
    assert _something_there(connection) is False
    await connection.disconnect()
