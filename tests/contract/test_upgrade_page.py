"""The page on upgrades names tests that exist, and its commands and its SQL work."""

import ast
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from textwrap import dedent
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from sql.files import read
from sql.migrate import migrate
from tests.support.roles import two_roles

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "upgrade.md").read_text()
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)))
BLOCK = re.compile(r"^(?:<!-- (needs [^>]*) -->\n)?( *)```(sh|sql)\n(.*?)```", re.DOTALL | re.MULTILINE)
BLOCKS = [(language, mark, dedent(text)) for mark, _, language, text in BLOCK.findall(PAGE)]
COMMANDS = [text for language, mark, text in BLOCKS if language == "sh" and not mark]
COUNTS = [text for language, _, text in BLOCKS if language == "sql" and text.startswith("SELECT")]
(MOVE,) = [text for language, _, text in BLOCKS if language == "sql" and text.startswith("REASSIGN")]
ONLY = "token_broker_alone"


@cache
def names_in(file):
    nodes = ast.parse((ROOT / "tests" / file).read_text()).body
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_test_it_names_exists():
    assert len(NAMED) > 20
    assert [f"{file}::{name}" for file, name in NAMED if name not in names_in(file)] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_do_what_it_says(command, empty_database_url):
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {"PATH": path, "TOKEN_BROKER_DATABASE_URL": empty_database_url}
    ran = subprocess.run(
        ["sh", "-ec", command], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    names = [migration.name for migration in read()]
    lines = [f"{verb} {name}" for verb in ("would apply", "applied") for name in names]
    assert (ran.returncode, ran.stdout.splitlines(), ran.stderr) == (0, lines, "")


@pytest.mark.parametrize("statement", COUNTS)
async def test_its_counts_count(statement, database_url):
    connection = await asyncpg.connect(database_url)
    assert await connection.fetch(statement) == []
    await connection.close()


async def test_a_broker_of_one_role_is_moved_to_two(empty_database_url):
    await migrate(await one_role(empty_database_url))
    migrator_url, app_url = await two_roles(empty_database_url)
    await execute(empty_database_url, MOVE.replace("OWNED BY broker", f"OWNED BY {ONLY}"))
    assert await migrate(migrator_url) == []
    await execute(app_url, "SELECT lineage_make_day(current_date); UPDATE grants SET reason = reason")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await execute(app_url, "DELETE FROM schema_migrations")


async def one_role(url):
    """Make a role that may do everything in this database; gives its address."""
    make = f"DO $$ BEGIN CREATE ROLE {ONLY} LOGIN; EXCEPTION WHEN duplicate_object THEN END $$"
    await execute(url, f"{make}; ALTER ROLE {ONLY} PASSWORD 'only'; GRANT ALL ON SCHEMA public TO {ONLY}")
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{ONLY}:only@{parts.netloc.rpartition('@')[2]}"))


async def execute(url, statements):
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()
