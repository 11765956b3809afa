"""The Python client against a real broker: what a service gets that asks with it."""

import asyncio

import aiohttp
import pytest
from token_broker_client import (
    Broker,
    GrantPaused,
    KeyUnknown,
    MinTtlTooLong,
    TokenMiddleware,
    Unreachable,
    UserUnknown,
)

from service.api.sockets import INTERNAL
from tests.support.served import ANYWHERE, SERVICE_KEY


@pytest.fixture
async def world(worlds):
    return await worlds(**ANYWHERE)


@pytest.fixture
def at(house):
    return house._url(INTERNAL, "")


@pytest.fixture
async def broker(at):
    async with Broker(at, SERVICE_KEY) as opened:
        yield opened


@pytest.fixture
async def calcom(broker, world):
    """A session of the app's towards the stand-in, which needs anna's token for its calls."""
    middleware = TokenMiddleware(broker, "anna", origin=upstream_of(world))
    async with aiohttp.ClientSession(upstream_of(world), middlewares=[middleware]) as http:
        yield http


def upstream_of(world):
    return world.settings.clients[0].api_url.removesuffix("/v2")


async def test_a_service_is_given_the_users_token(broker, world):
    anna = await world.user()
    token = await broker.token("anna", min_ttl=120)
    assert token.access_token == (await anna.tokens())[0]
    assert (token.cal_user_id, token.generation) == (anna.upstream_id, (await anna.grant()).generation)
    assert token.access_token not in repr(token)


async def test_a_token_is_asked_for_once_in_a_moment(broker, world, house):
    await world.user()
    tokens = await asyncio.gather(*(broker.token("anna") for _ in range(50)))
    await broker.token("anna")
    assert len(set(tokens)) == 1
    asked = 'token_broker_http_requests_total{route="/v1/users/{id}/token",status="200"} 1.0'
    assert asked in await house.metrics()


async def test_a_refused_token_is_replaced_by_one_that_works(broker, world):
    anna = await world.user()
    held = await broker.token("anna")
    world.sandbox.kill(held.access_token)
    better = await broker.refused("anna", held.access_token)
    assert better.generation > held.generation
    assert await broker.token("anna") == better
    assert anna.calls("refresh") == ["refresh"]


async def test_a_refused_token_that_upstream_confirms_is_given_back(broker, world):
    anna = await world.user()
    held = await broker.token("anna")
    assert await broker.refused("anna", held.access_token) == held
    assert anna.calls("refresh") == []


async def test_many_complaints_about_one_token_are_one(broker, world):
    anna = await world.user()
    held = await broker.token("anna")
    world.sandbox.kill(held.access_token)
    better = await asyncio.gather(*(broker.refused("anna", held.access_token) for _ in range(20)))
    assert len({one.access_token for one in better}) == 1
    assert anna.calls("refresh") == ["refresh"]


async def test_what_is_wrong_is_said_by_its_class(broker, world, house, at):
    await world.user()
    with pytest.raises(UserUnknown):
        await broker.token("nobody")
    with pytest.raises(MinTtlTooLong) as too_long:
        await broker.token("anna", min_ttl=3000)
    assert too_long.value.status == 422
    await house.service("POST", "/v1/users/anna/pause")
    broker.forget("anna")
    with pytest.raises(GrantPaused):
        await broker.token("anna")
    async with Broker(at, "another-key") as stranger:
        with pytest.raises(KeyUnknown):
            await stranger.token("anna")


async def test_a_broker_that_is_away_is_told_of_in_time():
    async with Broker("http://127.0.0.1:1", SERVICE_KEY, timeout_s=0.5) as broker:
        async with asyncio.timeout(5):
            with pytest.raises(Unreachable):
                await broker.token("anna")


async def test_the_middleware_adds_the_users_token(calcom, world):
    await world.user()
    async with calcom.get("/v2/me") as answer:
        assert answer.status == 200


async def test_the_middleware_replaces_a_token_that_is_refused_and_asks_once_more(calcom, world):
    anna = await world.user()
    world.sandbox.kill((await anna.tokens())[0])
    async with calcom.patch("/v2/me", json={"timeZone": "UTC"}) as answer:
        assert answer.status == 200
    assert anna.calls("refresh") == ["refresh"]


async def test_the_middleware_does_not_send_again_what_cannot_be(calcom, world):
    anna = await world.user()
    world.sandbox.kill((await anna.tokens())[0])

    async def stream():
        yield b'{"timeZone":'
        yield b'"UTC"}'

    headers = {"Content-Type": "application/json"}
    async with calcom.patch("/v2/me", data=stream(), headers=headers) as answer:
        assert answer.status == 401
    assert anna.calls("refresh") == ["refresh"]
    async with calcom.get("/v2/me") as answer:
        assert answer.status == 200


async def test_the_middleware_leaves_a_call_alone_that_upstream_refuses_for_another_reason(calcom, world):
    anna = await world.user()
    world.sandbox.fault("error_before", "me", status=401, count=1)
    async with calcom.get("/v2/me") as answer:
        assert answer.status == 401
    assert anna.calls("refresh") == []


async def test_the_middleware_gives_no_token_to_another_origin(broker, world):
    await world.user()
    middleware = TokenMiddleware(broker, "anna")
    async with (
        aiohttp.ClientSession(middlewares=[middleware]) as http,
        http.get(f"{upstream_of(world)}/v2/me") as answer,
    ):
        assert answer.status == 401
        assert "Authorization" not in answer.request_info.headers
