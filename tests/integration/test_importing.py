"""`token-broker import` over a whole broker: each row once, by the rules of an enrolment, nobody lost."""

import asyncio
import base64
import io
import json
import signal

import pytest

from service.broker.model import EventQuery, GrantState
from service.cli import main
from tests.support.moving import as_csv, as_jsonl, row_of, start
from tests.support.waiting import eventually


@pytest.fixture
def command(world, monkeypatch, capsys):
    """Runs `token-broker import` with the world's settings; gives exit code, output and errors."""
    for name, value in world._env.items():
        monkeypatch.setenv(name, value)

    async def run_import(*options, given=""):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
        capsys.readouterr()
        code = await asyncio.to_thread(main, ["import", *options])
        written = capsys.readouterr()
        return code, written.out, written.err

    return run_import


def seeds(world, count, first=0):
    """Users who exist upstream and whose pairs the app has, with their rows."""
    people = [world.seed(f"user-{number}") for number in range(first, first + count)]
    return [person for person, _ in people], [row_of(*one) for one in people]


def newer(world, person, row):
    """The user's row after the app has refreshed the pair once more, seconds later."""
    world.sandbox.advance(5)
    user = world.sandbox.user(person.upstream_id)
    pair = world.sandbox.state.issue(world.sandbox.client("cl-default"), user)
    return row | {"access_token": pair.access.secret, "refresh_token": pair.refresh.secret}


async def counts(world):
    """How many users, grants, lines and enrolments there are."""
    [row] = await world.sql(
        "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM grants), (SELECT count(*) FROM lineage),"
        " (SELECT count(*) FROM audit_events WHERE event = 'grant.enrolled')"
    )
    return tuple(row)


def said(imported=0, replaced=0, already=0, **reasons):
    """What a run says with --json."""
    counted = {"imported": imported, "replaced": replaced, "already": already}
    return {**counted, "rejected": sum(reasons.values()), "reasons": reasons, "dryRun": False}


async def test_a_tab_that_holds_an_imported_token_keeps_working_and_upstream_is_not_asked(world, command):
    [anna], rows = seeds(world, 1)
    assert (await command("-", given=as_csv(rows)))[:2] == (
        0, "1 imported\n0 replaced by a newer pair\n0 already there\n0 rejected\n",
    )  # fmt: skip
    assert anna.calls() == []
    token = rows[0]["access_token"]
    assert await world.browser(token) == token
    new = await anna.rotate()
    assert await world.browser(token) == new


async def test_a_tab_whose_imported_token_has_expired_is_given_a_fresh_one(world, command):
    world.sandbox.advance(-2 * 3600)
    [anna], rows = seeds(world, 1)
    world.sandbox.advance(2 * 3600)
    assert (await command("-", given=as_jsonl(rows)))[0] == 0
    assert world.sandbox.is_live(await world.browser(rows[0]["access_token"]))
    assert anna.calls() == ["refresh"]


async def test_what_is_stored_is_what_an_enrolment_stores(world, command):
    (enrolled, enrolment), (imported, one) = world.seed("anna"), world.seed("bert")
    await world.enrol(enrolled, enrolment)
    await command("-", given=as_csv([row_of(imported, one)]))
    ours, theirs = await imported.grant(), await enrolled.grant()
    assert (ours.state, ours.reason, ours.marks) == (theirs.state, theirs.reason, theirs.marks)
    assert (ours.upstream_id, ours.pair.access_token) == (str(imported.upstream_id), one.access_token)
    assert ours.pair.refresh_token == one.refresh_token
    assert ours.pair.lifetime == theirs.pair.lifetime
    [event] = await world.broker.users.events(imported.key, EventQuery())
    assert (event.event, event.actor) == ("grant.enrolled", "token-broker import")


async def test_the_same_table_again_changes_nothing(world, command):
    people, rows = seeds(world, 3)
    await command("-", given=as_csv(rows))
    await people[0].rotate()
    before = await counts(world)
    code, out, _ = await command("-", "--json", given=as_csv(rows))
    assert (code, json.loads(out)) == (0, said(already=3))
    assert await counts(world) == before


async def test_a_row_that_was_forgotten_by_the_lineage_is_there_already_all_the_same(world, command):
    _, rows = seeds(world, 1)
    await command("-", given=as_csv(rows))
    await world.sql("DELETE FROM lineage")
    assert json.loads((await command("-", "--json", "--replace", given=as_csv(rows)))[1]) == said(already=1)


async def test_a_newer_pair_replaces_a_live_one_only_when_told_to_and_older_ones_never_do(world, command):
    [anna], old = seeds(world, 1)
    await command("-", given=as_csv(old))
    new = [newer(world, anna, old[0])]
    code, _, err = await command("-", given=as_csv(new))
    assert code == 1
    assert "row 2 (user-0): grant_live: The user has a live pair and this one is newer: --replace" in err
    assert json.loads((await command("-", "--json", "--replace", given=as_csv(new)))[1]) == said(replaced=1)
    assert json.loads((await command("-", "--json", "--replace", given=as_csv(old)))[1]) == said(already=1)
    assert await world.browser(old[0]["access_token"]) == new[0]["access_token"]


