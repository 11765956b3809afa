"""Plays one case of the crash matrix and gathers what can be seen of it from outside.

What is waited for is an event: the blow is told by the process it strikes, the successor's settlement
stands in the database. Only deadlines are let pass.
"""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import dataclass, field

from sandbox.calcom import identifier
from tests.chaos.crash_cases import Case
from tests.chaos.crash_town import CLAIM_S, START_WITHIN_S, Answer, Door, Person
from tests.chaos.points import EVENT
from tests.support.programs import Program
from tests.support.waiting import eventually

_WITHIN_S = 40.0
_GIVEN_WITHIN_S = 15.0
_AGAIN_S = 0.5
_FOR_GOOD = {200, 401, 409}


@dataclass
class Seen:
    """What was seen of one case: by its clients, in its row, in the journal and in its process's log."""

    case: Case
    person: Person | None = None
    process: Program | None = None
    door: Door | None = None
    asking: asyncio.Task | None = None
    struck_ms: float = 0.0
    answers: list[Answer] = field(default_factory=list)
    history: list = field(default_factory=list)
    journal: list = field(default_factory=list)
    cached: tuple | None = None
    access_lives: bool = False
    refresh_lives: bool = False
    exit_code: int | None = None
    trouble: str = ""
    """Why the case could not be played to its end."""

    def said(self, *events):
        """Return whether the process has logged one of these events about the case's user."""
        return any(self.process.of(event, client=self.case.client) for event in events)

    async def given(self, ask):
        """Ask, and ask again, until a token is handed out or there is none for good; every answer is kept."""
        ends_at = time.monotonic() + _GIVEN_WITHIN_S
        while time.monotonic() < ends_at:
            self.answers.append(await ask())
            if self.answers[-1].status in _FOR_GOOD:
                return
            await asyncio.sleep(_AGAIN_S)


async def walk_in(town, seen, process):
    """Have the process of a case walk into its blow, and others go on without it until they have settled."""
    case, seen.process = seen.case, process
    seen.door = await town.land.door(process, "struck") if case.role == "service" else None
    seen.asking = asyncio.create_task(_ask(seen))
    told = await process.said(EVENT, START_WITHIN_S, client=case.client)
    seen.struck_ms = time.time() * 1000
    gate = town.sandbox.pipeline.gates.get(told.get("gate", 0))
    if gate is not None:
        gate.open()
    if not case.without:  # what is not as weak would only help
        town.release(case.client)
    await _others_carry_on(town, seen)


async def go_on(town, seen, process):
    """Let a process go on that was stopped: all its leases and its claims' deadlines are over."""

    async def leases_are_over():
        return not await town.leases_of([one.case.client for one in seen])

    await eventually(leases_are_over, _WITHIN_S, _AGAIN_S)
    await asyncio.sleep(max(0.0, max(one.struck_ms for one in seen) / 1000 + CLAIM_S - time.time()))
    process.process.send_signal(signal.SIGCONT)


async def ask_again(seen):
    """Hear what the process answered in the end, and ask it again if it is still there."""
    seen.answers += [answer for answer in [await seen.asking] if answer]
    if seen.door and seen.case.survives:
        await seen.given(lambda: seen.door.backend(seen.case.client))
        await seen.given(lambda: seen.door.browser(seen.person.access_token))


async def come_to_rest(town, seen):
    """Let the case's user come to rest: what was left to a later day is due now, and windows close."""
    name, token = seen.case.client, seen.person.access_token
    if seen.case.keeps_the_old_pair:
        town.sandbox.expire(seen.person.upstream_id)
        await seen.given(lambda: town.healthy.browser(token))

    async def rests():
        await seen.given(lambda: town.healthy.backend(name))
        seen.history = await town.history.of(name)
        row = seen.history[-1]
        return not (row.claimed or row.distrusted_until_ms)

    await eventually(rests, _WITHIN_S, _AGAIN_S)


async def look_back(town, seen):
    """Gather what upstream and the cache hold of a case's user at rest."""
    name, upstream_id = seen.case.client, seen.person.upstream_id
    seen.journal = town.sandbox.journal.of(user_id=upstream_id)
    seen.cached = await town.cached(name)
    user, row = town.sandbox.user(upstream_id), seen.history[-1]
    live = {identifier(token) for token in user.access_tokens if town.sandbox.is_live(token)}
    seen.access_lives = row.access in live
    seen.refresh_lives = {row.refresh} == {identifier(token) for token in user.refresh_tokens}


async def _ask(seen):
    """Be the client whose question has a service walk into its blow; a worker walks by itself."""
    return None if seen.door is None else await _ask_at(seen.door, seen)


async def _ask_at(door, seen):
    """Ask as who does not know of it when the access token lives, and as its browser when it is dead."""
    if seen.case.alive:
        return await door.backend(seen.case.client)
    return await door.browser(seen.person.access_token)


async def _others_carry_on(town, seen):
    """Have somebody ask the healthy service, or see the healthy worker settle it unasked."""
    case, token = seen.case, seen.person.access_token
    if case.role == "service":
        await seen.given(lambda: _ask_at(town.healthy, seen))

    def settled(row):
        moved = row.refresh_token_dead or row.access != identifier(token)
        return row.state != "LIVE" or (moved and not row.claimed)

    await town.history.until(case.client, settled, _WITHIN_S)
    await seen.given(lambda: town.healthy.backend(case.client))
