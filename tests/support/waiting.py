"""Waits for what cannot be gated with an event, because it happens in another process."""

import asyncio
import inspect


async def eventually(holds, within_s=5.0, every_s=0.01):
    """Ask again until it holds (a plain or a coroutine function); fails after `within_s` seconds."""
    async with asyncio.timeout(within_s):
        while True:
            answer = holds()
            if await answer if inspect.isawaitable(answer) else answer:
                return
            await asyncio.sleep(every_s)
