"""Gathers what is asked within one turn of the event loop into one question.

Knows nothing of Redis. A caller who leaves does not disturb the others, and a batch that is out is
never called back: its answers are always read to the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Sequence
from contextvars import Context
from functools import partial
from itertools import islice
from typing import Any, Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)
Answer = TypeVar("Answer")

Fetch = Callable[[Sequence[Item], float], Coroutine[Any, Any, Sequence[Answer]]]
"""Answers a batch, one answer for each item in order; told the loop time when its oldest was asked."""


Told = Callable[[Answer | None, BaseException | None], None]
"""Told the answer, or why there is none; must not raise."""


class Batcher(Generic[Item, Answer]):
    """Asks for equal items once, for at most `most` in one batch, with at most `in_flight` batches out."""

    def __init__(self, fetch: Fetch[Item, Answer], *, most: int = 256, in_flight: int = 2) -> None:
        self._fetch = fetch
        self._most = most
        self._in_flight = in_flight
        self._asked: dict[Item, tuple[float, list[Told[Answer]]]] = {}
        """When each was asked first, and who is to be told."""
        self._planned = False
        self._loop: asyncio.AbstractEventLoop | None = None
        # A batch is nobody's in particular: what is noted of it must not bear the name of who asked first.
        self._context = Context()
        self._out: set[asyncio.Task[Sequence[Answer]]] = set()

    def ask(self, item: Item) -> asyncio.Future[Answer]:
        """Return a future of the answer; it raises what the whole batch raised."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.tell(item, partial(_settle, future))
        return future

    def tell(self, item: Item, told: Told[Answer]) -> None:
        """Have `told` called with the answer: a future for each costs as much as all the rest of asking."""
        loop = self._loop
        if loop is None:
            # Kept, because to ask for it is a system call each time (CPython 3.11).
            loop = self._loop = asyncio.get_running_loop()
        asked = self._asked.get(item)
        if asked is None:
            self._asked[item] = (loop.time(), [told])
        else:
            asked[1].append(told)
        if not self._planned and len(self._out) < self._in_flight:
            self._planned = True
            loop.call_soon(self._send, context=self._context)

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
            task = asyncio.get_running_loop().create_task(self._fetch(items, batch[0][0]))
            self._out.add(task)
            task.add_done_callback(partial(self._hand_out, [told for _, told in batch]))

    def _hand_out(self, batch: list[list[Told[Answer]]], task: asyncio.Task[Sequence[Answer]]) -> None:
        self._out.discard(task)
        failure = asyncio.CancelledError() if task.cancelled() else task.exception()
        answers: Sequence[Answer | None] = [None] * len(batch) if failure is not None else task.result()
        for all_told, answer in zip(batch, answers, strict=True):
            for told in all_told:
                _tell(told, answer, failure)
        # Not in this context: whoever was told may have left something of its own in it.
        self._context.run(self._send)


def _tell(told: Told[Answer], answer: Answer | None, failure: BaseException | None) -> None:
    """Tell one; what goes wrong there must not cost the others their answer."""
    try:
        told(answer, failure)
    except Exception as error:  # noqa: BLE001
        message = "An answer could not be taken."
        asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})


def _settle(future: asyncio.Future[Any], answer: object, failure: BaseException | None) -> None:
    if future.done():
        return
    if isinstance(failure, asyncio.CancelledError):
        future.cancel()
    elif failure is not None:
        future.set_exception(failure)
    else:
        future.set_result(answer)
