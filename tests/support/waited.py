"""How long a loop has waited, whatever else the machine had to do: its pauses are nobody's fault.

A metronome ticks in the loop. One that waits is free and hears every tick; one kept from running hears few.
What the loop itself computed meanwhile is not counted either: hold that by a ratio, where it matters.
"""

import asyncio

_TICK_S = 0.005


class Waited:
    """`async with Waited() as waited: ...; waited.seconds`: at least one tick's time."""

    def __init__(self):
        self.ticks = 1

    @property
    def seconds(self):
        return self.ticks * _TICK_S

    async def __aenter__(self):
        self._metronome = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *_):
        self._metronome.cancel()
        await asyncio.gather(self._metronome, return_exceptions=True)

    async def _tick(self):
        while True:
            await asyncio.sleep(_TICK_S)
            self.ticks += 1
