"""Serves the built page, as an app serves its own: from an origin that is not the broker's."""

from contextlib import asynccontextmanager

from aiohttp import web


@asynccontextmanager
async def served_page(folder):
    """Serve a folder on a free port; gives the origin."""

    async def index(_):
        return web.FileResponse(folder / "index.html")

    app = web.Application()
    app.add_routes([web.get("/", index), web.static("/", folder)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
