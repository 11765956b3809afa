"""Named points of a refresh at which a process can be made to fail, and what failing there is.

`raise` is an error nobody foresaw, `cancel` the end of the task it runs in, `stop` a SIGSTOP (the test lets
the process go on), `exit` an end without any farewell. What is about to happen is told on standard output
first, as one JSON line, so that a test waits for it and not for time.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

POINTS = (
    "before_claim", "after_claim",
    "before_send", "after_send", "after_recv",
    "before_commit", "after_commit",
    "before_cache", "after_cache",
    "before_release", "after_release",
    "before_force", "force_sent", "after_force",
)  # fmt: skip
WHOLE = ("exit", "stop")
ACTS = (*WHOLE, "cancel", "raise")
EXIT_CODE = 86
EVENT = "chaos.point"


class Unforeseen(Exception):
    """What `raise` raises: no class the product knows."""


@dataclass(frozen=True)
class Blow:
    """What is to happen at a point, the `nth` time it is passed, at most once while `once` names no file.

    With a `client` only what is done for that client's users passes the point.
    """

    at: str
    do: str
    nth: int = 1
    once: str | None = None
    client: str | None = None

    def __post_init__(self):
        assert self.at in POINTS, self.at
        assert self.do in ACTS, self.do

    def concerns(self, at, client):
        """Whether the blow is one for this point and client."""
        return self.at == at and self.client in {client, None}


class Points:
    """The blows of one process; with `meet` those that strike all of it fall at one moment.

    Who comes to its point first waits there for the others, so that one exit or stop finds many users'
    refreshes each at another point.
    """

    def __init__(self, blows=(), *, meet=False):
        self._blows = [Blow(**blow) for blow in blows]
        self._passed = Counter()
        whole = sum(blow.do in WHOLE for blow in self._blows)
        self._meeting = Meeting(whole if meet else 1)

    def awaits(self, at, client):
        """Whether something may still happen at a point."""
        return any(blow.concerns(at, client) and self._passed[blow] < blow.nth for blow in self._blows)

    async def reach(self, at, client, **told):
        """Pass a point: whatever is to happen there happens now; `told` is said with it."""
        for blow in self._blows:
            if not blow.concerns(at, client):
                continue
            self._passed[blow] += 1
            if self._passed[blow] == blow.nth and _ours(blow.once):
                line = {"event": EVENT, "at": at, "do": blow.do, "pid": os.getpid(), "client": client, **told}
                await (self._meeting.come(blow, line) if blow.do in WHOLE else _strike_task(blow, line))


class Meeting:
    """So many must have come before the process is struck; nobody goes on before."""

    def __init__(self, expected):
        self._expected = expected
        self._lines = []
        self._over = asyncio.Event()

    async def come(self, blow, line):
        """Wait for the others; the last to come strikes."""
        self._lines.append(line)
        if len(self._lines) < self._expected:
            await self._over.wait()
            return
        told, self._lines = self._lines, []
        for one in told:
            _tell(one)
        if blow.do == "exit":
            os._exit(EXIT_CODE)
        os.kill(os.getpid(), signal.SIGSTOP)
        self._over.set()


def _ours(once):
    """Whether this process is the first to come; several may be told of the same blow."""
    if once is None:
        return True
    try:
        Path(once).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


async def _strike_task(blow, line):
    _tell(line)
    if blow.do == "raise":
        raise Unforeseen(blow.at)
    asyncio.current_task().cancel()
    await asyncio.sleep(0)


def _tell(line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
