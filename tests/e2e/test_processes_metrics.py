"""The figures of several service processes: whoever is asked tells the whole service's, exactly."""

import asyncio
from contextlib import suppress

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sandbox.calcom import SandboxClient, SandboxConfig
from tests.support.several import Several, several
from tests.support.stack import running_stack

CLIENT = SandboxClient("acme", "secret")
CONFIG = SandboxConfig(clients=(CLIENT,), lifetime_s=600)
PROCESSES = 3
SCRAPES = 15
COUNTS = ("_total", "_count", "_sum", "_bucket")
ROUTE = "/v1/users/{id}/token"

pytestmark = pytest.mark.timeout(240)


class Watched:
    """The service of a stack, and what the figures say to who scrapes on new connections."""

    def __init__(self, stack):
        self.stack = stack
        where = stack.service.of("service.started")[0]
        self.service = Several(stack.service, where)

    async def ask_for_tokens(self, times):
        """Ask for one user's token so often, several at a time, each on a connection of its own."""
        turns = asyncio.Semaphore(8)

        async def ask():
            async with turns:
                path = f"/v1/users/ann/token?client={CLIENT.id}"
                return (await self.service.ask(path, "internal"))[0]

        assert await asyncio.gather(*(ask() for _ in range(times))) == [200] * times

    async def scrape(self):
        """Every sample of one scrape, by name and labels."""
        _, text = await self.service.ask("/metrics")
        families = text_string_to_metric_families(text)
        return {
            (sample.name.removeprefix("token_broker_"), *sorted(sample.labels.values())): sample.value
            for family in families
            for sample in family.samples
        }

    async def told(self, name, *labels):
        """What each of many scrapes says of one figure, without repetition."""
        return {(await self.scrape()).get((name, *labels)) for _ in range(SCRAPES)}


@pytest.fixture
async def watched(database_url, redis_url, tmp_path):
    more = {"WORKERS": str(PROCESSES), "ACCESS_LOG": "all", "LOG_LEVEL": "debug"}
    async with running_stack(database_url, redis_url, CONFIG, **more) as stack:
        await stack.create_user(CLIENT.id, "ann")
        yield Watched(stack)


async def test_every_scrape_tells_what_all_processes_did_also_the_dead(watched):
    await watched.ask_for_tokens(60)
    assert await watched.told("http_requests_total", ROUTE, "200") == {60}

    await watched.service.kill(0)
    await watched.ask_for_tokens(30)
    await watched.service.kill(2)

    assert await watched.told("http_requests_total", ROUTE, "200") == {90}
    assert await watched.told("http_request_seconds_count", ROUTE) == {90}
    assert await watched.told("upstream_requests_total", "acme", "create", "created") == {1}
    assert len(watched.service.answered_by(ROUTE)) == PROCESSES


async def falling(watched, until):
    """Scrape again and again; returns the counts that fell from one scrape to the next."""
    fell, last = set(), {}
    while not until.done():
        with suppress(aiohttp.ClientError):  # the process that was asked has just been killed
            seen = await watched.scrape()
            fell |= {name for name, value in last.items() if name[0].endswith(COUNTS) and seen[name] < value}
            last = seen
    return fell


async def test_no_count_goes_back_while_processes_are_killed_under_load(watched):
    async def strike():
        for place in range(PROCESSES):
            await watched.service.kill(place)

    async def ask_on():
        while not striking.done():
            with suppress(aiohttp.ClientError):
                await watched.service.ask(f"/v1/users/ann/token?client={CLIENT.id}", "internal")

    striking = asyncio.create_task(strike())
    asking = asyncio.create_task(ask_on())
    assert await falling(watched, striking) == set()
    await asyncio.gather(striking, asking)
    assert min(await watched.told("http_requests_total", ROUTE, "200")) > 0


async def test_restarts_leave_no_files_behind(database_url, redis_url, tmp_path):
    async with several(2, database_url, redis_url, folder=tmp_path) as service:
        await service.ask("/healthz")
        for _ in range(2):
            await service.kill(0)
        ends = {file.name.rpartition("_")[2] for file in tmp_path.glob("*/*")}
    assert ends == {"0.db", "1.db"}
