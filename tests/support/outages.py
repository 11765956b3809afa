"""What the broker asks of Redis, one row a question, with the answer it must have while Redis is away."""

from contextlib import asynccontextmanager

from service.broker.ports import LeaseState
from tests.support.cached import ANNA, BERT, a_fingerprint, a_token
from tests.support.waited import Waited
from tests.support.worlds import MemoryWorld, RedisWorld

AT_MOST_S = 0.25
LEEWAY_S = 0.15
RATES = {"first-client": 90.0}
NO_LEASE = LeaseState(held=False, busy=False)


class Process:
    """One process's four ports over one link, as wiring makes them."""

    def __init__(self, world):
        self.world = world
        self.link = world.link()
        self.cache = world.cache(self.link)
        self.leases = world.leases(link=self.link)
        self.budget = world.budget(RATES, self.link)

    async def lease(self):
        async with self.leases.hold(ANNA) as state:
            return state


QUESTIONS = {
    "find": (lambda it: it.cache.find([a_fingerprint("any")]), None),
    "current": (lambda it: it.cache.current(BERT), None),
    "put": (lambda it: it.cache.put(a_token(it.world.clock)), None),
    "block": (lambda it: it.cache.block(ANNA, 5), False),
    "forget": (lambda it: it.cache.forget(ANNA), False),
    "note_confirmed": (lambda it: it.cache.note_confirmed(ANNA, 5, 30), None),
    "recently_confirmed": (lambda it: it.cache.recently_confirmed(BERT, 5), False),
    "lease": (lambda it: it.lease(), NO_LEASE),
    "take": (lambda it: it.budget.take("first-client", 0), True),
    "take_ahead": (lambda it: it.budget.take_ahead("first-client", 1), 1),
    "give_back": (lambda it: it.budget.give_back("first-client", 1), None),
    "pause": (lambda it: it.budget.pause("first-client", 0.01), None),
    "ping": (lambda it: it.link.ping(), False),
}
WRITES = [name for name in QUESTIONS if name not in {"find", "current", "recently_confirmed", "ping"}]


async def in_time(coroutine):
    """Its result, which must not have taken longer than allowed."""
    async with Waited() as waited:
        result = await coroutine
    assert waited.seconds < AT_MOST_S + LEEWAY_S
    return result


async def ask(process, name):
    question, expected = QUESTIONS[name]
    assert await in_time(question(process)) == expected


class MemoryProcess:
    """The same without Redis, taken away too."""

    def __init__(self):
        self.world = MemoryWorld()
        self.world.store.down = True
        self.cache = self.world.cache()
        self.leases = self.world.leases()
        self.budget = self.world.budget(RATES)

    lease = Process.lease


@asynccontextmanager
async def process_of(url):
    """One process that was told of this Redis."""
    world = RedisWorld(url)
    try:
        yield Process(world)
    finally:
        await world.aclose()
