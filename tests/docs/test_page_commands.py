"""The commands that the pages tell people to type are typed here, in order and unchanged."""

import asyncio
import json
import os
import re
import shutil
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from sandbox.calcom import SandboxClient, SandboxConfig, serve
from sandbox.dev.ports import HOST, Ports
from tests.docs.blocks import ROOT, Block, blocks_of, pages
from tests.docs.shell import shell

CLIENT = SandboxClient("docs-client", "docs-secret")
YOURS = "your own values"
MARKS = {
    "needs a cluster",
    "needs a collector",
    "needs a container engine",
    "needs Helm",
    "needs psql and an administrator",
    "needs root",
    "needs the default ports",
    "needs the internet",
    "needs the real Cal.com",
    YOURS,
}
"""Why a block is not run here. A reader's own values are set to those of this test's world instead."""

RUN_BY = re.compile(r"run by (tests/[\w/]+\.py)")
"""A block may be run by a test of its own, which then names the page."""

RUN = {"docs/sidecar.md": True, "docs/upgrade.md": False}
"""Pages whose blocks are run here, and whether the page itself says how to install the program."""

BLOCK_TAKES_S = 300
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".*_cache", ".hypothesis", "node_modules", "made", "*.egg-info", "build", "dist"
)
ASSIGNED = re.compile(r"^(\w+)=| (\w+)=(?=\S)", re.MULTILINE)


def accounted_for(block):
    """Whether a block is run here, or by another test, or says what it needs."""
    elsewhere = RUN_BY.fullmatch(block.mark or "")
    if elsewhere:
        test = ROOT / elsewhere[1]
        return test.exists() and Path(block.page).name in test.read_text()
    return block.mark in MARKS or (block.mark is None and block.page in RUN)


@pytest.mark.parametrize("page", pages())
def test_every_command_is_run_or_says_what_it_needs(page):
    left = [str(block) for block in blocks_of(page, "sh") if not accounted_for(block)]
    assert left == [], f"run them in {__name__}, or put one of {sorted(MARKS)} before them in a comment"


@pytest.mark.parametrize(
    "mark", [None, "needs luck", "run by tests/docs/nowhere.py", "run by tests/conftest.py"]
)
def test_a_command_that_nothing_runs_is_found(mark):
    assert not accounted_for(Block("docs/reliability.md", 1, "sh", "true\n", mark))


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", RUN)
async def test_the_commands_of_a_page_do_what_it_says(page, tmp_path, empty_database_url, valkey):
    folder = tmp_path / "checkout"
    shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
    async with values_of_a_world(empty_database_url, valkey.url) as values:
        with shell(folder, environment(tmp_path, values, installs=RUN[page])) as running:
            for block, printed in with_what_it_prints(page):
                commands = replaced(block.text, values) if block.mark == YOURS else block.text
                output = await asyncio.to_thread(running.run, commands, BLOCK_TAKES_S)
                assert printed is None or alike(printed, output), f"{block} printed\n{output}"


@asynccontextmanager
async def values_of_a_world(database_url, redis_url):
    """Give what a reader has of their own: stores, a client upstream, and ports that are free."""
    ports = Ports.free()
    async with serve(SandboxConfig(clients=(CLIENT,))) as upstream:
        yield {
            "client_id": CLIENT.id,
            "client_secret": CLIENT.secret,
            "api_url": upstream.url,
            "database": database_url,
            # Beside the broker of the fronts, whose tests go on meanwhile.
            "redis": urlunsplit(urlsplit(redis_url)._replace(path="/1")),
            "public": f"{HOST}:{ports.public}",
            "internal": f"{HOST}:{ports.internal}",
            "observe": f"{HOST}:{ports.observe}",
            "worker_observe": f"{HOST}:{ports.worker}",
        }


def environment(folder, values, *, installs):
    """Return what a reader's shell has: this Python, and how packages are fetched.

    Where the page does not say how to install the program: the program, and where its data is.
    """
    programs = folder / "bin"
    programs.mkdir()
    (programs / "python3").symlink_to(Path(sys.executable).resolve())
    variables = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": os.environ.get("HOME", "/")}
    if not installs:
        (programs / "token-broker").symlink_to(Path(sys.executable).parent / "token-broker")
        variables["TOKEN_BROKER_DATABASE_URL"] = values["database"]
    fetching = re.compile(r"(?i)pip_|ssl_|https?_proxy")
    return variables | {name: os.environ[name] for name in os.environ if fetching.match(name)}


def replaced(text, values):
    """Return assignments of the same variables, with the values of this world."""
    names = [first or second for first, second in ASSIGNED.findall(text)]
    return "".join(f"{name}='{values[name]}'\n" for name in names)


def with_what_it_prints(page):
    """Yield each block that is run with the block of output that stands right below it, if one does."""
    blocks = blocks_of(page)
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        if block.language == "sh" and block.mark in {None, YOURS}:
            ends_at = block.line + block.text.count("\n") + 1
            below = following and following.language in {"json", "text"} and following.line <= ends_at + 2
            yield block, following if below else None


def alike(printed, output):
    """Whether the output has what the page shows: its lines, or (JSON) its fields with any values."""
    if printed.language == "text":
        return all(line in output for line in printed.text.splitlines())
    return of_a_shape(
        json.loads(printed.text), json.loads(output[output.rindex("\n{") if "\n{" in output else 0 :])
    )


def of_a_shape(shown, found):
    if isinstance(shown, dict):
        return isinstance(found, dict) and all(
            name in found and of_a_shape(shown[name], found[name]) for name in shown
        )
    return type(shown) is type(found)
