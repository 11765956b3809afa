"""One flight a key: shared by who asks, stopped by nobody who leaves, and heard of even when it fails."""

import asyncio
import gc

import pytest

from service.broker.flights import Flights, join


class Work:
    """A piece of work that begins, waits for its gate, and ends as told; it counts how often it ran."""

    def __init__(self, result="done", error=None):
        self.gate = asyncio.Event()
        self.begun = asyncio.Event()
        self.runs = 0
        self._result, self._error = result, error

    async def __call__(self):
        self.runs += 1
        self.begun.set()
        await self.gate.wait()
        if self._error is not None:
            raise self._error
        return self._result


@pytest.fixture
def flights():
    return Flights()


@pytest.fixture
async def unheard():
    """What the event loop says of exceptions that nobody heard."""
    heard = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context["message"]))
    return heard


async def test_two_hundred_who_ask_share_one_run(flights):
    work = Work()
    asked = [flights.start("anna", work) for _ in range(200)]
    work.gate.set()
    assert await asyncio.gather(*(join(task) for task, _ in asked)) == ["done"] * 200
    assert work.runs == 1
    assert [joined for _, joined in asked] == [False] + [True] * 199


async def test_different_keys_fly_at_the_same_time(flights):
    anna, bert = Work("anna"), Work("bert")
    tasks = [flights.start("anna", anna)[0], flights.start("bert", bert)[0]]
    await asyncio.gather(anna.begun.wait(), bert.begun.wait())
    assert (len(flights), flights.running("anna"), flights.running("carl")) == (2, True, False)
    for work in (anna, bert):
        work.gate.set()
    assert await asyncio.gather(*tasks) == ["anna", "bert"]


async def test_who_asks_after_a_flight_has_ended_starts_another(flights):
    work = Work()
    work.gate.set()
    await join(flights.start("anna", work)[0])
    task, joined = flights.start("anna", work)
    await join(task)
    assert (work.runs, joined) == (2, False)


async def test_a_flight_is_gone_before_those_who_wait_for_it_hear(flights):
    work = Work()
    work.gate.set()
    await join(flights.start("anna", work)[0])
    assert (len(flights), flights.running("anna")) == (0, False)


async def test_fifty_rounds_of_waiters_never_fly_twice_at_once(flights):
    at_once, most, runs = 0, 0, 0

    async def work():
        nonlocal at_once, most, runs
        at_once, runs = at_once + 1, runs + 1
        most = max(most, at_once)
        await asyncio.sleep(0)
        at_once -= 1

    async def caller():
        for _ in range(50):
            await join(flights.start("anna", work)[0])

    await asyncio.gather(*(caller() for _ in range(5)))
    assert (most, runs) == (1, 50)


async def test_a_caller_who_is_cancelled_does_not_stop_the_flight(flights):
    work = Work()
    task, _ = flights.start("anna", work)
    leaving = asyncio.create_task(join(task))
    staying = asyncio.create_task(join(flights.start("anna", work)[0]))
    await work.begun.wait()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    work.gate.set()
    assert await staying == "done"


async def test_a_flight_that_everybody_left_still_lands(flights):
    work = Work()
    task, _ = flights.start("anna", work)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(join(task), timeout=0)
    await work.begun.wait()
    assert flights.running("anna")
    work.gate.set()
    assert await task == "done"


async def test_who_flies_may_ask_for_a_flight_of_the_same_key_without_waiting(flights):
    async def work():
        return flights.start("anna", work)[1]

    assert await join(flights.start("anna", work)[0]) is True


async def test_a_failure_reaches_all_who_wait_and_ends_the_flight(flights):
    work = Work(error=LookupError("gone"))
    waiting = [asyncio.create_task(join(flights.start("anna", work)[0])) for _ in range(3)]
    work.gate.set()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["gone"] * 3
    assert len(flights) == 0


async def test_a_failure_that_nobody_waits_for_is_not_complained_about(flights, unheard):
    work = Work(error=LookupError("gone"))
    work.gate.set()
    flights.start("anna", work)
    await flights.drain(1)
    gc.collect()
    assert unheard == []


