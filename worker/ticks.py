"""The worker's own tick, for when the queue gives it none.

A tick of the queue goes to one worker, and with the same one polling first every time, all of them do: if
that one is stuck, or cannot reach the database, nobody would sweep. Two that sweep at once do no harm:
what one has claimed the other does not see.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.broker.ports import Observer
    from worker.jobs import Jobs

TICKS_MISSED = 3


async def tick_alone(jobs: Jobs, every_s: float, observer: Observer, stop: asyncio.Event) -> None:
    """Sweep whenever no tick has come for three times `every_s` seconds, until `stop` is set."""
    while not stop.is_set():
        left_s = jobs.ticked_at + TICKS_MISSED * every_s - time.monotonic()
        if left_s > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), left_s)
            continue
        try:
            await jobs.sweep({})
        except Exception as error:  # noqa: BLE001 - to end here would be for the life of the process
            observer.note("background.failed", error=type(error).__name__)
