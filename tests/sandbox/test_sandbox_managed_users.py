"""The managed-user routes do what upstream's own end-to-end tests assert."""

import pytest

from tests.sandbox.caller import claims_of

FULL = {
    "timeZone": "europe/rome",
    "weekStart": "Monday",
    "timeFormat": 24,
    "locale": "fr",
    "avatarUrl": "https://cal.example.com/a.png",
    "bio": "Hello",
    "metadata": {"plan": "gold", "seats": 3, "trial": False},
}


async def test_create_echoes_the_profile_and_suffixes_the_email(api):
    reply = await api.create("Ann.Lee@Example.co.uk", **FULL)

    user = reply.data["user"]
    assert reply.status == 201
    assert user["email"] == "ann.lee+c1@example.co.uk"
    assert user["username"] == "ann-lee-c1-example-co"
    assert user["timeZone"] == "Europe/Rome"
    echoed = {name: user[name] for name in FULL if name != "timeZone"}
    assert echoed == {name: value for name, value in FULL.items() if name != "timeZone"}


async def test_create_issues_a_pair_whose_claims_name_client_and_owner(api):
    data = (await api.create()).data

    for kind, name in (("access_token", "accessToken"), ("refresh_token", "refreshToken")):
        claims = claims_of(data[name])
        assert claims["type"] == kind
        assert claims["clientId"] == "c1"
        assert claims["ownerId"] == data["user"]["id"]
        assert claims["expiresAt"] == data[f"{name}ExpiresAt"]
        assert claims["iat"] > 0
        assert claims["jti"]
        assert not {"exp", "userId"} & claims.keys()


async def test_a_stated_time_zone_gives_a_schedule_and_none_leaves_london_without(api):
    with_zone = (await api.create("a@example.com", timeZone="Europe/Rome")).data["user"]
    without = (await api.create("b@example.com", timeZone=None)).data["user"]

    assert with_zone["defaultScheduleId"] is not None
    assert (without["timeZone"], without["defaultScheduleId"]) == ("Europe/London", None)


async def test_default_event_types_follow_the_clients_setting(sandbox, api, second):
    first_id = (await api.create()).data["user"]["id"]
    second_id = (await second.create()).data["user"]["id"]

    assert sandbox.user(first_id).event_types == 4
    assert sandbox.user(second_id).event_types == 0


async def test_a_second_create_of_an_email_names_the_existing_user(api):
    user_id = (await api.create("ann@example.com")).data["user"]["id"]

    again = await api.create("ANN@example.com")

    assert again.status == 409
    assert again.code == "ConflictException"
    assert again.message == f"User with the provided e-mail already exists. Existing user ID={user_id}"


async def test_the_same_email_under_another_client_is_another_user(api, second):
    first, other = await api.create(), await second.create()

    assert other.status == 201
    assert other.data["user"]["id"] != first.data["user"]["id"]


@pytest.mark.parametrize(
    ("field", "value", "constraint"),
    [
        ("timeZone", "incorrect-time-zone", {"isTimeZone": "timeZone must be a valid IANA time-zone"}),
        ("timeZone", "", {"isTimeZone": "timeZone must be a valid IANA time-zone"}),
        ("timeFormat", 100, {"isIn": "timeFormat must be a number either 12 or 24"}),
        ("avatarUrl", "nonsense", {"isUrl": "avatarUrl must be a URL address"}),
        ("name", None, {"isString": "name must be a string"}),
        ("bio", 7, {"isString": "bio must be a string"}),
        ("metadata", [], {"isObject": "metadata must be an object"}),
    ],
)
async def test_create_refuses_a_wrong_field_and_echoes_the_body(api, field, value, constraint):
    reply = await api.create("ann@example.com", **{field: value})

    [error] = reply.body["error"]["details"]["errors"]
    assert reply.status == 400
    assert (reply.code, reply.message) == ("BadRequestException", "Bad Request Exception")
    assert error["property"] == field
    assert error["constraints"] == constraint
    assert error["target"]["email"] == "ann@example.com"


async def test_create_refuses_a_locale_outside_the_list_and_names_the_list(api):
    reply = await api.create(locale="tlh")

    [error] = reply.body["error"]["details"]["errors"]
    assert error["constraints"]["isEnum"].startswith("locale must be one of the following values: ar, ca, de")


@pytest.mark.parametrize(
    "metadata", [{"k" * 41: 1}, {"k": "v" * 501}, {str(n): n for n in range(51)}, {"k": None}, {"k": {}}]
)
async def test_create_refuses_metadata_beyond_the_limits(api, metadata):
    assert (await api.create(metadata=metadata)).status == 400


async def test_create_drops_unknown_fields_and_coerces_the_time_format(api):
    reply = await api.create(timeFormat="12", planet="Mars")

    assert reply.data["user"]["timeFormat"] == 12
    assert "planet" not in reply.data["user"]


