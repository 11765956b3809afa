"""What the Cal.com adapter makes of answers that are not quite what was asked for."""

import json
import sys

import pytest
from aioresponses import aioresponses

from service.adapters.upstream import open_session
from service.broker.model import Profile, Rotated, Unavailable, Unknown
from tests.support.calcom_platform import ACCESS, ANN, PAIR, REFRESH, platform, talking


async def test_only_exact_addresses_are_found():
    others = [
        {**ANN, "id": 8, "email": "ann+tag+cl1@example.com"},
        {**ANN, "id": 9, "email": "ann@example.co"},
    ]
    async with talking([*others, ANN]) as (provider, _):
        outcome = await provider.find_users("ANN@example.com")
    assert [user.upstream_id for user in outcome.users] == ["7"]
    assert outcome.users[0].email == "ann@example.com"


@pytest.mark.parametrize("data", [None, {}, "x", [None], [ANN, {"id": 8}], [[ANN]]])
async def test_a_list_that_cannot_be_read_in_full_is_not_taken_for_an_empty_one(data):
    async with talking(data) as (provider, _):
        assert isinstance(await provider.find_users("ann@example.com"), Unknown)


async def test_another_user_than_the_one_asked_for_is_not_taken():
    async with talking({**ANN, "id": 8}) as (provider, _):
        assert isinstance(await provider.read_user("7"), Unknown)


@pytest.mark.parametrize("data", [PAIR, {"user": ANN}, {"user": None, **PAIR}, {"user": {}, **PAIR}, None])
async def test_a_creation_without_its_user_or_its_pair_is_unknown(data):
    async with talking(data, status=201) as (provider, _):
        assert isinstance(await provider.create_user(Profile("ann@example.com")), Unknown)


@pytest.mark.parametrize("body", [{}, {"status": "error"}, {"status": None}, {"status": ["success"]}])
@pytest.mark.parametrize("call", ["check", "probe", "delete_user"])
async def test_a_success_has_to_say_so(call, body):
    async with talking(body=body) as (provider, _):
        given = {"check": (ACCESS,), "probe": (), "delete_user": ("7",)}[call]
        assert isinstance(await getattr(provider, call)(*given), Unknown)


# --- Oddities that no honest server sends ---------------------------------------------------------------

URL = "https://api.cal.com/v2/oauth/cl1/refresh"
ODD = [
    ({"status": 200, "body": "x" * 70_000}, Unknown),
    ({"status": 200, "body": b"\xff\xfe\x00", "content_type": "application/json; charset=bogus"}, Unknown),
    ({"status": 200, "body": "[" * 50_000}, Unknown),
    ({"status": 200, "payload": {"status": "success", "data": PAIR}, "content_type": "text/html"}, Rotated),
    ({"status": 302, "headers": {"Location": "https://evil.example/"}}, Unknown),
    ({"status": 429, "body": "<html>", "headers": {"X-RateLimit-Reset-Default": "30"}}, Unavailable),
    ({"exception": ValueError("a text with one-time in it")}, Unavailable),
    ({"exception": LookupError("unknown encoding: one-time")}, Unavailable),
]  # fmt: skip


@pytest.mark.parametrize(("given", "kind"), ODD, ids=lambda value: str(value)[:40])
async def test_odd_answers_become_outcomes(given, kind):
    async with open_session() as session:
        provider = platform(session, "https://api.cal.com/v2")
        with aioresponses() as mocked:
            mocked.post(URL, **given)
            outcome = await provider.refresh("one-time")
    assert isinstance(outcome, kind)
    assert "one-time" not in repr(outcome)


async def test_a_deep_answer_does_not_exhaust_the_stack():
    depth = sys.getrecursionlimit() * 3
    async with talking(body=json.loads("[" * 400 + "]" * 400)) as (provider, _):
        assert isinstance(await provider.refresh(REFRESH), Unknown)
    with aioresponses() as mocked:
        mocked.post(URL, body='{"data":' * depth + "1" + "}" * depth)
        async with open_session() as session:
            assert isinstance(await platform(session, "https://api.cal.com/v2").refresh(REFRESH), Unknown)
