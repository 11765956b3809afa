"""The operator page and the calls behind it: who may look, what is shown, and that no token is among it."""

from datetime import timedelta

import pytest

from service.broker.errors import UpstreamUnavailable
from service.broker.overview import Sight
from service.broker.ports import BudgetSight
from service.broker.ports.overview import (
    Concern,
    Happened,
    Seen,
    SweepSight,
    TroubleQuery,
)
from tests.support.doors import ALL_BUT_ADMIN, CURRENT, KEY, OverviewScript, Ready, api_key, open_house
from tests.support.troubled import NOON, a_count, a_troubled

LOOKS = ["/v1/overview", "/v1/history", "/v1/attention"]
SIGHT = Sight(
    a_count(fresh=5, dead=1),
    BudgetSight(450.0, 50.0, 12.5, 0.0),
    Seen(SweepSight(NOON, 3, 1, 0.2), None, 2),
    None,
)


@pytest.fixture
async def house():
    async with open_house(overview=OverviewScript(look=SIGHT)) as opened:
        yield opened


async def answer(house, path, method="GET", **request):
    async with house.call(method, path, **request) as response:
        return response.status, await response.json()


@pytest.mark.parametrize("path", LOOKS)
async def test_to_look_takes_the_scope(house, path):
    assert (await answer(house, path, key="none-key"))[1]["code"] == "scope_missing"
    assert (await answer(house, path, key="nobody"))[1]["code"] == "key_unknown"
    assert house.overview.calls == []


async def test_the_overview_shows_how_everything_stands(house):
    status, said = await answer(house, "/v1/overview")

    assert (status, said["client"]) == (200, "acme")
    assert said["standing"]["users"] == {
        "fresh": 5,
        "stale": 0,
        "overdue": 0,
        "idle": 0,
        "paused": 0,
        "dead": 1,
    }
    assert said["standing"]["horizon"] == {"stepSeconds": 60.0, "due": [0] * 59 + [3]}
    assert said["budget"] == {"perMinute": 450.0, "capacity": 50.0, "ready": 12.5, "pausedSeconds": 0.0}
    assert said["sweep"] == {"at": "2026-03-01T12:00:00Z", "claimed": 3, "parked": 1, "seconds": 0.2}
    assert (said["queuedTicks"], said["dependencies"]) == (2, {"postgres": "up", "redis": "up"})


async def test_what_cannot_be_known_is_null_and_no_error():
    ready = Ready(states={"postgres": "up", "redis": "down"})
    async with open_house(ready=ready) as house:
        _, said = await answer(house, "/v1/overview")
    assert said["standing"] is said["budget"] is said["sweep"] is said["queuedTicks"] is None
    assert said["circuit"] == {"open": False, "reason": None}
    assert said["dependencies"]["redis"] == "down"


async def test_an_open_circuit_says_why():
    sight = Sight(None, None, None, "upstream refuses the client's secret")
    async with open_house(overview=OverviewScript(look=sight)) as house:
        _, said = await answer(house, "/v1/overview")
    assert said["circuit"] == {"open": True, "reason": "upstream refuses the client's secret"}


@pytest.mark.parametrize(
    ("span", "step_s", "steps"), [("hour", 60, 60), ("day", 1200, 72), ("week", 7200, 84)]
)
async def test_history_reaches_back_in_steps_that_a_picture_has_room_for(house, span, step_s, steps):
    house.overview.results["history"] = [Happened(NOON, 9, 2, 1, 0)]
    _, said = await answer(house, f"/v1/history?span={span}")

    assert said["stepSeconds"] == step_s
    assert said["steps"] == [
        {"at": "2026-03-01T12:00:00Z", "rotated": 9, "failed": 2, "recovered": 1, "died": 0}
    ]
    assert house.overview.calls == [
        ("history", "acme", timedelta(seconds=step_s * steps), timedelta(seconds=step_s))
    ]


async def test_who_needs_attention_is_listed_with_what_helps(house):
    house.overview.results["troubled"] = [a_troubled()]
    _, said = await answer(house, "/v1/attention")

    (user,) = said["users"]
    assert (user["id"], user["calUserId"], user["concern"]) == ("u-1", 7, "failing")
    assert (user["orders"], user["hasToken"]) == (["refresh", "force"], True)
    assert said["cursor"] is None


