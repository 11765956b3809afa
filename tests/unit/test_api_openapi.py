"""The description of the interface: valid, complete, and true of what the listeners answer."""

import asyncio
import json
import re
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import jsonschema
import pytest

from service.api.errors import STATUS
from service.api.observe import ObserveDoor
from service.settings.grammar import TAKEN_PATHS
from tests.support.doors import ALL_BUT_ADMIN, HELD, api_key, open_house

CALLS = {
    "post /v1/users", "get /v1/users", "get /v1/users/{id}", "patch /v1/users/{id}", "delete /v1/users/{id}",
    "put /v1/users/{id}/tokens", "get /v1/users/{id}/token", "post /v1/users/{id}/refresh",
    "post /v1/users/{id}/revoke", "post /v1/users/{id}/pause", "post /v1/users/{id}/resume",
    "get /v1/users/{id}/events", "post /v1/users/{id}/rotate", "get /v1/caller", "get /v1/overview",
    "get /v1/history", "get /v1/attention",
}  # fmt: skip


@pytest.fixture
async def house():
    async with open_house() as opened:
        yield opened


async def document(house, path="/openapi.json"):
    async with house.session.get(house.url("internal", path)) as response:
        return await response.json()


def calls_of(described):
    return {f"{method} {path}" for path, methods in described["paths"].items() for method in methods}


async def test_every_call_is_described(house):
    assert calls_of(await document(house)) == CALLS


async def test_the_public_listener_is_described_too(house):
    assert calls_of(await document(house, "/openapi-public.json")) == {
        "get /refresh", "options /refresh", "get /keep-fresh.js", "get /use-fresh-token.js", "get /healthz"
    }  # fmt: skip


async def test_the_endpoint_is_put_nowhere_that_the_public_listener_has_something_else(house):
    described = (await document(house, "/openapi-public.json"))["paths"]
    assert described.keys() - {"/refresh"} == TAKEN_PATHS


async def test_the_observing_listener_is_described_too(house):
    described = await document(house, "/openapi-observe.json")
    answered = {f"{r.method} {r.path}".lower() for r in ObserveDoor(house.ready, bytes).routes()}
    assert calls_of(described) == answered - {"head /healthz", "head /readyz"}


@pytest.mark.parametrize("path", ["/openapi.json", "/openapi-public.json", "/openapi-observe.json"])
async def test_every_reference_leads_somewhere(house, path):
    described = await document(house, path)
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(described)))

    assert named <= set(described["components"]["schemas"])
    for schema in described["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


async def test_no_field_says_that_null_would_do(house):
    schemas = (await document(house))["components"]["schemas"]

    assert schemas["NewUser"]["required"] == ["id", "email", "name"]
    assert "null" not in json.dumps(schemas["NewUser"])


async def test_every_code_there_is_is_listed(house):
    schemas = (await document(house))["components"]["schemas"]

    assert schemas["Problem"]["properties"]["code"]["enum"] == sorted(STATUS)


# Left out: what only a real store can do, and that whatever a schema allows is accepted. Schemas cannot say
# which time zones or clients there are.
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance," \
    "negative_data_rejection,unsupported_method,ignored_auth"  # fmt: skip


async def explore(house, listener, path, bearer):
    """Let schemathesis call what is described, and return what it found wrong."""
    schemathesis = Path(sys.executable).with_name("schemathesis")
    options = ["--checks", CHECKS, "--max-examples", "10", "--seed", "1", "--generation-database", "none"]
    target = [
        house.url("internal", path),
        "--url",
        house.url(listener),
        "-H",
        f"Authorization: Bearer {bearer}",
    ]
    process = await asyncio.create_subprocess_exec(
        schemathesis, "run", *target, *options, stdout=PIPE, stderr=STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_the_internal_listener_answers_as_described(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keys = [api_key("app", *ALL_BUT_ADMIN, "admin")]
    async with open_house(api_keys=lambda: keys) as house:
        code, output = await explore(house, "internal", "/openapi.json", "app-key")

    assert code == 0, output
    assert house.notes.of("request.failed") == []


async def test_the_public_listener_answers_as_described(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with open_house() as house:
        code, output = await explore(house, "public", "/openapi-public.json", HELD)

    assert code == 0, output


async def test_the_observing_listener_answers_as_described(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with open_house() as house:
        code, output = await explore(house, "observe", "/openapi-observe.json", "nobody")

    assert code == 0, output


async def test_the_bounds_of_a_number_in_a_query_are_described(house):
    parameters = (await document(house))["paths"]["/v1/users"]["get"]["parameters"]
    [limit] = [one["schema"] for one in parameters if one["name"] == "limit"]
    assert (limit["minimum"], limit["maximum"]) == (1, 200)


async def test_the_page_shows_it_without_help_from_elsewhere(house):
    async with house.session.get(house.url("internal", "/docs")) as response:
        page, policy = await response.text(), response.headers["Content-Security-Policy"]

    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "PUT /v1/users/{id}/tokens" in page
    assert "<script" not in page
    assert not re.search(r"(src|href)=", page)
