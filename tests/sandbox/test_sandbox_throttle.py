"""The throttler counts three buckets, blocks for a minute and says so in seconds."""

import pytest

from sandbox.calcom import Limits, SandboxConfig
from tests.sandbox.caller import FIRST, SECOND

LIMITS = Limits(access_token=3, client=2, address=1)
BY_CLIENT = {"x-cal-client-id": "c1"}


@pytest.fixture
async def world(start):
    return await start(SandboxConfig(clients=(FIRST, SECOND), limits=LIMITS))


def rate(reply):
    return tuple(
        int(reply.headers[f"X-RateLimit-{name}-Default"]) for name in ("Limit", "Remaining", "Reset")
    )


async def test_without_headers_the_address_is_counted(api):
    first, second = await api.force(1), await api.force(1)

    assert (first.status, rate(first)) == (404, (1, 0, 60))
    assert (second.status, rate(second)) == (429, (1, 0, 60))
    assert second.code == "ThrottlerException"
    assert second.message == "CustomThrottlerGuard - Too many requests. Please try again later."
    assert second.body["error"]["details"] == second.message
    assert "Retry-After" not in second.headers


async def test_the_client_header_opens_a_bucket_of_its_own(api):
    await api.force(1)

    replies = [await api.force(1, headers=BY_CLIENT) for _ in range(3)]

    assert [reply.status for reply in replies] == [404, 404, 429]


async def test_the_client_bucket_is_counted_before_authentication(api):
    for _ in range(2):
        await api.call("GET", "/v2/me", secret="", headers=BY_CLIENT)

    assert (await api.force(1, headers=BY_CLIENT)).status == 429
    assert (await api.force(1)).status == 404


async def test_the_authorization_header_comes_first_and_counts_per_token(api, pair):
    token = pair.access.secret

    replies = [await api.me(token, headers=BY_CLIENT) for _ in range(4)]

    assert [reply.status for reply in replies] == [200, 200, 200, 429]
    assert (await api.me("another", headers=BY_CLIENT)).status == 401


async def test_the_address_a_cdn_states_is_the_one_that_counts(api):
    await api.force(1)

    assert (await api.force(1, headers={"cf-connecting-ip": "203.0.113.9"})).status == 404


async def test_a_block_lasts_its_minute_from_the_call_that_caused_it(sandbox, api):
    await api.force(1)
    sandbox.advance(50)
    await api.force(1)

    sandbox.advance(59)
    blocked = await api.force(1)
    sandbox.advance(2)

    assert (blocked.status, rate(blocked)) == (429, (1, 0, 1))
    assert (await api.force(1)).status == 404


async def test_a_window_that_did_not_overflow_starts_anew_after_its_minute(sandbox, api):
    await api.force(1)

    sandbox.advance(61)

    assert rate(await api.force(1)) == (1, 0, 60)


async def test_a_throttled_call_changes_nothing(sandbox, api, pair):
    await api.force(1)

    assert (await api.refresh(pair.refresh.secret)).status == 429
    assert sandbox.is_usable(pair.refresh.secret)


async def test_the_throttler_can_be_switched_off_and_on(sandbox, api):
    await api.force(1)

    sandbox.throttling(on=False)
    off = await api.force(1)
    sandbox.throttling(on=True)

    assert off.status == 404
    assert "X-RateLimit-Limit-Default" not in off.headers
    assert [(await api.force(1)).status for _ in range(2)] == [404, 429]


async def test_an_api_key_nobody_issued_is_refused_by_the_throttler(api):
    reply = await api.me("cal_live_1")

    assert (reply.status, reply.message) == (401, "CustomThrottlerGuard - Invalid API Key")
