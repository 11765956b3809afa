"""docs/http.md is what the service says of itself, and each of its examples is a command that works."""

import asyncio
import json
import os
import re
from asyncio.subprocess import PIPE
from itertools import pairwise

import jsonschema
import pytest

from docs.reference import DOCUMENTS, PAGE, documents, render
from docs.samples import answer_of, body_of
from service.api.openapi import PROBLEM, REF
from tests.docs.blocks import blocks_of
from tests.support.doors import ALL_BUT_ADMIN, HELD, api_key, open_house

DESCRIBED = documents()
SHOWN = blocks_of("docs/http.md", "sh", "json")
EXAMPLES = [block for block in SHOWN if block.language == "sh"]
COMMAND = re.compile(r'curl -sS (?:-i )?(?:-X (?P<method>\w+) )?"\$(?P<listener>\w+)(?P<path>[^"?]+)')
AND_ITS_STATUS = "curl() { command curl -w '\\n%{http_code}' \"$@\"; }\n"


@pytest.fixture
async def house():
    keys = [api_key("app", *ALL_BUT_ADMIN, "admin")]
    async with open_house(api_keys=lambda: keys) as opened:
        yield opened


def test_the_page_is_the_one_that_make_docs_makes():
    assert PAGE.read_text() == render(), "run `make docs`, and commit what it made"


def test_no_place_of_the_page_is_left_open():
    assert "{{" not in PAGE.read_text()


@pytest.mark.parametrize("listener", DOCUMENTS)
async def test_it_is_made_from_what_a_running_service_answers(house, listener):
    async with house.session.get(house.url("internal", DOCUMENTS[listener][0])) as response:
        served = await response.json()

    described = DESCRIBED[listener]
    assert served["paths"] == described["paths"]
    assert served["components"]["schemas"] == described["components"]["schemas"]


def operation_of(block):
    """Return what is described of the call that an example makes, and the document it is in."""
    call = COMMAND.match(block.text)
    document = DESCRIBED[call["listener"]]
    path = call["path"].replace("/42", "/{id}")
    return document["paths"][path][(call["method"] or "get").lower()], document


async def run(house, command):
    """Run a command of the page as its reader does; returns what was answered, and with which status."""
    variables = {listener: house.url(listener) for listener in DOCUMENTS} | {"key": "app-key", "token": HELD}
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", AND_ITS_STATUS + command, env=dict(os.environ) | variables, stdout=PIPE
    )
    output, _ = await process.communicate()
    body, _, status = output.decode().rpartition("\n")
    return body, status


@pytest.mark.parametrize("block", EXAMPLES, ids=str)
async def test_an_example_is_answered_as_described(house, block):
    operation, document = operation_of(block)
    body, status = await run(house, block.text)

    assert status == next(iter(operation["responses"])), body
    content = operation["responses"][status].get("content", {}).get("application/json")
    if content:
        schema = {"components": document["components"], **content["schema"]}
        jsonschema.validate(json.loads(body), schema, cls=jsonschema.Draft202012Validator)


def follows(asked, answer):
    """Whether the second block is the answer to the first: they stand one under the other."""
    beneath = asked.line + asked.text.count("\n") + 3
    return asked.language == "sh" and answer.language == "json" and answer.line == beneath


async def test_the_answers_shown_have_the_fields_of_those_that_came(house):
    shown = [(asked, json.loads(answer.text)) for asked, answer in pairwise(SHOWN) if follows(asked, answer)]
    came = [json.loads((await run(house, asked.text))[0]) for asked, _ in shown]

    assert len(shown) > len(DOCUMENTS)
    assert [answer.keys() for _, answer in shown] == [answer.keys() for answer in came]


SHAPES = [
    (name, document["components"])
    for document in DESCRIBED.values()
    for name, shape in document["components"]["schemas"].items()
    if "properties" in shape and name != PROBLEM
]


@pytest.mark.parametrize(("name", "components"), SHAPES, ids=[name for name, _ in SHAPES])
def test_a_shape_that_is_shown_fits_its_own_description(name, components):
    schema = {"components": components, "$ref": REF.format(model=name)}
    for shown in (answer_of(name, components["schemas"]), body_of(name, components["schemas"])):
        jsonschema.validate(shown, schema, cls=jsonschema.Draft202012Validator)


def test_every_call_has_its_example():
    described = [
        op for doc in DESCRIBED.values() for methods in doc["paths"].values() for op in methods.values()
    ]
    exemplified = [operation_of(block)[0] for block in EXAMPLES]
    assert [operation["summary"] for operation in described if operation not in exemplified] == []
