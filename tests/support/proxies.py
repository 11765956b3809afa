"""Stands between a client and Redis: answers late, never, or with what it was told to say."""

import asyncio
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit


class Proxy:
    """Passes bytes on; `delay()` says for how many seconds each piece of an answer is held back."""

    def __init__(self, target, delay):
        self._target = urlsplit(target)
        self._delay = delay
        self.connections = 0

    async def serve(self, reader, writer):
        self.connections += 1
        onward, back = await asyncio.open_connection(self._target.hostname, self._target.port)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_on(reader, back, lambda: 0))
                group.create_task(self._pass_on(onward, writer, self._delay))
        finally:
            back.close()
            with suppress(OSError):
                await back.wait_closed()

    @staticmethod
    async def _pass_on(reader, writer, delay):
        with suppress(OSError):
            while data := await reader.read(65536):
                await asyncio.sleep(delay())
                writer.write(data)
        writer.close()


@asynccontextmanager
async def listening(serve, url="redis://127.0.0.1:6379/0"):
    """Serve on a free port; gives `url` with that port in it."""
    served = set()

    async def remember(reader, writer):
        served.add(asyncio.current_task())
        with suppress(asyncio.CancelledError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(remember, "127.0.0.1", 0)
    parts = urlsplit(url)
    password, _, _ = parts.netloc.rpartition("@")
    netloc = f"{password}@127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield urlunsplit(parts._replace(netloc=netloc.lstrip("@")))
    finally:
        server.close()
        for task in served:
            task.cancel()
        await asyncio.gather(*served, return_exceptions=True)


async def say_nothing(reader, _writer):
    """Take everything and never answer."""
    while await reader.read(65536):
        pass


def say(answer):
    """Answer whatever comes with these bytes."""

    async def serve(reader, writer):
        with suppress(OSError):
            while await reader.read(65536):
                writer.write(answer)

    return serve
