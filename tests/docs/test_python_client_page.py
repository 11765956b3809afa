"""docs/python-client.md: every example is run against a real broker; every error and argument is in it."""

import ast
import inspect
import re
import shutil
import subprocess
import sys
import textwrap

import pytest
import token_broker_client
from token_broker_client import Broker, BrokerError, Token, errors

from service.api.sockets import INTERNAL
from tests.docs.blocks import ROOT, blocks_of
from tests.support.served import ANYWHERE, SERVICE_KEY, served
from tests.support.world import open_world

PAGE = "docs/python-client.md"
EXAMPLES = blocks_of(PAGE, "python")


@pytest.fixture
async def world(database_url, redis_url, tmp_path):
    async with open_world(database_url, redis_url, tmp_path, **ANYWHERE) as opened:
        await opened.user("user-1")
        yield opened


async def ran(example, places):
    """Run an example as the body of a coroutine; returns what it has named."""
    text = example.text
    for shown, meant in places.items():
        text = text.replace(shown, meant)
    body = textwrap.indent(text, "    ")
    named = {"key": SERVICE_KEY, "url": places["http://broker.internal:8081"], "token_file": "/dev/null"}
    exec(compile(f"async def example():\n{body}\n    return locals()\n", str(example), "exec"), named)
    return await named["example"]()


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
async def test_an_example_does_what_it_says(example, world):
    async with served(world) as house:
        upstream = world.settings.clients[0].api_url.removesuffix("/v2")
        places = {"http://broker.internal:8081": house._url(INTERNAL, ""), "https://api.cal.com": upstream}
        found = await ran(example, places)
    for name, value in found.items():
        expected = {"token": Token | None, "better": Token, "me": dict, "broker": Broker}.get(name, object)
        assert isinstance(value, expected)


def test_the_examples_show_every_call():
    called = {
        node.attr
        for block in EXAMPLES
        for node in ast.walk(ast.parse(_awaitable(block)))
        if isinstance(node, ast.Attribute)
    }
    assert {"token", "refused", "authorization", "access_token"} <= called


def _awaitable(block):
    return f"async def example():\n{textwrap.indent(block.text, '    ')}"


def test_every_error_stands_in_the_page_with_its_code():
    page = (ROOT / PAGE).read_text()
    kinds = [
        kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, BrokerError)
    ]
    rows = {kind.__name__: f"| `{kind.__name__}` | `{kind.code}` |" for kind in kinds if kind.code}
    assert [name for name, row in rows.items() if row not in page] == []
    assert {kind.__name__ for kind in kinds} <= set(token_broker_client.__all__)


def test_every_argument_stands_in_the_page_with_its_default():
    page = (ROOT / PAGE).read_text()
    rows = re.findall(r"^\| `(\w+)` \| `?([^|`]+)`? \|", page, re.MULTILINE)
    shown = {name: default.replace("none", "None") for name, default in rows}
    arguments = inspect.signature(Broker).parameters.values()
    keywords = {one.name: one.default for one in arguments if one.kind is one.KEYWORD_ONLY}
    assert {
        name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in keywords.items()
    } == {name: default for name, default in shown.items() if name in keywords}


def test_it_is_installed_as_the_page_says(tmp_path):
    [block] = blocks_of(PAGE, "sh")
    assert block.text == "pip install ./clients/python\n"
    target = (
        "--target",
        str(tmp_path / "there"),
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--quiet",
    )
    source = tmp_path / "python"
    _copied(source)
    subprocess.run([sys.executable, "-m", "pip", "install", *target, str(source)], check=True)
    assert (tmp_path / "there" / "token_broker_client" / "py.typed").is_file()


def _copied(place):
    """Copy the package: a build leaves files beside its sources."""
    shutil.copytree(
        ROOT / "clients" / "python",
        place,
        ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"),
    )
