"""Calls that come between each other's reads and writes, staged with gates."""

import asyncio

import pytest


async def test_two_refreshes_with_one_token_one_wins_and_one_finds_it_gone(sandbox, api, pair):
    with sandbox.gate("refresh", "read") as gate:
        both = [asyncio.ensure_future(api.refresh(pair.refresh.secret)) for _ in range(2)]
        await gate.arrived(2)
    replies = sorted(await asyncio.gather(*both), key=lambda reply: reply.status)

    assert [reply.status for reply in replies] == [200, 404]
    assert (replies[1].code, "details" in replies[1].body["error"]) == ("NOT_FOUND", False)
    assert replies[1].message == "Invalid Query: The requested record was not found."
    entries = sandbox.journal.of("refresh")
    assert [entry.known for entry in entries] == [True, True]
    assert [entry.consumed is not None for entry in entries].count(True) == 1


async def test_a_refresh_that_reads_after_the_other_one_wrote_is_refused(sandbox, api, pair):
    replies = await asyncio.gather(*(api.refresh(pair.refresh.secret) for _ in range(5)))

    assert sorted(reply.status for reply in replies) == [200, 400, 400, 400, 400]


async def test_a_race_fault_widens_the_gap_between_read_and_write(sandbox, api, pair):
    sandbox.fault("race", "refresh", delay_s=0.3)

    replies = await asyncio.gather(*(api.refresh(pair.refresh.secret) for _ in range(3)))

    assert sorted(reply.status for reply in replies) == [200, 404, 404]


async def test_a_gate_before_holds_a_call_before_anything_is_looked_at(sandbox, api, pair):
    with sandbox.gate("refresh", "before") as gate:
        held = asyncio.ensure_future(api.refresh(pair.refresh.secret))
        await gate.arrived()
        sandbox.rotate_secret("c1", "next")

    assert (await held).status == 401


async def test_a_gate_after_holds_an_answer_whose_work_is_committed(sandbox, api, pair):
    with sandbox.gate("refresh", "after") as gate:
        held = asyncio.ensure_future(api.refresh(pair.refresh.secret))
        await gate.arrived()
        assert not sandbox.is_usable(pair.refresh.secret)
        assert not held.done()

    assert (await held).status == 200


async def test_an_answer_whose_caller_has_left_is_journaled_as_not_answered(sandbox, api, pair):
    with sandbox.gate("refresh", "after") as gate:
        leaving = asyncio.ensure_future(api.refresh(pair.refresh.secret))
        await gate.arrived()
        leaving.cancel()
        await asyncio.wait([leaving])
        await api.check(pair.access.secret)
    await sandbox.journal.written(1, route="refresh")

    [entry] = sandbox.journal.of("refresh")
    assert (entry.status, entry.committed, entry.answered) == (200, True, False)


async def test_a_gate_lets_calls_go_one_by_one(sandbox, api):
    gate = sandbox.gate("refresh")
    calls = [asyncio.ensure_future(api.refresh("x")) for _ in range(3)]
    await gate.arrived(3)

    assert gate.release(1) == 1
    await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)

    assert (gate.held, sum(call.done() for call in calls)) == (2, 1)
    assert gate.open() == 2
    await asyncio.gather(*calls)


async def test_a_gate_holds_only_the_user_it_names(sandbox, api, user_id):
    other, _ = sandbox.create_user("c1", "bob@example.com")
    gate = sandbox.gate("force", user=user_id)
    held = asyncio.ensure_future(api.force(user_id))
    await gate.arrived()

    assert (await api.force(other.id)).status == 200
    gate.open()
    assert (await held).status == 200


async def test_waiting_for_an_arrival_that_never_comes_ends(sandbox):
    with pytest.raises(TimeoutError):
        await sandbox.gate("refresh").arrived(timeout_s=0.01)


@pytest.mark.parametrize(("route", "point"), [("refrehs", "before"), ("refresh", "never")])
async def test_a_gate_no_call_could_reach_is_refused(sandbox, route, point):
    with pytest.raises(ValueError, match="unknown"):
        sandbox.gate(route, point)


async def test_parallel_creates_of_one_email_end_in_prismas_conflict(sandbox, api):
    with sandbox.gate("create", "read") as gate:
        both = [asyncio.ensure_future(api.create()) for _ in range(2)]
        await gate.arrived(2)
    replies = sorted(await asyncio.gather(*both), key=lambda reply: reply.status)

    assert [reply.status for reply in replies] == [201, 409]
    assert replies[1].code == "CONFLICT"
    assert replies[1].message == "Invalid Input: Trying to create a record that already exists."


async def test_a_user_is_seen_by_others_before_its_creation_ends(sandbox, api):
    with sandbox.gate("create", "linked") as gate:
        creating = asyncio.ensure_future(api.create())
        await gate.arrived()
        [user] = (await api.call("GET", api.users)).data
        assert (await api.create()).message.endswith(f"Existing user ID={user['id']}")

    assert (await creating).status == 201


async def test_a_creation_whose_user_is_deleted_meanwhile_fails_without_tokens(sandbox, api):
    with sandbox.gate("create", "linked") as gate:
        creating = asyncio.ensure_future(api.create())
        await gate.arrived()
        sandbox.delete_user(sandbox.find_user("c1", "ann@example.com").id)

    assert (await creating).status == 404
    assert sandbox.counts()["access_tokens"] == 0


async def test_a_force_refresh_of_a_user_deleted_meanwhile_leaves_no_tokens(sandbox, api, user_id):
    with sandbox.gate("force", "read") as gate:
        forcing = asyncio.ensure_future(api.force(user_id))
        await gate.arrived()
        sandbox.delete_user(user_id)

    assert (await forcing).status == 404
    assert sandbox.counts()["refresh_tokens"] == 0


async def test_a_creation_that_crashed_before_its_tokens_is_mended_by_force_refresh(sandbox, api):
    sandbox.fault("crash_tokenless", "create", count=1)

    crashed, again = await api.create(), await api.create()

    user_id = int(again.message.rpartition("=")[2])
    assert (crashed.status, again.status) == (500, 409)
    assert sandbox.user(user_id).access_tokens == set()
    assert (await api.force(user_id)).status == 200


async def test_a_creation_that_crashed_before_its_client_was_linked_cannot_be_mended(sandbox, api):
    sandbox.fault("crash_unlinked", "create", count=1)

    crashed, again = await api.create(), await api.create()

    user_id = int(again.message.rpartition("=")[2])
    listed = await api.call("GET", f"{api.users}?emails=ann@example.com")
    assert (crashed.status, again.status, listed.data) == (500, 409, [])
    assert (await api.force(user_id)).message == f"User with ID {user_id} is not part of this OAuth client."


async def test_a_creation_whose_answer_is_lost_left_a_whole_user(sandbox, api):
    sandbox.fault("html_after", "create", count=1)

    lost, again = await api.create(), await api.create()

    user = sandbox.find_user("c1", "ann@example.com")
    assert (lost.status, again.status) == (502, 409)
    assert (len(user.access_tokens), len(user.refresh_tokens)) == (1, 1)