REJECTS = {
    "another user's token": ({"calUserId": 7}, "invalid", "accessToken is not a token of the upstream user"),
    "an id that is none": ({"id": "not a user id"}, "invalid", "id must be 1 to 128 ASCII letters"),
    "no refresh token": ({"refresh_token": ""}, "invalid", "refreshToken is required"),
    "a token that is none": (
        {"access_token": "short", "calUserId": 7},
        "invalid",
        "accessToken must be a token",
    ),
    "an address that is none": ({"email": "nobody"}, "invalid", "email must be a valid e-mail address"),
    "another's address": (
        {"email": "user-0@example.com"},
        "conflict",
        "The e-mail address belongs to another",
    ),
    "another's upstream user": (
        {"id": "other", "email": ""},
        "conflict",
        "The upstream user belongs to another",
    ),
}


@pytest.mark.parametrize(("change", "code", "reason"), REJECTS.values(), ids=REJECTS)
async def test_a_row_that_cannot_be_taken_over_is_told_with_its_reason(world, command, change, code, reason):
    _, rows = seeds(world, 2)
    wrong = rows[0 if change.get("id") == "other" else 1] | change
    exit_code, out, err = await command("-", "--json", given=as_jsonl([rows[0], wrong]))
    assert (exit_code, json.loads(out)) == (1, said(imported=1, **{code: 1}))
    assert err.startswith("row 2")
    assert f"{code}: {reason}" in err
    assert await counts(world) == (1, 1, 1, 1)


async def test_rejected_rows_may_go_to_a_file_that_holds_no_secret(world, command, tmp_path):
    _, rows = seeds(world, 3)
    swapped = [row | {"id": row["refresh_token"]} for row in rows[:2]]
    file = tmp_path / "rejects.jsonl"
    await command("-", "--rejects", str(file), given=as_jsonl([rows[2] | {"email": "nobody"}, *swapped]))
    first, *others = map(json.loads, file.read_text().splitlines())
    reason = "email must be a valid e-mail address"
    assert first == {"row": 1, "id": "user-2", "code": "invalid", "reason": reason}
    assert {one["reason"] for one in others} == {"id is one of the tokens: check --map"}
    assert not any(row["refresh_token"] in file.read_text() for row in rows)
    assert file.stat().st_mode & 0o777 == 0o600


async def test_a_user_who_stands_twice_is_taken_over_once(world, command):
    [anna], rows = seeds(world, 1)
    twice = as_csv([rows[0], newer(world, anna, rows[0])])
    code, out, _ = await command("-", "--json", given=twice)
    assert (code, json.loads(out)) == (1, said(imported=1, grant_live=1))
    out = (await command("-", "--json", "--replace", given=twice))[1]
    assert json.loads(out) == said(already=1, replaced=1)


async def test_a_dead_grant_comes_to_life_by_a_newer_pair_alone(world, command):
    [anna], rows = seeds(world, 1)
    await command("-", given=as_csv(rows))
    await anna.set(state="DEAD", reason="refused")
    code, out, _ = await command("-", "--json", given=as_csv(rows))
    assert (code, json.loads(out)) == (1, said(grant_dead=1))
    again = [newer(world, anna, rows[0])]
    assert json.loads((await command("-", "--json", given=as_csv(again)))[1]) == said(imported=1)
    assert (await anna.grant()).state is GrantState.LIVE


async def test_neither_a_pause_nor_a_revoke_is_lifted_by_the_table_again(world, command):
    people, rows = seeds(world, 2)
    await command("-", given=as_csv(rows))
    await world.broker.users.pause(people[0].key, actor="test")
    await world.broker.users.revoke(people[1].key, actor="test")
    before = [await person.grant() for person in people]
    assert json.loads((await command("-", "--json", "--replace", given=as_csv(rows)))[1]) == said(already=2)
    assert [await person.grant() for person in people] == before


async def test_another_upstream_user_is_never_put_in_a_users_place(world, command):
    people, rows = seeds(world, 2)
    await command("-", given=as_csv(rows[:1]))
    other = [newer(world, people[1], rows[1]) | {"id": "user-0"}]
    code, out, _ = await command("-", "--json", "--replace", given=as_csv(other))
    assert (code, json.loads(out)) == (1, said(conflict=1))


async def test_a_dry_run_says_what_would_come_of_it_and_stores_nothing(world, command):
    _, rows = seeds(world, 2)
    rows[1]["email"] = "nobody"
    code, out, _ = await command("-", "--dry-run", given=as_csv(rows))
    assert code == 1
    assert out.splitlines()[::3] == ["1 would be imported", "1 rejected (1 invalid)"]
    assert await counts(world) == (0, 0, 0, 0)


