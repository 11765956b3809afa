"""Redis through Sentinel: the primary is found, and its successor after a failover."""

import asyncio
import subprocess
import time
from contextlib import closing

import pytest
import redis

from sandbox.embedded import Valkey
from sandbox.embedded.programs import find_valkey
from service.adapters.redis_link import RedisLink
from tests.support.cached import Notes
from tests.support.waiting import eventually

SENTINEL = """port {port}
bind 127.0.0.1
dir {folder}
sentinel monitor the-primary 127.0.0.1 {primary.port} 1
sentinel auth-pass the-primary {primary._password}
sentinel down-after-milliseconds the-primary 300
sentinel failover-timeout the-primary 1000
"""


@pytest.fixture
def primary_and_replica(server_folder):
    """Two Valkeys with one password, the second a replica of the first."""
    primary = Valkey(server_folder / "primary", options={"appendonly": "no", "repl-diskless-sync-delay": "0"})
    primary.start()
    follow = {"replicaof": f"127.0.0.1 {primary.port}", "masterauth": primary._password}
    replica = Valkey(server_folder / "replica", options={"appendonly": "no", **follow})
    replica._password = primary._password
    replica.start()
    # A sentinel asks for replicas when it starts, and then only every ten seconds.
    with closing(redis.Redis.from_url(primary.url)) as client:
        while client.info("replication").get("slave0", {}).get("state") != "online":
            time.sleep(0.02)
    yield primary, replica
    replica.stop()
    primary.stop()


@pytest.fixture
def sentinel_url(primary_and_replica, server_folder, unused_tcp_port):
    """The address of the primary through a sentinel."""
    primary, _ = primary_and_replica
    config = server_folder / "sentinel.conf"
    config.write_text(SENTINEL.format(port=unused_tcp_port, folder=server_folder, primary=primary))
    program, _ = primary.account.usable(find_valkey(), server_folder)
    sentinel = subprocess.Popen([program.executable, config, "--sentinel"], stdout=subprocess.DEVNULL)
    yield f"redis+sentinel://:{primary._password}@127.0.0.1:{unused_tcp_port}/the-primary/0"
    sentinel.terminate()
    sentinel.wait(10)


@pytest.fixture
async def link(sentinel_url):
    opened = RedisLink(sentinel_url, Notes(), rest_s=0.2)
    yield opened
    await opened.aclose()


async def test_the_primary_is_found_and_its_successor_too(primary_and_replica, sentinel_url, link):
    primary, _ = primary_and_replica
    await eventually(link.ping)
    await eventually(lambda: knows_a_replica(sentinel_url))
    primary.kill()
    assert await link.ping() is False
    await eventually(link.ping, within_s=20)


async def knows_a_replica(url):
    port = int(url.rpartition(":")[2].partition("/")[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"SENTINEL REPLICAS the-primary\r\n")
    answer = await reader.read(4096)
    writer.close()
    await writer.wait_closed()
    return b"master-link-status\r\n$2\r\nok" in answer
