"""Serves a sandbox over HTTP: as an aiohttp application, or on a TCP port for as long as a block runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from sandbox.calcom.config import SandboxConfig
from sandbox.calcom.control import add_control_routes
from sandbox.calcom.routes.table import add_routes
from sandbox.calcom.sandbox import Sandbox

SHUTDOWN_S = 2.0
MAX_BODY = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Running:
    """A sandbox that is being served: `url` is what CAL_API_URL takes, `origin` is without a path."""

    sandbox: Sandbox
    origin: str

    @property
    def url(self) -> str:
        """Return the base URL of the API."""
        return f"{self.origin}/v2"


def app_of(sandbox: Sandbox) -> web.Application:
    """Return a new aiohttp application that serves this sandbox; its clean-up shuts the sandbox."""

    async def on_shutdown(_: web.Application) -> None:
        await sandbox.shut()

    async def on_cleanup(_: web.Application) -> None:
        sandbox.journal.shut()

    app = web.Application(client_max_size=MAX_BODY)
    add_control_routes(app, sandbox)
    add_routes(app, sandbox.pipeline)
    app.on_shutdown.append(on_shutdown)
    app.on_cleanup.append(on_cleanup)
    return app


@asynccontextmanager
async def serve(
    config: SandboxConfig, host: str = "127.0.0.1", port: int = 0, *, sandbox: Sandbox | None = None
) -> AsyncIterator[Running]:
    """Serve a sandbox (a new one of this config, unless given); port 0 takes a free one. Raises OSError."""
    served = sandbox or Sandbox(config)
    runner = web.AppRunner(app_of(served), access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        bound = runner.addresses[0][1]
        yield Running(served, f"http://{_bracketed(host)}:{bound}")
    finally:
        await runner.cleanup()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
