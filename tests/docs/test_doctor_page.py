"""docs/doctor.md: what it shows is what the command prints, and every check that there is stands in it."""

import asyncio
import json
import re
import sys

import pytest

from sandbox.embedded import servers
from service.doctor.findings import State
from tests.docs.blocks import ROOT, blocks_of
from tests.support.databases import Databases
from tests.support.deployments import deployed
from tests.support.secrecy import GUARD

PAGE = "docs/doctor.md"
CHECKS = re.compile(
    r'"((?:settings|timeouts|origins|clients|worker|clocks|(?:postgres|redis|app|listeners)\.\w+))"'
)


@pytest.fixture(scope="module")
def database_and_redis():
    with servers() as pair:
        databases = Databases(pair.postgres.url, GUARD.database)
        with databases.empty() as url:
            yield url, pair.valkey.url
        databases.close()


async def typed(command, env):
    """What a command prints, and its exit code."""
    program = [sys.executable, "-m", "service.cli", *command.split()[1:]]
    process = await asyncio.create_subprocess_exec(*program, env=env, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    return said.decode(), process.returncode


async def test_what_the_page_tells_to_type_prints_what_it_shows(database_and_redis):
    table, as_object = [block for block in blocks_of(PAGE, "sh") if "run by" in (block.mark or "")]
    shown = blocks_of(PAGE, "text")[0].text.splitlines()
    async with deployed(*database_and_redis) as deployment:
        printed, code = await typed(table.text, deployment.env | {"COLUMNS": "110"})
        told, _ = await typed(as_object.text, deployment.env)
    assert code == 0
    assert [line for line in shown if line not in printed] == []
    assert json.loads(told).keys() == {"code", "counts", "findings"}


def test_every_check_stands_in_the_page():
    page = (ROOT / PAGE).read_text()
    sources = [path.read_text() for path in sorted((ROOT / "service" / "doctor").glob("*.py"))]
    checks = {check for source in sources for check in CHECKS.findall(source)}
    assert "postgres.writable" in checks
    assert {check for check in checks if f"`{check}`" not in page} == set()


def test_every_state_stands_in_the_page():
    page = (ROOT / PAGE).read_text().lower()
    assert [state for state in State if f"| {state.value.replace('unseen', 'not seen')} |" not in page] == []
