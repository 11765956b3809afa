"""Everything a test can do in process, a separate process can do over /_sandbox."""

import asyncio

import pytest


@pytest.fixture
def control(api):
    async def call(method, path, body=None, *, status=200):
        reply = await api.call(method, f"/_sandbox{path}", secret="", json=body)
        assert reply.status == status, reply.body
        return reply.body

    return call


async def test_a_fault_is_switched_on_listed_and_cleared(control, api, pair):
    fault = await control(
        "POST", "/faults", {"kind": "html_after", "route": "refresh", "count": 1, "status": 503}, status=201
    )
    assert (await api.refresh(pair.refresh.secret)).status == 503

    [listed] = (await control("GET", "/faults"))["faults"]
    assert listed == {**fault, "hits": 1}
    assert await control("DELETE", f"/faults?id={fault['id']}") == {"cleared": 1}
    assert await control("DELETE", "/faults") == {"cleared": 0}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"kind": "earthquake"}, "earthquake"),
        ({}, "kind"),
        ({"kind": "race", "count": "many"}, "count"),
        ({"kind": "race", "colour": "red"}, "colour"),
        ({"kind": "race", "route": "refrehs"}, "refrehs"),
        ({"kind": "malformed", "variant": "purple"}, "purple"),
        ([], "body"),
    ],
)
async def test_a_wrong_fault_is_refused_by_what_is_wrong(control, body, named):
    assert named in (await control("POST", "/faults", body, status=400))["error"]


async def test_a_race_is_staged_through_a_gate(control, api, pair):
    gate = await control("POST", "/gates", {"route": "refresh", "point": "read"}, status=201)
    both = [asyncio.ensure_future(api.refresh(pair.refresh.secret)) for _ in range(2)]

    waited = await control("GET", f"/gates/{gate['id']}?arrived=2")
    released = await control("POST", f"/gates/{gate['id']}/release", {"count": 1})
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    await control("DELETE", f"/gates/{gate['id']}")

    assert (waited["arrivals"], waited["held"], released) == (2, 2, {"released": 1})
    assert sorted(reply.status for reply in await asyncio.gather(*both)) == [200, 404]
    assert (await control("GET", "/gates"))["gates"] == []


async def test_a_gate_nobody_comes_to_answers_in_time(control):
    gate = await control("POST", "/gates", {"route": "force"}, status=201)

    waited = await control("GET", f"/gates/{gate['id']}?arrived=1&timeout_s=0", status=408)

    assert waited["arrivals"] == 0


@pytest.mark.parametrize("body", [{}, {"route": "force", "point": "never"}, {"route": "refrehs"}])
async def test_a_wrong_gate_is_refused(control, body):
    assert (await control("POST", "/gates", body, status=400))["error"]


async def test_a_user_is_seeded_shown_expired_and_deleted(control, api):
    seeded = await control("POST", "/clients/c1/users", {"email": "ann@example.com"}, status=201)
    user_id = seeded["user"]["id"]
    [(_, access)] = (await control("GET", f"/users/{user_id}"))["access"].items()

    assert access["live"]
    assert await control("POST", f"/users/{user_id}/expire") == {"expired": 1}
    assert (await api.check(seeded["accessToken"])).status == 498
    assert await control("POST", "/clients/c1/purge") == {"purged": 1}
    assert await control("DELETE", f"/users/{user_id}") == {"deleted": user_id}
    assert (await control("GET", "/clients/c1/users"))["users"] == []


async def test_a_seeded_email_may_be_taken_once(control):
    await control("POST", "/clients/c1/users", {"email": "ann@example.com"}, status=201)

    again = await control("POST", "/clients/c1/users", {"email": "ann@example.com"}, status=409)

    assert "already" in again["error"]


async def test_no_look_up_shows_a_token(control, sandbox, pair, user_id):
    shown = str([await control("GET", path) for path in ("", "/clients/c1/users", f"/users/{user_id}")])

    assert pair.access.secret not in shown
    assert pair.refresh.secret not in shown
    assert "s1" not in shown


async def test_a_tokens_state_is_told_and_a_token_is_killed(control, pair, user_id):
    body = {"token": pair.access.secret}
    before = await control("POST", "/tokens/state", body)

    assert (before["live"], before["usable"], before["user_id"]) == (True, False, user_id)
    assert await control("POST", "/tokens/kill", body) == {"killed": True}
    assert (await control("POST", "/tokens/state", body))["live"] is False
    assert await control("POST", "/tokens/kill", {"token": pair.refresh.secret}) == {"killed": True}
    assert await control("POST", "/tokens/kill", body) == {"killed": False}


async def test_a_client_is_changed_while_it_runs(control, api, pair):
    changed = await control("PATCH", "/clients/c1", {"secret": "next", "platform": False})

    assert changed == {"client": "c1", "changed": ["platform", "secret"]}
    assert (await api.refresh(pair.refresh.secret)).status == 401
    assert (await api.force(pair.access.user_id, secret="next")).status == 403


async def test_settings_and_the_clock_are_changed(control, sandbox, api, pair):
    summary = await control("PATCH", "", {"throttle": True, "redis_warm": True, "advance_s": 3600})

    assert (summary["throttle"], summary["redis_warm"]) == (True, True)
    assert (await api.check(pair.access.secret)).status == 498
    assert (await control("GET", ""))["now_ms"] >= summary["now_ms"]


async def test_the_journal_is_read_in_pages_and_control_calls_are_not_in_it(control, api):
    for _ in range(3):
        await api.force(1)

    page = (await control("GET", "/journal?after=1&limit=1"))["entries"]

    assert [(entry["seq"], entry["route"]) for entry in page] == [(2, "force")]
    assert (await control("GET", ""))["counts"]["force"] == 3


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/users/99"),
        ("GET", "/clients/nobody/users"),
        ("GET", "/gates/9"),
        ("DELETE", "/users/99"),
        ("PATCH", "/clients/nobody"),
    ],
)
async def test_what_does_not_exist_is_404(control, method, path):
    assert "there is no" in (await control(method, path, status=404))["error"]


async def test_a_number_that_is_none_is_refused(control):
    assert "whole number" in (await control("GET", "/journal?limit=x", status=400))["error"]
