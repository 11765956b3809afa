"""Several service processes as one service: they share its work, outlive each other and end together."""

import asyncio
import os
import signal

import pytest

from sandbox.calcom import SandboxClient, SandboxConfig
from tests.e2e.runs import alive
from tests.support.programs import started
from tests.support.several import HASTY, Several, several, variables
from tests.support.stack import running_stack
from tests.support.waiting import eventually

PROCESSES = 2
CLIENT = SandboxClient("acme", "secret")
CONFIG = SandboxConfig(clients=(CLIENT,), lifetime_s=600)
NAMES = [f"u{number}" for number in range(6)]
PATIENT = {
    "UPSTREAM_TIMEOUT": "20s", "DATABASE_TIMEOUT": "3s", "LEASE_TTL": "24s", "CLAIM_DEADLINE": "24s",
    "ANSWER_TIMEOUT": "40s", "PUBLIC_ANSWER_TIMEOUT": "50s", "DRAIN": "55s", "GRACE": "60s",
}  # fmt: skip

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
async def service(database_url, redis_url):
    async with several(PROCESSES, database_url, redis_url) as running:
        yield running


async def asked(service, times, path="/healthz"):
    """The statuses of so many requests, one after another, each on a connection of its own."""
    return [(await service.ask(path))[0] for _ in range(times)]


async def drains(service):
    return (await service.ask("/readyz"))[0] == 503


async def test_every_process_has_its_share_of_the_connections(service):
    assert await asked(service, 150) == [200] * 150

    def all_told():
        return sum(service.answered_by("/healthz").values()) == 150

    await eventually(all_told, within_s=10)
    assert min(service.answered_by("/healthz").values()) > 150 / PROCESSES / 2


async def test_a_killed_process_is_replaced_and_nobody_who_asks_meanwhile_is_refused(service):
    killed = service.members[1]
    os.kill(killed, signal.SIGKILL)

    assert await asked(service, 30) == [200] * 30
    restarted = await service.program.said("process.restarted")
    assert (restarted["process"], restarted["exit_code"]) == (1, -signal.SIGKILL)
    await eventually(lambda: len(service.program.of("process.started", process=1)) == 2, within_s=30)
    assert killed not in service.members.values()
    assert len(service.members) == PROCESSES


async def test_a_process_that_is_told_to_end_alone_is_replaced(service):
    os.kill(service.members[0], signal.SIGTERM)

    assert (await service.program.said("process.restarted"))["exit_code"] == 0
    await eventually(lambda: len(service.program.of("process.started", process=0)) == 2, within_s=30)


async def test_while_they_drain_all_say_so_and_what_is_under_way_is_answered(database_url, redis_url):
    async with running_stack(database_url, redis_url, CONFIG, WORKERS="2", **PATIENT) as stack:
        service = Several(stack.service, stack.service.of("service.started")[0])
        for name in NAMES:
            await stack.create_user(CLIENT.id, name)
        with stack.sandbox.gate("refresh", "after") as gate:
            asking = [asyncio.create_task(stack.rotate(CLIENT.id, name)) for name in NAMES]
            await gate.arrived(len(NAMES))
            service.program.process.send_signal(signal.SIGTERM)
            await eventually(lambda: drains(service), within_s=10)
            assert await asked(service, 12, "/readyz") == [503] * 12
            gate.open()
            assert await asyncio.wait_for(service.program.process.wait(), 30) == 0
        assert all(stack.sandbox.is_live(answer["accessToken"]) for answer in await asyncio.gather(*asking))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_one_signal_ends_all_of_them(service, number):
    members = list(service.members.values())
    service.program.process.send_signal(number)

    assert await asyncio.wait_for(service.program.process.wait(), 30) == 0
    assert alive(members) == []
    assert len(service.program.of("process.stopped", unfinished=0)) == PROCESSES
    assert service.program.of("process.restarted") == []


async def test_nothing_is_left_of_them_on_disk(database_url, redis_url, tmp_path):
    env = variables(database_url, redis_url, 2) | {"TMPDIR": str(tmp_path)}
    program = await started("serve", env)
    await program.said("service.started")
    assert len(list(tmp_path.iterdir())) == 1
    assert await program.end() == 0
    assert list(tmp_path.iterdir()) == []


async def test_a_taken_port_is_told_once_and_none_is_started(service, database_url, redis_url):
    taken = service.where["public"]
    program = await started("serve", variables(database_url, redis_url, 2, PUBLIC_ADDRESS=taken))

    assert await asyncio.wait_for(program.process.wait(), 30) == 2
    await program.kill()
    (told,) = program.stray
    assert told.startswith(f"TOKEN_BROKER_PUBLIC_ADDRESS: {taken} cannot be listened on")
    assert program.lines == []


async def test_a_setting_that_is_wrong_is_told_once_and_none_is_started(database_url, redis_url):
    program = await started("serve", variables(database_url, redis_url, 2, GRACE="1s"))

    assert await asyncio.wait_for(program.process.wait(), 30) == 2
    await program.kill()
    assert [line.partition(":")[0] for line in program.stray] == ["TOKEN_BROKER_GRACE"]


async def test_processes_without_their_supervisor_drain_and_end(database_url, redis_url, tmp_path):
    env = variables(database_url, redis_url, 2) | {"TMPDIR": str(tmp_path)}
    program = await started("serve", env)
    await program.said("service.started")
    program.process.kill()

    for place in (0, 1):
        assert (await program.said("process.stopped", process=place))["unfinished"] == 0
    await program.kill()
    await eventually(lambda: not list(tmp_path.iterdir()), within_s=10)


async def test_who_hangs_is_passed_over_then_killed_and_replaced(database_url, redis_url):
    async with several(2, database_url, redis_url, **HASTY) as service:
        os.kill(service.members[0], signal.SIGSTOP)

        assert await asked(service, 20) == [200] * 20
        restarted = await service.program.said("process.restarted")
        assert (restarted["process"], restarted["reason"]) == (0, "silent")
        await eventually(lambda: len(service.program.of("process.started", process=0)) == 2, within_s=30)


async def test_who_hangs_at_the_end_is_killed_before_the_platform_kills_all(database_url, redis_url):
    program = await started("serve", variables(database_url, redis_url, 2, **HASTY))
    await program.said("service.started")
    os.kill(Several(program, {}).members[1], signal.SIGSTOP)
    program.process.send_signal(signal.SIGTERM)

    assert await asyncio.wait_for(program.process.wait(), 30) == 1
    await program.kill()
    assert [line["process"] for line in program.of("process.killed")] == [1]
    assert program.of("process.stopped", process=0)
