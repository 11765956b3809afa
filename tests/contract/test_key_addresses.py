"""A cluster's address of keys: its own authority, who asks, and files that are replaced meanwhile."""

import json
import ssl

import pytest
from aiohttp import web

from service.adapters.key_addresses import asking_cluster
from service.adapters.key_sources import AGAIN_S, FRESH_S, KeyAddress
from service.adapters.upstream.exchange import Answer, NotSent
from service.broker.errors import KeysUnavailable
from tests.support.cached import Notes
from tests.support.certificates import Authority
from tests.support.statements import key_set, public


class Cluster:
    """An API server: it speaks TLS by an authority of its own and answers like Kubernetes."""

    def __init__(self, folder):
        self.folder, self.authority = folder, Authority("cluster")
        self.ca, self.token = folder / "ca.crt", folder / "token"
        self.ca.write_bytes(self.authority.certificate)
        self.token.write_text("first-token\n")
        self.keys = ["rsa"]
        self.bearers = []
        self.status = 200
        self.url = ""

    async def jwks(self, request):
        self.bearers.append(request.headers.get("Authorization"))
        if "application/jwk-set+json" not in request.headers.get("Accept", ""):
            return web.Response(status=406)  # as Kubernetes does
        body = json.dumps(key_set(*(public(kid) for kid in self.keys)))
        return web.Response(text=body, status=self.status, content_type="application/jwk-set+json")

    def tls(self, authority=None):
        issued = (authority or self.authority).issue("DNS:localhost", "IP:127.0.0.1")
        path = self.folder / "server.pem"
        path.write_bytes(issued.certificate + issued.key)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(path)
        return context

    async def open(self):
        app = web.Application()
        app.router.add_get("/openid/v1/jwks", self.jwks)
        self.runner = web.AppRunner(app, shutdown_timeout=1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0, ssl_context=self.tls())
        await site.start()
        self.url = f"https://127.0.0.1:{self.runner.addresses[0][1]}/openid/v1/jwks"

    def asked(self, **how):
        given = {"authority": self.ca, "token": self.token} | how
        return asking_cluster(self.url, 5, **given)


@pytest.fixture
async def cluster(tmp_path):
    running = Cluster(tmp_path)
    await running.open()
    yield running
    await running.runner.cleanup()


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


async def test_a_cluster_gives_its_keys_to_who_has_its_authority_and_a_token(cluster):
    keys = KeyAddress(cluster.asked(), Notes(), "keys")
    assert await keys.key("rsa") is not None
    assert cluster.bearers == ["Bearer first-token"]


async def test_a_token_and_an_authority_that_are_replaced_count_with_the_next_question(cluster):
    ask = cluster.asked()
    await ask()
    cluster.token.write_text("second-token")
    assert isinstance(await ask(), Answer)
    cluster.ca.write_bytes(Authority("cluster").certificate)
    assert isinstance(await ask(), NotSent)
    cluster.ca.write_bytes(cluster.authority.certificate)
    assert isinstance(await ask(), Answer)
    assert cluster.bearers == ["Bearer first-token", *["Bearer second-token"] * 2]


async def test_nobody_but_the_cluster_is_shown_the_token(cluster):
    for authority in (None, cluster.folder / "other.crt"):
        (cluster.folder / "other.crt").write_bytes(Authority("cluster").certificate)
        assert isinstance(await cluster.asked(authority=authority)(), NotSent)
    assert cluster.bearers == []


@pytest.mark.parametrize("spoiled", [b"", b"a\nb", b"\xff", b"x" * 20_000])
async def test_a_token_that_cannot_be_one_is_not_sent_and_nowhere_repeated(cluster, spoiled):
    cluster.token.write_bytes(spoiled)
    notes = Notes()
    with pytest.raises(KeysUnavailable):
        await KeyAddress(cluster.asked(), notes, "keys").key("rsa")
    assert cluster.bearers == []
    ((event, _, facts),) = notes.heard
    assert (event, facts["reason"].endswith("in the files of the address")) == ("dependency.down", True)


async def test_a_cluster_that_changes_its_keys_and_goes_away_is_followed_as_far_as_it_goes(cluster):
    clock = Clock()
    keys = KeyAddress(cluster.asked(), Notes(), "keys", clock)
    assert await keys.key("rsa") is not None
    cluster.keys = ["rsa", "ec"]
    clock.now += AGAIN_S
    assert await keys.key("ec") is not None
    await cluster.runner.cleanup()
    clock.now += FRESH_S
    assert [await keys.key(kid) is not None for kid in ("rsa", "ec", "ed")] == [True, True, False]
