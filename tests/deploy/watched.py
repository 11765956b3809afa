"""A whole broker that a real Prometheus scrapes, and the troubles that can be caused in it."""

import asyncio
import os
import signal
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import asyncpg

from sandbox.calcom import SandboxClient, SandboxConfig
from sandbox.embedded import Servers
from tests.support.programs import token_broker
from tests.support.prometheus import Prometheus, prometheus
from tests.support.promql import alerts
from tests.support.receivers import SECRET as SIGNED_BY
from tests.support.receivers import receiving
from tests.support.stack import Stack, running_stack
from tests.support.waiting import eventually

CLIENT, SECRET = "acme", "secret-of-acme"
CONFIG = SandboxConfig(clients=(SandboxClient(CLIENT, SECRET),), lifetime_s=360)
# Little enough to be used up on purpose, enough for all the rest; nobody is held back for asking often.
SETTINGS = {"UPSTREAM_RATE": "180/min", "USER_ROTATIONS": "0", "ADDRESS_FAILURES": "0"}
WITHIN_S = 60
OLDER = "UPDATE grants SET expires_at = expires_at - interval '1 day' WHERE user_id = $1"
FAILED_BEFORE = "UPDATE audit_events SET at = at - interval '3 minutes' WHERE user_id = $1"
SPOILED = "UPDATE grants SET access_sealed = '\\x00', due_at = now(), claim_owner = NULL WHERE user_id = $1"
LEFT = """
    UPDATE grants SET claim_owner = 'gone', claim_kind = 'refresh', claimed_at = now() - interval '1 hour',
        due_at = now() - interval '1 hour' WHERE user_id = $1
"""


@dataclass(frozen=True)
class Watched:
    """What runs, and who watches it."""

    stack: Stack
    servers: Servers
    prometheus: Prometheus
    settings: dict

    async def fires(self, alert, *, within_s=WITHIN_S, **labels):
        """Wait until the alert's expression holds (with these labels), whatever its `for`."""
        await eventually(lambda: self.holds(alert, **labels), within_s, every_s=0.2)

    async def calms(self, alert, **labels):
        """Wait until it holds no longer."""

        async def over():
            return not await self.holds(alert, **labels)

        await eventually(over, WITHIN_S, every_s=0.2)

    async def holds(self, alert, **labels):
        """Whether the alert's expression has a result with these labels now."""
        found = await self.prometheus.query(alerts()[alert]["expr"])
        return any(labels.items() <= one["metric"].items() for one in found)

    async def user(self, name):
        """A user who has been given a token; returns its id upstream and the token."""
        user = await self.stack.create_user(CLIENT, name)
        return user["calUserId"], (await self.stack.token(CLIENT, name))["accessToken"]

    async def ask(self, name, **body):
        """Ask for a new pair as the app does, whatever comes of it; returns the answer."""
        path, any_status = f"/v1/users/{name}/refresh", range(600)
        return await self.stack.call("POST", path, CLIENT, json=body, status=any_status)

    async def browser(self, token):
        """Ask as a page does, and return the status."""
        headers = {"Authorization": f"Bearer {token}"}
        async with self.stack.http.get(f"{self.stack.public_url}/refresh", headers=headers) as answer:
            return answer.status

    async def sql(self, statement, *arguments):
        """Do something behind the broker's back."""
        connection = await asyncpg.connect(self.settings["TOKEN_BROKER_DATABASE_URL"])
        await connection.execute(statement, *arguments)
        await connection.close()

    async def lose_pair(self, name):
        """Have somebody else spend the user's refresh token while its access token dies; then ask."""
        upstream_id, token = await self.user(name)
        (refresh_token,) = self.stack.sandbox.user(upstream_id).refresh_tokens
        self.stack.sandbox.kill_refresh(refresh_token)
        self.stack.sandbox.expire(upstream_id)
        return await self.ask(name, refused=token)

    @asynccontextmanager
    async def stopped(self, *programs):
        """Stop these processes as a machine that hangs does, for as long as the block takes."""
        for program in programs:
            os.kill(program.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for program in programs:
                os.kill(program.process.pid, signal.SIGCONT)

    @asynccontextmanager
    async def second_worker(self):
        """Run another worker where Prometheus looks for it: it counts everything when it starts."""
        async with token_broker("work", self.settings) as worker:
            await worker.said("worker.started")
            yield worker


async def traffic(watched):
    """Have everything happen once that moves a metric."""
    sandbox, names = watched.stack.sandbox, ("anna", "bert", "cora", "emil")
    (_, old), *_ = await asyncio.gather(*map(watched.user, names))
    sandbox.fault("throttled", "refresh", count=1, reset_s=0.5)
    await watched.ask("bert")
    sandbox.fault("drop_after", "refresh", count=1)
    await watched.ask("cora")
    together = (watched.ask("anna") for _ in range(5))
    await asyncio.gather(*together, watched.ask("emil", force=True), watched.lose_pair("dora"))
    await watched.stack.call("POST", "/v1/users/anna/revoke", CLIENT, status=(200, 202, 204))
    assert await watched.browser(old) == 401


@asynccontextmanager
async def running_watched(servers, database_url, folder, second_worker_at):
    """Run it, with a place kept for a second worker."""
    async with AsyncExitStack() as around:
        receiver = await around.enter_async_context(receiving())
        hook = {"WEBHOOK_URL": receiver.url, "WEBHOOK_SECRETS": SIGNED_BY}
        running = running_stack(database_url, servers.valkey.url, CONFIG, **SETTINGS, **hook)
        stack = await around.enter_async_context(running)
        worker_at = (await stack.worker.said("worker.started"))["observe"]
        service_at = stack.observe_url.removeprefix("http://")
        settings = stack.variables | {"TOKEN_BROKER_OBSERVE_ADDRESS": second_worker_at}
        async with prometheus(folder, {"broker": [service_at, worker_at, second_worker_at]}) as it:
            yield Watched(stack, servers, it, settings)
