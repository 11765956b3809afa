"""Who calls the internal listener: by a key, by a token of its own account, and what decides of several."""

import pytest

from service.broker.errors import KeysUnavailable
from service.settings import Caller
from tests.support.doors import api_key, open_house

READS = frozenset({"users:read"})
TOKEN = "header.claims.signature"


class Cluster:
    """Knows whose tokens are whose."""

    def __init__(self, **accounts):
        self.accounts = {f"header.{token}.signature": account for token, account in accounts.items()}
        self.asked = []

    async def name(self, token):
        self.asked.append(token)
        account = self.accounts.get(token)
        if isinstance(account, BaseException):
            raise account
        return account


def house_of(cluster, *accounts, **settings):
    return open_house(
        tokens=cluster, service_accounts=accounts or [Caller("shop/backend", READS)], **settings
    )


async def answer(house, token=TOKEN, path="/v1/users/u-1", method="GET", **request):
    async with house.call(method, path, key=token, **request) as response:
        body = await response.json()
        return response.status, body.get("code"), response.headers.get("WWW-Authenticate")


async def test_an_accounts_token_lets_its_caller_in():
    async with house_of(Cluster(claims="shop/backend")) as house:
        assert (await answer(house))[0] == 200


async def test_it_may_do_what_its_scopes_say_and_no_more():
    async with house_of(Cluster(claims="shop/backend")) as house:
        refused = await answer(house, path="/v1/users/u-1/token")
    assert refused == (403, "scope_missing", 'Bearer error="insufficient_scope"')


async def test_it_may_act_for_its_own_clients_alone():
    foreign = Caller("shop/backend", READS, frozenset({"beta"}))
    async with house_of(Cluster(claims="shop/backend"), foreign) as house:
        assert (await answer(house, path="/v1/users/u-1?client=acme"))[:2] == (404, "user_unknown")


async def test_what_it_does_is_written_down_under_its_name():
    writes = Caller("shop/backend", frozenset({"users:write"}))
    async with house_of(Cluster(claims="shop/backend"), writes) as house:
        await answer(house, method="POST", path="/v1/users/u-1/revoke")
    assert house.users.calls[0][-1] == "shop/backend"


async def test_a_token_of_nobody_and_one_of_an_account_that_is_not_listed_are_answered_as_an_unknown_key():
    async with house_of(Cluster(claims="shop/backend", other="shop/intruder")) as house:
        answers = {
            await answer(house, token)
            for token in ("unknown-key", "header.x.signature", "header.other.signature")
        }
    assert answers == {(401, "key_unknown", 'Bearer error="invalid_token"')}
    assert house.notes.of("caller.refused") == [
        {"reason": "account_unknown", "caller": "shop/intruder", "key": None}
    ]


async def test_without_the_clusters_keys_a_token_is_told_to_come_again_and_a_key_is_let_in():
    cluster = Cluster(claims=KeysUnavailable(retry_after_s=2))
    async with house_of(cluster, api_keys=lambda: [api_key("app", *READS)]) as house:
        async with house.call("GET", "/v1/users/u-1", key=TOKEN) as response:
            waits = response.headers["Retry-After"]
            assert (response.status, (await response.json())["code"]) == (503, "keys_unavailable")
        assert (waits, await answer(house, "app-key")) == ("2", (200, None, None))


async def test_a_key_is_never_shown_to_the_cluster():
    cluster = Cluster()
    async with house_of(cluster) as house:
        await answer(house, "app-key")
    assert cluster.asked == []


@pytest.mark.parametrize("where", ["?access_token=x", "?a=1&access_token="])
async def test_a_token_that_stands_in_the_address_as_well_is_refused_unread(where):
    cluster = Cluster(claims="shop/backend")
    async with house_of(cluster) as house:
        assert (await answer(house, path=f"/v1/users/u-1{where}"))[0] == 401
    assert cluster.asked == []


async def test_two_keys_of_one_name_count_at_once_with_rights_of_their_own():
    keys = [api_key("app", "users:read"), api_key("next", "users:write")]
    same = [type(key)("app", key.digest, key.scopes) for key in keys]
    async with open_house(api_keys=lambda: same) as house:
        old, new = [await answer(house, f"{name}-key") for name in ("app", "next")]
        await answer(house, "next-key", method="POST", path="/v1/users/u-1/revoke")
    assert (old[0], new[:2]) == (200, (403, "scope_missing"))
    assert house.users.calls[-1][-1] == "app"


async def test_where_nobody_has_tokens_one_is_an_unknown_key():
    async with open_house() as house:
        assert (await answer(house))[:2] == (401, "key_unknown")


LISTENERS = {
    "public": ["/v1/users", "/v1/users/u-1/token", "/openapi.json", "/docs", "/metrics", "/readyz"],
    "internal": ["/refresh", "/keep-fresh.js", "/use-fresh-token.js", "/healthz", "/metrics", "/readyz"],
    "observe": ["/refresh", "/keep-fresh.js", "/v1/users", "/v1/users/u-1/token", "/openapi.json", "/docs"],
}


@pytest.mark.parametrize("listener", LISTENERS)
async def test_no_listener_answers_for_another_whoever_asks(listener):
    async with house_of(Cluster(claims="shop/backend")) as house:
        for path in LISTENERS[listener]:
            for bearer in ("app-key", TOKEN):
                headers = {"Authorization": f"Bearer {bearer}"}
                async with house.session.get(house.url(listener, path), headers=headers) as response:
                    assert (response.status, (await response.json())["code"]) == (404, "not_found"), path
    assert house.users.calls == house.answers.calls == []


async def test_the_description_says_how_a_caller_says_who_it_is():
    async def means(house):
        async with house.session.get(house.url("internal", "/openapi.json")) as response:
            described = await response.json()
        return described["security"], described["components"]["securitySchemes"].keys()

    async with open_house() as house:
        assert await means(house) == ([{"bearer": []}], {"bearer"})
    certified = [Caller("spiffe://cluster.local/x")]
    async with house_of(Cluster(), certified=certified) as house:
        names = ["bearer", "serviceAccount", "certificate"]
        assert await means(house) == ([{name: []} for name in names], set(names))
