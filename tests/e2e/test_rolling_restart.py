"""Rolling restarts under load: no caller sees one, and no refresh token is lost to one."""

import asyncio

import pytest

from tests.e2e.callers import meanwhile
from tests.e2e.rolling import COMMANDS, USERS, town

ROUNDS = 6
EVERY_S = 5.0


async def replace_one_after_another(town):
    """Replace a service and a worker every five seconds, each time the others than the time before."""
    loop = asyncio.get_running_loop()
    for number in range(ROUNDS):
        next_at = loop.time() + EVERY_S
        await town.replace(number % 2)
        await asyncio.sleep(max(0.0, next_at - loop.time()))


async def roll(database_url, redis_url):
    async with town(database_url, redis_url) as rolling, meanwhile(*rolling.everybody()):
        await replace_one_after_another(rolling)
    return await rolling.rolled()


@pytest.mark.timeout(240)
async def test_no_caller_notices_that_every_process_is_replaced(database_url, redis_url, capsys):
    rolled = await roll(database_url, redis_url)

    carried_over = {command: rolled.carried_over(command) for command in COMMANDS}
    with capsys.disabled():
        print(f"\nrolling restart: {rolled.heard.answers} answers ({rolled.heard.retried} after a retry), "  # noqa: T201
              f"{rolled.rotations} rotations, finished after SIGTERM: {carried_over}")  # fmt: skip
    assert rolled.heard.failures == []
    assert rolled.lost == 0
    assert rolled.forced == 0
    assert rolled.codes == [0] * ROUNDS * 2
    assert rolled.rotations > 2 * USERS
    assert min(carried_over.values()) > 0, "no process was rotating when it was told to end"