async def test_a_failure_after_the_caller_left_is_not_complained_about(flights, unheard):
    work = Work(error=LookupError("gone"))
    leaving = asyncio.create_task(join(flights.start("anna", work)[0]))
    await work.begun.wait()
    leaving.cancel()
    work.gate.set()
    await flights.drain(1)
    await asyncio.wait({leaving})
    del leaving
    gc.collect()
    assert unheard == []


async def test_a_flight_that_is_cancelled_from_outside_is_removed(flights, unheard):
    work = Work()
    task, _ = flights.start("anna", work)
    await work.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await join(task)
    assert (len(flights), unheard) == (0, [])


async def test_a_flight_that_goes_further_waits_for_the_lesser_one(flights):
    lesser, further = Work("lesser"), Work("further")
    first, _ = flights.start("anna", lesser, rank=0)
    second, joined = flights.start("anna", further, rank=1)
    await lesser.begun.wait()
    assert (joined, further.runs) == (False, 0)
    lesser.gate.set()
    further.gate.set()
    assert (await first, await second) == ("lesser", "further")


@pytest.mark.parametrize("rank", [0, 1, 2])
async def test_who_asks_for_no_more_joins_the_flight_that_goes_furthest(flights, rank):
    lesser, further = Work(), Work("further")
    flights.start("anna", lesser, rank=0)
    second, _ = flights.start("anna", further, rank=2)
    assert flights.start("anna", Work(), rank=rank) == (second, True)
    for work in (lesser, further):
        work.gate.set()
    await second


async def test_ranks_fly_one_after_the_other_however_many_there_are(flights):
    order, gate = [], asyncio.Event()

    def work(rank):
        async def run():
            order.append(rank)
            await gate.wait()
            order.append(rank)

        return run

    tasks = [flights.start("anna", work(rank), rank=rank)[0] for rank in range(3)]
    gate.set()
    await asyncio.gather(*tasks)
    assert order == [0, 0, 1, 1, 2, 2]


async def test_the_lesser_flights_failure_does_not_stop_the_further_one(flights):
    lesser, further = Work(error=LookupError("gone")), Work("further")
    flights.start("anna", lesser, rank=0)
    second, _ = flights.start("anna", further, rank=1)
    lesser.gate.set()
    further.gate.set()
    assert await join(second) == "further"


async def test_the_lesser_flights_end_does_not_remove_the_further_one(flights):
    lesser, further = Work(), Work()
    first, _ = flights.start("anna", lesser, rank=0)
    second, _ = flights.start("anna", further, rank=1)
    lesser.gate.set()
    await first
    assert flights.start("anna", Work(), rank=1) == (second, True)
    further.gate.set()
    await second


async def test_draining_waits_for_every_flight_also_for_those_in_line(flights):
    works = [Work(), Work(), Work()]
    for work, key, rank in zip(works, ("anna", "anna", "bert"), (0, 1, 0), strict=True):
        flights.start(key, work, rank=rank)
    drained = asyncio.create_task(flights.drain(60))
    for work in works:
        work.gate.set()
        await work.begun.wait()
    assert await drained == 0
    assert len(flights) == 0


async def test_draining_says_how_many_did_not_end_in_time(flights):
    work = Work()
    task, _ = flights.start("anna", work)
    flights.start("anna", work, rank=1)
    assert await flights.drain(0.01) == 2
    work.gate.set()
    assert await flights.drain(60) == 0
    assert await task == "done"


async def test_draining_nothing_takes_no_time(flights):
    assert await flights.drain(60) == 0


async def test_draining_also_waits_for_a_flight_that_began_meanwhile(flights):
    first, second = Work(), Work()
    flights.start("anna", first)
    drained = asyncio.create_task(flights.drain(60))
    await first.begun.wait()
    flights.start("bert", second)
    first.gate.set()
    await asyncio.wait({drained}, timeout=0.05)
    second.gate.set()
    assert await drained == 0
