"""Plays cases in a town, several at a time, and tells what was wrong with each."""

from __future__ import annotations

import asyncio
import time

from tests.hostile import judge
from tests.hostile.cases import HOST, Story, http
from tests.hostile.wire import ENDS_WITHIN_S, Broken

AT_ONCE = 8
ENOUGH_S = 240.0
_NEXT = http(HOST, host="", target="/is-anybody-there")


async def play_all(town, cases):
    """Play every case, the late ones when the others are over; returns each with what was wrong."""
    late = [case for case in cases if getattr(case, "late", False)]
    return [
        *await _play_together(town, [case for case in cases if case not in late]),
        *await _play_together(town, late),
    ]


async def _play_together(town, cases):
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(case):
        if getattr(case, "patient", False):
            return await _bounded(town, case)
        async with gate:
            return await _bounded(town, case)

    return list(zip(cases, await asyncio.gather(*map(one, cases)), strict=True))


async def _bounded(town, case):
    began = time.monotonic()
    try:
        async with asyncio.timeout(ENOUGH_S):
            return await (case.play(town) if isinstance(case, Story) else _play(town, case))
    except Broken as broken:
        return [str(broken)]
    except (OSError, TimeoutError, AssertionError, LookupError, ValueError) as error:
        return [f"{type(error).__name__} after {time.monotonic() - began:.1f} s: {error}"]


async def _play(town, case):
    """Send the case's bytes, judge the answer, and see whether the connection is what it must be then."""
    async with town.line(case.door) as line:
        await line.send(town.filled(case.sent))
        answer = await line.answer(head=case.head)
        found = judge.complaints(case, answer, town.names)
        if answer is not None:
            town.documented += answer.status == case.status and answer.status >= 500
            found += await _afterwards(line, answer, case)
        return found


async def _afterwards(line, answer, case):
    says_close = answer.of("Connection") == ["close"]
    if case.closed:
        rest = await line.ended(ENDS_WITHIN_S)
        said = [] if says_close else ["does not say that it closes"]
        return said + ([f"the connection goes on: {rest!r}"] if rest != b"" else [])
    if says_close:
        return ["says that it closes"]
    await line.send(_NEXT)
    following = await line.answer()
    if following is None or following.status != 404:
        return [f"the next request on the connection got {following and following.status}"]
    return []
