"""Service, worker and example receiver as processes: what happens reaches the app whoever is away."""

import asyncio
import json
import os
import socket
import sys
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from aiohttp import ClientSession
from standardwebhooks import Webhook

from sandbox.calcom import SandboxClient, SandboxConfig
from tests.support.programs import ROOT, started, token_broker
from tests.support.receivers import OLD_SECRET, SECRET, receiving
from tests.support.stack import running_stack
from tests.support.waiting import eventually

CLIENT = SandboxClient("acme", "secret")
CONFIG = SandboxConfig(clients=(CLIENT,), lifetime_s=600)
EXAMPLE = ROOT / "docs" / "examples" / "webhook_receiver.py"
LEFT = (
    "UPDATE notices SET claimed_until = claimed_until - interval '1 minute' WHERE claimed_until IS NOT NULL"
)

pytestmark = pytest.mark.timeout(120)


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def hooked(port, **settings):
    return {
        "WEBHOOK_URL": f"http://127.0.0.1:{port}/hooks",
        "WEBHOOK_SECRETS": f"{SECRET},{OLD_SECRET}",
    } | settings


class Example:
    """The example receiver as a process."""

    def __init__(self, process):
        self.process = process
        self.taken = []
        self._reading = asyncio.create_task(self._read())

    async def _read(self):
        async for line in self.process.stdout:
            self.taken.append(json.loads(line))

    async def end(self):
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        await self._reading


@asynccontextmanager
async def example(port, folder, secret=SECRET):
    """Run the example as its first lines say."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLE), "--port", str(port), "--taken", str(folder / "taken.sqlite"),
        env={"PATH": os.environ["PATH"], "WEBHOOK_SECRETS": secret},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert b"listening" in await process.stderr.readline()
    receiver = Example(process)
    try:
        yield receiver
    finally:
        await receiver.end()


async def dies_and_comes_back(stack, name):
    """A user is deleted at Cal.com behind the app's back, and created anew when the app notices."""
    user = await stack.create_user(CLIENT.id, name)
    stack.sandbox.delete_user(int(user["calUserId"]))
    await stack.call("POST", f"/v1/users/{name}/refresh", CLIENT.id, json={"force": True}, status=(409,))
    await stack.create_user(CLIENT.id, name)


def told(messages, name):
    return [message["type"] for message in messages if message["data"].get("userId") == name]


async def test_the_example_receives_in_order_what_happened_before_it_was_there(
    database_url, redis_url, tmp_path
):
    port = free_port()
    async with running_stack(database_url, redis_url, CONFIG, **hooked(port)) as stack:
        for name in ("ann", "bert"):
            await dies_and_comes_back(stack, name)
        await stack.worker.said("webhook.failed", type="grant.died", reason="ClientConnectorError")
        async with example(port, tmp_path, OLD_SECRET) as receiver:
            await eventually(lambda: len(receiver.taken) == 4, within_s=40)
            for name in ("ann", "bert"):
                assert told(receiver.taken, name) == ["grant.died", "grant.recovered"]


async def test_a_worker_that_is_killed_amid_sending_loses_nothing(database_url, redis_url):
    async with receiving() as receiver, running_stack(database_url, redis_url, CONFIG) as stack:
        receiver.gate.clear()
        hook = {"TOKEN_BROKER_WEBHOOK_URL": receiver.url, "TOKEN_BROKER_WEBHOOK_SECRETS": SECRET}
        variables = stack.variables | hook
        killed = await started("work", variables)
        await dies_and_comes_back(stack, "ann")
        await receiver.came.wait()
        await killed.kill()
        receiver.gate.set()
        await run_in(database_url, LEFT)
        async with token_broker("work", variables) as worker:
            await worker.said("webhook.delivered", type="grant.recovered", user_id="ann")
        ids = [message_id for message_id, _ in receiver.taken]
        assert receiver.types("ann") == ["grant.died", "grant.died", "grant.recovered"]
        assert ids[0] == ids[1] != ids[2]


async def run_in(database_url, statement):
    connection = await asyncpg.connect(database_url)
    await connection.execute(statement)
    await connection.close()


def headers_of(message_id, body, ago_s=0):
    """The headers that the reference implementation signs a message with."""
    at = datetime.now(UTC) - timedelta(seconds=ago_s)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(SECRET).sign(message_id, at, body),
    }


async def posted(port, body, headers):
    """The status that the example answers with."""
    url = f"http://127.0.0.1:{port}/hooks"
    async with ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        return answer.status


async def test_the_example_takes_nothing_twice_and_nothing_that_is_not_genuine(tmp_path):
    port = free_port()
    async with example(port, tmp_path) as receiver:
        body = json.dumps({"type": "grant.died", "data": {"number": 1}})
        genuine = headers_of("msg_1", body)
        assert [await posted(port, body, genuine) for _ in range(2)] == [204, 204]
        assert await posted(port, body + " ", genuine) == 401
        assert await posted(port, body, genuine | {"webhook-id": "msg_2"}) == 401
        assert await posted(port, body, headers_of("msg_3", body, ago_s=600)) == 401
        assert await posted(port, body, {}) == 401
        assert await posted(port, body, genuine | {"webhook-timestamp": "9" * 5000}) == 401
        assert await posted(port, "x" * 70_000, genuine) == 413
        await eventually(lambda: receiver.taken)
        assert receiver.taken == [json.loads(body)]
    async with example(port, tmp_path) as again:
        assert await posted(port, body, genuine) == 204
        assert again.taken == []
