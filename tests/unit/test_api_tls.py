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

from service.adapters.listener_tls import ListenerTls, TlsFiles
from service.api.rescue import Rescue
from service.api.sites import Taker
from service.api.sockets import bind
from service.settings import Caller
from tests.support.certificates import Authority, Mount
from tests.support.doors import CURRENT, AnswersScript, Notes, api_key, current_token, open_house
from tests.support.waiting import eventually

BACKEND = "spiffe://cluster.local/ns/shop/sa/backend"
READS = frozenset({"users:read"})


class Village:
    """An authority, the listener's files, and the house behind them."""

    def __init__(self, folder):
        self.folder = folder
        self.authority = Authority()
        self.mount = Mount(folder / "mount")
        self.mount.folder.mkdir()
        self.notes = Notes()
        self.uncaught = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self.uncaught.append(context))
        self.mount.put(self.served(), self.authority.certificate)
        self.tls = self.open()

    def served(self, name="broker.test"):
        return self.authority.issue(f"DNS:{name}", "IP:127.0.0.1")

    def open(self, ca="ca.crt"):
        files = TlsFiles(self.mount["tls.crt"], self.mount["tls.key"], ca and self.mount[ca])
        return ListenerTls(files, self.notes)

    def house(self, **settings):
        known = [Caller(BACKEND, READS), Caller("batch.shop.svc", READS)]
        return open_house(**{"certified": known, "internal_tls": self.tls.context, **settings})

    def caller(self, *names, **how):
        return self.authority.client(*names, folder=self.folder, **how)

    def heard(self, event):
        return self.notes.of(event)


@pytest.fixture
async def village(tmp_path):
    """A village in which nothing goes wrong unheard."""
    built = Village(tmp_path)
    yield built
    assert built.uncaught == []


async def call(house, context, key=None, path="/v1/users/u-1"):
    """Call on a connection of its own; gives status and code."""
    url = f"https://127.0.0.1:{house.port('internal')}{path}"
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    connector = aiohttp.TCPConnector(ssl=context, force_close=True)
    async with aiohttp.ClientSession(connector=connector) as http, http.get(url, headers=headers) as answer:
        return answer.status, (await answer.json()).get("code")


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


WRONG = (aiohttp.ClientError, OSError)


async def is_refused(house, context):
    with pytest.raises(WRONG):
        await call(house, context)


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


async def served_name(house, context):
    """The name in the certificate that a new connection is shown."""
    _, writer = await asyncio.open_connection("127.0.0.1", house.port("internal"), ssl=context)
    shown = writer.get_extra_info("peercert")
    writer.close()
    return shown["subjectAltName"][0][1]


async def test_a_renewed_certificate_is_shown_from_then_on_and_ends_no_connection(village):
    context = village.caller(f"URI:{BACKEND}")
    async with (
        village.house() as house,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context, limit=1)) as http,
    ):
        url = f"https://127.0.0.1:{house.port('internal')}/v1/users/u-1"
        async with http.get(url) as before:
            assert before.status == 200
        assert await served_name(house, context) == "broker.test"
        village.mount.put(village.served("renewed.test"), village.authority.certificate)
        await village.tls.look()
        async with http.get(url) as after:
            assert after.status == 200
        assert await served_name(house, context) == "renewed.test"


async def test_an_authority_that_is_taken_away_lets_nobody_in_any_more(village):
    other = Authority("other")
    async with village.house() as house:
        ours, theirs = village.caller(f"URI:{BACKEND}"), village.caller(shows=False)
        other.shown(theirs, village.folder, other.issue(f"URI:{BACKEND}"))
        await is_refused(house, theirs)
        village.mount.put(village.served(), other.certificate)
        await village.tls.look()
        await is_refused(house, ours)
        assert await call(house, theirs) == (200, None)


SPOILT = {
    "another key": ("key", "is not the private key of the certificate"),
    "no key": ("key", "holds no private key in PEM"),
    "a certificate that is none": ("certificate", "holds no certificate in PEM"),
    "no authorities": ("ca", "cannot be read (No such file or directory)"),
}


def spoil(village, how):
    good, other = village.served(), village.served()
    changes = {"another key": {"key": other.key}, "no key": {"key": b"x"}}
    changes["a certificate that is none"] = {"certificate": b"x"}
    parts = {"certificate": good.certificate, "key": good.key} | changes.get(how, {})
    ca = None if how == "no authorities" else village.authority.certificate
    village.mount.put(SimpleNamespace(**parts), ca)


@pytest.mark.parametrize("how", SPOILT)
async def test_what_cannot_be_used_changes_nothing_and_is_told_of_once(village, how):
    async with village.house() as house:
        spoil(village, how)
        await village.tls.look()
        await village.tls.look()
        assert await call(house, village.caller(f"URI:{BACKEND}")) == (200, None)
    part, reason = SPOILT[how]
    name = f"TOKEN_BROKER_INTERNAL_TLS_{part.upper()}_FILE"
    assert village.heard("secret.kept") == [{"name": name, "reason": reason, "key": None}]


async def test_renewals_under_load_fail_nobody(village):
    renewals, callers = 30, 4
    asked, going = [], True

    async def keep_calling(context):
        while going:
            asked.append(await call(house, context))

    async with village.house() as house:
        contexts = [village.caller(f"URI:{BACKEND}") for _ in range(callers)]
        calling = [asyncio.create_task(keep_calling(context)) for context in contexts]
        for number in range(renewals):
            village.mount.put(village.served(f"n{number}.test"), village.authority.certificate)
            await village.tls.look()
            target = len(asked) + callers  # each renewal is met by connections of its own
            await eventually(lambda target=target: len(asked) >= target, 10, 0)
        going = False
        await asyncio.gather(*calling)
    assert len(asked) >= renewals * callers
    assert set(asked) == {(200, None)}
    assert len(village.heard("certificate.loaded")) == 1 + renewals


async def test_a_call_under_way_is_answered_while_closing_and_an_idle_caller_holds_nothing_up(village):
    answers = AnswersScript(for_service=asyncio.Event(), for_service_after=current_token())
    reads_tokens = [Caller(BACKEND, frozenset({"tokens:read"}))]
    async with village.house(answers=answers, certified=reads_tokens) as house:
        context = village.caller(f"URI:{BACKEND}")
        idle = await asyncio.open_connection("127.0.0.1", house.port("internal"), ssl=context)
        asking = asyncio.create_task(token_of(house, context))
        await answers.called.wait()
        closing = asyncio.create_task(house.listeners.close())
        answers.results["for_service"].set()
        assert await asking == CURRENT
        await asyncio.wait_for(closing, 4)
        idle[1].transport.abort()


async def token_of(house, context):
    url = f"https://127.0.0.1:{house.port('internal')}/v1/users/u-1/token"
    connector = aiohttp.TCPConnector(ssl=context, force_close=True)
    async with aiohttp.ClientSession(connector=connector) as http, http.get(url) as answer:
        return (await answer.json())["accessToken"]


async def test_who_was_left_waiting_by_another_process_is_served_also_behind_one_who_says_nothing(village):
    async with village.house() as house:
        other = bind(SimpleNamespace(host="127.0.0.1", port=0))
        server = house.listeners.open["internal"].runner.server
        left = SimpleNamespace(port=lambda _: other.getsockname()[1])
        _, silent = await asyncio.open_connection("127.0.0.1", left.port("internal"))
        rescue = Rescue(Taker(server, village.tls.context), [other])
        assert await call(left, village.caller(f"URI:{BACKEND}")) == (200, None)
        silent.close()
        await rescue.end()
        other.close()
