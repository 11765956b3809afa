"""Every fault does what its name says: to the caller, and to the rows."""

import asyncio

import pytest
from aiohttp import ServerDisconnectedError

from tests.sandbox.caller import claims_of


async def lost(call):
    with pytest.raises(ServerDisconnectedError):
        await call


async def test_a_dropped_call_was_not_executed(sandbox, api, pair):
    sandbox.fault("drop_before", "refresh", count=1)

    await lost(api.refresh(pair.refresh.secret))

    assert sandbox.is_usable(pair.refresh.secret)
    assert (await api.refresh(pair.refresh.secret)).status == 200


async def test_a_dropped_answer_was_executed(sandbox, api, pair):
    sandbox.fault("drop_after", "refresh", count=1)

    await lost(api.refresh(pair.refresh.secret))

    entry = sandbox.journal[-1]
    assert (entry.committed, entry.answered, entry.status) == (True, False, 200)
    assert (await api.refresh(pair.refresh.secret)).message == "Invalid refresh token"


@pytest.mark.parametrize(
    ("kind", "status", "executed"),
    [
        ("error_before", 500, False),
        ("error_after", 500, True),
        ("html_before", 502, False),
        ("html_after", 502, True),
    ],
)
async def test_an_error_says_nothing_of_whether_the_call_was_executed(
    sandbox, api, pair, kind, status, executed
):
    sandbox.fault(kind, "refresh", count=1)

    reply = await api.refresh(pair.refresh.secret)

    assert reply.status == sandbox.journal[-1].status == status
    assert sandbox.is_usable(pair.refresh.secret) is not executed
    assert ("text/html" in reply.headers["Content-Type"]) is kind.startswith("html")
    assert ("Access-Control-Allow-Origin" in reply.headers) is kind.startswith("error")


async def test_a_server_error_is_nests_default_without_an_envelope(sandbox, api):
    sandbox.fault("error_before", "refresh")

    reply = await api.refresh("x")

    assert reply.body == {"statusCode": 500, "message": "Internal server error"}


async def test_a_database_error_is_prismas_and_changes_nothing(sandbox, api, pair):
    sandbox.fault("database_error", "refresh")

    reply = await api.refresh(pair.refresh.secret)

    assert (reply.status, reply.code) == (500, "INTERNAL_SERVER_ERROR")
    assert reply.message == "There was an error, please try again later."
    assert sandbox.is_usable(pair.refresh.secret)


@pytest.mark.parametrize("status", [503, 504, 520])
async def test_a_fault_may_state_another_status(sandbox, api, status):
    sandbox.fault("html_before", "refresh", status=status)

    assert (await api.refresh("x")).status == status


async def test_a_429_states_the_reset_it_was_given(sandbox, api, pair):
    sandbox.fault("throttled", "refresh", reset_s=7)

    reply = await api.refresh(pair.refresh.secret)

    assert (reply.status, reply.code) == (429, "ThrottlerException")
    assert reply.headers["X-RateLimit-Reset-Default"] == "7"
    assert sandbox.is_usable(pair.refresh.secret)


async def test_a_removed_route_is_nests_404(sandbox, api):
    sandbox.fault("route_removed", "refresh")

    assert (await api.refresh("x")).message == "Cannot POST /v2/oauth/c1/refresh"


async def left_waiting(sandbox, call, *, executed):
    """Start a call on the refresh route and leave it once it waits, before or after its execution."""
    fault = next(iter(sandbox.pipeline.faults))
    with sandbox.gate("refresh", "after") as gate:
        waiting = asyncio.ensure_future(call)
        await (gate.arrived() if executed else fault.struck())
    waiting.cancel()
    await asyncio.wait([waiting])


@pytest.mark.parametrize(("kind", "executed"), [("delay_before", False), ("delay_after", True)])
async def test_a_delay_lies_before_or_after_the_execution(sandbox, api, pair, kind, executed):
    sandbox.fault(kind, "refresh", delay_s=60)

    await left_waiting(sandbox, api.refresh(pair.refresh.secret), executed=executed)

    assert sandbox.is_usable(pair.refresh.secret) is not executed
    assert sandbox.journal.of("refresh") == []


async def test_a_short_delay_passes(sandbox, api, pair):
    sandbox.fault("delay_before", delay_s=0.01, delay_to_s=0.02)
    sandbox.fault("delay_after", delay_s=0.01)

    assert (await api.refresh(pair.refresh.secret)).status == 200
    entry = sandbox.journal[-1]
    assert entry.committed_ms - entry.started_ms >= 9
    assert entry.ended_ms - entry.committed_ms >= 9


