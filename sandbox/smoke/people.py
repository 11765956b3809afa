"""The clients of a smoke run: background services, browsers that come back late, and tabs that slept.

Each speaks HTTP like any client and writes down what it was answered. Must import nothing of the broker.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import aiohttp

from sandbox.calcom import identifier
from sandbox.smoke.answers import Asked, wall_ms

_OK = 200
_REFUSED = (401, 498)
_TIMEOUT = aiohttp.ClientTimeout(total=15)


@dataclass(slots=True)
class World:
    """Where everything is, how long tokens live, and what was asked so far.

    `roads` are the refresh endpoint's addresses: the broker's own, and the one on the app's origin.
    """

    session: aiohttp.ClientSession
    api_url: str
    users_url: str
    roads: tuple[str, str]
    vouching_key: str
    jobs_key: str
    lifetime_s: float
    margin_s: float
    enough: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[Asked] = field(default_factory=list)

    async def pause(self, seconds: float) -> bool:
        """Wait so long, less when it is enough; returns whether to go on."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.enough.wait(), seconds)
        return not self.enough.is_set()


@dataclass(slots=True)
class Person:
    """A user of the app, as its clients know it."""

    world: World
    user_id: str
    cal_user_id: int

    async def token(self, key: str) -> str:
        """Ask for the current token as a service does; returns it, or an empty text."""
        url = f"{self.world.users_url}/{self.user_id}/token"
        return await self._ask(Asked(self.cal_user_id), url, key)

    async def refresh(self, held: str, road: str, occasion: str | None = None) -> str:
        """Ask for a token that works, as a browser does that holds this one."""
        return await self._ask(Asked(self.cal_user_id, identifier(held), occasion), road, held)

    async def call_api(self, token: str) -> int:
        """Call the API as a page does; returns the status, 0 when no answer came."""
        headers = {"Authorization": f"Bearer {token}"}
        with suppress(aiohttp.ClientError, TimeoutError):
            async with self.world.session.get(f"{self.world.api_url}/me", headers=headers) as response:
                return response.status
        return 0

    async def _ask(self, question: Asked, url: str, bearer: str) -> str:
        self.world.asked.append(question)
        token = ""
        try:
            headers = {"Authorization": f"Bearer {bearer}"}
            async with self.world.session.get(url, headers=headers, timeout=_TIMEOUT) as response:
                question.status = response.status
                body = await response.json(content_type=None)
                token = body.get("accessToken", "")
                question.wrong = body.get("code")
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            question.wrong = type(error).__name__
        question.done_ms = wall_ms()
        if token:
            question.answered = identifier(token)
            question.usable = await self.call_api(token) == _OK
        return token


async def work_in_the_background(person: Person, every_s: float = 1.5) -> None:
    """Be a service that wants the user's token again and again: its pair is refreshed ahead of time."""
    while await person.world.pause(every_s):
        await person.token(person.world.jobs_key)


async def come_back_late(person: Person) -> None:
    """Be two tabs that come back when their token and its unused successor have both expired."""
    world = person.world
    held = await person.token(world.vouching_key)
    for visit in itertools.count(1):
        if not await world.pause(2 * world.lifetime_s - world.margin_s + 1):
            return
        held = await _both_tabs(person, held, f"{person.user_id} visit {visit}")


async def sleep_through_rotations(person: Person) -> None:
    """Be two tabs that sleep on one token while a service keeps the user's pair moving.

    Awake, one of them complains about the good token that it was just given, and gets it back.
    """
    world = person.world
    held = await person.token(world.vouching_key)
    for visit in itertools.count(1):
        if not await world.pause(2.4 * world.lifetime_s):
            return
        held = await _both_tabs(person, held, f"{person.user_id} awakening {visit}")
        if visit == 1:
            await person.refresh(held, world.roads[0])


async def _both_tabs(person: Person, held: str, occasion: str) -> str:
    """Have two tabs find their token refused and ask at the same time; returns what they hold then."""
    world = person.world
    statuses = await asyncio.gather(*(person.call_api(held) for _ in world.roads))
    if not set(statuses) <= set(_REFUSED):
        wrong = f"a token that had expired was answered {statuses} by the API"
        world.asked.append(Asked(person.cal_user_id, wrong=wrong))
    answers = await asyncio.gather(*(person.refresh(held, road, occasion) for road in world.roads))
    return answers[0] or held


@asynccontextmanager
async def session(*heard: aiohttp.TraceConfig) -> AsyncIterator[aiohttp.ClientSession]:
    """Give the clients their connections; `heard` are told what comes over them."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        connector=connector, timeout=_TIMEOUT, trace_configs=list(heard)
    ) as clients:
        yield clients
