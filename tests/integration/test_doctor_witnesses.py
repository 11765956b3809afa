"""What the doctor makes of the app's session check, of public keys and of the listener's certificate."""

import json
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from service.doctor.findings import State
from service.doctor.witnesses import examine_witnesses
from service.settings import inspect_settings
from tests.support.certificates import Authority
from tests.support.cluster import a_cluster
from tests.support.environment import environment
from tests.support.statements import key_set, public

KEYS = json.dumps(key_set(public("rsa")))


async def found(check, **changes):
    settings, _ = inspect_settings(environment(**changes), role="serve")
    [one] = [one for one in await examine_witnesses(settings) if one.check == check]
    return one


@asynccontextmanager
async def answering(text="", status=200):
    """An app that answers every request alike; gives its address."""

    async def answer(_):
        return web.Response(text=text, status=status, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("/session"))


@pytest.mark.parametrize(
    ("text", "status", "state", "mend"),
    [
        ("", 401, "fine", ""),
        ("", 403, "fine", ""),
        ('{"id": "anna"}', 200, "wrong", "answer 401 without a session"),
        ("", 404, "wrong", "Correct TOKEN_BROKER_SESSION_CHECK_URL"),
        ("<h1>Sign in</h1>", 200, "wrong", "no page is given a token"),
    ],
)
async def test_the_apps_session_check_is_asked_as_nobody(text, status, state, mend):
    async with answering(text, status) as url:
        one = await found("app.session_check", SESSION_CHECK_URL=url)
    assert one.state.value == state
    assert mend in one.mend
    assert "anna" not in one.what


async def test_an_app_that_is_away_is_told():
    one = await found("app.session_check", SESSION_CHECK_URL="http://127.0.0.1:1/session")
    assert one.state is State.WRONG


@pytest.mark.parametrize(("text", "state"), [(KEYS, "fine"), ("{}", "wrong")])
async def test_keys_are_read_from_an_address_or_a_file(tmp_path, text, state):
    file = tmp_path / "keys.json"
    file.write_text(text)
    assert (await found("app.assertion_jwks", ASSERTION_JWKS=str(file))).state.value == state
    async with answering(text) as url:
        assert (await found("app.assertion_jwks", ASSERTION_JWKS=url)).state.value == state


async def test_a_clusters_keys_are_asked_for_with_its_authority_and_token(tmp_path):
    async with a_cluster(tmp_path) as cluster:
        how = {"SERVICE_ACCOUNTS": "shop/backend", **cluster.settings}
        assert (await found("app.service_account_jwks", **how)).state is State.FINE
        cluster.ca.write_bytes(Authority("another").certificate)
        one = await found("app.service_account_jwks", **how)
    assert one.state is State.WRONG
    assert "no service account is let in" in one.mend


@pytest.mark.parametrize(
    ("lasts", "state"),
    [(timedelta(days=90), "fine"), (timedelta(days=2), "doubtful"), (timedelta(hours=-1), "wrong")],
)
async def test_a_certificates_end_is_seen_coming(tmp_path, lasts, state):
    one = await found("listeners.certificate", **files(tmp_path, lasts))
    assert one.state.value == state
    assert state == "fine" or one.mend.startswith("Renew it")


async def test_a_key_that_is_another_certificates_is_told(tmp_path):
    settings = files(tmp_path, timedelta(days=90))
    (tmp_path / "tls.key").write_bytes(Authority().issue("DNS:broker.test").key)
    one = await found("listeners.certificate", **settings)
    assert one.state is State.WRONG
    assert "Put a PEM file that can be used where TOKEN_BROKER_INTERNAL_TLS_" in one.mend


def files(folder, lasts):
    issued = Authority().issue("DNS:broker.test", lasts=lasts)
    (folder / "tls.crt").write_bytes(issued.certificate)
    (folder / "tls.key").write_bytes(issued.key)
    named = {"CERTIFICATE": "tls.crt", "KEY": "tls.key"}
    return {f"INTERNAL_TLS_{part}_FILE": str(folder / name) for part, name in named.items()}