@pytest.mark.parametrize(("kind", "executed"), [("hang_before", False), ("hang_after", True)])
async def test_a_hanging_call_is_given_up_when_its_caller_leaves(sandbox, api, pair, kind, executed):
    sandbox.fault(kind, "refresh")

    await left_waiting(sandbox, api.refresh(pair.refresh.secret), executed=executed)
    await sandbox.journal.written(1, route="refresh")

    [entry] = sandbox.journal.of("refresh")
    assert (entry.answered, entry.committed) == (False, executed)
    assert sandbox.is_usable(pair.refresh.secret) is not executed


async def test_a_hanging_call_goes_on_when_the_fault_is_cleared(sandbox, api, pair):
    fault = sandbox.fault("hang_before", "refresh")
    hanging = asyncio.ensure_future(api.refresh(pair.refresh.secret))
    await fault.struck()

    sandbox.clear_faults(kind="hang_before")

    assert (await hanging).status == 200


async def test_a_zombie_executes_once_its_caller_is_gone(sandbox, api, pair, user_id):
    sandbox.fault("zombie", "force", count=1, delay_s=0.01)
    with sandbox.gate("force") as gate:
        await lost(api.force(user_id))
        await gate.arrived()
        assert sandbox.is_live(pair.access.secret)
    await sandbox.journal.written(2, route="force")

    first, late = sandbox.journal.of("force")
    assert not sandbox.is_live(pair.access.secret)
    assert (first.committed, first.status) == (False, None)
    assert (late.committed, late.answered, late.duplicate_of) == (True, False, first.call)


@pytest.mark.parametrize(("variant", "status"), [("second", 400), ("first", 200)])
async def test_a_duplicated_call_is_executed_twice_and_one_answer_is_seen(
    sandbox, api, pair, variant, status
):
    sandbox.fault("duplicate", "refresh", count=1, variant=variant)

    reply = await api.refresh(pair.refresh.secret)

    by_call = sorted(sandbox.journal.of("refresh"), key=lambda entry: entry.call)
    assert reply.status == status
    assert [entry.status for entry in by_call] == [200, 400]
    assert [entry.answered for entry in by_call] == [variant == "first", variant == "second"]
    assert by_call[1].duplicate_of == by_call[0].call


@pytest.mark.parametrize(
    ("variant", "has_body"),
    [
        (
            "missing_tokens",
            lambda body: "accessToken" not in body["data"] and "refreshToken" not in body["data"],
        ),
        ("empty_tokens", lambda body: body["data"]["accessToken"] == ""),
        ("number_tokens", lambda body: body["data"]["refreshToken"] == 7),
        ("no_expiry", lambda body: set(body["data"]) == {"accessToken", "refreshToken"}),
        ("null_data", lambda body: body == {"status": "success", "data": None}),
        ("array", lambda body: isinstance(body, list)),
        ("not_json", lambda body: body.startswith(b"OK")),
        ("empty_body", lambda body: body == b""),
    ],
)
async def test_a_malformed_success_was_executed(sandbox, api, pair, variant, has_body):
    sandbox.fault("malformed", "refresh", variant=variant)

    reply = await api.refresh(pair.refresh.secret)

    assert reply.status == 200
    assert has_body(reply.body)
    assert not sandbox.is_usable(pair.refresh.secret)


async def test_a_refusal_is_never_malformed(sandbox, api):
    sandbox.fault("malformed", "refresh", variant="not_json")

    assert (await api.refresh("x")).message == "Invalid refresh token"


async def test_a_wrong_owner_stands_in_the_tokens_claims(sandbox, api, pair, user_id):
    sandbox.fault("wrong_owner", "refresh")

    data = (await api.refresh(pair.refresh.secret)).data

    assert claims_of(data["accessToken"])["ownerId"] == user_id + 1
    assert sandbox.journal[-1].user_id == user_id


async def test_behind_a_lagging_replica_new_tokens_are_unknown(sandbox, api, pair):
    fresh = (await api.refresh(pair.refresh.secret)).data
    sandbox.fault("replica_lag", delay_s=5)

    refused = await api.refresh(fresh["refreshToken"])
    unknown = await api.check(fresh["accessToken"])
    sandbox.advance(6)

    assert (refused.message, unknown.message) == ("Invalid refresh token", "Invalid Access Token.")
    assert (await api.check(fresh["accessToken"])).status == 200
    assert (await api.refresh(fresh["refreshToken"])).status == 200


async def test_behind_a_lagging_replica_a_used_refresh_token_is_seen_and_then_missed(sandbox, api, pair):
    sandbox.advance(60)
    await api.refresh(pair.refresh.secret)
    sandbox.fault("replica_lag", "refresh", delay_s=5)

    reply = await api.refresh(pair.refresh.secret)

    assert (reply.status, reply.code) == (404, "NOT_FOUND")
    assert reply.message == "Invalid Query: The requested record was not found."