async def test_the_next_page_begins_where_this_one_ends(house):
    house.overview.results["troubled"] = [a_troubled(f"u-{n}") for n in range(3)]
    _, said = await answer(house, "/v1/attention?limit=2&reason=failing")
    await answer(house, f"/v1/attention?limit=2&cursor={said['cursor']}")

    assert said["cursor"] == "3-u-1"
    assert house.overview.calls == [
        ("troubled", TroubleQuery("acme", 3, Concern.FAILING)),
        ("troubled", TroubleQuery("acme", 3, None, (3, "u-1"))),
    ]


@pytest.mark.parametrize(("asked", "cursor"), [("", "5-"), ("&reason=overdue", None)])
async def test_after_the_overdue_a_list_goes_on_with_the_dead(house, asked, cursor):
    house.overview.results["troubled"] = [a_troubled(f"u-{n}", concern=Concern.OVERDUE) for n in range(3)]
    _, said = await answer(house, f"/v1/attention?limit=2{asked}")
    assert (len(said["users"]), said["cursor"]) == (2, cursor)


@pytest.mark.parametrize(
    "wrong", ["limit=0", "limit=201", "reason=sad", "cursor=u-1", "cursor=9-u", "span=hour", "x=1"]
)
async def test_a_wrong_question_is_refused(house, wrong):
    assert (await answer(house, f"/v1/attention?{wrong}"))[1]["code"] == "invalid"


async def test_an_operator_has_a_pair_replaced_and_sees_no_token(house):
    status, said = await answer(house, "/v1/users/u-1/rotate", "POST", json={"force": True})

    assert (status, said["id"]) == (200, "u-1")
    assert CURRENT not in str(said)
    assert house.answers.calls == [("rotate", KEY, True, "app")]


async def test_to_replace_a_pair_takes_the_scope_to_write():
    keys = [api_key("app", "users:read", "tokens:read")]
    async with open_house(api_keys=lambda: keys) as house:
        assert (await answer(house, "/v1/users/u-1/rotate", "POST"))[1]["code"] == "scope_missing"
        assert house.answers.calls == []


async def test_what_upstream_does_not_do_is_said(house):
    house.answers.results["rotate"] = UpstreamUnavailable("Upstream is away.", retry_after_s=30)
    status, said = await answer(house, "/v1/users/u-1/rotate", "POST", json={})
    assert (status, said["code"]) == (503, "upstream_unavailable")


async def test_a_caller_is_told_what_it_may_do_whatever_it_may(house):
    assert (await answer(house, "/v1/caller"))[1] == {
        "name": "app", "scopes": sorted(ALL_BUT_ADMIN), "clients": ["acme"]
    }  # fmt: skip
    assert (await answer(house, "/v1/caller", key="none-key"))[1]["scopes"] == []
    assert (await answer(house, "/v1/caller", key="nobody"))[0] == 401


async def test_a_caller_of_one_client_sees_no_other():
    keys = [api_key("app", "users:read", clients=["other"])]
    async with open_house(api_keys=lambda: keys) as house:
        assert (await answer(house, "/v1/caller"))[1]["clients"] == []
        assert (await answer(house, "/v1/overview?client=acme"))[1]["code"] == "user_unknown"


async def shell(house, path="/"):
    async with house.session.get(house.url("internal", path)) as response:
        return response.status, response.headers, await response.text()


async def test_the_shell_loads_without_a_key_and_holds_no_data(house):
    status, headers, text = await shell(house)

    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert house.overview.calls == []
    assert "acme" not in text


async def test_the_policy_lets_nothing_in_but_the_pages_own_files(house):
    _, headers, text = await shell(house)
    policy = headers["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert not [
        sign
        for sign in ("<style", "style=", "onclick", "javascript:", "//")
        if sign in text.replace("<!--", "")
    ]


async def test_every_file_that_the_page_names_is_there(house):
    _, _, text = await shell(house)
    named = [part.split('"')[0] for part in text.split('="/page/')[1:]]

    assert len(named) > 10
    for name in named:
        status, headers, body = await shell(house, f"/page/{name}")
        assert (status, bool(body)) == (200, True)
        assert headers["X-Content-Type-Options"] == "nosniff"


async def test_the_public_listener_has_no_page(house):
    async with house.session.get(house.url("public", "/")) as response:
        assert response.status == 404
