"""Refresh, force-refresh, expiry and purge keep upstream's rules to the letter."""

import pytest

from sandbox.calcom import SandboxConfig
from tests.sandbox.caller import FIRST, claims_of


async def test_refresh_answers_a_new_pair_with_owner_and_user_claims(api, pair, user_id):
    reply = await api.refresh(pair.refresh.secret)

    assert reply.status == 200
    assert set(reply.data) == {
        "accessToken", "accessTokenExpiresAt", "refreshToken", "refreshTokenExpiresAt",
    }  # fmt: skip
    for name in ("accessToken", "refreshToken"):
        claims = claims_of(reply.data[name])
        assert (claims["ownerId"], claims["userId"]) == (user_id, user_id)
        assert claims["expiresAt"] == reply.data[f"{name}ExpiresAt"]


async def test_a_refresh_token_works_once(api, pair):
    await api.refresh(pair.refresh.secret)

    again = await api.refresh(pair.refresh.secret)

    assert (again.status, again.code) == (400, "BadRequestException")
    assert again.message == "Invalid refresh token"
    assert again.body["error"]["details"] == {
        "message": "Invalid refresh token", "error": "Bad Request", "statusCode": 400,
    }  # fmt: skip


async def test_a_refresh_token_of_another_client_is_unknown(second, pair):
    assert (await second.refresh(pair.refresh.secret)).message == "Invalid refresh token"


async def test_a_refresh_leaves_live_access_tokens_alone(api, pair):
    await api.refresh(pair.refresh.secret)

    assert (await api.check(pair.access.secret)).status == 200


async def test_a_user_may_hold_several_refresh_tokens(sandbox, api, pair, user_id):
    other = sandbox.state.issue(sandbox.client("c1"), sandbox.user(user_id))

    assert (await api.refresh(pair.refresh.secret)).status == 200
    assert (await api.refresh(other.refresh.secret)).status == 200


async def test_the_age_of_a_refresh_token_is_never_looked_at(sandbox, api, pair):
    sandbox.advance(400 * 86_400)

    assert (await api.refresh(pair.refresh.secret)).status == 200


async def test_an_expired_access_token_is_498_until_any_refresh_of_its_client_purges_it(sandbox, api, pair):
    _, others = sandbox.create_user("c1", "bob@example.com")
    sandbox.advance(3600)
    before = await api.check(pair.access.secret)

    await api.refresh(others.refresh.secret)

    after = await api.check(pair.access.secret)
    assert (before.status, before.code) == (498, "TokenExpiredException")
    assert before.message == before.body["error"]["details"] == "ACCESS_TOKEN_IS_EXPIRED"
    assert (after.status, after.message) == (401, "Invalid Access Token.")
    assert sandbox.journal.of("refresh")[-1].purged == 2


async def test_another_clients_refresh_purges_nothing_here(sandbox, api, second, pair):
    _, foreign = sandbox.create_user("c2", "bob@example.com")
    sandbox.advance(3600)

    await second.refresh(foreign.refresh.secret)

    assert (await api.check(pair.access.secret)).status == 498


async def test_create_and_force_refresh_purge_nothing(sandbox, api, pair):
    other, _ = sandbox.create_user("c1", "bob@example.com")
    sandbox.advance(3600)

    await api.create("new@example.com")
    await api.force(other.id)

    assert (await api.check(pair.access.secret)).status == 498


async def test_force_refresh_kills_every_older_token_of_that_user_only(sandbox, api, pair, user_id):
    _, others = sandbox.create_user("c1", "bob@example.com")

    reply = await api.force(user_id)

    assert reply.status == 200
    assert "userId" not in claims_of(reply.data["accessToken"])
    assert (await api.check(pair.access.secret)).status == 401
    assert (await api.refresh(pair.refresh.secret)).status == 400
    assert (await api.check(others.access.secret)).status == 200
    assert (await api.refresh(reply.data["refreshToken"])).status == 200


async def test_force_refresh_of_a_user_of_another_client_is_refused(second, user_id):
    reply = await second.force(user_id)

    assert (reply.status, reply.code) == (404, "NotFoundException")
    assert reply.message == f"User with ID {user_id} is not part of this OAuth client."


async def test_with_redis_warm_a_deleted_token_is_refused_in_the_other_words(sandbox, api, pair, user_id):
    sandbox.state.redis_warm = True
    await api.check(pair.access.secret)

    await api.force(user_id)

    reply = await api.check(pair.access.secret)
    assert reply.status == 401
    assert reply.message == ("ApiAuthStrategy - access token - OAuth client not found given the access token")


async def test_with_redis_warm_a_token_never_accepted_is_refused_in_the_usual_words(
    sandbox, api, pair, user_id
):
    sandbox.state.redis_warm = True
    await api.force(user_id)

    assert (await api.check(pair.access.secret)).message == "Invalid Access Token."


@pytest.mark.parametrize(("lifetime_s", "step_ms"), [(3600.0, 60_000), (60.0, 1000), (20.0, 333)])
async def test_expiry_is_floored_to_a_sixtieth_of_the_lifetime(start, lifetime_s, step_ms):
    sandbox, _ = await start(SandboxConfig(clients=(FIRST,), lifetime_s=lifetime_s))

    _, pair = sandbox.create_user("c1", "ann@example.com")

    left_ms = pair.access.expires_ms - pair.access.created_ms
    assert pair.access.expires_ms % step_ms == 0
    assert lifetime_s * 1000 - step_ms <= left_ms <= lifetime_s * 1000


async def test_a_refresh_tokens_expiry_is_a_year_floored_to_the_day(pair):
    left_ms = pair.refresh.expires_ms - pair.refresh.created_ms

    assert pair.refresh.expires_ms % 86_400_000 == 0
    assert 364 * 86_400_000 <= left_ms <= 365 * 86_400_000


async def test_authorize_without_a_session_and_exchange_without_a_code_are_refused(api):
    authorize = await api.call("POST", "/v2/oauth/c1/authorize", json={"redirectUri": "https://app.example"})
    exchange = await api.call("POST", "/v2/oauth/c1/exchange", json={"clientSecret": "s1"})

    assert authorize.status == 401
    assert (exchange.status, exchange.message) == (400, "Missing 'Bearer' Authorization header.")


async def authorized(api, user_id):
    reply = await api.call(
        "POST",
        "/v2/oauth/c1/authorize",
        json={"redirectUri": "https://app.example"},
        headers={"Cookie": f"next-auth.session-token={user_id}"},
        allow_redirects=False,
    )
    return reply.status, *reply.headers["Location"].split("?code=")


async def test_an_authorization_code_is_exchanged_once(api, user_id):
    status, target, code = await authorized(api, user_id)
    exchange = {"json": {"clientSecret": "s1"}, "bearer": code}

    first = await api.call("POST", "/v2/oauth/c1/exchange", **exchange)
    again = await api.call("POST", "/v2/oauth/c1/exchange", **exchange)

    assert (status, target) == (302, "https://app.example")
    assert (first.status, claims_of(first.data["accessToken"])["ownerId"]) == (200, user_id)
    assert (again.status, again.message) == (400, "Invalid Authorization Token.")
