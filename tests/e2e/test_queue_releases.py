"""Workers share one queue: neither a job of another release nor a worker that is stuck stops the others."""

import re
import time

import pytest

from sandbox.calcom import SandboxClient, SandboxConfig
from service.adapters.queue import NAME, open_queue
from tests.support.stack import running_stack
from tests.support.waiting import eventually

CONFIG = SandboxConfig((SandboxClient("queued", "secret"),), lifetime_s=60)
UNREADABLE = b"\x80\x04pickled"
WITHIN_S = 30


@pytest.fixture
async def queue(redis_url):
    opened = open_queue(redis_url)
    yield opened
    await opened.aclose()
    await opened.connection_pool.disconnect()


async def leave_jobs(queue):
    """Leave a job of a name that only another release knows, and one that it has written in another way."""
    await queue.enqueue_job("prune_something_new", {"id": 1}, _job_id="named")
    await queue.set("arq:job:unreadable", UNREADABLE)
    await queue.zadd(NAME, {"unreadable": 1})


async def are_gone(queue):
    return await queue.zmscore(NAME, ["named", "unreadable"]) == [None, None]


async def swept_at(stack):
    """The worker's own figure of when it swept last."""
    observe = stack.worker.of("worker.started")[0]["observe"]
    async with stack.http.get(f"http://{observe}/metrics") as answer:
        return re.findall(
            r"^token_broker_last_sweep_timestamp_seconds.* (\S+)$", await answer.text(), re.MULTILINE
        )


async def swept_again(stack, before):
    return await swept_at(stack) not in ([], before)


async def test_what_another_release_left_in_the_queue_is_dropped_and_sweeps_go_on(
    database_url, redis_url, queue
):
    await leave_jobs(queue)
    async with running_stack(database_url, redis_url, CONFIG) as stack:
        await eventually(lambda: are_gone(queue), WITHIN_S)
        before = await swept_at(stack)
        await eventually(lambda: swept_again(stack, before), WITHIN_S, every_s=0.2)
        assert stack.worker.of("worker.restarted") == []


async def hold_every_tick(queue):
    """Hold the ticks to come as a worker does that has taken them and is stuck."""
    now_s = int(time.time())
    for second in range(now_s - 5, now_s + 120):
        await queue.psetex(f"arq:in-progress:sweep:{second * 1000 + 123}", 120_000, b"1")


async def test_a_worker_that_has_every_tick_and_is_stuck_does_not_keep_the_others_from_sweeping(
    database_url, redis_url, queue
):
    await hold_every_tick(queue)
    async with running_stack(database_url, redis_url, CONFIG) as stack:
        await eventually(lambda: swept_again(stack, []), WITHIN_S, every_s=0.2)
