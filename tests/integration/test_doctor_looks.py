"""What the doctor makes of what ails or runs: Redis, upstream, and a broker that is there already."""

import asyncio
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import pytest
from redis.asyncio import Redis

from sandbox.calcom import SandboxClient, SandboxConfig, serve
from service.api.sockets import INTERNAL, OBSERVE, PUBLIC
from service.doctor.findings import State
from service.doctor.listeners import examine_listeners
from service.doctor.postgres_facts import read_facts
from service.doctor.redis import examine_redis
from service.doctor.upstream import examine_upstream
from service.settings import inspect_settings
from tests.e2e.test_redis_user import rules
from tests.support.deployments import this_time
from tests.support.environment import environment
from tests.support.roles import two_roles
from tests.support.served import ANYWHERE

CLIENT = SandboxClient("client-1", "hush-of-client-1")


def settings(**changes):
    return inspect_settings(environment(**changes), role="serve")[0]


def not_fine(findings):
    return {one.check: one for one in findings if one.state is not State.FINE}


async def redis_at(url):
    return not_fine(await examine_redis(settings(REDIS_URL=url), {}, this_time))


@pytest.mark.parametrize(
    ("ailment", "mend"),
    [
        ("killed", "Start it"),
        ("stopped", "Let this machine reach it"),
        ("read-only", "lead to the primary"),
        ("full", "Raise maxmemory"),
        ("loading", "Wait until it is up"),
    ],
)
async def test_what_ails_redis_is_told(ailing_redis, ailment, mend):
    assert await redis_at(ailing_redis.url) == {}
    await ailing_redis.suffer(ailment)
    found = (await redis_at(ailing_redis.url))["redis.reachable"]
    assert mend in found.mend


async def test_the_documented_user_of_redis_may_do_all_that_the_doctor_does(redis_url):
    at = urlsplit(redis_url)
    async with Redis.from_url(redis_url) as admin:
        await admin.execute_command("ACL", "SETUSER", "documented", "on", ">hush-hush", *rules())
        try:
            assert await redis_at(f"redis://documented:hush-hush@{at.hostname}:{at.port}/0") == {}
        finally:
            await admin.execute_command("ACL", "DELUSER", "documented")


async def test_a_user_of_redis_that_may_not_write_is_told(redis_url):
    at = urlsplit(redis_url)
    async with Redis.from_url(redis_url) as admin:
        await admin.execute_command(
            "ACL", "SETUSER", "reader", "on", ">hush-hush", "~tb:*", "+@read", "+ping"
        )
        try:
            found = await redis_at(f"redis://reader:hush-hush@{at.hostname}:{at.port}/0")
            assert "docs/kubernetes.md" in found["redis.reachable"].mend
        finally:
            await admin.execute_command("ACL", "DELUSER", "reader")


async def test_it_leaves_nothing_in_redis(redis_url):
    await redis_at(redis_url)
    async with Redis.from_url(redis_url) as admin:
        assert await admin.keys("*") == []


@asynccontextmanager
async def upstream(redis_url, **changes):
    """The stand-in, and what looks at it: `await look()` gives the finding."""
    async with serve(SandboxConfig(clients=(CLIENT,))) as running:
        known = settings(CAL_API_URL=running.url, REDIS_URL=redis_url, **changes)

        async def look():
            [found] = await examine_upstream(known, known.clients[0], {}, this_time)
            return found

        yield running.sandbox, look


@pytest.mark.parametrize(
    ("fault", "options", "mend"),
    [
        ("throttled", {"reset_s": 30.0}, "Lower TOKEN_BROKER_UPSTREAM_RATE"),
        ("html_before", {}, "Correct CAL_API_URL"),
        ("error_before", {"status": 503}, "If it is right, Cal.com is ill"),
        ("drop_before", {}, "Correct CAL_API_URL"),
        ("hang_before", {}, "Correct CAL_API_URL"),
        ("route_removed", {}, "Correct CAL_API_URL"),
    ],
)
async def test_what_ails_upstream_is_told(redis_url, fault, options, mend):
    async with upstream(redis_url, UPSTREAM_TIMEOUT="1s") as (sandbox, look):
        assert (await look()).state is State.FINE
        sandbox.fault(fault, "check", **options)
        found = await look()
    assert found.state is State.WRONG
    assert mend in found.mend


async def test_it_calls_upstream_once_with_no_token_and_out_of_the_budget(redis_url):
    async with upstream(redis_url, UPSTREAM_RATE="1/h") as (sandbox, look):
        assert (await look()).state is State.FINE
        assert [entry.route for entry in sandbox.journal] == ["check"]
        found = await look()
        assert (found.state, len(sandbox.journal)) == (State.DOUBTFUL, 1)
    assert "no call of UPSTREAM_RATE (1/h) came free" in found.what


async def test_a_first_secret_that_upstream_does_not_take_is_told(redis_url, tmp_path):
    file = tmp_path / "secret"
    file.write_text(f"hush-that-is-to-come\n{CLIENT.secret}")
    async with upstream(redis_url, X_CAL_SECRET_KEY=None, X_CAL_SECRET_KEY_FILE=str(file)) as (_, look):
        found = await look()
    assert found.state is State.DOUBTFUL
    assert "takes the second of the client's two secrets" in found.what


async def test_an_upstream_that_is_slow_is_told(redis_url):
    async with upstream(redis_url, UPSTREAM_TIMEOUT="2s") as (sandbox, look):
        sandbox.fault("delay_before", "check", delay_s=1.1)
        found = await look()
    assert found.state is State.DOUBTFUL
    assert "Raise TOKEN_BROKER_UPSTREAM_TIMEOUT" in found.mend


@pytest.fixture
async def world(worlds):
    return await worlds(**ANYWHERE)


def addresses(house):
    ports = {door: house._listeners.open[door].port for door in (PUBLIC, INTERNAL, OBSERVE)}
    return {f"{door.upper()}_ADDRESS": f"127.0.0.1:{port}" for door, port in ports.items()}


async def test_a_broker_that_runs_there_is_known_as_one(house):
    findings = await examine_listeners(settings(**addresses(house)))
    assert [one.what.split(" on ")[0] for one in findings] == ["a broker answers"] * 3
    assert not_fine(findings) == {}


async def test_a_broker_that_runs_there_and_is_unwell_is_told(house, world):
    await world.sql("ALTER TABLE grants RENAME TO gone")
    try:
        found = not_fine(await examine_listeners(settings(**addresses(house))))
    finally:
        await world.sql("ALTER TABLE gone RENAME TO grants")
    assert "says that it cannot use: postgres" in found["listeners.observe"].what


async def test_an_internal_listener_that_others_can_read_is_doubtful():
    found = await examine_listeners(settings(**(ANYWHERE | {"INTERNAL_ADDRESS": "0.0.0.0:0"})))
    assert "TOKEN_BROKER_INTERNAL_TLS_CERTIFICATE_FILE" in not_fine(found)["listeners.internal"].mend


async def test_the_broker_sees_whoever_else_takes_connections(empty_database_url):
    _, app_url = await two_roles(empty_database_url)
    ours = await asyncpg.connect(app_url, statement_cache_size=0)
    (before, _), others = await read_facts(ours, this_time), []
    try:
        others = await asyncio.gather(*(asyncpg.connect(empty_database_url) for _ in range(3)))
        (after, _) = await read_facts(ours, this_time)
    finally:
        await asyncio.gather(*(one.close() for one in (ours, *others)))
    assert after.others - before.others == 3
