"""docs/importing.md and docs/migrating.md: their commands do their work, the tests they name exist."""

import ast
import asyncio
import json
import os
import re
import subprocess
from functools import cache

import asyncpg
import pytest

from sandbox.calcom import SandboxClient, SandboxConfig
from service.moving.columns import ALIASES
from tests.browser.building import missing_node
from tests.deploy.pages import ROOT, commands, shell
from tests.support.moving import as_csv
from tests.support.needs import need
from tests.support.stack import API_KEY, running_stack

CLIENT = SandboxClient("acme", "secret-of-acme")
CONFIG = SandboxConfig(clients=(CLIENT,))
PAGES = {name: (ROOT / "docs" / name).read_text() for name in ("importing.md", "migrating.md")}
NAMED = sorted({match for text in PAGES.values() for match in re.findall(r"`([\w/]+\.py)::(\w+)`", text)})


@cache
def names_in(file):
    nodes = ast.parse((ROOT / "tests" / file).read_text()).body
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_test_they_name_exists():
    assert len(NAMED) > 8
    assert [f"{file}::{name}" for file, name in NAMED if name not in names_in(file)] == []


def test_every_field_has_its_row():
    table = PAGES["importing.md"].split("### Columns")[1].split("###")[0]
    assert set(ALIASES) <= set(re.findall(r"`(\w+)`", table))


@pytest.fixture
async def app(database_url, redis_url, tmp_path):
    """A running broker, and an app with two users in a table of its own and in a file."""
    async with running_stack(database_url, redis_url, CONFIG) as stack:
        rows = [a_row(stack.sandbox, name) for name in ("anna", "bert")]
        connection = await asyncpg.connect(database_url)
        await connection.execute(
            "CREATE TABLE app_users (id text, mail text, cal_access_token text, cal_refresh_token text)"
        )
        values = [tuple(row.values()) for row in rows]
        await connection.executemany("INSERT INTO app_users VALUES ($1, $2, $3, $4)", values)
        (tmp_path / "users.csv").write_text(as_csv(rows, rows[0].keys()))
        yield stack
        # An app may keep its tokens as they are; in the broker's tables they are looked for.
        await connection.execute("DROP TABLE app_users")
        await connection.close()


def a_row(sandbox, name):
    """A user's row, as the app has it."""
    _, pair = sandbox.create_user(CLIENT.id, f"{name}@example.com")
    return {
        "id": name,
        "mail": f"{name}@example.com",
        "cal_access_token": pair.access.secret,
        "cal_refresh_token": pair.refresh.secret,
    }


async def ran(app, page, folder):
    """Run a page's commands in order; gives what they wrote."""
    script = "\n".join(commands(PAGES[page], "test_moving_pages.py"))
    values = {
        "internal": app.internal_url,
        "key": API_KEY,
        "app_database": app.variables["TOKEN_BROKER_DATABASE_URL"],
    }
    told = {name: value for name, value in app.variables.items() if name != "PATH"}
    return await asyncio.to_thread(shell, script, folder, **told, **values)


async def test_the_commands_on_importing_and_looking_after_users(app, tmp_path):
    said = await ran(app, "importing.md", tmp_path)
    assert said.startswith("2 would be imported\n")
    assert '"imported": 0, "replaced": 0, "already": 2' in said
    assert "anna: refreshed, generation" in said
    assert "anna: revoked, state LIVE" in said
    assert len((tmp_path / "users-now.jsonl").read_text().splitlines()) == 2
    assert (tmp_path / "live.csv").read_text().count("\n") == 3


async def test_the_commands_on_migrating(app, tmp_path):
    said = await ran(app, "migrating.md", tmp_path)
    assert re.findall(r"\d+ (?:would be )?imported|\d+ already there", said)[-1] == "2 already there"
    assert "2 imported" in said
    assert (tmp_path / "rejects.jsonl").read_text() == ""


async def test_the_lines_for_the_old_endpoint_hand_a_new_pair_over(app):
    need(*missing_node())
    user, pair = app.sandbox.create_user(CLIENT.id, "carl@example.com")
    known = {"user": {"id": "carl", "calUserId": user.id}}
    known["pair"] = {"accessToken": pair.access.secret, "refreshToken": pair.refresh.secret}
    lines = re.search(r"```ts\n(.*?)```", PAGES["migrating.md"], re.DOTALL)[1]
    given = "".join(f"const {name} = {json.dumps(value)};\n" for name, value in known.items())
    told = {"PATH": os.environ["PATH"], "BROKER_URL": app.internal_url, "BROKER_KEY": API_KEY}
    words = ["node", "--input-type=module", "--eval", given + lines]
    done = await asyncio.to_thread(
        subprocess.run, words, env=told, capture_output=True, check=True, timeout=30
    )
    assert done.stderr == b""
    assert (await app.token(CLIENT.id, "carl"))["accessToken"] == pair.access.secret
