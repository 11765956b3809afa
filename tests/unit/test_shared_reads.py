"""Equal reads are shared by those who ask while one is under way, and never older than the question."""

import asyncio

import pytest

from service.adapters.postgres.shared import SharedReads
from tests.support.waiting import eventually


class Reading:
    """Reads that wait for their gate; each gives its number."""

    def __init__(self):
        self.gates = []
        self.shared = SharedReads()

    def ask(self, key="anna"):
        return asyncio.create_task(self.shared.read(key, self._read))

    async def _read(self):
        self.gates.append(asyncio.get_running_loop().create_future())
        number = len(self.gates)
        await self.gates[-1]
        return number

    async def begun(self, count):
        await eventually(lambda: len(self.gates) == count)

    def end(self, error=None):
        gate = next(gate for gate in self.gates if not gate.done())
        if error is None:
            gate.set_result(None)
        else:
            gate.set_exception(error)


@pytest.fixture
def reading():
    return Reading()


async def three_behind_one(reading):
    first = reading.ask()
    await reading.begun(1)
    late = [reading.ask() for _ in range(3)]
    await asyncio.sleep(0)
    return first, late


async def test_who_comes_while_a_read_is_under_way_shares_one_that_begins_after_it(reading):
    first, late = await three_behind_one(reading)
    assert len(reading.gates) == 1

    reading.end()
    assert await first == 1
    await reading.begun(2)
    reading.end()

    assert await asyncio.gather(*late) == [2, 2, 2]


async def test_nobody_shares_the_second_read_once_it_has_begun(reading):
    _, late = await three_behind_one(reading)
    reading.end()
    await reading.begun(2)
    latest = reading.ask()
    await asyncio.sleep(0)
    reading.end()
    await reading.begun(3)
    reading.end()
    assert await late[0] == 2
    assert await latest == 3


async def test_reads_of_others_wait_for_nobody(reading):
    tasks = [reading.ask("anna"), reading.ask("ben")]
    await reading.begun(2)
    reading.end()
    reading.end()
    assert sorted(await asyncio.gather(*tasks)) == [1, 2]


async def test_a_first_who_leaves_lets_the_next_read_begin(reading):
    first, late = await three_behind_one(reading)
    first.cancel()
    await reading.begun(2)
    reading.gates[1].set_result(None)
    assert await asyncio.gather(*late) == [2, 2, 2]


async def test_one_who_leaves_takes_the_read_from_nobody(reading):
    _, late = await three_behind_one(reading)
    late[0].cancel()
    reading.end()
    await reading.begun(2)
    reading.end()
    assert await asyncio.gather(*late[1:]) == [2, 2]


async def test_an_error_is_everybodys_and_the_next_question_is_asked_anew(reading):
    first, late = await three_behind_one(reading)
    reading.end()
    await first
    await reading.begun(2)
    reading.end(OSError("gone"))
    assert [type(error) for error in await asyncio.gather(*late, return_exceptions=True)] == [OSError] * 3

    again = reading.ask()
    await reading.begun(3)
    reading.end()
    assert await again == 3


async def test_nothing_is_kept_of_reads_that_have_ended(reading):
    first, late = await three_behind_one(reading)
    reading.end()
    await reading.begun(2)
    reading.end()
    await asyncio.gather(first, *late)
    assert reading.shared._under_way == {}
