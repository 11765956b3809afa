"""The internal listener with certificates: who gets through the handshake, and who is known by it."""

import asyncio
import socket
import ssl
import time
from datetime import timedelta
from types import SimpleNamespace

import aiohttp
import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.support.certificates import Authority
from tests.support.certified import BACKEND, WRONG, Village, call, is_refused
from tests.support.doors import api_key


@pytest.fixture
async def village(tmp_path):
    """A village in which nothing goes wrong unheard."""
    built = Village(tmp_path)
    yield built
    assert built.uncaught == []


@pytest.mark.parametrize("names", [[f"URI:{BACKEND}"], ["DNS:other.test", "DNS:Batch.Shop.svc"]])
async def test_a_caller_is_known_by_a_name_in_its_certificate(village, names):
    async with village.house() as house:
        assert await call(house, village.caller(*names)) == (200, None)
        assert (await call(house, village.caller(*names), path="/v1/users/u-1/token"))[0] == 403


@pytest.mark.parametrize(
    "names",
    [[], [f"URI:{BACKEND}/x"], ["URI:spiffe://cluster.local"], [f"DNS:{BACKEND.partition('://')[2][:13]}"],
     ["DNS:*.shop.svc"], ["MAIL:batch@batch.shop.svc"], ["IP:127.0.0.1"]],
)  # fmt: skip
async def test_who_has_no_such_name_is_nobody(village, names):
    async with village.house() as house:
        context = village.caller(*names, subject=BACKEND)
        assert await call(house, context) == (401, "key_unknown")


async def test_a_certificate_mends_no_bad_key_and_a_good_key_needs_no_name_in_it(village):
    async with village.house(api_keys=lambda: [api_key("app", "users:read")]) as house:
        assert await call(house, village.caller(f"URI:{BACKEND}"), "wrong-key") == (401, "key_unknown")
        assert await call(house, village.caller(), "app-key") == (200, None)


async def test_where_no_name_is_listed_a_certificate_alone_says_nothing(village):
    async with village.house(certified=[]) as house:
        assert await call(house, village.caller(f"URI:{BACKEND}")) == (401, "key_unknown")


async def test_who_shows_no_certificate_of_ours_does_not_get_in(village):
    strangers = village.caller(shows=False)
    village.authority.shown(strangers, village.folder, Authority("authority").issue(f"URI:{BACKEND}"))
    async with village.house() as house:
        for context in (village.caller(shows=False), strangers):
            await is_refused(house, context)
    reasons = {facts["reason"] for facts in village.heard("handshake.refused")}
    assert reasons == {"PEER_DID_NOT_RETURN_A_CERTIFICATE", "CERTIFICATE_VERIFY_FAILED"}


@pytest.mark.parametrize(
    "how", [{"lasts": timedelta(hours=-1)}, {"usages": (ExtendedKeyUsageOID.SERVER_AUTH,)}]
)
async def test_a_certificate_that_ended_or_is_a_servers_is_none(village, how):
    async with village.house() as house:
        await is_refused(house, village.caller(f"URI:{BACKEND}", **how))


GARBAGE = [
    b"",
    b"GET /v1/users HTTP/1.1\r\nHost: broker\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\x16\x03\x01\x00\x05hello",
    b"\x15\x03\x03\x00\x02\x02\x28",
    b"\x00" * 600,
    bytes(range(256)) * 80,
]


@pytest.mark.parametrize("sent", GARBAGE)
async def test_what_is_no_handshake_gets_no_answer_and_makes_no_noise(village, sent):
    async with village.house() as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port("internal"))
        writer.write(sent)
        writer.write_eof()
        assert b"HTTP" not in await asyncio.wait_for(reader.read(), 5)
        writer.close()
        assert await call(house, village.caller(f"URI:{BACKEND}")) == (200, None)
    assert house.notes.of("request.failed") == []


async def test_a_handshake_that_does_not_come_ends_the_connection_in_time(village, monkeypatch):
    monkeypatch.setattr("service.api.sites.HEAD_DEADLINE_S", 0.2)
    async with village.house() as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port("internal"))
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_without_authorities_callers_come_with_keys_over_tls_alone(village):
    tls = village.open(ca=None)
    async with village.house(internal_tls=tls.context, certified=[]) as house:
        assert await call(house, village.caller(shows=False), "app-key") == (200, None)
        with pytest.raises(WRONG):
            await house.session.get(house.url("internal", "/v1/users"))
        async with house.session.get(house.url("observe", "/healthz")) as probe:
            assert probe.status == 200


async def test_tls_is_not_older_than_its_version_1_2(village):
    assert village.tls.context.current.minimum_version == ssl.TLSVersion.TLSv1_2
    async with village.house() as house:
        context = village.caller(f"URI:{BACKEND}")
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        assert await call(house, context) == (200, None)


async def test_a_connection_that_is_kept_outlives_no_certificate(village, monkeypatch):
    connector = aiohttp.TCPConnector(
        ssl=village.caller(f"URI:{BACKEND}", lasts=timedelta(minutes=5)), limit=1
    )
    async with village.house() as house, aiohttp.ClientSession(connector=connector) as http:
        url = f"https://127.0.0.1:{house.port('internal')}/v1/users/u-1"
        async with http.get(url) as answer:
            assert answer.status == 200
        later = time.time() + 301
        monkeypatch.setattr("service.api.callers.time", SimpleNamespace(time=lambda: later))
        async with http.get(url) as answer:
            assert answer.status == 401


async def test_nobody_comes_in_by_a_session_of_before(village):
    context = village.caller(f"URI:{BACKEND}")
    async with village.house() as house:
        assert not await asyncio.to_thread(reconnect, context, house.port("internal"))


async def test_no_session_of_tls_1_2_outlives_its_authority(village):
    context = village.caller(f"URI:{BACKEND}")
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def take_away():
        village.mount.put(village.served(), Authority("other").certificate)
        asyncio.run(village.tls.look())  # in a thread of its own

    async with village.house() as house:
        with pytest.raises(ssl.SSLError):
            await asyncio.to_thread(reconnect, context, house.port("internal"), take_away)


def reconnect(context, port, between=lambda: None):
    """Ask, then connect with the session of before; whether it was taken for known."""
    session = None
    for _ in range(2):
        plain = socket.create_connection(("127.0.0.1", port), 5)
        with context.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as line:
            line.sendall(b"GET /v1/users HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n")
            while line.recv(4096):
                pass
            session, reused = line.session, line.session_reused
        between()
    return reused
