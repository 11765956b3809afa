"""What is asked in one turn of the loop travels together, and nobody is left waiting."""

import asyncio

import pytest

from service.adapters.batches import Batcher


class Source:
    """Answers with the item itself, once it is let."""

    def __init__(self):
        self.batches = []
        self.let = asyncio.Event()
        self.failure = None

    async def fetch(self, items, _asked_at):
        self.batches.append(list(items))
        await self.let.wait()
        if self.failure is not None:
            raise self.failure
        return [f"answer to {item}" for item in items]


@pytest.fixture
def source():
    return Source()


async def turns(count=3):
    for _ in range(count):
        await asyncio.sleep(0)


async def test_equal_questions_of_one_turn_are_asked_once(source):
    batcher = Batcher(source.fetch)
    source.let.set()
    answers = await asyncio.gather(*(batcher.ask(item) for item in "abab"))
    assert source.batches == [["a", "b"]]
    assert answers == ["answer to a", "answer to b"] * 2


async def test_a_batch_is_bounded_and_so_is_what_is_out(source):
    batcher = Batcher(source.fetch, most=2, in_flight=2)
    futures = [batcher.ask(item) for item in "abcdef"]
    await turns()
    assert source.batches == [["a", "b"], ["c", "d"]]
    source.let.set()
    assert await asyncio.gather(*futures) == [f"answer to {item}" for item in "abcdef"]


async def test_a_question_that_is_already_out_is_asked_again(source):
    batcher = Batcher(source.fetch)
    first = batcher.ask("a")
    await turns()
    second = batcher.ask("a")
    await turns()
    source.let.set()
    await asyncio.gather(first, second)
    assert source.batches == [["a"], ["a"]]


async def test_a_caller_who_leaves_takes_nobody_along(source):
    batcher = Batcher(source.fetch)
    leaves, stays = batcher.ask("a"), batcher.ask("a")
    leaves.cancel()
    source.let.set()
    assert await stays == "answer to a"


async def test_a_failure_reaches_everybody_who_asked_and_nobody_after(source):
    batcher = Batcher(source.fetch)
    source.failure = LookupError("no")
    source.let.set()
    failed = await asyncio.gather(batcher.ask("a"), batcher.ask("b"), return_exceptions=True)
    assert [type(problem) for problem in failed] == [LookupError, LookupError]
    source.failure = None
    assert await batcher.ask("a") == "answer to a"


async def test_each_batch_is_told_since_when_its_oldest_question_waits():
    told, let = [], asyncio.Event()

    async def fetch(items, asked_at):
        told.append(asked_at)
        await let.wait()
        return items

    batcher = Batcher(fetch, most=1, in_flight=1)
    loop = asyncio.get_running_loop()
    first = batcher.ask("a")
    await turns()
    between = loop.time()
    second = batcher.ask("b")
    let.set()
    await asyncio.gather(first, second)
    assert told[0] <= between <= told[1]


async def test_closing_waits_for_what_was_asked(source):
    batcher = Batcher(source.fetch, most=1, in_flight=1)
    futures = [batcher.ask(item) for item in "abc"]
    source.let.set()
    await batcher.aclose()
    assert all(future.done() for future in futures)
