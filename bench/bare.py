"""The framework's limit: `python -m bench.bare PORT BODIES [PROCESSES]`.

uvloop, `web.Response` with a prebuilt body, no access log. `BODIES` is a JSON object of paths and the body
that each answers with, as long as the broker's own.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop
from aiohttp import web


def _app(bodies: dict[str, str]) -> web.Application:
    app = web.Application()
    for path, text in bodies.items():
        app.router.add_get(path, _handler(text.encode()))
    return app


def _handler(body: bytes) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    return handle


async def _serve(sock: socket.socket, bodies: dict[str, str]) -> None:
    runner = web.AppRunner(_app(bodies), access_log=None)
    await runner.setup()
    await web.SockSite(runner, sock, backlog=4096).start()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await runner.cleanup()


def _bound(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", port))
    sock.listen(4096)
    return sock


def main(port: int, bodies: dict[str, str], processes: int) -> None:
    """Serve; with several processes each listens on a socket of its own, bound before any of them serves."""
    sockets = [_bound(port) for _ in range(processes)]
    own, others = sockets[0], sockets[1:]
    children: list[int] = []
    for sock in others:
        child = os.fork()
        if child == 0:
            own, children = sock, []
            break
        children.append(child)
    for sock in sockets:
        if sock is not own:
            sock.close()
    uvloop.run(_serve(own, bodies))
    for child in children:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(int(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()), int(sys.argv[3]) if sys.argv[3:] else 1)
