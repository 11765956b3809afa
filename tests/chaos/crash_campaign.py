"""Plays many cases of the crash matrix at a time, on servers they share.

A process that ends or stops takes everything with it, so each such case has one of its own; those whose
blow strikes one task only share a process for each role.
"""

from __future__ import annotations

import asyncio
import traceback
from contextlib import AsyncExitStack
from dataclasses import replace

from tests.chaos.crash_play import Seen, come_to_rest, look_back, walk_in
from tests.chaos.crash_town import CLAIM_S, open_town

COMMANDS = {"service": "serve", "worker": "work"}
AT_A_TIME = 10


async def run(database_url, redis_url, cases):
    """Play the cases; returns what was seen of each, by its name."""
    async with open_town(database_url, redis_url, [case.name for case in cases]) as town:
        alone = [case for case in cases if case.do in {"exit", "stop"} or case.without]
        shared = [[case for case in cases if case.role == role and case not in alone] for role in COMMANDS]
        turns = asyncio.Semaphore(AT_A_TIME)
        groups = [_together(town, group) for group in shared if group]
        groups += [_alone(town, case, turns) for case in alone]
        return {one.case.name: one for seen in await asyncio.gather(*groups) for one in seen}


async def _alone(town, case, turns):
    async with turns, AsyncExitStack() as stack:
        if case.without:
            town = replace(town, healthy=await _weak_door(town, case, stack))
        return await _play(town, [case], stack)


async def _together(town, cases):
    async with AsyncExitStack() as stack:
        return await _play(town, cases, stack)


async def _play(town, cases, stack):
    """Play cases with one process, from its start to its end."""
    blows = [{"at": case.at, "do": case.do, "client": case.name} for case in cases]
    process = await _start(town, stack, cases, blows=blows, own_ticks=True)
    seen = [Seen(case) for case in cases]
    await asyncio.gather(*(_noted(one, _walk(town, one, process)) for one in seen))
    await _noted(seen[0], _end(seen, process))
    await asyncio.gather(*(_noted(one, _leave(town, one)) for one in seen))
    return seen


async def _walk(town, seen, process):
    seen.person = await town.settle_in(seen.case)
    await walk_in(town, seen, process)


async def _end(seen, process):
    code = await process.end()
    for one in seen:
        one.exit_code = code


async def _leave(town, seen):
    await come_to_rest(town, seen)
    await look_back(town, seen)


async def _noted(seen, part):
    """Play a part of a case, unless it is stuck already; what hinders it is kept as the case's trouble."""
    if seen.trouble:
        part.close()
        return
    try:
        await part
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not end the other cases
        seen.trouble = "".join(traceback.format_exception_only(error)).strip() or type(error).__name__


async def _weak_door(town, case, stack):
    """Start the service that goes on in place of the healthy one, as weak as the process that is struck."""
    return await town.land.door(await _start(town, stack, [case]), "healthy")


async def _start(town, stack, cases, **chaos):
    weak = {name: True for case in cases for name in case.without}
    without = {**weak, "claim_deadline_s": CLAIM_S} if weak else {}
    names = [case.name for case in cases]
    process = await town.land.start(COMMANDS[cases[0].role], names, without=without, **chaos)
    stack.push_async_callback(process.kill)
    return process
