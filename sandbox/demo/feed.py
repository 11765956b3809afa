"""The page's live feed: collects notes, folds repetitions, and sends what is new a few times a second.

Server-sent events; who comes late is first told what happened before.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import orjson
from aiohttp import web

from sandbox.demo.notes import Note

_KEPT = 200
_FLUSH_S = 0.1
_FOLD_MS = 2000.0
_QUEUED = 50
_RETRY_MS = 1000
Snapshot = Callable[[], dict[str, Any]]


class Feed:
    """What happened, for whoever watches; `snapshot` adds the figures of the moment to every message."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._notes: deque[Note] = deque(maxlen=_KEPT)
        self._fresh: dict[int, Note] = {}
        self._watchers: set[asyncio.Queue[bytes | None]] = set()
        self._last_id = 0

    def add(self, note: Note) -> None:
        """Take a note in; it is sent at the next flush."""
        before = self._notes[-1] if self._notes else None
        if before is not None and note.repeats(before, _FOLD_MS):
            before.times += 1
            before.at_ms = note.at_ms
            self._fresh[before.id] = before
            return
        self._last_id += 1
        note.id = self._last_id
        self._notes.append(note)
        self._fresh[note.id] = note

    async def run(self, gather: Callable[[], None]) -> None:
        """Call `gather` and send what is new, until cancelled."""
        last = b""
        while True:
            gather()
            figures = orjson.dumps(self._snapshot())
            if self._fresh or figures != last:
                self._send(self._message(list(self._fresh.values())))
                self._fresh.clear()
                last = figures
            await asyncio.sleep(_FLUSH_S)

    def close(self) -> None:
        """End every watcher's stream."""
        for watcher in self._watchers:
            _put(watcher, None)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Answer one watcher until it leaves or the feed is closed."""
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        with suppress(ConnectionError):
            await response.write(f"retry: {_RETRY_MS}\n\n".encode())
            async for message in self._messages():
                await response.write(b"data: " + message + b"\n\n")
        return response

    async def _messages(self) -> AsyncIterator[bytes]:
        watcher: asyncio.Queue[bytes | None] = asyncio.Queue(_QUEUED)
        self._watchers.add(watcher)
        try:
            yield self._message(list(self._notes))
            while (message := await watcher.get()) is not None:
                yield message
        finally:
            self._watchers.discard(watcher)

    def _message(self, notes: list[Note]) -> bytes:
        return orjson.dumps({"notes": notes, **self._snapshot()})

    def _send(self, message: bytes) -> None:
        for watcher in self._watchers:
            _put(watcher, message)


def _put(watcher: asyncio.Queue[bytes | None], message: bytes | None) -> None:
    """Hand a message on; who does not read fast enough is sent away and comes back for all of it."""
    try:
        watcher.put_nowait(message)
    except asyncio.QueueFull:
        watcher.get_nowait()
        watcher.put_nowait(None)
