"""What a sweep has in hand: room comes free as work ends, and one piece holds up no other."""

import asyncio

import pytest

from service.broker.errors import StorageUnavailable
from service.broker.hands import Hands


async def turns(count=5):
    for _ in range(count):
        await asyncio.sleep(0)


class Work:
    """Pieces of work that each end when they are told to."""

    def __init__(self, hands):
        self.hands = hands
        self.gates = {}

    def take_up(self, *names):
        self.gates |= {name: asyncio.Event() for name in names}
        self.hands.take_up(len(names), self._batch(names))

    async def end(self, *names):
        for name in names:
            self.gates[name].set()
        await turns()

    async def _batch(self, names):
        return await asyncio.gather(*(self._one(name) for name in names))

    async def _one(self, name):
        try:
            await self.gates[name].wait()
        finally:
            self.hands.put_down()
        if name == "fails":
            raise LookupError(name)
        return name


async def test_there_is_room_once_half_of_it_has_ended_whichever_half():
    async with Hands(4) as hands:
        work = Work(hands)
        work.take_up(*"abcd")
        assert hands.free == 0
        waiting = asyncio.create_task(hands.until_half_free())
        await work.end("c")
        assert not waiting.done()
        await work.end("a")
        assert waiting.done()
        assert hands.free == 2
        await work.end("b", "d")


async def test_where_there_is_room_nobody_waits():
    async with Hands(4) as hands:
        Work(hands).take_up(*"ab")
        async with asyncio.timeout(1):
            await hands.until_half_free()


async def test_who_holds_one_at_a_time_waits_for_it():
    async with Hands(1) as hands:
        work = Work(hands)
        work.take_up("a")
        waiting = asyncio.create_task(hands.until_half_free())
        await work.end()
        assert not waiting.done()
        await work.end("a")
        assert waiting.done()


async def test_the_rest_is_what_came_of_everything_in_the_order_it_was_taken_up():
    async with Hands(4) as hands:
        work = Work(hands)
        work.take_up("a", "b")
        work.take_up("c")
        resting = asyncio.create_task(hands.rest())
        await work.end("c", "b", "a")
        assert await resting == ["a", "b", "c"]


async def test_what_nobody_foresaw_is_seen_at_once_and_raised_at_the_end():
    async with Hands(4) as hands:
        work = Work(hands)
        work.take_up("a", "fails")
        assert hands.well
        await work.end("fails")
        assert not hands.well
        with pytest.raises(LookupError):
            await hands.rest()


async def test_where_storage_fails_meanwhile_what_is_in_hand_ends_first():
    work = None

    async def sweep():
        nonlocal work
        async with Hands(4) as hands:
            work = Work(hands)
            work.take_up("a")
            raise StorageUnavailable

    sweeping = asyncio.create_task(sweep())
    await asyncio.sleep(0)
    await work.end()
    assert not sweeping.done()
    await work.end("a")
    with pytest.raises(StorageUnavailable):
        await sweeping
    assert work.hands.free == 4


async def test_who_is_cancelled_lets_go_of_what_is_in_hand():
    hands = Hands(4)

    async def sweep():
        async with hands:
            Work(hands).take_up(*"abc")
            await hands.rest()

    sweeping = asyncio.create_task(sweep())
    await turns()
    sweeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sweeping
    await turns()
    assert hands.free == 4
