"""Services that come by their account or certificate: the whole broker behind its doors, and a cluster."""

import time

import pytest

from tests.support.account_tokens import account_token
from tests.support.certificates import Authority, Mount
from tests.support.cluster import a_cluster
from tests.support.served import ANYWHERE, served
from tests.support.waiting import eventually

ACCOUNTS = "shop/backend,shop/reader:users:read"
SPIFFE = "spiffe://cluster.local/ns/shop/sa/backend"


@pytest.fixture
async def cluster(tmp_path):
    folder = tmp_path / "cluster"
    folder.mkdir()
    async with a_cluster(folder) as running:
        yield running


@pytest.fixture
async def trusting(cluster, worlds):
    """A world that lets two accounts of the cluster in, and nobody by a key."""
    return await worlds(SERVICE_ACCOUNTS=ACCOUNTS, API_KEYS=None, **cluster.settings, **ANYWHERE)


@pytest.fixture
async def house(trusting):
    async with served(trusting) as opened:
        yield opened


def token(account="shop/backend", kid="rsa"):
    return account_token(account, kid, now=int(time.time()))


async def test_an_account_is_given_what_its_scopes_allow(trusting, house):
    user = await trusting.user("anna")
    path = f"/v1/users/{user.key.user_id}/token"
    assert (await house.service("GET", path, key=token()))[0] == 200
    status, body = await house.service("GET", path, key=token("shop/reader"))
    assert (status, body["code"]) == (403, "scope_missing")
    status, body = await house.service("GET", path, key=token("shop/stranger"))
    assert (status, body["code"]) == (401, "key_unknown")


async def test_what_an_account_does_stands_in_the_users_events(trusting, house):
    user = await trusting.user("anna")
    path = f"/v1/users/{user.key.user_id}"
    await house.service("POST", f"{path}/pause", key=token())
    _, body = await house.service("GET", f"{path}/events", key=token())
    assert "shop/backend" in {event.get("actor") for event in body["events"]}


async def test_known_keys_count_on_while_the_cluster_is_away_and_new_ones_do_not(cluster, house):
    assert (await house.service("GET", "/v1/users", key=token()))[0] == 200
    await cluster.close()
    assert (await house.service("GET", "/v1/users", key=token()))[0] == 200
    assert (await house.service("GET", "/v1/users", key=token(kid="ec")))[0] == 401


async def test_without_any_keys_nobody_comes_in_by_a_token_until_there_are_some(cluster, trusting):
    cluster.status = 500
    async with served(trusting) as house:
        status, body = await house.service("GET", "/v1/users", key=token())
        assert (status, body["code"]) == (503, "keys_unavailable")
        assert await house.degraded() == {"service_account_keys"}
        assert (await house.service("GET", "/v1/users", key="no-token"))[1]["code"] == "key_unknown"
        cluster.status = 200
        await eventually(house.is_well, within_s=20)
        assert (await house.service("GET", "/v1/users", key=token()))[0] == 200


async def test_a_key_that_the_cluster_takes_into_use_is_found_without_a_restart(cluster, house):
    assert (await house.service("GET", "/v1/users", key=token()))[0] == 200
    cluster.keys = ["rsa", "ec"]
    house.means.tokens._keys._again_at = 0.0
    assert (await house.service("GET", "/v1/users", key=token(kid="ec")))[0] == 200


async def test_a_certificate_and_a_token_lead_to_the_same_broker(tmp_path, cluster, worlds):
    authority, mount = Authority(), Mount(tmp_path / "tls")
    mount.folder.mkdir()
    mount.put(authority.issue("IP:127.0.0.1"), authority.certificate)
    tls = mount.settings(CALLER_CERTIFICATES=f"{SPIFFE}:users:read")
    world = await worlds(SERVICE_ACCOUNTS=ACCOUNTS, API_KEYS=None, **tls, **cluster.settings, **ANYWHERE)
    user = await world.user("anna")
    async with served(world) as house:
        caller = authority.client(f"URI:{SPIFFE}", folder=tmp_path)
        path = f"/v1/users/{user.key.user_id}"
        assert (await house.service("GET", path, key="", tls=caller))[0] == 200
        assert (await house.service("GET", f"{path}/token", key="", tls=caller))[0] == 403
        assert (await house.service("GET", f"{path}/token", key=token(), tls=caller))[0] == 200
