"""Plays many cases of the crash matrix at a time, on servers they share.

The cases of one role that fail in one way share the process that is struck: each case's user is on the way
to another point of its refresh when the process exits or stops, or its own task alone fails.
"""

from __future__ import annotations

import asyncio
import traceback
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from itertools import groupby

from tests.chaos.crash_play import Seen, ask_again, come_to_rest, go_on, look_back, walk_in
from tests.chaos.crash_town import CLAIM_S, open_town
from tests.chaos.points import WHOLE

COMMANDS = {"service": "serve", "worker": "work"}
AT_A_TIME = 2


async def run(database_url, redis_url, cases):
    """Play the cases; returns what was seen of each, by its name."""
    cases = sorted(cases, key=_kind)
    async with open_town(database_url, redis_url, [case.client for case in cases]) as town:
        turns = asyncio.Semaphore(AT_A_TIME)
        groups = [_in_turn(turns, town, list(group)) for _, group in groupby(cases, key=_kind)]
        return {one.case.name: one for seen in await asyncio.gather(*groups) for one in seen}


def _kind(case):
    """What the cases of one process have in common."""
    return case.do if case.do in WHOLE else "task", case.role, case.without


async def _in_turn(turns, town, cases):
    async with turns, AsyncExitStack() as stack:
        if cases[0].without:
            town = replace(town, healthy=await _weak_door(town, cases, stack))
        seen = [Seen(case) for case in cases]
        for one in seen:
            one.person = await town.settle_in(one.case)
        await _play(town, seen, stack)
        return seen


async def _play(town, seen, stack):
    """Play cases with one process, from its start to its end, and let their users come to rest after it."""
    blows = [{"at": one.case.at, "do": one.case.do, "client": one.case.client} for one in seen]
    process = await _start(town, stack, [one.case for one in seen], blows=blows, meet=True, own_ticks=True)
    await asyncio.gather(*(_noted(one, walk_in(town, one, process)) for one in seen))
    if seen[0].case.do == "stop":
        await go_on(town, seen, process)
    await asyncio.gather(*(_noted(one, ask_again(one)) for one in seen))
    with suppress(TimeoutError):  # killed then: the verdict finds its exit code
        await process.end()
    for one in seen:
        one.exit_code = process.process.returncode
    await asyncio.gather(*(_noted(one, _leave(town, one)) for one in seen))


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
        seen.trouble = "".join(traceback.format_exception_only(error)).strip()


async def _weak_door(town, cases, stack):
    """Start the service that goes on in place of the healthy one, as weak as the process that is struck."""
    return await town.land.door(await _start(town, stack, cases), "healthy")


async def _start(town, stack, cases, **chaos):
    weak = dict.fromkeys(cases[0].without, True)
    without = {**weak, "claim_deadline_s": CLAIM_S} if weak else {}
    names = [case.client for case in cases]
    process = await town.land.start(COMMANDS[cases[0].role], names, without=without, **chaos)
    stack.push_async_callback(process.kill)
    return process