async def test_create_takes_an_email_without_a_domain_as_upstream_does(api):
    assert (await api.create("foo")).data["user"]["email"] == "foo+c1@undefined"


async def test_an_email_that_is_suffixed_already_stays_as_it_is(api):
    assert (await api.create("ann+c1@example.com")).data["user"]["email"] == "ann+c1@example.com"


async def test_list_pages_by_offset_and_limit(api):
    for name in "abc":
        await api.create(f"{name}@example.com")

    page = await api.call("GET", f"{api.users}?offset=1&limit=1")

    assert [user["email"] for user in page.data] == ["b+c1@example.com"]


@pytest.mark.parametrize("query", ["limit=0", "limit=251", "offset=-1", "limit=x"])
async def test_list_refuses_pages_out_of_bounds(api, query):
    assert (await api.call("GET", f"{api.users}?{query}")).status == 400


@pytest.mark.parametrize(
    ("emails", "found"),
    [
        ("a@example.com", ["a"]),
        ("a@example.com,c@example.com", ["a", "c"]),
        ("b%2Bc1@example.com", ["b"]),
        ("z@example.com", []),
    ],
)
async def test_list_filters_by_original_and_by_suffixed_emails(api, emails, found):
    for name in "abc":
        await api.create(f"{name}@example.com")

    reply = await api.call("GET", f"{api.users}?emails={emails}")

    assert [user["email"][0] for user in reply.data] == found


async def test_the_filter_takes_an_email_that_contains_the_clients_id_for_a_suffixed_one(api):
    await api.create("abc1@example.com")

    assert (await api.call("GET", f"{api.users}?emails=abc1@example.com")).data == []
    assert len((await api.call("GET", f"{api.users}?emails=abc1%2Bc1@example.com")).data) == 1


async def test_list_refuses_an_invalid_email_by_name(api):
    reply = await api.call("GET", f"{api.users}?emails=a@example.com,invalid-email")

    assert (reply.status, reply.message) == (400, "Invalid email invalid-email")


async def test_read_shows_the_user_to_its_own_client_only(api, second, user_id):
    own = await api.call("GET", f"{api.users}/{user_id}")
    foreign = await second.call("GET", f"{second.users}/{user_id}")

    assert own.data["email"] == "ann+c1@example.com"
    assert (foreign.status, foreign.code) == (404, "NotFoundException")
    assert foreign.message == f"User with ID {user_id} is not part of this OAuth client."


async def test_a_user_id_that_is_no_number_is_refused(api):
    reply = await api.call("GET", f"{api.users}/seven")

    assert (reply.status, reply.message) == (400, "Validation failed (numeric string is expected)")


async def test_change_renames_the_user_and_keeps_other_fields(api):
    user = (await api.create(**FULL)).data["user"]

    reply = await api.call(
        "PATCH", f"{api.users}/{user['id']}", json={"email": "bob@example.com", "locale": "de"}
    )

    changes = {"email": "bob+c1@example.com", "username": "bob-c1-example-com", "locale": "de"}
    assert reply.data == {**user, **changes}


async def test_change_replaces_the_whole_metadata_object(api):
    user = (await api.create(**FULL)).data["user"]

    reply = await api.call("PATCH", f"{api.users}/{user['id']}", json={"metadata": {"new": 1}})

    assert reply.data["metadata"] == {"new": 1}


@pytest.mark.parametrize(
    "change", [{"timeFormat": "12"}, {"weekStart": "Someday"}, {"defaultScheduleId": "1"}]
)
async def test_change_checks_what_create_lets_pass(api, user_id, change):
    assert (await api.call("PATCH", f"{api.users}/{user_id}", json=change)).status == 400


async def test_change_to_a_taken_email_is_prismas_conflict_after_the_username_changed(sandbox, api, user_id):
    await api.create("bob@example.com")

    reply = await api.call("PATCH", f"{api.users}/{user_id}", json={"email": "bob@example.com"})

    assert (reply.status, reply.code) == (409, "CONFLICT")
    assert reply.message == "Invalid Input: Trying to create a record that already exists."
    assert "details" not in reply.body["error"]
    assert sandbox.user(user_id).email == "ann+c1@example.com"
    assert sandbox.user(user_id).username == "bob-c1-example-com"


async def test_delete_returns_the_user_and_kills_every_token(sandbox, api, pair, user_id):
    reply = await api.call("DELETE", f"{api.users}/{user_id}")

    assert (reply.status, reply.data["id"]) == (200, user_id)
    assert sandbox.user(user_id) is None
    assert (await api.check(pair.access.secret)).message == "Invalid Access Token."
    assert (await api.refresh(pair.refresh.secret)).message == "Invalid refresh token"
    assert (await api.force(user_id)).status == 404


async def test_a_client_outside_an_organization_cannot_create(sandbox, api):
    sandbox.change_client("c1", organization_id=None)

    reply = await api.create()

    assert reply.status == 400
    assert reply.message.startswith("You cannot create a managed user outside of an organization")
