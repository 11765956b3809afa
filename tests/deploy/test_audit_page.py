"""The page on the audit: its commands do their work, and it names the events and the tests that there are."""

import ast
import asyncio
import re
from functools import cache

import pytest

from sandbox.calcom import SandboxClient, SandboxConfig
from tests.deploy.pages import ROOT, commands, shell
from tests.support.stack import API_KEY, running_stack

CONFIG = SandboxConfig(clients=(SandboxClient("acme", "secret-of-acme"),))
TEXT = (ROOT / "docs" / "audit.md").read_text()
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", TEXT)))
EVENTS = sorted(set(re.findall(r"`((?:token|refresh|grant|user|act|rewrap)\.[a-z]+)`", TEXT)))
CODE = "".join(file.read_text() for file in (ROOT / "service").rglob("*.py"))


@cache
def names_in(file):
    nodes = ast.parse((ROOT / "tests" / file).read_text()).body
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_test_it_names_exists():
    assert len(NAMED) > 8
    assert [f"{file}::{name}" for file, name in NAMED if name not in names_in(file)] == []


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_it_names_is_one_that_is_written(event):
    assert re.search(rf"[\"']{event}[\"']", CODE)


async def test_its_commands_show_the_events(database_url, redis_url, tmp_path):
    async with running_stack(database_url, redis_url, CONFIG) as stack:
        await stack.create_user("acme", "anna")
        script = "\n".join(commands(TEXT, "test_audit_page.py"))
        said = await asyncio.to_thread(
            shell, script, tmp_path, internal=stack.internal_url, key=API_KEY, database=database_url
        )
    assert "grant.created" in said
    assert said.count('"events":[') == 3
