"""From the journal's lines alone, a separate program can tell what happened to which token."""

import asyncio

import orjson
import pytest

from sandbox.calcom import Journal, SandboxConfig, identifier
from tests.sandbox.caller import FIRST

KEYS = {
    "seq", "call", "duplicate_of", "started_ms", "ended_ms", "client", "route", "method", "path", "status",
    "code", "answered", "user_id", "bearer", "presented", "known", "consumed", "issued_access",
    "issued_refresh", "expires_ms", "purged", "revoked_access", "revoked_refresh", "committed",
    "committed_ms", "faults", "tokens",
}  # fmt: skip


@pytest.fixture
async def written(start, tmp_path):
    """A sandbox that writes its journal, its caller, and a reader of the lines so far."""
    path = tmp_path / "journal.jsonl"
    sandbox, api = await start(SandboxConfig(clients=(FIRST,), throttle=False, journal_path=path))
    return sandbox, api, lambda: [orjson.loads(line) for line in path.read_bytes().splitlines()]


async def test_each_call_is_one_line_with_every_key(written):
    _, api, lines = written
    await api.create()

    await api.call("GET", "/v2/provider/c1")

    assert [line["route"] for line in lines()] == ["create", "provider"]
    assert all(set(line) == KEYS for line in lines())


async def test_a_refresh_names_what_it_consumed_and_what_it_issued(written):
    sandbox, api, lines = written
    user, pair = sandbox.create_user("c1", "ann@example.com")

    data = (await api.refresh(pair.refresh.secret)).data

    line = lines()[-1]
    assert line["presented"] == line["consumed"] == identifier(pair.refresh.secret)
    assert line["issued_access"] == identifier(data["accessToken"])
    assert line["issued_refresh"] == identifier(data["refreshToken"])
    assert (line["known"], line["user_id"], line["client"]) == (True, user.id, "c1")
    assert line["expires_ms"] == data["accessTokenExpiresAt"]
    assert line["started_ms"] <= line["committed_ms"] <= line["ended_ms"]


async def test_a_spent_token_presented_again_is_traced_to_its_user(written):
    sandbox, api, lines = written
    user, pair = sandbox.create_user("c1", "ann@example.com")
    await api.refresh(pair.refresh.secret)

    await api.refresh(pair.refresh.secret)

    line = lines()[-1]
    assert (line["presented"], line["consumed"]) == (identifier(pair.refresh.secret), None)
    assert (line["known"], line["committed"], line["user_id"]) == (False, False, user.id)
    assert (line["status"], line["code"]) == (400, "BadRequestException")


async def test_a_force_refresh_names_every_token_it_revoked(written):
    sandbox, api, lines = written
    user, pair = sandbox.create_user("c1", "ann@example.com")

    await api.force(user.id)

    line = lines()[-1]
    assert line["revoked_access"] == [identifier(pair.access.secret)]
    assert line["revoked_refresh"] == [identifier(pair.refresh.secret)]


async def test_a_call_by_token_names_the_token_its_user_and_its_client(written):
    sandbox, api, lines = written
    user, pair = sandbox.create_user("c1", "ann@example.com")

    await api.me(pair.access.secret)

    line = lines()[-1]
    assert (line["bearer"], line["user_id"], line["client"]) == (
        identifier(pair.access.secret),
        user.id,
        "c1",
    )


async def test_overlapping_calls_can_be_told_from_their_instants(written):
    sandbox, api, lines = written
    with sandbox.gate("refresh") as gate:
        both = [asyncio.ensure_future(api.refresh("x")) for _ in range(2)]
        await gate.arrived(2)
    await asyncio.gather(*both)

    first, second = sorted(lines(), key=lambda line: line["call"])
    assert first["started_ms"] <= second["started_ms"] < first["ended_ms"]


async def test_lines_are_numbered_as_they_are_written_and_calls_as_they_came(written):
    sandbox, api, lines = written
    with sandbox.gate("refresh") as gate:
        held = asyncio.ensure_future(api.refresh("x"))
        await gate.arrived()
        await api.force(1)
    await held

    assert [(line["seq"], line["call"], line["route"]) for line in lines()] == [
        (1, 2, "force"), (2, 1, "refresh"),
    ]  # fmt: skip


async def test_changes_from_outside_are_journaled_too(written):
    sandbox, _, lines = written
    user, pair = sandbox.create_user("c1", "ann@example.com")
    sandbox.expire(user.id)
    sandbox.purge("c1")
    sandbox.kill_refresh(pair.refresh.secret)
    sandbox.rotate_secret("c1", "next")
    sandbox.delete_user(user.id)

    assert [line["route"] for line in lines()] == [
        "sandbox.create_user", "sandbox.expire", "sandbox.purge", "sandbox.kill", "sandbox.change_client",
        "sandbox.delete_user",
    ]  # fmt: skip
    assert lines()[1]["revoked_access"] == [identifier(pair.access.secret)]
    assert lines()[2]["purged"] == 1


async def test_no_line_holds_a_token_or_a_secret(written, tmp_path):
    sandbox, api, _ = written
    user, pair = sandbox.create_user("c1", "ann@example.com")
    await api.refresh(pair.refresh.secret)
    await api.me(pair.access.secret)
    await api.force(user.id)

    text = (tmp_path / "journal.jsonl").read_text()
    secrets = [*sandbox.state.deleted, *sandbox.state.access, *sandbox.state.refresh]
    assert len(secrets) == 6
    assert not [secret for secret in secrets if secret in text]


async def test_on_demand_the_lines_hold_the_raw_tokens(start):
    sandbox, api = await start(SandboxConfig(clients=(FIRST,), journal_tokens=True))
    _, pair = sandbox.create_user("c1", "ann@example.com")

    data = (await api.refresh(pair.refresh.secret)).data

    assert sandbox.journal[-1].tokens == {
        "presented": pair.refresh.secret,
        "consumed": pair.refresh.secret,
        "issued_access": data["accessToken"],
        "issued_refresh": data["refreshToken"],
    }


async def test_memory_is_bounded_and_the_counts_are_not():
    journal = Journal(None, keep=2)
    for path in ("/a", "/b", "/c"):
        journal.close(journal.open("me", "GET", path))

    assert [entry.path for entry in journal] == ["/b", "/c"]
    assert (len(journal), journal.calls) == (2, {"me": 3})


async def test_the_tail_is_read_in_pages():
    journal = Journal(None, keep=10)
    for _ in range(5):
        journal.close(journal.open("me", "GET", "/v2/me"))

    assert [entry.seq for entry in journal.tail(2)] == [4, 5]
    assert [entry.seq for entry in journal.tail(2, after=1)] == [2, 3]


async def test_clearing_forgets_the_entries_and_goes_on_numbering():
    journal = Journal(None, keep=10)
    journal.close(journal.open("me", "GET", "/v2/me"))
    journal.clear()

    journal.close(journal.open("me", "GET", "/v2/me"))

    assert [entry.seq for entry in journal] == [2]
