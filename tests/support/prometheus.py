"""A Prometheus of a test's own, which scrapes real processes every second; Debian's package has it.

async with prometheus(folder, {"broker": [service_address, worker_address]}) as it:
    await it.query("token_broker_due")
"""

import asyncio
import os
import shutil
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlencode

import aiohttp
import pytest
import yaml

from sandbox.dev.ports import HOST, Ports

SCRAPED_EVERY = "1s"
START_WITHIN_S = 60
END_WITHIN_S = 10


def program(name):
    """The path of a program of Prometheus'; where there is none the test is skipped, on CI it fails."""
    path = shutil.which(name)
    if path is None:
        refuse = pytest.fail if os.environ.get("CI", "").lower() == "true" else pytest.skip
        refuse(f"{name} is not installed: on Debian and Ubuntu, apt-get install prometheus")
    return path


class Prometheus:
    """A running Prometheus, asked through its HTTP API."""

    def __init__(self, url, http):
        self.url = url
        self._http = http

    async def query(self, expr, at=None):
        """Return the series an expression gives now; fails with Prometheus' word where it is none."""
        asked = urlencode({"query": expr, **({"time": at} if at else {})})
        async with self._http.get(f"{self.url}/api/v1/query?{asked}") as answer:
            body = await answer.json()
        assert body["status"] == "success", f"{body.get('error')}: {expr}"
        return body["data"]["result"]

    async def series(self, name):
        """Return the labels of every series of this name that was ever scraped."""
        asked = urlencode({"match[]": name, "start": 0})
        async with self._http.get(f"{self.url}/api/v1/series?{asked}") as answer:
            return (await answer.json())["data"]

    async def ready(self):
        """Wait until it answers."""
        async with asyncio.timeout(START_WITHIN_S):
            while True:
                with suppress(aiohttp.ClientError):
                    async with self._http.get(f"{self.url}/-/ready") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.1)


@asynccontextmanager
async def prometheus(folder, jobs):
    """Run a Prometheus that scrapes these addresses under these jobs; its data goes with it."""
    listens = f"{HOST}:{Ports.free().observe}"
    config = folder / "prometheus.yaml"
    config.write_text(yaml.safe_dump(_config(jobs)))
    process = await asyncio.create_subprocess_exec(
        program("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={listens}", "--log.level=error",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with aiohttp.ClientSession() as http:
            it = Prometheus(f"http://{listens}", http)
            await it.ready()
            yield it
    finally:
        await _ended(process)


async def _ended(process):
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(END_WITHIN_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _config(jobs):
    targets = [
        {"job_name": job, "static_configs": [{"targets": addresses, "labels": {"namespace": "prod"}}]}
        for job, addresses in jobs.items()
    ]
    return {
        "global": {"scrape_interval": SCRAPED_EVERY, "scrape_timeout": SCRAPED_EVERY},
        "scrape_configs": targets,
    }
