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
ACTS = ("exit", "stop", "cancel", "raise")
EXIT_CODE = 86
EVENT = "chaos.point"


class Unforeseen(Exception):
    """What `raise` raises: no class the product knows."""


@dataclass(frozen=True)
class Blow:
    """What is to happen at a point, the `nth` time it is passed, at most once while `once` names no file."""

    at: str
    do: str
    nth: int = 1
    once: str | None = None

    def __post_init__(self):
        assert self.at in POINTS, self.at
        assert self.do in ACTS, self.do


class Points:
    """The blows of one process."""

    def __init__(self, blows=()):
        self._blows = [Blow(**blow) for blow in blows]
        self._passed = dict.fromkeys(POINTS, 0)

    async def reach(self, at):
        """Pass a point: whatever is to happen there happens now."""
        self._passed[at] += 1
        for blow in self._blows:
            if blow.at == at and blow.nth == self._passed[at] and _ours(blow.once):
                await _strike(blow)


def _ours(once):
    """Whether this process is the first to come; several may be told of the same blow."""
    if once is None:
        return True
    try:
        Path(once).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


async def _strike(blow):
    sys.stdout.write(json.dumps({"event": EVENT, "at": blow.at, "do": blow.do, "pid": os.getpid()}) + "\n")
    sys.stdout.flush()
    if blow.do == "exit":
        os._exit(EXIT_CODE)
    if blow.do == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif blow.do == "cancel":
        asyncio.current_task().cancel()
        await asyncio.sleep(0)
    else:
        raise Unforeseen(blow.at)
