"""The Redis user of docs/kubernetes.md: what it may do is enough for service and worker, and no more."""

import re
import shlex
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from sandbox.calcom import SandboxClient, SandboxConfig, serve
from tests.e2e.callers import calling, create_user
from tests.e2e.replicas import Replica
from tests.support.environment import environment
from tests.support.waiting import eventually

PAGE = Path(__file__).parents[2] / "docs" / "kubernetes.md"
USER = re.compile(r"```text\nuser token-broker on nopass (?P<rules>.+)\n```")
CLIENT = SandboxClient("redis-user", "secret")
LIFETIME_S = 6


def rules():
    return shlex.split(USER.search(PAGE.read_text())["rules"])


@pytest.fixture
async def restricted(redis_url):
    """Return an administrator's connection and the address with the page's user in it."""
    parts = urlsplit(redis_url)
    async with Redis.from_url(redis_url) as administrator:
        await administrator.execute_command("ACL", "SETUSER", "restricted", "on", ">secret", *rules())
        await administrator.execute_command("ACL", "LOG", "RESET")
        try:
            yield (
                administrator,
                urlunsplit(parts._replace(netloc=f"restricted:secret@{parts.hostname}:{parts.port}")),
            )
        finally:
            await administrator.execute_command("ACL", "DELUSER", "restricted")


async def denied(administrator):
    """Return what the user was refused so far."""
    entries = await administrator.acl_log()
    return {(entry["reason"], entry["object"]) for entry in entries if entry["username"] == "restricted"}


@asynccontextmanager
async def callers_of(database_url, redis_url):
    """Two services and a worker that use this Redis user; gives those who call them, and upstream."""
    async with AsyncExitStack() as stack:
        config = SandboxConfig((CLIENT,), lifetime_s=LIFETIME_S, throttle=False)
        upstream = await stack.enter_async_context(serve(config))
        variables = environment(
            DATABASE_URL=database_url, REDIS_URL=redis_url, CAL_API_URL=upstream.url,
            CAL_OAUTH_CLIENT_ID=CLIENT.id, X_CAL_SECRET_KEY=CLIENT.secret,
            ACCESS_TOKEN_LIFETIME=f"{LIFETIME_S}s",
        )  # fmt: skip
        replicas = [Replica(command, variables, 60) for command in ("serve", "serve", "work")]
        for replica in replicas:
            await stack.enter_async_context(replica)
        await create_user(replicas[0].internal, "ada")
        yield (
            await stack.enter_async_context(calling(replicas[:2], upstream.sandbox.is_live)),
            upstream.sandbox,
        )


@pytest.mark.timeout(120)
async def test_service_and_worker_are_refused_nothing(database_url, restricted):
    administrator, url = restricted
    async with callers_of(database_url, url) as (callers, upstream):

        async def rotated_twice():
            await callers.token("ada")
            return upstream.counts().get("refresh", 0) >= 2

        await eventually(rotated_twice, within_s=60)
        assert callers.heard.failures == []
    assert await denied(administrator) == set()


async def test_what_is_not_the_brokers_is_out_of_reach(restricted):
    _, url = restricted
    async with Redis.from_url(url) as user:
        for command in (
            ("GET", "somebody-elses"),
            ("FLUSHALL",),
            ("KEYS", "*"),
            ("CONFIG", "GET", "*"),
            ("ACL", "LIST"),
        ):
            with pytest.raises(NoPermissionError):
                await user.execute_command(*command)
