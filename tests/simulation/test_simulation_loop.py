"""The loop keeps asyncio's promises inside a process, and none between processes."""

import asyncio
from random import Random

import pytest

from tests.simulation.loop import Loop, Stuck


def a_loop(seed=0):
    return Loop(Random(seed).random)


def run(work, seed=0):
    """Run what a function of the loop returns, and give the loop."""
    loop = a_loop(seed)
    loop.run(work(loop))
    return loop


def order_of_two_processes(seed):
    """In which order two processes of two steps each get through them."""
    told = []

    async def tell(name):
        told.append(name)
        await asyncio.sleep(0)
        told.append(name)

    async def both(loop):
        for name in "ab":
            loop.create_task(tell(name), context=loop.process(name).context)
        await asyncio.sleep(1)

    run(both, seed)
    return "".join(told)


async def begun_by(loop, process, told):
    """Have a process begin something that takes ten seconds and tidies up after itself."""

    async def long():
        try:
            told.append("begun")
            await asyncio.sleep(10)
            told.append("done")
        finally:
            told.append("tidied")

    loop.create_task(long(), context=process.context)
    await asyncio.sleep(1)


def test_a_day_passes_at_once():
    assert run(lambda _: asyncio.sleep(86_400)).now == 86_400


def test_every_interleaving_of_two_processes_comes_with_some_seed():
    orders = {order_of_two_processes(seed) for seed in range(100)}
    assert orders == {"aabb", "abab", "abba", "baab", "baba", "bbaa"}


def test_the_callbacks_of_one_process_run_in_the_order_they_were_asked_for():
    told = []

    async def ask(loop):
        for number in range(50):
            loop.call_soon(told.append, number)
        await asyncio.sleep(1)

    run(ask)
    assert told == list(range(50))


def test_a_killed_process_does_nothing_more_not_even_tidy_up():
    told = []

    async def kill(loop):
        process = loop.process("a")
        await begun_by(loop, process, told)
        process.kill()
        await asyncio.sleep(100)

    loop = run(kill)
    assert told == ["begun"]
    loop.close()


def test_a_stopped_process_goes_on_where_it_was_when_it_is_resumed():
    told = []

    async def stop(loop):
        process = loop.process("a")
        await begun_by(loop, process, told)
        loop.stop(process)
        await asyncio.sleep(100)
        told.append("resumed")
        loop.resume(process)
        await asyncio.sleep(1)

    run(stop)
    assert told == ["begun", "resumed", "done", "tidied"]


def test_waiting_for_what_cannot_come_is_found_out():
    with pytest.raises(Stuck):
        run(lambda _: asyncio.Event().wait())


def test_a_task_that_fails_without_anybody_hearing_is_found():
    async def fail():
        raise ValueError("nobody hears this")

    async def begin(loop):
        loop.create_task(fail())
        await asyncio.sleep(1)

    assert [repr(task.exception()) for task in run(begin).unheard()] == ["ValueError('nobody hears this')"]
