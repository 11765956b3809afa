"""The way from the fronts to the broker: it can be made slow for one request, and cut for all."""

import asyncio
from contextlib import AsyncExitStack, suppress

from service.settings.model import Values
from tests.support.proxies import listening

SLOW = "asks-for-something-that-takes-long"
LONGEST_S = Values.model_fields["public_answer_timeout"].default.total_seconds() + 0.5
"""A little longer than the broker makes a browser wait by default."""

_BODY = b'{"accessToken":"","code":"refresh_in_progress"}'
LATE = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
)


class Way:
    """Listens at `url` and passes on to the broker's public listener until cut; `heard` is what came."""

    def __init__(self, target):
        self._host, self._port = target.removeprefix("http://").split(":")
        self._open = AsyncExitStack()
        self.heard = []

    async def __aenter__(self):
        self.url = await self._open.enter_async_context(listening(self._serve, "http://127.0.0.1:0"))
        return self

    async def __aexit__(self, *failure):
        await self.cut()

    async def cut(self):
        """Refuse connections from now on, and break those there are."""
        await self._open.aclose()

    async def _serve(self, reader, writer):
        onward, back = await asyncio.open_connection(self._host, self._port)
        # The broker ends a connection that asks nothing, as this one does then: not the front's business.
        held = asyncio.Lock()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._ask(reader, back, writer, held))
                group.create_task(self._answer(onward, writer, held))
        finally:
            back.close()
            writer.close()

    async def _ask(self, reader, back, writer, held):
        with suppress(OSError):
            while data := await reader.read(65536):
                self.heard.append(data)
                if SLOW.encode() in data:
                    async with held:
                        await asyncio.sleep(LONGEST_S)
                        writer.write(LATE)
                else:
                    back.write(data)
        back.close()

    async def _answer(self, onward, writer, held):
        with suppress(OSError):
            while data := await onward.read(65536):
                writer.write(data)
        async with held:
            writer.close()
