"""The worker's own tick: it sweeps where the queue gives it no ticks, and leaves it alone where it does."""

import asyncio
import time

import pytest

from service.broker.errors import StorageUnavailable
from worker.jobs import Jobs
from worker.ticks import TICKS_MISSED, tick_alone

EVERY_S = 0.02
WITHIN_S = 10.0


class Sweeps:
    """Counts sweeps and does to each what it was told to."""

    def __init__(self, *troubles):
        self.troubles = list(troubles)
        self.count = 0
        self.swept = asyncio.Event()

    async def sweep(self, client, most, ending):
        self.count += 1
        if self.troubles:
            raise self.troubles.pop(0)
        self.swept.set()
        return await never() if most < 0 else Swept()


class Swept:
    claimed = parked = 0

    def __init__(self, more=False):
        self.more = more


class Backlog(Sweeps):
    """Sweeps of which so many leave more to do."""

    def __init__(self, long):
        super().__init__()
        self.long = long
        self.ending = None

    async def sweep(self, client, most, ending):
        self.count += 1
        self.ending = ending
        self.swept.set()
        return Swept(more=self.count <= self.long)


class Notes(list):
    def note(self, event, _=None, **facts):
        self.append((event, facts))


async def never():
    await asyncio.Event().wait()


def jobs_of(sweeps, notes):
    return Jobs(sweeps, None, ("acme",), None, notes, None)


@pytest.fixture
async def ticking():
    """Starts the own tick of these jobs and ends it."""
    stop, running = asyncio.Event(), []

    def start(jobs, notes, every_s=EVERY_S):
        running.append(asyncio.create_task(tick_alone(jobs, every_s, notes, stop)))

    yield start
    stop.set()
    async with asyncio.timeout(WITHIN_S):
        await asyncio.gather(*running)


@pytest.mark.parametrize(
    "trouble", [RuntimeError("unforeseen"), StorageUnavailable()], ids=["any", "storage"]
)
async def test_where_no_tick_comes_it_sweeps_again_and_again_whatever_a_sweep_meets(ticking, trouble):
    sweeps, notes = Sweeps(trouble), Notes()
    ticking(jobs_of(sweeps, notes), notes)
    async with asyncio.timeout(WITHIN_S):
        await sweeps.swept.wait()
    assert sweeps.count == 2
    assert notes[0][0] in {"background.failed", "worker.sweep_failed"}


async def test_where_ticks_come_it_stays_quiet(ticking):
    sweeps, notes = Sweeps(), Notes()
    jobs = jobs_of(sweeps, notes)
    ticking(jobs, notes, every_s=60.0)
    await jobs.sweep({})
    assert sweeps.count == 1
    assert jobs.ticked_at + TICKS_MISSED * 60.0 > time.monotonic()


async def test_a_sweep_that_never_ends_is_given_up_and_told(monkeypatch):
    monkeypatch.setattr("worker.jobs.SWEEP_AT_MOST_S", 0.01)
    monkeypatch.setattr("worker.jobs.MOST_AT_A_SWEEP", -1)
    sweeps, notes = Sweeps(), Notes()
    jobs = jobs_of(sweeps, notes)
    async with asyncio.timeout(WITHIN_S):
        await jobs.sweep({})
        await jobs.sweep({})
    assert sweeps.count == 2
    assert [event for event, _ in notes] == ["worker.sweep_failed"] * 2


async def test_while_there_is_more_to_do_it_sweeps_again_without_waiting_for_a_tick(monkeypatch):
    monkeypatch.setattr("worker.jobs._REST_S", 0.01)
    sweeps, notes = Backlog(3), Notes()
    async with asyncio.timeout(WITHIN_S):
        await jobs_of(sweeps, notes).sweep({})
    assert sweeps.count == 4
    assert [event for event, _ in notes] == ["worker.sweep"] * 4


async def test_it_does_not_go_on_for_longer_than_its_job_may_take(monkeypatch):
    monkeypatch.setattr("worker.jobs._ON_S", 0.0)
    sweeps = Backlog(1000)
    async with asyncio.timeout(WITHIN_S):
        await jobs_of(sweeps, Notes()).sweep({})
    assert sweeps.count == 1


async def test_a_process_that_ends_does_not_sweep_again_and_the_sweep_is_told():
    sweeps = Backlog(1000)
    jobs = jobs_of(sweeps, Notes())
    sweeping = asyncio.create_task(jobs.sweep({}))
    async with asyncio.timeout(WITHIN_S):
        await sweeps.swept.wait()
        assert not sweeps.ending()
        jobs.end()
        await sweeping
    assert sweeps.count == 1
    assert sweeps.ending()
