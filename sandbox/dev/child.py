"""One process of the broker as a child: starts it, hears what it logs, ends it.

Hands on every line it is told; decides nothing about them. Must import nothing of the broker.
"""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress

import orjson

Facts = dict[str, object]
Hear = Callable[[str, Facts], None]
"""Is told who says something, and what: a log line's facts, or `{"text": ...}` for what is no log line."""

_LAST_LINES = 20
_LONGEST_LINE = 1024 * 1024


class Child:
    """A running `token-broker` command."""

    def __init__(self, name: str, process: Process, hear: Hear) -> None:
        self.name = name
        self._process = process
        self._hear = hear
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, name: str, command: str, environ: Mapping[str, str], hear: Hear) -> Child:
        """Start the command; a session of its own keeps the terminal's Ctrl-C for us to pass on in order."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sandbox.dev.tied", str(os.getpid()), command),
            env=dict(environ),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            limit=_LONGEST_LINE,
            start_new_session=True,
        )
        return cls(name, process, hear)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code once it has ended."""
        return self._process.returncode

    def last_words(self) -> str:
        """Return the end of what it has said."""
        return "\n".join(self._last)

    async def ended(self) -> int:
        """Wait until it has ended and all it said was heard; returns its exit code."""
        code = await self._process.wait()
        await self._reading
        return code

    async def stop(self, timeout_s: float) -> bool:
        """Ask it to end, and kill it when it has not in time; returns whether it ended by itself.

        Who is tired of waiting cancels this: the child is killed then, too.
        """
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(asyncio.shield(self._reading), timeout_s)
        except (TimeoutError, asyncio.CancelledError):
            self.kill()
        await self.ended()
        return self.exit_code == 0

    def kill(self) -> None:
        """End it at once."""
        with suppress(ProcessLookupError):
            self._process.kill()

    async def _read(self) -> None:
        stream = self._process.stdout
        while stream is not None and (line := await stream.readline()):
            text = line.decode(errors="replace").rstrip()
            self._last.append(text)
            self._hear(self.name, _facts_of(text))


def _facts_of(text: str) -> Facts:
    """Return a log line's facts; whatever else was printed is a text."""
    with suppress(orjson.JSONDecodeError):
        facts = orjson.loads(text)
        if isinstance(facts, dict):
            return facts
    return {"text": text}
