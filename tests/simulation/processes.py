"""What the simulated machines run: processes that can be stopped, killed and told apart at every callback.

A process owns the callbacks that were asked for in its context. Knows nothing of the broker.
"""

from __future__ import annotations

from collections import deque
from contextvars import ContextVar, copy_context
from typing import Any


class Process:
    """One process: its callbacks run oldest first, and none after it was killed."""

    __slots__ = ("alive", "context", "listed", "name", "ready", "stopped", "stopped_at", "stopped_for")

    def __init__(self, name):
        self.name = name
        self.alive = True
        self.stopped = False
        self.stopped_at = 0.0
        self.stopped_for = 0.0
        self.ready: deque[Any] = deque()
        self.listed = False
        self.context = copy_context()
        self.context.run(PROCESS.set, self)

    def __repr__(self):
        return self.name

    def kill(self):
        """End it as kill -9 does: nothing it has begun goes on, no block of it is left in order."""
        self.alive = False
        self.ready.clear()


PROCESS: ContextVar[Process] = ContextVar("process")
"""The process a callback belongs to; whoever asks for a callback passes it on."""
