"""Who is let in, in which order it is decided, and the exact words of every refusal."""

import pytest

from sandbox.calcom import Permission

SECRET_CALLS = [
    ("POST", "/v2/oauth-clients/c1/users"),
    ("GET", "/v2/oauth-clients/c1/users"),
    ("GET", "/v2/oauth-clients/c1/users/1001"),
    ("PATCH", "/v2/oauth-clients/c1/users/1001"),
    ("DELETE", "/v2/oauth-clients/c1/users/1001"),
    ("POST", "/v2/oauth-clients/c1/users/1001/force-refresh"),
    ("POST", "/v2/oauth/c1/refresh"),
    ("GET", "/v2/provider/c1/access-token"),
]


@pytest.mark.parametrize(("method", "path"), SECRET_CALLS)
async def test_without_the_secret_only_the_id_was_given(api, method, path):
    reply = await api.call(method, path, secret="")

    assert (reply.status, reply.code) == (401, "UnauthorizedException")
    assert reply.message.startswith("ApiAuthStrategy - Only 'x-cal-client-id' header provided.")
    assert reply.body["error"]["details"]["error"] == "Unauthorized"


@pytest.mark.parametrize(("method", "path"), SECRET_CALLS)
async def test_a_wrong_secret_is_refused(api, method, path):
    reply = await api.call(method, path, secret="wrong")

    assert reply.message == "ApiAuthStrategy - oAuth client - Invalid client secret"


async def test_an_unknown_client_is_refused_by_name(api):
    reply = await api.call("POST", "/v2/oauth/nobody/refresh", json={"refreshToken": "x"})

    assert (reply.status, reply.message) == (
        401, "ApiAuthStrategy - oAuth client - Client with ID nobody not found",
    )  # fmt: skip


async def test_with_nothing_sent_every_method_is_named(api):
    reply = await api.call("GET", "/v2/me", secret="")

    assert reply.message.startswith("ApiAuthStrategy - No authentication method provided.")


async def test_a_platform_without_an_owner_is_refused(sandbox, api):
    sandbox.change_client("c1", owner_id=None)

    reply = await api.force(1)

    assert reply.message == "ApiAuthStrategy - oAuth client - No owner ID found for this OAuth client"


async def test_a_rotated_secret_refuses_the_old_one_and_takes_the_new(sandbox, api, pair):
    sandbox.rotate_secret("c1", "s1-next")

    assert (await api.refresh(pair.refresh.secret)).status == 401
    assert (await api.refresh(pair.refresh.secret, secret="s1-next")).status == 200


async def test_a_client_whose_organization_lost_the_platform_is_forbidden_to_manage_users(sandbox, api, pair):
    sandbox.change_client("c1", platform=False)

    reply = await api.force(pair.access.user_id)

    assert (reply.status, reply.code) == (403, "ForbiddenException")
    assert reply.message == "OrganizationRolesGuard - Organization is not a platform (SHP)."
    assert (await api.refresh(pair.refresh.secret)).status == 200


async def test_the_secret_comes_before_the_bearer_token(api, pair):
    reply = await api.call(
        "GET", "/v2/provider/c1/access-token", secret="wrong", headers={"Authorization": "Bearer x"}
    )

    assert reply.message == "ApiAuthStrategy - oAuth client - Invalid client secret"


async def test_the_path_names_the_client_before_the_header_does(api, second):
    reply = await api.call("GET", "/v2/provider/c1/access-token", headers={"x-cal-client-id": "c2"})

    assert reply.body == {"status": "success"}


async def test_client_credentials_act_as_the_platforms_owner(api):
    reply = await api.call("GET", "/v2/me", headers={"x-cal-client-id": "c1"})

    assert reply.data["email"] == "owner-11@example.com"


async def test_a_managed_users_token_may_not_manage_users(api, pair):
    reply = await api.call("GET", api.users, bearer=pair.access.secret)

    assert reply.message == "OrganizationRolesGuard - User must have one of the roles: ADMIN, OWNER."


async def test_a_token_of_another_organization_is_not_of_the_client(second, pair):
    reply = await second.call("GET", second.users, bearer=pair.access.secret)

    assert reply.status == 403
    assert reply.message.startswith("OAuthClientGuard - forbidden. oAuth client with id=c2 does not belong")


async def test_refresh_by_bearer_without_the_secret_has_invalid_credentials(api, pair):
    reply = await api.refresh(pair.refresh.secret, bearer=pair.access.secret)

    assert (reply.status, reply.message) == (400, "Invalid OAuthClient credentials.")


async def test_check_does_not_ask_whether_the_token_is_of_the_paths_client(second, pair):
    assert (await second.check(pair.access.secret)).status == 200


async def test_an_api_key_is_refused(api):
    assert "api key" in (await api.me("cal_live_1")).message


@pytest.mark.parametrize("origin", ["https://app.example", "https://x.preview.example"])
async def test_an_origin_among_the_redirect_uris_may_call_with_a_token(api, pair, origin):
    assert (await api.me(pair.access.secret, headers={"Origin": origin})).status == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "https://app.example:8443", "https://preview.example"]
)
async def test_another_origin_is_refused_by_name(api, pair, origin):
    reply = await api.me(pair.access.secret, headers={"Origin": origin})

    assert reply.status == 401
    assert (
        f"add the origin '{origin}' to the 'Redirect uris' of your OAuth client with ID 'c1'" in reply.message
    )


async def test_client_credentials_have_no_origin_check(api):
    reply = await api.call("GET", "/v2/provider/c1/access-token", headers={"Origin": "https://evil.example"})

    assert reply.status == 200


async def test_me_shows_the_user_and_its_platform(api, pair, user_id):
    data = (await api.me(pair.access.secret)).data

    assert (data["id"], data["email"]) == (user_id, "ann+c1@example.com")
    assert data["organization"] == {"isPlatform": True, "id": data["organizationId"]}


async def test_me_changes_at_once_email_too(sandbox, api, pair, user_id):
    change = {"timeZone": "asia/tokyo", "email": "new@example.com"}

    reply = await api.call("PATCH", "/v2/me", bearer=pair.access.secret, json=change)

    assert (reply.data["timeZone"], reply.data["email"]) == ("Asia/Tokyo", "new+c1@example.com")


async def test_me_needs_the_permission_bit(sandbox, api, pair):
    sandbox.change_client("c1", permissions=int(Permission.PROFILE_READ))

    read = await api.me(pair.access.secret)
    write = await api.call("PATCH", "/v2/me", bearer=pair.access.secret, json={})

    assert (read.status, write.status) == (200, 403)
    assert "id=c1 does not have the required permissions=PROFILE_WRITE" in write.message


async def test_provider_is_public_and_unknown_ones_are_unauthorized(api):
    known = await api.call("GET", "/v2/provider/c1", secret="")
    unknown = await api.call("GET", "/v2/provider/nobody", secret="")

    assert known.data == {"clientId": "c1", "organizationId": 101, "name": "First"}
    assert (unknown.status, unknown.message) == (401, "Unauthorized")
