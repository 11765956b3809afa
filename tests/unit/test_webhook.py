"""A message is signed so that the reference implementation believes it, and says nothing that is secret."""

import asyncio
import json
import socket
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from aiohttp import ClientSession, TCPConnector, web
from aiohttp.abc import AbstractResolver
from standardwebhooks import Webhook as Reference
from standardwebhooks import WebhookVerificationError

from service.adapters.webhook import MOST_BYTES, HostsOnly, Webhook, open_webhook_session, payload_of
from service.broker.model.notice import Notice, NotReceived, Received
from service.settings.webhooks import parse_webhook_secrets
from tests.support.sending import secret_of

ONE, OTHER, STRANGE = secret_of("w"), secret_of("v"), secret_of("s")
NOON = datetime(2026, 3, 4, 12, 0, 0, 5000, tzinfo=UTC)
FACTS = {"calUserId": "4711", "generation": 1772625600005, "reason": "refused"}
NOTICE = Notice(
    1, UUID(int=7), NOON, "grant.died", "acme", "anna", FACTS, since=NOON, attempts=1, owner="this-worker"
)


@pytest.fixture
async def session():
    async with open_webhook_session() as session:
        yield session


async def posting(aiohttp_server, answer):
    """A server that answers so, and what it was sent: (headers, body)."""
    came = []

    async def post(request):
        came.append((dict(request.headers), await request.read()))
        return await answer(request)

    app = web.Application()
    app.router.add_post("/hooks", post)
    return await aiohttp_server(app), came


def answers(status, **options):
    async def answer(_):
        return web.Response(status=status, **options)

    return answer


def webhook(session, server, secrets=ONE, timeout_s=5.0):
    return Webhook(session, str(server.make_url("/hooks")), lambda: parse_webhook_secrets(secrets), timeout_s)


# What is sent


def test_a_message_says_what_happened_when_and_to_whom():
    assert json.loads(payload_of(NOTICE)) == {
        "type": "grant.died",
        "timestamp": "2026-03-04T12:00:00.005Z",
        "data": {"client": "acme", "userId": "anna", **FACTS, "calUserId": 4711},
    }


def test_one_about_no_user_names_none_and_an_id_that_is_no_number_stays_as_it_is():
    assert "userId" not in json.loads(payload_of(replace(NOTICE, user_id="")))["data"]
    told = payload_of(replace(NOTICE, facts={"calUserId": "c0ffee"}))
    assert json.loads(told)["data"]["calUserId"] == "c0ffee"


def test_it_is_the_same_to_the_byte_however_often_it_is_sent():
    assert payload_of(NOTICE) == payload_of(replace(NOTICE, attempts=9, owner="another"))


async def test_whoever_knows_any_of_the_secrets_can_verify_it_and_nobody_else(aiohttp_server, session):
    server, came = await posting(aiohttp_server, answers(204))
    assert await webhook(session, server, f"{ONE},{OTHER}").send(NOTICE) == Received()
    ((headers, body),) = came
    for secret in (ONE, OTHER):
        assert Reference(secret).verify(body, headers)["type"] == "grant.died"
    for secret, wrong in ((STRANGE, body), (ONE, body + b" ")):
        with pytest.raises(WebhookVerificationError):
            Reference(secret).verify(wrong, headers)


async def test_a_secret_that_is_replaced_signs_from_then_on(aiohttp_server, session):
    server, came = await posting(aiohttp_server, answers(204))
    keys = [parse_webhook_secrets(ONE)]
    sender = Webhook(session, str(server.make_url("/hooks")), lambda: keys[-1], 5.0)
    await sender.send(NOTICE)
    keys.append(parse_webhook_secrets(OTHER))
    await sender.send(NOTICE)
    for secret, (headers, body) in zip((ONE, OTHER), came, strict=True):
        assert Reference(secret).verify(body, headers)


