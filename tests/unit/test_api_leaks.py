"""A secret presented as a token is refused like any unknown one, and told of without being repeated."""

import hashlib

import pytest

from service.api import leaks
from tests.support.doors import HELD, open_house
from tests.support.waiting import eventually

CLIENT_SECRET = "the-secret-of-an-oauth-client"
OLD_SECRET = "the-secret-before-it"
SECRETS = {
    "client_secret": [CLIENT_SECRET, OLD_SECRET],
    "api_key": ["app-key", "root-key"],
    "upstream_api_key": ["cal_live_0123456789abcdef0123456789abcdef", "cal_x"],
}
EACH = [(what, secret) for what, secrets in SECRETS.items() for secret in secrets]
HARMLESS = [HELD, "a-token-that-was-never-issued", "short", CLIENT_SECRET + "x", "CAL_LIVE_0123456789abcdef"]


@pytest.fixture
async def house(monkeypatch):
    monkeypatch.setattr(leaks, "_BEHIND_S", 0.0)
    digests = [hashlib.sha256(secret.encode()).digest() for secret in (CLIENT_SECRET, OLD_SECRET)]
    async with open_house(client_secrets=lambda: digests) as opened:
        yield opened


@pytest.mark.parametrize(("what", "secret"), EACH)
async def test_a_secret_presented_as_a_token_is_told_of_by_its_kind(house, what, secret):
    async with house.refresh(secret) as response:
        body = await response.json()
    assert (response.status, body["code"]) == (401, "token_unknown")
    await eventually(lambda: house.notes.of("token.reuse"))
    kind = "secret_like" if what == "upstream_api_key" else "secret"
    assert house.notes.of("token.reuse") == [{"kind": kind, "what": what, "key": None}]


@pytest.mark.parametrize("token", HARMLESS)
async def test_what_is_no_secret_is_not(house, token):
    for one in (token, "app-key"):
        await house.refresh(one)
    await eventually(lambda: house.notes.of("token.reuse"))
    assert [facts["what"] for facts in house.notes.of("token.reuse")] == ["api_key"]


async def test_it_is_told_of_only_after_the_answer(house, monkeypatch):
    monkeypatch.setattr(leaks, "_BEHIND_S", 60.0)
    await house.refresh(CLIENT_SECRET)
    assert house.notes.of("token.reuse") == []
