"""`token-broker users` and `export`, by a service that runs: what an operator sees and has done."""

import asyncio
import csv
import io
import json
from types import SimpleNamespace

import pytest

from service.broker.model import EventQuery
from service.cli import main
from tests.support.served import ANYWHERE, SERVICE_KEY, served

LISTED = ["ID", "CAL", "USER", "E-MAIL", "STATE", "REASON", "EXPIRES", "LAST", "USED", "LAST", "ERROR"]


@pytest.fixture
async def world(worlds):
    return await worlds(**ANYWHERE)


@pytest.fixture
async def command(world, monkeypatch):
    """Runs a command of the broker against the world's doors; gives exit code, output and errors."""
    async with served(world) as house:
        monkeypatch.setenv("TOKEN_BROKER_URL", house.internal_url)
        monkeypatch.setenv("TOKEN_BROKER_API_KEY", SERVICE_KEY)

        async def run(*words):
            # Not the process's own streams: there the service writes its log.
            out, err = io.StringIO(), io.StringIO()
            for module in ("users", "export"):
                streams = SimpleNamespace(stdout=out, stderr=err)
                monkeypatch.setattr(f"service.moving.{module}.sys", streams)
            code = await asyncio.to_thread(main, words)
            return code, out.getvalue(), err.getvalue()

        yield run


async def test_users_are_listed_with_the_state_of_their_pairs(world, command):
    anna, _ = await world.user("anna"), await world.user("bert")
    await anna.set(state="DEAD", reason="user_gone")
    code, out, _ = await command("users", "list")
    head, first, second = out.splitlines()
    assert (code, head.split()) == (0, LISTED)
    assert first.split()[:5] == ["anna", str(anna.upstream_id), "anna@example.com", "DEAD", "user_gone"]
    assert second.split()[3] == "LIVE"
    [only] = (await command("users", "list", "--state", "DEAD", "--json"))[1].splitlines()
    assert json.loads(only)["id"] == "anna"


async def test_a_list_says_when_there_are_more(world, command):
    for name in ("anna", "bert", "carl"):
        await world.user(name)
    _, out, err = await command("users", "list", "--limit", "2")
    assert (len(out.splitlines()), err.startswith("The first 2 of more")) == (3, True)
    assert (await command("users", "list", "--limit", "3"))[2] == ""


async def test_a_user_is_shown_with_what_happened_to_it(world, command):
    await world.user("anna")
    code, out, _ = await command("users", "show", "anna")
    assert code == 0
    assert ["state", "LIVE"] in [line.split() for line in out.splitlines()]
    assert "grant.created" in out
    shown = json.loads((await command("users", "show", "anna", "--json"))[1])
    assert (shown["id"], shown["events"][0]["event"]) == ("anna", "grant.created")


async def test_a_refresh_goes_through_the_service_and_shows_no_token(world, command):
    anna, old = await world.used_user("anna")
    code, out, _ = await command("users", "refresh", "anna")
    grant = await anna.grant()
    assert (code, out) == (0, f"anna: refreshed, generation {grant.generation}\n")
    assert anna.calls() == ["refresh"]
    assert await world.browser(old) == grant.pair.access_token


async def test_a_forced_refresh_replaces_every_token(world, command):
    anna, old = await world.used_user("anna")
    assert (await command("users", "refresh", "--force", "anna"))[0] == 0
    assert anna.calls() == ["force"]
    assert not world.sandbox.is_live(old)


async def test_a_revoke_lets_no_token_count_and_is_told_by_whom(world, command):
    anna, old = await world.used_user("anna")
    assert (await command("users", "revoke", "anna"))[:2] == (0, "anna: revoked, state LIVE\n")
    assert not world.sandbox.is_live(old)
    [event] = [
        e for e in (await world.broker.users.events(anna.key, EventQuery())) if e.event == "grant.revoked"
    ]
    assert event.actor == "backend"


async def test_one_user_who_is_refused_does_not_keep_the_next_from_it(world, command):
    await world.user("anna")
    code, out, err = await command("users", "revoke", "nobody", "anna", "--json")
    assert (code, err) == (1, "nobody: user_unknown: No such user under this client.\n")
    assert json.loads(out) == {"id": "anna", "revoked": True, "state": "LIVE"}


async def test_a_wrong_key_is_told_in_words(command, monkeypatch):
    monkeypatch.setenv("TOKEN_BROKER_API_KEY", "another-key")
    code, _, err = await command("users", "list")
    assert code == 1
    assert "key_unknown" in err
    assert "is TOKEN_BROKER_API_KEY one of the service's API_KEYS?" in err
    assert "another-key" not in err


async def test_without_a_key_it_is_wrong_usage(command, monkeypatch):
    monkeypatch.delenv("TOKEN_BROKER_API_KEY")
    code, _, err = await command("users", "list")
    assert code == 2
    assert "an API key is needed: set TOKEN_BROKER_API_KEY" in err


async def test_a_key_may_come_from_a_file(command, monkeypatch, tmp_path):
    monkeypatch.delenv("TOKEN_BROKER_API_KEY")
    (tmp_path / "key").write_text(f"{SERVICE_KEY}\n")
    assert (await command("users", "list", "--key-file", str(tmp_path / "key")))[:2] == (0, "no such users\n")


async def test_a_service_that_is_not_there_is_told_in_words(command):
    code, _, err = await command("export", "--url", "http://127.0.0.1:1")
    assert code == 1
    assert "internal listener at http://127.0.0.1:1 does not answer" in err


@pytest.fixture
def small_pages(monkeypatch):
    monkeypatch.setattr("service.moving.remote.PAGE", 2)


@pytest.mark.usefixtures("small_pages")
async def test_an_export_holds_every_user_once_and_no_token(world, command, tmp_path):
    people = [await world.user(f"user-{number}") for number in range(5)]
    tokens = [token for person in people for token in await person.tokens()]
    file = tmp_path / "users.jsonl"
    code, out, err = await command("export", "--output", str(file))
    assert (code, out, err) == (0, "", "5 users\n")
    assert [json.loads(line)["id"] for line in file.read_text().splitlines()] == [
        p.key.user_id for p in people
    ]
    assert not any(token in file.read_text() for token in tokens)
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("small_pages")
async def test_an_export_may_be_a_table(world, command):
    people = [await world.user(name) for name in ("anna", "bert", "carl")]
    _, out, _ = await command("export", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["calUserId"] for row in rows] == [str(person.upstream_id) for person in people]
    assert {(row["state"], row["refused"], row["lastError"]) for row in rows} == {("LIVE", "false", "")}
