"""The command `token-broker rewrap`: what it says, what it returns, and that it may be killed at any time."""

import asyncio
import json
import signal
import sys
from io import StringIO

import pytest

from service.adapters.vault import Vault
from service.broker.model import UserKey
from service.cli import main
from service.rewrap import Progress
from tests.support.environment import environment, key_of
from tests.support.stored import open_stores
from tests.support.waiting import eventually

OLD, NEW, LOST = ("old", b"o" * 32), ("new", b"n" * 32), ("lost", b"l" * 32)
RING = f"new:{key_of('n')},old:{key_of('o')}"


@pytest.fixture
async def stores(database_url):
    async with open_stores(database_url, vault=Vault([OLD])) as opened:
        yield opened


@pytest.fixture
def variables(database_url):
    return environment(DATABASE_URL=database_url, ENCRYPTION_KEYS=RING)


@pytest.fixture
def command(variables, monkeypatch, capsys):
    """Runs the command; gives its exit code and what it wrote."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    async def run(*options):
        code = await asyncio.to_thread(main, ["rewrap", *options])
        written = capsys.readouterr()
        return code, written.out, written.err

    return run


async def users(stores, count, name="u"):
    for number in range(count):
        await stores.link(UserKey("first-client", f"{name}{number}"), f"{name}{number}")


async def lost_user(database_url):
    async with open_stores(database_url, vault=Vault([LOST])) as other:
        await users(other, 1, "lost")


async def test_it_ends_well_when_no_row_is_left_under_another_key(stores, command):
    await users(stores, 3)
    said = "sealed anew under new: 3 rows\nno row is left under another key\n"
    assert await command() == (0, said, "0 of 3 rows sealed anew\n3 of 3 rows sealed anew\n")
    assert (await command())[:2] == (0, said.replace("3", "0"))


async def test_rows_whose_key_is_not_held_make_it_fail_and_are_named_by_their_key(
    stores, command, database_url
):
    await users(stores, 2)
    await lost_user(database_url)
    code, said, _ = await command()
    assert code == 1
    assert "left as they are, under lost: 1 rows (its key is not in ENCRYPTION_KEYS)" in said


async def test_what_came_of_it_may_be_one_object(stores, command, database_url):
    await users(stores, 2)
    await lost_user(database_url)
    code, said, _ = await command("--json")
    assert (code, json.loads(said)) == (
        1, {"first": "new", "resealed": 2, "left": {"lost": 1}, "unknown": ["lost"], "broken": 0},
    )  # fmt: skip


async def test_a_dry_run_counts_by_key_and_changes_nothing(stores, command, database_url):
    await users(stores, 2)
    await lost_user(database_url)
    before = await stores.raw.fetch("SELECT * FROM grants ORDER BY user_id")
    code, said, _ = await command("--dry-run")
    assert code == 0
    assert "  old: 2 rows (would be sealed anew)\n" in said
    assert "  lost: 1 rows (its key is not in ENCRYPTION_KEYS: would be left as they are)\n" in said
    assert await stores.raw.fetch("SELECT * FROM grants ORDER BY user_id") == before


async def test_a_dry_run_says_until_when_an_old_fingerprint_key_is_needed(stores, command):
    await users(stores, 2)
    await stores.raw.execute("UPDATE lineage SET counts_until = '2099-01-02T03:04:05Z'")
    assert "  f1: 2, the last until 2099-01-02T03:04Z\n" in (await command("--dry-run"))[1]
    asked = json.loads((await command("--dry-run", "--json"))[1])
    assert asked["sealed"] == {"old": 2}
    assert asked["fingerprints"]["f1"]["count"] == 2


async def test_a_database_that_is_not_there_is_told_in_words(command, monkeypatch):
    monkeypatch.setenv("TOKEN_BROKER_DATABASE_URL", "postgresql://broker:hidden-password@127.0.0.1:1/broker")
    code, _, said = await command()
    assert code == 1
    assert "run the command again, it goes on with what is left" in said
    assert "hidden" not in said


async def test_a_schema_of_another_release_is_left_alone(command, stores):
    await stores.raw.execute("DELETE FROM schema_migrations")
    code, _, said = await command()
    assert code == 1
    assert "run token-broker migrate" in said


@pytest.mark.parametrize("rate", ["0", "0/s", "fast", "10"])
async def test_a_rate_that_is_none_is_wrong_usage(command, capsys, rate):
    with pytest.raises(SystemExit) as refused:
        await command("--rate", rate)
    assert refused.value.code == 2
    assert "like 200/s" in capsys.readouterr().err


async def test_without_its_keys_it_is_wrong_usage(command, monkeypatch):
    monkeypatch.delenv("TOKEN_BROKER_ENCRYPTION_KEYS")
    code, _, said = await command()
    assert code == 2
    assert "TOKEN_BROKER_ENCRYPTION_KEYS" in said


async def test_killed_in_the_middle_it_goes_on_where_it_was(stores, variables, command):
    await users(stores, 60)

    async def some():
        return await stores.raw.fetchval("SELECT count(*) FROM grants WHERE key_id = 'new'")

    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "service.cli", "rewrap", "--rate", "20/s", env=variables
    )
    await eventually(some, within_s=30)
    program.send_signal(signal.SIGKILL)
    assert await program.wait() == -signal.SIGKILL
    half = await some()
    assert 0 < half < 60
    assert (await command())[:2] == (
        0, f"sealed anew under new: {60 - half} rows\nno row is left under another key\n",
    )  # fmt: skip


class Terminal(StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_it_is_a_bar_and_elsewhere_lines():
    terminal, file = Terminal(), StringIO()
    for stream in (terminal, file):
        with Progress(200, stream) as progress:
            progress.add(100)
    assert (
        terminal.getvalue().split("\r")[-1] == f"[{'#' * 15}{'.' * 15}]  50%  100 of 200 rows sealed anew\n"
    )
    assert file.getvalue() == "0 of 200 rows sealed anew\n100 of 200 rows sealed anew\n"


def test_more_rows_than_there_were_are_no_more_than_all():
    terminal = Terminal()
    with Progress(0, terminal) as progress:
        progress.add(3)
    assert "100%  3 of 3 rows sealed anew" in terminal.getvalue()


async def test_it_writes_no_faster_than_it_is_told_to(stores, command, monkeypatch):
    await users(stores, 12)
    rested = []

    async def rest(seconds):
        rested.append(seconds)

    monkeypatch.setattr("service.rewrap.asyncio.sleep", rest)
    await command("--rate", "600/min")
    assert len(rested) == 6
    assert 0.6 < sum(rested) <= 1.2
