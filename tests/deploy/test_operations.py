"""The commands of docs/operations.md, run in order against a running broker as its operators would."""

import asyncio
import re

import pytest

from sandbox.calcom import SandboxClient, SandboxConfig
from tests.deploy.pages import PAGE, commands, shell
from tests.support.environment import environment, key_of
from tests.support.stack import API_KEY, running_broker, running_stack

pytestmark = pytest.mark.timeout(240)

CLIENT = "acme"
CONFIG = SandboxConfig(clients=(SandboxClient(CLIENT, "secret-of-acme"),), lifetime_s=360)
USERS = ("anna", "bert", "cora")


@pytest.fixture
async def stack(database_url, redis_url):
    async with running_stack(database_url, redis_url, CONFIG, USER_ROTATIONS="0") as stack:
        await asyncio.gather(*(stack.create_user(CLIENT, name) for name in USERS))
        yield stack


async def test_every_command_that_is_said_to_be_run_here_does_its_work(stack, database_url, tmp_path):
    worker_observe = (await stack.worker.said("worker.started"))["observe"]
    script = "\n".join(commands(PAGE.read_text(), "test_operations.py"))
    said = await asyncio.to_thread(
        shell, script, tmp_path, internal=stack.internal_url, observe=stack.observe_url, key=API_KEY,
        worker_observe=f"http://{worker_observe}", database=database_url,
        TOKEN_BROKER_DATABASE_URL=database_url,
        TOKEN_BROKER_ENCRYPTION_KEYS=stack.variables["TOKEN_BROKER_ENCRYPTION_KEYS"],
    )  # fmt: skip
    assert re.findall(r"^(\w+) 200$", said, re.MULTILINE) == list(USERS)
    assert "no row is left under another key" in said
    assert '"state":"PAUSED"' in said.replace(" ", "")
    assert len(stack.sandbox.journal.of("force")) == len(USERS)


async def test_a_user_whose_key_is_lost_is_had_back_by_an_administrator(stack):
    ann = await stack.call("GET", "/v1/users/anna", CLIENT)
    other = environment(**stack.variables | {"TOKEN_BROKER_ENCRYPTION_KEYS": f"e2:{key_of('x')}"})
    other["TOKEN_BROKER_API_KEYS"] += ":users:read+users:write+tokens:read+admin"
    recover = {"calUserId": ann["calUserId"], "email": ann["email"], "recover": True}
    async with running_broker(stack.upstream, other) as without:
        await without.call("GET", "/v1/users/anna/token", CLIENT, status=(503,))
        await without.call("PUT", "/v1/users/anna/tokens", CLIENT, json=recover)
        given = await without.token(CLIENT, "anna")
    assert stack.sandbox.is_live(given["accessToken"])