async def test_a_query_over_the_apps_own_table_gives_rows_as_well(world, command):
    [anna], [row] = seeds(world, 1)
    await world.sql("DROP TABLE IF EXISTS app_users")
    await world.sql(
        "CREATE TABLE app_users (customer_no int, access_token text, refresh_token text, cal int)"
    )
    values = (41, row["access_token"], row["refresh_token"], anna.upstream_id)
    await world.sql("INSERT INTO app_users VALUES ($1, $2, $3, $4)", *values)
    source = f"{world.settings.database_url.value}?schema=public&connection_limit=5"
    mapped = ("--map", "id=customer_no", "--map", "calUserId=cal")
    code, _, err = await command("--query", "SELECT * FROM app_users", "--source-url", source, *mapped)
    assert (code, "100%" in err) == (0, False)
    [user] = await world.sql("SELECT user_id, upstream_id, email FROM users")
    assert tuple(user) == ("41", str(anna.upstream_id), None)
    await world.sql("DROP TABLE app_users")


DELETES = "DELETE FROM users RETURNING user_id AS id, email AS access_token, email AS refresh_token"


async def test_a_query_cannot_write(world, command):
    code, _, err = await command("--query", DELETES)
    assert code == 1
    assert "cannot be read: the query failed: cannot execute DELETE in a read-only transaction" in err


async def test_killed_in_the_middle_it_goes_on_without_a_duplicate_or_a_loss(world, command):
    _, rows = seeds(world, 1200)
    child = await start(world._env, "import", "-")
    # The rest of the table is never sent, so that the kill comes when a batch is done and rows are waiting.
    child.stdin.write(as_csv(rows[:1100]).encode())
    await child.stdin.drain()

    async def some():
        return (await counts(world))[0]

    await eventually(some, within_s=30)
    child.send_signal(signal.SIGKILL)
    assert await child.wait() == -signal.SIGKILL
    there = await some()
    assert 0 < there < 1200
    code, out, _ = await command("-", "--json", given=as_csv(rows))
    assert (code, json.loads(out)) == (0, said(imported=1200 - there, already=there))
    assert await counts(world) == (1200, 1200, 1200, 1200)


async def test_a_file_that_breaks_off_is_told_and_the_rows_before_that_are_taken_over(world, command):
    _, rows = seeds(world, 3)
    code, _, err = await command("-", given=as_jsonl(rows) + "x" * 1_000_001)
    assert code == 1
    assert "the source cannot be read: a line has more than 1000000 characters" in err
    assert "run the same command again" in err
    assert (await counts(world))[0] == 3


WRONG = {
    "no source": ([], "name a file"),
    "two sources": (["-", "--query", "SELECT 1"], "and not both"),
    "no such client": (["-", "--client", "nobody"], "there is no OAuth client 'nobody'; there are default"),
    "a map that is none": (["-", "--map", "id"], "--map 'id' is not field=column"),
    "a column that is not there": (["-", "--map", "id=no"], "there is no column 'no' for id"),
    "a file that cannot be written": (["-", "--rejects", "/"], "--rejects / cannot be written"),
}


@pytest.mark.parametrize(("options", "words"), WRONG.values(), ids=WRONG)
async def test_wrong_usage_is_told_before_anything_is_done(world, command, options, words):
    code, out, err = await command(*options, given=as_csv(seeds(world, 1)[1]))
    assert (code, out) == (2, "")
    assert words in err
    assert await counts(world) == (0, 0, 0, 0)


async def test_a_database_that_is_away_is_waited_for_and_then_told(world, command, monkeypatch):
    monkeypatch.setattr("service.moving.importing.AGAIN_S", 0.001)
    monkeypatch.setenv("TOKEN_BROKER_DATABASE_URL", "postgresql://broker:hidden-password@127.0.0.1:1/broker")
    code, out, err = await command("-", given=as_csv(seeds(world, 1)[1]))
    assert (code, out) == (1, "")
    assert "The database cannot be reached" in err
    assert "run the same command again, it goes on from there" in err
    assert "hidden" not in err


async def test_a_run_is_kept_among_the_events_about_no_user(world, command):
    _, rows = seeds(world, 2)
    await command("-", "--dry-run", given=as_csv(rows))
    await command("-", given=as_csv([*rows, rows[0] | {"id": "no id"}]))
    found = await world.sql(
        "SELECT client, user_id, actor, facts FROM audit_events WHERE event = 'import.done'"
    )
    [(client, user_id, actor, facts)] = map(tuple, found)
    assert (client, user_id, actor) == (None, None, "token-broker import")
    assert json.loads(facts) == {
        "client": "default",
        "imported": 2,
        "replaced": 0,
        "already": 0,
        "rejected": 1,
    }


def of_another_client(token):
    """The token as another OAuth client's user would hold it."""
    head, payload, signature = token.split(".")
    stated = json.loads(base64.urlsafe_b64decode(payload + "==")) | {"clientId": "cl-other"}
    return f"{head}.{base64.urlsafe_b64encode(json.dumps(stated).encode()).decode().rstrip('=')}.{signature}"


async def test_a_table_of_another_oauth_clients_users_is_not_taken_over(world, command):
    _, [row] = seeds(world, 1)
    row |= {"access_token": of_another_client(row["access_token"])}
    code, _, err = await command("-", given=as_csv([row]))
    assert (code, await counts(world)) == (1, (0, 0, 0, 0))
    assert "row 2 (user-0): invalid: accessToken is a token of another OAuth client" in err
