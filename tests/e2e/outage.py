"""What comes after an outage: callers at a steady pace, and what is seen of budget, upstream and machine."""

import asyncio
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import redis.asyncio as redis

from tests.support.stack import API_KEY

_LOOK_EVERY_S = 0.05


@dataclass
class Asking:
    """Callers who come at their own pace, each about another user, the least urgent one first.

    Every second one is a page with its dead token, the others are services that ask by the user's id.
    """

    http: aiohttp.ClientSession
    where: dict
    took_s: list = field(default_factory=list)
    failures: list = field(default_factory=list)
    asked_for: set = field(default_factory=set)
    late_s: float = 0.0
    """By how much the latest of them set out behind time: this process was held up, not the broker."""

    async def go_on(self, users, callers_s):
        """Have them come one after the other, whether or not those before have been answered."""
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        async with asyncio.TaskGroup() as asked:
            for number, user in enumerate(reversed(users)):
                comes_at = started_at + number / callers_s
                await asyncio.sleep(max(0.0, comes_at - loop.time()))
                self.late_s = max(self.late_s, loop.time() - comes_at)
                asked.create_task(self._ask(user, comes_at, browser=number % 2))

    async def _ask(self, user, comes_at, *, browser):
        self.asked_for.add(user.upstream_id)
        door, path, bearer = "internal", f"/v1/users/{user.user_id}/token", API_KEY
        if browser:
            door, path, bearer = "public", "/refresh", user.access_token
        headers = {"Authorization": f"Bearer {bearer}"}
        async with self.http.get(f"http://{self.where[door]}{path}", headers=headers) as answer:
            body = await answer.json()
        self.took_s.append(asyncio.get_running_loop().time() - comes_at)
        if answer.status != 200:
            self.failures.append((path, answer.status, body))

    def percentile(self, share):
        return sorted(self.took_s)[int(len(self.took_s) * share)]


class BudgetLeft:
    """The least that lay ready in the only budget of a Redis while it was looked at."""

    def __init__(self, redis_url):
        self.least = float("inf")
        self._redis_url = redis_url

    async def look(self):
        async with redis.from_url(self._redis_url) as client:
            while True:
                await asyncio.sleep(_LOOK_EVERY_S)
                for budget in await client.keys("tb:b:*"):
                    self.least = min(self.least, float(await client.hget(budget, "ready")))


class Machine:
    """What it gave these processes since it was first looked at; needs Linux, elsewhere nobody waits."""

    def __init__(self, pids):
        self._pids = pids
        self._began = self._figures()

    def busy_with_others(self):
        """Return why these processes cannot be judged by their speed, or None."""
        passed, used, *waited = (now - then for then, now in zip(self._began, self._figures(), strict=True))
        used_share, waited_share = used / passed / os.cpu_count(), max(waited) / passed
        if waited_share < 0.25 or used_share > 0.5:
            return None
        return (
            f"others have the machine: a process waited for a CPU {waited_share:.0%} of the time, "
            f"though all together used {used_share:.0%} of it"
        )

    def _figures(self):
        """Time, CPU time of all, and of each how long it was ready to run and did not: in seconds."""
        times = [_schedstat(pid) for pid in self._pids]
        return (time.monotonic(), sum(ran for ran, _ in times), *(waited for _, waited in times))


def _schedstat(pid):
    try:
        ran, waited, _ = Path(f"/proc/{pid}/schedstat").read_text().split()
    except OSError:
        return 0.0, 0.0
    return int(ran) / 1e9, int(waited) / 1e9


def beyond(calls, rate_s):
    """Return by how many calls the busiest stretch of time, however long, went beyond the rate."""
    most = lowest = 0.0
    for number, call in enumerate(sorted(calls, key=lambda one: one.started_ms)):
        ahead = number - rate_s * call.started_ms / 1000
        lowest = min(lowest, ahead) if number else ahead
        most = max(most, ahead + 1 - lowest)
    return most


async def cancelled(task):
    """Cancel a task and wait for its end; what went wrong in it before is raised."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
