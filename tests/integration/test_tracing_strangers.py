"""Whose trace is continued: that of a service that shows its key; nobody else decides what is recorded."""

import pytest

THEIRS = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
SAMPLED, UNSAMPLED = f"00-{THEIRS}-{SPAN}-01", f"00-{THEIRS}-{SPAN}-00"
PATH = "/v1/users/nobody/token"
NAME = "GET /v1/users/{id}/token"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJvd25lcklkIjo3fQ.c2lnbmF0dXJl"


async def test_a_services_trace_is_continued(traced_house, collector):
    await traced_house.service("GET", PATH, traceparent=SAMPLED)
    request = await collector.one(NAME)
    assert (request.trace, request.parent, request.links) == (THEIRS, SPAN, [])


async def test_a_service_may_say_that_its_trace_is_not_recorded(traced_house, collector):
    await traced_house.service("GET", PATH, traceparent=UNSAMPLED)
    await traced_house.service("GET", "/v1/users")
    await collector.one("GET /v1/users")
    assert collector.named(NAME) == []


async def test_who_shows_no_known_key_is_not_continued(traced_house, collector):
    assert (await traced_house.service("GET", PATH, key="made-up", traceparent=SAMPLED))[0] == 401
    request = await collector.one(NAME)
    assert (request.trace != THEIRS, request.parent, request.links) == (True, "", [(THEIRS, SPAN)])


@pytest.mark.parametrize("traceparent", [SAMPLED, UNSAMPLED])
async def test_a_browsers_trace_is_linked_and_decides_nothing(traced_house, collector, traceparent):
    await traced_house.refresh(TOKEN, traceparent=traceparent)
    request = await collector.one("GET /refresh")
    assert (request.trace != THEIRS, request.parent, request.links) == (True, "", [(THEIRS, SPAN)])


@pytest.mark.parametrize(
    "traceparent",
    ["", "00", f"00-{THEIRS}-{SPAN}", f"00-{'0' * 32}-{SPAN}-01", f"ff-{THEIRS}-{SPAN}-01", f"00-{TOKEN}"],
)
async def test_what_is_no_trace_is_ignored(traced_house, collector, traceparent):
    await traced_house.service("GET", PATH, traceparent=traceparent)
    request = await collector.one(NAME)
    assert (request.parent, request.links) == ("", [])


async def test_nothing_else_that_a_caller_sends_reaches_a_span(traced_house, collector):
    strange = {"traceparent": SAMPLED, "tracestate": "x=5ecret-state", "baggage": "user=5ecret-user"}
    await traced_house.service("GET", f"{PATH}?min_ttl=5&x=5ecret-query", **strange)
    await collector.one(NAME)
    assert b"5ecret" not in b"".join(collector.raw)
