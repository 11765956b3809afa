"""The command `token-broker webhooks`: how messages stand, and which are sent again."""

import asyncio
import json

import pytest

from service.cli import main
from service.settings.webhooks import TYPES
from tests.support.environment import environment
from tests.support.receivers import receiving
from tests.support.sending import sending
from tests.support.stored import open_stores


@pytest.fixture
async def stores(database_url):
    async with open_stores(database_url) as opened:
        yield opened


@pytest.fixture
def command(database_url, monkeypatch, capsys):
    """Runs the command; gives its exit code and what it wrote."""
    for name, value in environment(DATABASE_URL=database_url).items():
        monkeypatch.setenv(name, value)

    async def run(*options):
        try:
            code = await asyncio.to_thread(main, ["webhooks", *options])
        except SystemExit as wrong:
            code = wrong.code
        written = capsys.readouterr()
        return code, written.out, written.err

    return run


async def shown(command, *options):
    """What it shows, as objects."""
    code, out, _ = await command("--json", *options)
    assert code == 0
    return [json.loads(line) for line in out.splitlines()]


async def test_it_shows_how_each_message_stands_newest_first(stores, command):
    async with receiving() as receiver, sending(stores, receiver.url) as worker:
        receiver.refuses = lambda message: message["data"]["userId"] == "bert"
        await worker.tell("anna", "bert")
        await worker.goes_on(1)
    bert, anna = await shown(command)
    assert (anna["userId"], anna["state"], anna["lastError"]) == ("anna", "delivered", None)
    assert (bert["userId"], bert["state"], bert["lastError"]) == ("bert", "waiting", "status 400")
    assert anna["id"] == receiver.taken[0][0]
    code, out, _ = await command("--state", "waiting")
    assert (code, "grant.died  first-client/bert  waiting (status 400)" in out) == (0, True)


async def test_what_is_chosen_is_sent_again_under_its_id(stores, command):
    async with receiving() as receiver, sending(stores, receiver.url) as worker:
        await worker.tell("anna", "bert", "anna")
        await worker.goes_on(2)
        before = list(receiver.taken)
        assert await command("--replay", "--user", "anna") == (0, "2 messages will be sent again\n", "")
        worker.clock.advance(60)
        await worker.goes_on(2)
        assert receiver.taken[len(before) :] == [one for one in before if one[1]["data"]["userId"] == "anna"]


async def test_a_rehearsal_changes_nothing(stores, command):
    async with receiving() as receiver, sending(stores, receiver.url) as worker:
        await worker.tell("anna")
        await worker.goes_on(1)
        code, out, _ = await command("--replay", "--since", "2020-01-01", "--dry-run", "--json")
        assert (code, json.loads(out)) == (0, {"replayed": 1, "dryRun": True})
        assert await worker.outcomes() == ["delivered"]


async def test_that_messages_were_sent_again_is_kept_among_the_events(stores, command):
    assert (await command("--replay", "--all"))[0] == 0
    row = await stores.raw.fetchrow("SELECT event, actor, facts FROM audit_events WHERE user_id IS NULL")
    assert (row["event"], row["actor"]) == ("webhooks.replayed", "token-broker webhooks")
    assert json.loads(row["facts"]) == {"count": 0}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--replay"], "or --all"),
        (["--id", "msg_7"], "msg_ and 32 hex digits"),
        (["--since", "yesterday"], "an instant like"),
        (["--type", "grant.borne"], "grant.died"),
        (["--state", "lost"], "waiting"),
    ],
)
async def test_what_makes_no_sense_is_refused_in_words(command, options, said):
    code, _, err = await command(*options)
    assert (code, said in err) == (2, True)


async def test_without_its_table_it_says_what_to_do(command, stores):
    await stores.raw.execute("DROP TABLE notices")
    code, _, err = await command()
    assert (code, "token-broker migrate" in err) == (1, True)


async def test_every_type_can_be_chosen(command):
    for one in TYPES:
        assert await shown(command, "--type", one) == []
