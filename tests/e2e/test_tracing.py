"""Service and worker as they run, sending traces to a collector: a whole story, and no secret in it."""

import asyncio
import socket

import asyncpg
import pytest

from sandbox.calcom import SandboxClient, SandboxConfig
from tests.chaos.check.leaks import forms, secret_needles, token_needles
from tests.support.collector import collecting
from tests.support.environment import key_of
from tests.support.stack import API_KEY, running_stack

CLIENT = SandboxClient("acme", "client-secret-of-acme")
CONFIG = SandboxConfig(clients=(CLIENT,), lifetime_s=600, journal_tokens=True)
COLLECTOR_KEY = "collector-key-7c1d0e"
USER = "ann-of-the-hills"
DUE = (
    "UPDATE grants SET due_at = clock_timestamp(), refresh_at = clock_timestamp(),"
    " first_used_at = coalesce(first_used_at, clock_timestamp())"
)
SENDS = {"OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_EXPORTER_OTLP_HEADERS": f"x-key={COLLECTOR_KEY}"}


async def refresh(stack, token):
    headers = {"Authorization": f"Bearer {token}"}
    async with stack.http.get(f"{stack.public_url}/refresh", headers=headers) as answer:
        return answer.status, await answer.json()


async def live_a_story(stack, database_url):
    """Create, read, refuse, rotate, force, sweep, revoke; returns what was handed out on the way."""
    user = await stack.create_user("acme", USER)
    first = (await stack.token("acme", USER))["accessToken"]
    assert stack.sandbox.kill(first)
    status, second = await refresh(stack, first)
    assert status == 200
    await stack.rotate("acme", USER)
    await stack.call("POST", f"/v1/users/{USER}/refresh", "acme", json={"force": True})
    await run_sql(database_url, DUE)
    await stack.worker.said("refresh.rotated", trigger="ahead")
    await stack.call("POST", f"/v1/users/{USER}/revoke", "acme", json={})
    assert (await refresh(stack, first))[0] == 401
    return str(user["calUserId"]), second["accessToken"]


async def run_sql(database_url, statement):
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
async def story(database_url, redis_url):
    """The collector of a story that has been lived to its end, and where to look for its secrets."""
    async with collecting() as collector:
        variables = {**SENDS, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "LOG_LEVEL": "debug"}
        async with running_stack(database_url, redis_url, CONFIG, **variables) as stack:
            collector.said = await live_a_story(stack, database_url)
            collector.stack = stack
        yield collector


def secrets(database_url, redis_url):
    return {
        "client secret": CLIENT.secret,
        "api key": API_KEY,
        "encryption_key": key_of("e"),
        "fingerprint_key": key_of("f"),
        "database_url": database_url,
        "redis_url": redis_url,
    }


def needles_of_tokens(sandbox):
    """What to look for of every token there was: how all begin, and the signature of each."""
    journal = [{"tokens": entry.tokens} for entry in sandbox.journal]
    signatures = {raw.rpartition(".")[2] for line in journal for raw in (line["tokens"] or {}).values()}
    assert len(signatures) >= 10  # five pairs: created, rotated twice, forced, ahead
    ends = {needle: form for signature in signatures for form, needle in forms(signature.encode())}
    return {**token_needles(journal), **ends}


async def test_no_byte_that_left_for_the_collector_is_a_secret(story, database_url, redis_url):
    needles = {**secret_needles(secrets(database_url, redis_url)), **needles_of_tokens(story.stack.sandbox)}
    bodies = b"\n".join(story.raw)
    sent = bodies + b"\n".join(story.heads)
    assert {what for needle, what in needles.items() if needle in sent} == set()
    assert USER.encode() not in sent
    assert COLLECTOR_KEY.encode() not in bodies
    assert all(story.said[0] not in str(span.facts) + span.name for span in story.spans)


async def test_service_and_worker_send_whole_traces_and_log_their_ids(story):
    flights = {span.facts["token_broker.trigger"]: span for span in story.named("refresh")}
    whole = {(span.trace, span.id) for span in story.spans}
    assert all(not span.parent or (span.trace, span.parent) in whole for span in story.spans)
    assert {"request", "forced", "ahead"} <= set(flights)
    assert "upstream.refresh" in story.below(flights["request"])
    assert "upstream.refresh" in story.below(flights["ahead"])
    assert {span.service for span in story.spans} == {"token-broker-serve", "token-broker-work"}
    lines = story.stack.service.of("request.done", route="/refresh")
    assert {line["trace_id"] for line in lines} == {span.trace for span in story.named("GET /refresh")}
    assert COLLECTOR_KEY not in str(story.stack.service.lines + story.stack.service.stray)


async def test_a_collector_that_is_away_costs_one_line_and_nothing_else(database_url, redis_url):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and never listened on: refused
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
        async with running_stack(
            database_url, redis_url, CONFIG, OTEL_BSP_SCHEDULE_DELAY="50", **variables
        ) as stack:
            await stack.create_user("acme", USER)
            await stack.service.said("tracing.failed")
            answers = await asyncio.gather(*(stack.token("acme", USER) for _ in range(50)))
    assert len({answer["accessToken"] for answer in answers}) == 1
    assert len(stack.service.of("tracing.failed")) <= 2  # the second: the last spans
    assert stack.service.of("library.message") == []


async def test_of_several_processes_each_sends_its_own(database_url, redis_url):
    async with collecting() as collector:
        variables = {**SENDS, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "WORKERS": "2"}
        async with running_stack(database_url, redis_url, CONFIG, **variables) as stack:
            senders = set()
            while len(senders) < 2:  # which of them is asked, the kernel says; the test's time-out ends this
                await stack.call("GET", "/v1/users", "acme", headers={"Connection": "close"})
                senders = {span.instance for span in collector.named("GET /v1/users")}
    assert {span.service for span in collector.spans} == {"token-broker-serve"}
