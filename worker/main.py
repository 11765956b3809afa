"""Runs arq for as long as the process is wanted: arq itself ends when Redis goes away, this does not.

SIGTERM: no new tick is taken, running flights end, then the pools close.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, Protocol, cast

from arq import cron
from arq.worker import Worker
from redis.exceptions import RedisError

from service.broker.flights import TimeLeft, end_task
from service.wired import Broker
from service.wiring import QUEUE_NAME, QUEUE_SERIALIZED_BY, open_broker, open_queue
from worker.jobs import Jobs
from worker.ticks import tick_alone

if TYPE_CHECKING:
    from datetime import timedelta

    from arq.cron import CronJob

    from service.broker.ports import Observer
    from service.settings import Settings
    from service.tracing.spans import Tracing

_LONGEST_TICK_S = 5
_TICKS_A_LIFETIME = 360
_AGAIN_S = 1.0
_AGAIN_AT_MOST_S = 10.0
_JOB_TIMEOUT_S = 300


def tick_s(lifetime: timedelta) -> int:
    """Return how many seconds lie between sweeps: 5, less where tokens are short-lived."""
    return max(1, min(_LONGEST_TICK_S, int(lifetime.total_seconds() / _TICKS_A_LIFETIME)))


class Watched(Protocol):
    """Whoever probes the worker is told through this that it is about to end."""

    draining: bool


Watch = Callable[[Broker], AbstractAsyncContextManager[Watched]]
"""Opens the process's probes on a running broker."""


Beside = Callable[["Settings", "Observer", Broker], AbstractAsyncContextManager[None]]
"""Runs beside the jobs, on the same broker, until they have ended."""


def _nothing(*_: object) -> AbstractAsyncContextManager[None]:
    return nullcontext()


async def work(
    settings: Settings,
    observer: Observer,
    watch: Watch,
    stop: asyncio.Event | None = None,
    *,
    tracing: Tracing | None = None,
    beside: Beside = _nothing,
) -> None:
    """Work until SIGTERM or SIGINT, or until `stop` is set."""
    stop = stop or _on_signals()
    opened = open_broker(settings, observer, tracing)
    async with opened as broker, watch(broker) as watched, beside(settings, observer, broker):
        kept = settings.events_kept
        jobs = Jobs(
            broker.sweeps, broker.upkeep, broker.clients, broker.clock, observer, kept, broker.overview
        )
        await jobs.upkeep({})
        every_s = tick_s(settings.access_token_lifetime)
        runner = asyncio.create_task(_run(settings, jobs, observer, stop))
        alone = asyncio.create_task(tick_alone(jobs, every_s, observer, stop))
        await stop.wait()
        jobs.end()
        watched.draining = True
        left_s = TimeLeft(settings.drain.total_seconds())
        await asyncio.wait({alone}, timeout=left_s())
        await end_task(alone)
        await runner
        left = await broker.drain(left_s())
        observer.note("worker.stopped", unfinished=left)


async def _run(settings: Settings, jobs: Jobs, observer: Observer, stop: asyncio.Event) -> None:
    """Run arq, again and again while Redis comes and goes; while it is away the tick is our own."""
    again_s = _AGAIN_S
    while not stop.is_set():
        worker = Worker(**_options(settings, jobs))
        main = asyncio.create_task(worker.main())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({main, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        failed = await _end(worker, main, settings.drain.total_seconds())
        if failed is None:
            return
        observer.note("worker.restarted", reason=type(failed).__name__)
        await jobs.sweep({})
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), again_s)
        again_s = min(again_s * 2, _AGAIN_AT_MOST_S)


async def _end(worker: Worker, main: asyncio.Task[None], drain_s: float) -> BaseException | None:
    """Let the jobs at work end, close arq, and return what made it stop if we did not."""
    worker.allow_pick_jobs = False
    failed = main.exception() if main.done() and not main.cancelled() else None
    if worker.tasks:
        await asyncio.wait(set(worker.tasks.values()), timeout=drain_s)
    await end_task(main)
    with suppress(asyncio.CancelledError, RedisError, OSError):
        main.result()
    with suppress(asyncio.CancelledError, RedisError, OSError):
        await worker.close()
    return failed


def _options(settings: Settings, jobs: Jobs) -> dict[str, Any]:
    every = set(range(0, 60, tick_s(settings.access_token_lifetime)))
    once: dict[str, Any] = {"keep_result": 0, "max_tries": 1, "timeout": _JOB_TIMEOUT_S}
    # arq's type for a job wants more than a bound method shows; it calls it with the context alone.
    sweep, upkeep = cast("Any", jobs.sweep), cast("Any", jobs.upkeep)
    crons: list[CronJob] = [
        cron(sweep, name="sweep", second=every, **once),
        cron(upkeep, name="upkeep", second=30, **once),
    ]
    return {
        "functions": [],
        "cron_jobs": crons,
        "redis_pool": open_queue(settings.redis_url.value),
        "queue_name": QUEUE_NAME,
        "handle_signals": False,
        "job_completion_wait": int(settings.drain.total_seconds()),
        **QUEUE_SERIALIZED_BY,
        "keep_result": 0,
        "max_tries": 1,
        "max_jobs": 20,
        "poll_delay": 0.25,
        "log_results": False,
        "health_check_interval": 60,
    }


def _on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
