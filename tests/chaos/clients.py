"""The clients of a run, as a process of their own: `python -m tests.chaos.clients <folder>`.

Makes the users and says `ready`; then asks as browsers and services do until it reads `calm` on standard
input; then sees to it that everybody is served, by every replica, and ends.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from random import Random

import orjson

from tests.chaos.asking import Asking
from tests.chaos.folder import RUN, now_ms
from tests.chaos.people import Person

_AT_ONCE = 16
_CALM_AGAIN_S = 0.25
_CALM_LONGER_S = 1.0


async def main(folder):
    """Play all of them."""
    run = orjson.loads((folder / RUN).read_bytes())
    random = Random(f"clients {run['seed']}")
    async with Asking(folder, run, random) as asking:
        people = await _made(run, asking, random)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        lives = [asyncio.create_task(person.live()) for person in people]
        await asyncio.to_thread(sys.stdin.readline)
        for person in people:
            person.enough.set()
        await asyncio.gather(*lives)
        ends_ms = now_ms() + 1000 * (run["served_within_s"] + _CALM_LONGER_S)
        served = (_served(person, name, ends_ms) for person in people for name in asking.services)
        await asyncio.gather(*served)


async def _made(run, asking, random):
    places = asyncio.Semaphore(_AT_ONCE)

    async def make(number):
        async with places:
            user_id = f"user-{number:03}"
            cal_user_id = await asking.create(user_id)
            return Person(asking, user_id, cal_user_id, Random(random.random()), run["lifetime_s"])

    return await asyncio.gather(*(make(number) for number in range(run["users"])))


async def _served(person, name, ends_ms):
    """Ask one replica again and again until it has served the user."""
    while now_ms() < ends_ms:
        if await person.token("calm", by=name):
            return
        await asyncio.sleep(_CALM_AGAIN_S)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
