"""The listener for probes and figures, of the service and of the worker alike."""

import asyncio
import json
from dataclasses import dataclass

import aiohttp
import pytest

from service.api import observe
from service.api.serve import open_observation
from service.api.sockets import bind
from tests.support.doors import Notes, Ready, open_house


@pytest.fixture
async def house():
    async with open_house() as opened:
        yield opened


async def look(house, path, method="GET"):
    async with house.session.request(method, house.url("observe", path)) as response:
        return response.status, response.headers, await response.read()


async def test_the_process_lives_on_both_listeners_that_are_probed(house):
    async with house.session.get(house.url("public", "/healthz")) as public:
        assert await public.json() == {"status": "ok"}
    assert (await look(house, "/healthz"))[2] == b'{"status":"ok"}'


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_a_probe_may_ask_without_wanting_the_body(house, path):
    status, headers, body = await look(house, path, "HEAD")

    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 0


async def readiness(house):
    status, _, body = await look(house, "/readyz")
    return status, json.loads(body)


async def test_all_is_well(house):
    assert await readiness(house) == (
        200,
        {"status": "ready", "dependencies": {"postgres": "up", "redis": "up"}},
    )


async def test_without_a_dependency_it_still_answers_and_says_so(house):
    house.ready.states["redis"] = "down"

    status, body = await readiness(house)

    assert (status, body["status"], body["dependencies"]["redis"]) == (200, "degraded", "down")


async def test_while_draining_it_asks_to_be_sent_nothing_more(house):
    house.ready.draining = True

    status, body = await readiness(house)

    assert (status, body["status"]) == (503, "draining")
    assert (await look(house, "/healthz"))[0] == 200


async def test_on_a_schema_older_than_its_release_it_asks_to_be_sent_nothing(house):
    house.ready.behind = True

    status, body = await readiness(house)

    assert (status, body["status"]) == (503, "schema_behind")
    assert (await look(house, "/healthz"))[0] == 200


async def test_before_it_has_seen_its_database_it_asks_to_be_sent_nothing(house):
    house.ready.begun = False

    status, body = await readiness(house)

    assert (status, body["status"]) == (503, "starting")
    assert (await look(house, "/healthz"))[0] == 200


class Stuck(Ready):
    async def dependencies(self):
        await asyncio.Event().wait()


async def test_a_dependency_that_does_not_answer_holds_no_probe_up(monkeypatch):
    monkeypatch.setattr(observe, "LOOK_S", 0.05)
    async with open_house(ready=Stuck()) as house:
        status, body = await readiness(house)

    assert (status, body["status"]) == (200, "degraded")


async def test_figures_are_rendered_as_prometheus_reads_them(house):
    _, headers, body = await look(house, "/metrics")

    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert body == b"up 1\n"


@pytest.mark.parametrize("path", ["/refresh", "/v1/users", "/openapi.json", "/docs", "/"])
async def test_there_is_nothing_else_to_observe(house, path):
    status, _, body = await look(house, path)

    assert (status, json.loads(body)["code"]) == (404, "not_found")


@dataclass(frozen=True)
class _Anywhere:
    host: str
    port: int = 0


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_the_worker_opens_this_listener_alone(host):
    listener = await open_observation(Ready(), lambda: b"up 1\n", Notes(), bind(_Anywhere(host)))
    shown = f"[{host}]" if ":" in host else host

    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{shown}:{listener.port}/metrics") as response,
    ):
        assert await response.text() == "up 1\n"
    await listener.close()
