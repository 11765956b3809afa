"""Gathers what is asked within one turn of the event loop into one question.

Knows nothing of Redis. A caller who leaves does not disturb the others, and a batch that is out is
never called back: its answers are always read to the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)
Answer = TypeVar("Answer")

Fetch = Callable[[Sequence[Item], float], Coroutine[Any, Any, Sequence[Answer]]]
"""Answers a batch, one answer for each item in order; told the loop time when its oldest was asked."""


@dataclass(slots=True)
class _Asked(Generic[Answer]):
    at: float
    waiters: list[asyncio.Future[Answer]] = field(default_factory=list)


class Batcher(Generic[Item, Answer]):
    """Asks for equal items once, for at most `most` in one batch, with at most `in_flight` batches out."""

    def __init__(self, fetch: Fetch[Item, Answer], *, most: int = 256, in_flight: int = 2) -> None:
        self._fetch = fetch
        self._most = most
        self._in_flight = in_flight
        self._asked: dict[Item, _Asked[Answer]] = {}
        self._planned = False
        self._out: set[asyncio.Task[Sequence[Answer]]] = set()

    def ask(self, item: Item) -> asyncio.Future[Answer]:
        """Return a future of the answer; it raises what the whole batch raised."""
        loop = asyncio.get_running_loop()
        asked = self._asked.get(item)
        if asked is None:
            asked = self._asked[item] = _Asked(loop.time())
        future: asyncio.Future[Answer] = loop.create_future()
        asked.waiters.append(future)
        if not self._planned and len(self._out) < self._in_flight:
            self._planned = True
            loop.call_soon(self._send)
        return future

    async def aclose(self) -> None:
        """Wait for what was asked; nothing more may be asked then."""
        while self._asked or self._out:
            if self._out:
                await asyncio.wait(self._out)
            await asyncio.sleep(0)

    def _send(self) -> None:
        self._planned = False
        while self._asked and len(self._out) < self._in_flight:
            items = list(islice(self._asked, self._most))
            batch = [self._asked.pop(item) for item in items]
            task = asyncio.get_running_loop().create_task(self._fetch(items, batch[0].at))
            self._out.add(task)
            task.add_done_callback(partial(self._hand_out, batch))

    def _hand_out(self, batch: list[_Asked[Answer]], task: asyncio.Task[Sequence[Answer]]) -> None:
        self._out.discard(task)
        failure = None if task.cancelled() else task.exception()
        for place, asked in enumerate(batch):
            for waiter in asked.waiters:
                if waiter.done():
                    continue
                if task.cancelled():
                    waiter.cancel()
                elif failure is not None:
                    waiter.set_exception(failure)
                else:
                    waiter.set_result(task.result()[place])
        self._send()
