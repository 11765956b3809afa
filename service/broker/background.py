"""What runs beside the requests for the life of a process: again and again, whatever one time comes to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from service.broker.errors import BrokerError

if TYPE_CHECKING:
    from service.broker.ports import Observer


async def every(
    seconds: float, run: Callable[[], Awaitable[object]], observer: Observer, *, at_once: bool = False
) -> None:
    """Run it so often; what nobody foresaw is noted, and the next time may be better."""
    if not at_once:
        await asyncio.sleep(seconds)
    while True:
        try:
            await run()
        except BrokerError:
            pass  # whoever depends on it is told, and that it is down was noted where it was found
        except Exception as error:  # noqa: BLE001 - to end here would be for the life of the process
            observer.note("background.failed", error=type(error).__name__)
        await asyncio.sleep(seconds)
