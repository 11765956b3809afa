"""Signals that must not tear what is begun: held back while servers start and stop, acted on afterwards.

Standard library only; main thread only.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What asks a run to end: Ctrl-C, a supervisor, a terminal that was closed."""


@contextmanager
def held_back() -> Iterator[None]:
    """Let the block end whatever comes, then raise KeyboardInterrupt if a signal came meanwhile."""
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt


def interrupt_on_all() -> None:
    """Have every such signal unwind the program as Ctrl-C does, until an event loop listens for them."""
    for number in STOPPING:
        signal.signal(number, signal.default_int_handler)
