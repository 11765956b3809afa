"""The page docs/events.md: its commands do their work, it names types, events and tests that there are."""

import ast
import asyncio
import base64
import json
import re
import subprocess
from functools import cache

import pytest

from service.broker.model.notice import NoticeType
from service.settings import load_settings
from tests.deploy.pages import ROOT, commands, shell
from tests.support.environment import environment
from tests.support.receivers import receiving
from tests.support.sending import secret_of, sending
from tests.support.stored import open_stores

TEXT = (ROOT / "docs" / "events.md").read_text()
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", TEXT)))
DRAW, SET, RECEIVE, LOOK, REPLAY = commands(TEXT, "test_events_page.py")
CODE = "".join(file.read_text() for file in (ROOT / "service").rglob("*.py"))


@cache
def names_in(file):
    nodes = ast.parse((ROOT / "tests" / file).read_text()).body
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_test_it_names_exists():
    assert len(NAMED) > 5
    assert [f"{file}::{name}" for file, name in NAMED if name not in names_in(file)] == []


def test_it_has_a_row_for_every_type_and_for_no_other():
    assert re.findall(r"^\| `([a-z_]+\.[a-z]+)` \|", TEXT, re.MULTILINE) == [*NoticeType]


@pytest.mark.parametrize("event", sorted(set(re.findall(r"`(webhooks?\.[a-z_]+)`", TEXT))))
def test_every_event_it_names_is_one_that_is_written(event):
    assert f'"{event}"' in CODE


def test_the_secret_it_draws_and_the_settings_it_shows_are_taken(tmp_path):
    said = shell(f"{DRAW}{SET}env", tmp_path)
    given = dict(line.split("=", 1) for line in said.splitlines() if line.startswith("TOKEN_BROKER_"))
    settings = load_settings(environment(**given), role="work")
    assert len(settings.webhook_secrets.value[0]) == 32


def test_its_receiver_is_started_as_it_says(tmp_path):
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    started = RECEIVE.strip().replace("--port 8090", "--port 0")
    said = shell(
        f"{DRAW}timeout 3 {started.replace('WEBHOOK_SECRETS', 'env WEBHOOK_SECRETS')} 2>&1 || true", tmp_path
    )
    assert "listening on http://127.0.0.1:" in said


@pytest.fixture
async def worker(database_url):
    """A worker that has told of anna and bert."""
    async with (
        open_stores(database_url) as stores,
        receiving() as receiver,
        sending(stores, receiver.url) as worker,
    ):
        await worker.tell("anna", "bert")
        await worker.goes_on(1)
        yield worker, receiver


async def test_its_commands_show_messages_and_send_them_again(worker, database_url, tmp_path):
    worker, receiver = worker
    given = environment(DATABASE_URL=database_url)
    said = await asyncio.to_thread(shell, LOOK + REPLAY, tmp_path, database=database_url, **given)
    line = r"^\S+  msg_[0-9a-f]{32}  grant.died  first-client/anna  delivered$"
    assert re.search(line, said, re.MULTILINE)
    assert [one.partition(" messages")[0] for one in said.splitlines()[-3:]] == ["0", "0", "1"]
    worker.clock.advance(60)
    await worker.goes_on(1)
    assert receiver.types("anna") == ["grant.died", "grant.died"]


def made_by_openssl(key, signed):
    """What a program that knows nothing of webhooks makes of it, as the table of headers says."""
    command = ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key.hex()}", "-binary"]
    made = subprocess.run(command, input=signed, capture_output=True, check=True).stdout
    return base64.b64encode(made).decode()


def test_a_signature_is_what_openssl_makes_of_it(worker):
    _, receiver = worker
    key = base64.b64decode(secret_of("w").removeprefix("whsec_"))
    for headers, body in receiver.heard:
        signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
        assert headers["webhook-signature"] == f"v1,{made_by_openssl(key, signed)}"
    assert {json.loads(body)["data"]["userId"] for _, body in receiver.heard} == {"anna", "bert"}
