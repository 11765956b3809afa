"""What is asked in one turn of the loop travels together, and nobody is left waiting."""

import asyncio
from contextvars import ContextVar

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


class Taker:
    """Keeps what it is told; one that raises cannot take it."""

    def __init__(self, raises=None):
        self.told = []
        self.raises = raises

    def __call__(self, answer, failure):
        self.told.append((answer, failure))
        if self.raises is not None:
            raise self.raises


async def test_who_wants_to_be_told_is_told_once_and_not_before_its_turn(source):
    batcher, taker = Batcher(source.fetch), Taker()
    batcher.tell("a", taker)
    await turns()
    assert taker.told == []
    source.let.set()
    await batcher.aclose()
    assert taker.told == [("answer to a", None)]


async def test_futures_and_takers_of_one_question_share_its_answer(source):
    batcher, takers = Batcher(source.fetch), [Taker(), Taker()]
    for taker in takers:
        batcher.tell("a", taker)
    asked = batcher.ask("a")
    source.let.set()
    assert await asked == "answer to a"
    assert [taker.told for taker in takers] == [[("answer to a", None)]] * 2
    assert source.batches == [["a"]]


async def test_a_failure_is_told_as_one_and_of_no_answer(source):
    batcher, taker = Batcher(source.fetch), Taker()
    source.failure = LookupError("no")
    source.let.set()
    batcher.tell("a", taker)
    await batcher.aclose()
    assert taker.told == [(None, source.failure)]


async def test_a_batch_that_is_cancelled_is_told_as_a_failure_and_cancels_who_waits(source):
    batcher, taker = Batcher(source.fetch), Taker()
    batcher.tell("a", taker)
    asked = batcher.ask("b")
    await turns()
    for task in batcher._out:
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    [(answer, failure)] = taker.told
    assert (answer, type(failure)) == (None, asyncio.CancelledError)


@pytest.mark.parametrize("failure", [None, LookupError("no")], ids=["an answer", "a failure"])
async def test_a_taker_that_raises_costs_nobody_elses_answer_and_is_heard_of(source, failure):
    unheard, bad = [], ZeroDivisionError("hush")
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context["exception"]))
    batcher, takers = Batcher(source.fetch, most=2, in_flight=1), [Taker(), Taker(), Taker()]
    source.failure = failure
    for item, taker in zip("abc", takers, strict=True):
        batcher.tell(item, Taker(raises=bad))
        batcher.tell(item, taker)
    source.let.set()
    await batcher.aclose()
    expected = [(None if failure else f"answer to {item}", failure) for item in "abc"]
    assert [taker.told for taker in takers] == [[one] for one in expected]
    assert unheard == [bad] * 3


async def test_who_asks_again_when_told_is_answered_in_a_later_batch(source):
    batcher, told = Batcher(source.fetch, in_flight=1), []
    source.let.set()

    def again(answer, _):
        told.append(answer)
        batcher.tell("b", lambda answer, _: told.append(answer))

    batcher.tell("a", again)
    await batcher.aclose()
    assert (told, source.batches) == (["answer to a", "answer to b"], [["a"], ["b"]])


async def test_a_batch_is_nobodys_whoever_asked_first():
    """What a look-up notes must not bear the name of one of those who ask, nor tell one the other's."""
    whose, seen = ContextVar("whose", default="nobody"), []

    async def fetch(items, _):
        seen.append(whose.get())
        return items

    batcher = Batcher(fetch)
    for name in ("anna", "bert"):
        whose.set(name)
        batcher.tell(name, lambda *_: seen.append(whose.get()))
        await batcher.aclose()
    assert (seen, whose.get()) == (["nobody"] * 4, "bert")


async def test_what_a_batch_sets_is_not_there_in_the_next():
    whose, seen = ContextVar("whose", default="nobody"), []

    async def fetch(items, _):
        seen.append(whose.get())
        whose.set("somebody")
        return items

    batcher = Batcher(fetch)
    for item in "ab":
        await batcher.ask(item)
    assert seen == ["nobody"] * 2


async def test_what_one_who_is_told_sets_is_not_there_in_the_next_batch():
    whose, seen = ContextVar("whose", default="nobody"), []

    async def fetch(items, _):
        seen.append(whose.get())
        return items

    batcher = Batcher(fetch, most=1, in_flight=1)
    for item in "ab":
        batcher.tell(item, lambda *_: whose.set("somebody"))
    await batcher.aclose()
    assert seen == ["nobody"] * 2
