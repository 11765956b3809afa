"""The apps and proxies that docs/sidecar.md puts in front of the broker, made of the page's own blocks.

What the page leaves to the reader, such as who is signed in, is in the folder `fronts`.
"""

import asyncio
import os
import shutil
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from sandbox.dev.ports import HOST, Ports
from tests.browser.building import install, missing_node, missing_npm
from tests.docs.blocks import ROOT, blocks_of, files_of
from tests.support.needs import need
from tests.support.waiting import eventually

PAGE = "docs/sidecar.md"
FRONTS = Path(__file__).parent / "fronts"
MADE = FRONTS / "made"
SCRIPTS = ROOT / "service" / "api" / "static"
BROKER = "127.0.0.1:8080"
REWRITTEN = "/api/cal/rewritten"
UP_WITHIN_S = 60

NGINX = """
daemon off; master_process off; pid nginx.pid; error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxied; fastcgi_temp_path fast;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    # An app that caches all it can, whatever its headers say.
    proxy_cache_path cached keys_zone=app:1m; proxy_cache app; proxy_cache_valid any 10m;
    proxy_ignore_headers Cache-Control Vary Expires;
    {http}
    server {{ listen {listen}; {server} location / {{ return 200 "the app"; }} }}
}}
"""


def missing_nginx():
    """Return a sentence that says how to get nginx, unless it is there."""
    return [] if _nginx() else ["nginx is missing: apt-get install nginx-light."]


def _nginx():
    return shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")


@asynccontextmanager
async def nginx(way, folder):
    """Run nginx with the page's configuration."""
    need(*missing_nginx())
    http, server = (
        block.text.replace(BROKER, way.url.removeprefix("http://")) for block in blocks_of(PAGE, "nginx")
    )
    listen = f"{HOST}:{Ports.free().public}"
    (folder / "nginx.conf").write_text(NGINX.format(http=http, server=server, listen=listen))
    async with program(folder, listen, {}, _nginx(), "-p", folder, "-c", "nginx.conf", "-e", "stderr"):
        yield f"http://{listen}"


@asynccontextmanager
async def express(environment):
    """Run the page's Express app."""
    folder = made("express", ["server.js", "lib/broker.js"])
    listen = f"{HOST}:{Ports.free().public}"
    host, port = listen.split(":")
    async with program(
        folder, listen, {**environment, "PORT": port, "HOST": host}, shutil.which("node"), "server.js"
    ):
        yield f"http://{listen}"


@asynccontextmanager
async def next_app(environment):
    """Build and run the page's Next.js app; its rewrite has a path of its own beside the route handler."""
    names = [name for name in files_of(PAGE) if name.startswith(("app/", "lib/", "next.config"))]
    folder = made("next", names)
    config = folder / "next.config.mjs"
    config.write_text(config.read_text().replace('source: "/api/cal/refresh"', f'source: "{REWRITTEN}"'))
    shutil.copytree(SCRIPTS, folder / "lib", dirs_exist_ok=True)
    environment = {**environment, "NEXT_TELEMETRY_DISABLED": "1"}
    command = (shutil.which("node"), FRONTS / "node_modules" / "next" / "dist" / "bin" / "next")
    await built(folder, environment, *command, "build")
    listen = f"{HOST}:{Ports.free().public}"
    host, port = listen.split(":")
    async with program(folder, listen, environment, *command, "start", "-H", host, "-p", port):
        yield f"http://{listen}"


def made(kind, names):
    """Return a folder with what a reader has of their own, and these files of the page."""
    need(*missing_node(), *missing_npm())
    install(FRONTS)
    folder = MADE / kind
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(FRONTS / kind, folder)
    shown = files_of(PAGE)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(shown[name])
    return folder


async def built(folder, environment, *command):
    """Run a build to its end; fails with its own words."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=_whole(environment), stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


@asynccontextmanager
async def program(folder, listen, environment, *command):
    """Run a program in this folder until the block ends; begins when it listens."""
    log = folder / "said.log"
    with log.open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env=_whole(environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
    try:
        await eventually(lambda: _listens(listen, process, log), within_s=UP_WITHIN_S, every_s=0.05)
        yield
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _listens(listen, process, log):
    assert process.returncode is None, log.read_text()
    try:
        _, writer = await asyncio.open_connection(*listen.split(":"))
    except OSError:
        return False
    writer.close()
    return True


def _whole(environment):
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **environment}
