"""What a trace shows of the work: one from request to settlement, whoever began it and whoever joined."""

import asyncio

import pytest

from tests.support.written_logs import written_logs

FLIGHT = ["lease.take", "budget.take", "claim", "upstream.refresh", "settle"]
CREATED = [
    "user.begin_create",
    "budget.take",
    "user.note_attempt",
    "upstream.create_user",
    "user.link",
    "create",
]
UNKNOWN_TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJvd25lcklkIjo3fQ.c2lnbmF0dXJl"


async def expired(world):
    anna = await world.user()
    token = await anna.token()
    await world.later(hours=2)
    return token


async def test_one_trace_goes_from_the_request_to_the_settlement(traced_world, traced_house, collector):
    await traced_house.refresh(await expired(traced_world))
    request, flight = await collector.one("GET /refresh"), await collector.one("refresh")
    assert (request.parent, flight.parent, flight.trace) == ("", request.id, request.trace)
    assert collector.below(flight) == FLIGHT
    assert "refresh" in collector.below(request)
    assert [span.name for span in collector.spans if span.trace != request.trace] == CREATED


async def test_a_span_says_what_happened_and_nothing_of_to_whom(traced_world, traced_house, collector):
    await traced_house.refresh(await expired(traced_world))
    request, flight = await collector.one("GET /refresh"), await collector.one("refresh")
    call = await collector.one("upstream.refresh")
    assert request.facts == {
        "token_broker.listener": "public",
        "token_broker.client": "default",
        "token_broker.source": "rotation",
        "http.route": "/refresh",
        "http.request.method": "GET",
        "http.response.status_code": 200,
    }
    assert flight.facts == {
        "token_broker.client": "default",
        "token_broker.trigger": "request",
        "token_broker.outcome": "rotated",
    }
    assert call.facts == {
        "token_broker.client": "default",
        "token_broker.call": "refresh",
        "token_broker.outcome": "rotated",
        "http.response.status_code": 200,
    }


async def test_who_joins_a_refresh_is_linked_to_it(traced_world, traced_house, collector):
    token = await expired(traced_world)
    with traced_world.sandbox.gate("refresh") as gate:
        first = asyncio.create_task(traced_house.refresh(token))
        await gate.arrived()
        second = asyncio.create_task(traced_house.refresh(token))
        await traced_world.notes.hears("refresh.joined")
    await asyncio.gather(first, second)
    starter, joiner = await collector.first("GET /refresh", 2)
    flight = await collector.one("refresh")
    assert (flight.trace, flight.parent) == (starter.trace, starter.id)
    assert joiner.trace != starter.trace
    assert (joiner.links, starter.links) == ([(flight.trace, flight.id)], [])


async def test_a_refresh_behind_the_callers_back_belongs_to_the_callers_trace(
    traced_world, traced_house, collector
):
    anna = await traced_world.user()
    await anna.token()
    await traced_world.later(minutes=52)
    with traced_world.sandbox.gate("refresh") as gate:
        await traced_house.token(anna)
        await gate.arrived()
        request = await collector.one("GET /v1/users/{id}/token")
    flight = await collector.one("refresh")
    assert (flight.trace, flight.parent) == (request.trace, request.id)
    assert flight.ended > request.ended


async def test_an_answer_from_the_cache_is_one_span(traced_world, traced_house, collector):
    anna = await traced_world.user()
    await anna.token()
    await traced_house.token(anna)
    request = await collector.one("GET /v1/users/{id}/token")
    assert request.facts["token_broker.source"] in {"near", "redis"}
    assert {span.name for span in collector.spans if span.trace == request.trace} <= {
        request.name,
        "grant.vouch",
    }


async def test_a_sweep_shows_the_refreshes_it_made(traced_world, traced_house, collector):
    anna = await traced_world.user()
    await anna.token()
    await traced_world.later(minutes=52)
    await traced_world.sweep()
    sweep, flight = await collector.one("sweep"), await collector.one("refresh")
    assert (flight.trace, flight.parent) == (sweep.trace, sweep.id)
    assert flight.facts["token_broker.trigger"] == "ahead"
    assert collector.below(flight) == ["upstream.refresh", "settle"]


async def test_a_sweep_that_finds_nothing_leaves_no_trace(traced_world, traced_house, collector):
    anna = await traced_world.user()
    await traced_world.sweep()
    await traced_house.token(anna)
    await collector.one("GET /v1/users/{id}/token")
    assert collector.named("sweep") == []


async def test_an_error_is_told_by_its_class_alone(traced_world, traced_house, collector):
    token = await expired(traced_world)
    traced_world.sandbox.fault("throttled", "refresh", reset_s=40)
    assert (await traced_house.refresh(token))[0] == 503
    request, flight = await collector.one("GET /refresh"), await collector.one("refresh")
    assert flight.failed
    assert flight.facts["error.type"] == "UpstreamUnavailable"
    assert (request.failed, request.facts["http.response.status_code"]) == (True, 503)
    assert {span.message for span in collector.spans} == {""}
    assert "exception" not in {name for span in collector.spans for name, _ in span.events}


async def test_a_refused_token_is_no_error_of_ours(traced_house, collector):
    assert (await traced_house.refresh(UNKNOWN_TOKEN))[0] == 401
    request = await collector.one("GET /refresh")
    assert (request.failed, request.facts["http.response.status_code"]) == (False, 401)


@pytest.mark.parametrize("path", ["/v1/users/anna-7/nothing", "/healthz/anna-7"])
async def test_a_path_that_is_no_route_is_not_told(traced_house, collector, path):
    await traced_house.service("GET", path)
    assert (await collector.one("GET unmatched")).facts["http.route"] == "unmatched"
    assert b"anna-7" not in b"".join(collector.raw)


async def test_probes_leave_no_trace(traced_house, collector):
    assert await traced_house.alive()
    await traced_house.readiness()
    await traced_house.refresh(UNKNOWN_TOKEN)
    await collector.one("GET /refresh")
    assert {span.name for span in collector.spans} == {"GET /refresh", "grant.find"}


@pytest.fixture
def written():
    with written_logs() as written:
        yield written


async def test_log_lines_carry_the_traces_id(written, traced_world, traced_house, collector):
    await traced_house.refresh(await expired(traced_world))
    request = await collector.one("GET /refresh")
    ids = {line["event"]: line.get("trace_id") for line in written.lines}
    assert (ids["request.done"], ids["refresh.rotated"]) == (request.trace, request.trace)
