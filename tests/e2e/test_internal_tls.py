"""Several processes with an internal listener that speaks TLS: known callers, renewals, noise, the end."""

import asyncio
import json
import os
import signal
import time

import aiohttp
import pytest

from tests.support.account_tokens import ISSUER, account_token
from tests.support.certificates import Authority, Mount
from tests.support.several import several
from tests.support.statements import key_set, public
from tests.support.waiting import eventually

PROCESSES = 2
BACKEND = "spiffe://cluster.local/ns/shop/sa/backend"
NOISE = (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x00" * 600)

pytestmark = pytest.mark.timeout(240)


class Town:
    """The service, its certificates, and a caller with one of its own."""

    def __init__(self, folder):
        self.authority, self.mount = Authority(), Mount(folder)
        self.renew("first.test")
        self.caller = self.authority.client(f"URI:{BACKEND}", folder=folder)
        self.nobody = self.authority.client(shows=False, folder=folder)
        jwks = folder / "jwks.json"
        jwks.write_text(json.dumps(key_set(public("rsa"))))
        self.settings = self.mount.settings(
            API_KEYS=None,
            CALLER_CERTIFICATES=f"{BACKEND}:users:read",
            SERVICE_ACCOUNTS="shop/backend:users:read",
            SERVICE_ACCOUNT_ISSUER=ISSUER,
            SERVICE_ACCOUNT_JWKS=str(jwks),
        )
        self.service = None

    @property
    def port(self):
        return int(self.service.where["internal"].rpartition(":")[2])

    def renew(self, name):
        issued = self.authority.issue(f"DNS:{name}", "IP:127.0.0.1")
        self.mount.put(issued, self.authority.certificate)

    async def ask(self, context=None, token=None, path="/v1/users"):
        """Ask on a connection of its own; gives the status."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connector = aiohttp.TCPConnector(ssl=context or self.caller, force_close=True)
        url = f"https://127.0.0.1:{self.port}{path}"
        async with (
            aiohttp.ClientSession(connector=connector) as http,
            http.get(url, headers=headers) as answer,
        ):
            return answer.status

    async def say(self, sent):
        """Send bytes that are no handshake, and see the connection end without an answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(sent)
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 15)
        writer.close()
        return answer

    def loaded(self):
        """How many times each process has read the files."""
        lines = self.service.program.of("certificate.loaded")
        return [sum(line.get("process") == place for line in lines) for place in range(PROCESSES)]


@pytest.fixture
async def town(tmp_path, database_url, redis_url):
    built = Town(tmp_path)
    async with several(PROCESSES, database_url, redis_url, **built.settings) as built.service:
        yield built
        # Those who have said nothing, or half of it, hold up no end.
        silent = [await asyncio.open_connection("127.0.0.1", built.port) for _ in range(8)]
        silent[0][1].write(NOISE[2])
    for _, writer in silent:
        writer.close()
    quiet = [built.service.program.of(event) for event in ("library.message", "request.failed")]
    assert (built.service.program.stray, quiet) == ([], [[], []])


async def callers_without_keys_come_in_and_strangers_do_not(town):
    token = account_token(now=int(time.time()))
    assert [await town.ask(), await town.ask(token=token)] == [200, 200]
    assert await town.ask(token=account_token("shop/intruder", now=int(time.time()))) == 401
    assert (await town.service.ask("/healthz"))[0] == 200
    with pytest.raises((aiohttp.ClientError, OSError)):
        await town.ask(town.nobody)
    for sent in NOISE:
        assert b"HTTP" not in await town.say(sent)
    assert {line["reason"] for line in town.service.program.of("handshake.refused")} >= {
        "PEER_DID_NOT_RETURN_A_CERTIFICATE",
        "HTTP_REQUEST",
    }


async def renewals_under_load_fail_no_call(town):
    statuses, going = [], True

    async def keep_asking():
        while going:
            statuses.append(await town.ask())

    asking = [asyncio.create_task(keep_asking()) for _ in range(4)]
    for renewal in range(2, 4):
        town.renew(f"renewal-{renewal}.test")
        await eventually(lambda times=renewal: min(town.loaded()) >= times, within_s=20)
    going = False
    await asyncio.gather(*asking)
    assert len(statuses) > 4
    assert set(statuses) == {200}


async def who_is_left_waiting_by_a_process_that_hangs_is_served_by_the_other(town):
    os.kill(town.service.members[1], signal.SIGSTOP)
    try:
        assert [await town.ask() for _ in range(20)] == [200] * 20
    finally:
        os.kill(town.service.members[1], signal.SIGCONT)


async def test_several_processes_share_one_internal_listener_with_certificates(town):
    # One service for all three: what a start and an end cost is more than what is asked of it.
    await callers_without_keys_come_in_and_strangers_do_not(town)
    await renewals_under_load_fail_no_call(town)
    await who_is_left_waiting_by_a_process_that_hangs_is_served_by_the_other(town)