async def test_its_id_is_its_own_and_its_headers_are_those_of_the_specification(aiohttp_server, session):
    server, came = await posting(aiohttp_server, answers(204))
    await webhook(session, server).send(NOTICE)
    headers = {name.lower(): value for name, value in came[0][0].items()}
    assert headers["webhook-id"] == "msg_00000000000000000000000000000007"
    assert headers["content-type"] == "application/json"
    assert {"cookie", "authorization", "referer"}.isdisjoint(headers)


# What is made of the answer


@pytest.mark.parametrize(
    ("status", "headers", "receipt"),
    [
        (200, {}, Received()),
        (299, {}, Received()),
        (302, {"Location": "/hooks"}, NotReceived("status 302")),
        (307, {"Location": "/hooks"}, NotReceived("status 307")),
        (400, {}, NotReceived("status 400")),
        (410, {}, NotReceived("status 410", 3600.0)),
        (429, {"Retry-After": "7"}, NotReceived("status 429", 7.0)),
        (503, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, NotReceived("status 503")),
        (503, {"Retry-After": "9" * 40}, NotReceived("status 503")),
    ],
)
async def test_only_a_2xx_says_that_it_was_received(aiohttp_server, session, status, headers, receipt):
    server, came = await posting(aiohttp_server, answers(status, headers=headers))
    assert await webhook(session, server).send(NOTICE) == receipt
    assert len(came) == 1


async def test_an_endless_answer_is_cut_off_and_its_status_counts(aiohttp_server, session):
    async def pours(request):
        response = web.StreamResponse(status=200)
        await response.prepare(request)
        with suppress(ConnectionError):
            while True:
                await response.write(b"x" * MOST_BYTES)
        return response

    server, _ = await posting(aiohttp_server, pours)
    assert await webhook(session, server).send(NOTICE) == Received()


async def test_silence_is_no_receipt(aiohttp_server, session):
    async def hangs(_):
        await asyncio.Event().wait()

    server, _ = await posting(aiohttp_server, hangs)
    assert await webhook(session, server, timeout_s=0.05).send(NOTICE) == NotReceived("timeout")


async def test_what_answers_no_http_or_nothing_at_all_is_no_receipt(session):
    async def babbles(_, writer):
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        writer.close()

    server = await asyncio.start_server(babbles, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hooks"
    sender = Webhook(session, url, lambda: [b"k" * 32], 5.0)
    assert isinstance(await sender.send(NOTICE), NotReceived)
    server.close()
    await server.wait_closed()
    assert await sender.send(NOTICE) == NotReceived("ClientConnectorError")


async def test_a_proxy_of_the_environment_is_not_asked(aiohttp_server, session, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server, came = await posting(aiohttp_server, answers(204))
    assert await webhook(session, server).send(NOTICE) == Received()
    assert len(came) == 1


# Where it goes


class Leads(AbstractResolver):
    """Every name leads to these addresses."""

    def __init__(self, *hosts):
        self._hosts = hosts

    async def resolve(self, host, port=0, family=socket.AF_INET):
        return [
            {"hostname": host, "host": one, "port": port, "family": family, "proto": 0, "flags": 0}
            for one in self._hosts
        ]

    async def close(self):
        pass


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "fe80::1%eth0", "0.0.0.0", "::", "224.0.0.1"],
)
async def test_a_name_that_leads_where_no_service_can_be_leads_nowhere(address):
    with pytest.raises(OSError, match="no address that may be called"):
        await HostsOnly(Leads(address)).resolve("app.example.com", 443)


async def test_of_several_addresses_those_that_may_be_called_are():
    found = await HostsOnly(Leads("169.254.169.254", "10.0.0.7", "::1")).resolve("app.example.com", 443)
    assert [one["host"] for one in found] == ["10.0.0.7", "::1"]


async def test_a_message_to_such_a_name_is_not_sent():
    connector = TCPConnector(force_close=True, resolver=HostsOnly(Leads("169.254.169.254")))
    async with ClientSession(connector=connector) as session:
        sender = Webhook(session, "http://metadata.example.com/hooks", lambda: [b"k" * 32], 5.0)
        assert isinstance(await sender.send(NOTICE), NotReceived)
