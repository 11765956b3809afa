"""A run while it is up: what a person finds behind the printed addresses."""

import re
import time

import aiohttp
import orjson
import pytest

from sandbox.dev.ports import Ports
from tests.e2e.runs import bearer, call


async def session_of(run):
    status, held = await call("POST", f"{run.page}/demo/session")
    assert status == 200
    return held["accessToken"]


def test_everything_is_up_within_fifteen_seconds(start):
    started = time.monotonic()
    start().up()
    assert time.monotonic() - started < 15


async def test_every_listener_answers(shared_run):
    ports = shared_run.ports
    for port, path in ((ports.public, "healthz"), (ports.observe, "readyz"), (ports.worker, "readyz")):
        assert (await call("GET", f"http://127.0.0.1:{port}/{path}"))[0] == 200
    assert (await call("GET", f"http://127.0.0.1:{ports.internal}/v1/users"))[0] == 401


@pytest.mark.parametrize(
    "path", ["/", "/demo/page.js", "/demo/page.css", "/demo/feed.js", "/demo/sleeper.js", "/keep-fresh.js"]
)
async def test_the_page_and_all_it_loads_are_there(shared_run, path):
    async with aiohttp.ClientSession() as session, session.get(shared_run.page + path) as response:
        assert response.status == 200
        assert "http://" not in (await response.text()).replace("http://www.w3.org/2000/svg", "")


async def test_a_page_gets_a_token_that_works_and_one_for_it(shared_run):
    token = await session_of(shared_run)
    assert await call("GET", f"{shared_run.page}/demo/call", headers=bearer(token)) == (200, {"status": 200})
    status, answer = await call("GET", f"{shared_run.page}/api/cal/refresh", headers=bearer(token))
    assert status == 200
    assert answer["accessToken"]


async def test_the_refresh_endpoint_on_the_pages_origin_answers_as_the_brokers_own(shared_run):
    for headers in ({}, bearer("nobody.knows.it"), {"Authorization": "Basic x"}):
        there = await call("GET", shared_run.refresh_url, headers=headers)
        assert await call("GET", f"{shared_run.page}/api/cal/refresh", headers=headers) == there


async def test_a_stampede_of_a_hundred_costs_one_call_upstream(shared_run):
    status, seen = await call("POST", f"{shared_run.page}/demo/stampede")
    assert status == 200
    assert (seen["answered"], seen["tokens"], seen["upstream"]) == (100, 1, {"refresh": 1})


async def test_a_token_that_ended_early_is_replaced_at_once(shared_run):
    token = await session_of(shared_run)
    await call("POST", f"{shared_run.page}/demo/trouble?kind=ended")
    assert await call("GET", f"{shared_run.page}/demo/call", headers=bearer(token)) == (200, {"status": 498})
    _, answer = await call("GET", shared_run.refresh_url, headers=bearer(token))
    assert answer["accessToken"] != token


async def test_a_lost_answer_leaves_the_tab_with_a_token_that_works(shared_run):
    token = await session_of(shared_run)
    await call("POST", f"{shared_run.page}/demo/trouble?kind=lost")
    _, answer = await call("GET", shared_run.refresh_url, headers=bearer(token))
    held = bearer(answer["accessToken"])
    assert await call("GET", f"{shared_run.page}/demo/call", headers=held) == (200, {"status": 200})


async def test_who_comes_late_to_the_feed_is_told_what_happened(shared_run):
    await session_of(shared_run)
    async with aiohttp.ClientSession() as session, session.get(f"{shared_run.page}/demo/events") as feed:
        async for line in feed.content:
            if line.startswith(b"data: "):
                break
    told = orjson.loads(line.removeprefix(b"data: "))
    assert {"create", "service.started", "worker.started"} <= {note["event"] for note in told["notes"]}
    assert told["tally"]["creates"] >= 1


@pytest.mark.parametrize("foreign", [{"Host": "rebound.example:80"}, {"Origin": "http://evil.example"}])
async def test_other_sites_are_not_given_the_demos_tokens(shared_run, foreign):
    status, answer = await call("POST", f"{shared_run.page}/demo/session", headers=foreign)
    assert (status, "accessToken" in answer) == (403, False)


def test_a_second_run_names_every_taken_port_and_who_has_it(shared_run, start):
    again = start(ports=shared_run.ports)
    assert again.ended() == 2
    said = again.output
    for port in (shared_run.ports.demo, shared_run.ports.public, shared_run.ports.worker):
        assert f"Port {port}, for" in said
    assert "is taken by python" in said
    assert re.search(r"choose another: token-broker dev --port \d+ --public-port \d+", said)


def test_one_port_for_two_listeners_is_wrong_usage(start):
    port = Ports.free().demo
    run = start(ports=Ports(port, port, *range(port + 1, port + 4)))
    assert run.ended() == 2
    assert "wanted twice" in run.output


async def test_no_token_is_said_on_the_terminal(shared_run):
    token = await session_of(shared_run)
    assert token.rpartition(".")[2] not in shared_run.output
    assert "eyJ" not in shared_run.output
