"""Pairs that come at once are committed in one statement, and none of them depends on another."""

import asyncio

import pytest

from service.adapters.batches import Batcher
from service.broker.errors import BrokerError, StorageUnavailable
from service.broker.model import UserKey
from tests.support.builders import a_settlement
from tests.support.proxies import Proxy, listening
from tests.support.stored import DEADLINE, open_stores

COUNT = 6
TRANSACTIONS = "SELECT count(DISTINCT xmin::text) FROM grants"
OURS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'token-broker'"
A_SILENCE_S = 60.0


@pytest.fixture
async def stores(database_url):
    async with open_stores(database_url) as stores:
        yield stores


def user(number):
    return UserKey("first-client", f"user-{number:03}")


async def claimed_users(stores, count=COUNT):
    return [await stores.claimed(user(number), name=f"pair-{number}") for number in range(count)]


def settling(stores, claimed):
    """A settlement of each of these claims under way."""
    return [
        asyncio.create_task(stores.claims.settle(a_settlement(one.claim, f"next-{one.key.user_id}")))
        for one in claimed
    ]


async def outcomes_of(tasks):
    return await asyncio.gather(*tasks, return_exceptions=True)


async def is_settled(stores, claimed):
    grant = await stores.grants.load(claimed.key)
    return grant.pair.access_token.startswith(f"next-{claimed.key.user_id}.")


async def test_pairs_that_come_at_once_are_committed_in_one_statement_each_as_if_it_were_alone(stores):
    claimed = await claimed_users(stores)
    settled = await asyncio.gather(*settling(stores, claimed))
    assert settled == [await stores.grants.load(one.key) for one in claimed]
    assert [await is_settled(stores, one) for one in claimed] == [True] * COUNT
    assert await stores.raw.fetchval(TRANSACTIONS) == 1
    for one in settled:
        assert [event.generation for event in await stores.happened(one.key, 1)] == [one.generation]
    assert await stores.raw.fetchval("SELECT count(*) FROM lineage") == 2 * COUNT


async def test_what_comes_while_commits_are_out_goes_together_with_the_next(stores):
    claimed = await claimed_users(stores)
    async with stores.holding("LOCK TABLE lineage IN ACCESS EXCLUSIVE MODE"):
        first, second = settling(stores, claimed[:1]), settling(stores, claimed[1:2])
        await stores.until_blocked(1)
        later = settling(stores, claimed[2:4])
        await asyncio.sleep(0)
        later += settling(stores, claimed[4:])
        assert not any(task.done() for task in later)
    await asyncio.gather(*first, *second, *later)
    assert await stores.raw.fetchval(TRANSACTIONS) < COUNT - 1
    assert [await is_settled(stores, one) for one in claimed] == [True] * COUNT


async def test_one_whose_claim_was_lost_is_fenced_out_and_takes_no_other_along(stores):
    claimed = await claimed_users(stores)
    lost = claimed[3]
    await stores.let_pass(DEADLINE, lost.key)
    retaken = await stores.claims.claim(lost.key, lost.generation, "another-process")
    settled = await outcomes_of(settling(stores, claimed))
    assert settled.index(None) == 3
    assert [await is_settled(stores, one) for one in claimed] == [True] * 3 + [False] + [True] * 2
    assert (await stores.grants.load(lost.key)).claim == retaken.claim


@pytest.mark.parametrize("table", ["lineage", "audit_events", "grants"])
async def test_one_that_cannot_be_stored_takes_no_other_along(stores, table):
    claimed = await claimed_users(stores)
    wrong = "user_id <> 'user-002'" + (" OR claim_owner IS NOT NULL" if table == "grants" else "")
    await stores.raw.execute(f"ALTER TABLE {table} ADD CHECK ({wrong}) NOT VALID")
    settled = await outcomes_of(settling(stores, claimed))
    assert isinstance(settled[2], BrokerError)
    assert [await is_settled(stores, one) for one in claimed] == [True] * 2 + [False] + [True] * 3
    assert (await stores.grants.load(claimed[2].key)).claim == claimed[2].claim


async def test_a_fingerprint_that_stands_there_already_fails_alone(stores):
    claimed = await claimed_users(stores, 3)
    double = a_settlement(claimed[1].claim, "pair-0", pair=claimed[0].pair)
    settling_all = [*settling(stores, claimed[::2]), asyncio.create_task(stores.claims.settle(double))]
    settled = await outcomes_of(settling_all)
    assert [type(one).__name__ for one in settled] == ["Grant", "Grant", "UniqueViolationError"]
    assert (await stores.grants.load(claimed[1].key)).claim == claimed[1].claim


async def test_one_whose_row_is_locked_waits_alone(stores):
    claimed = await claimed_users(stores)
    async with stores.holding("SELECT FROM grants WHERE user_id = 'user-000' FOR UPDATE"):
        tasks = settling(stores, claimed)
        await asyncio.gather(*tasks[1:])
        await stores.until_blocked()
        assert not tasks[0].done()
        assert [await is_settled(stores, one) for one in claimed] == [False] + [True] * (COUNT - 1)
    assert await tasks[0] == await stores.grants.load(claimed[0].key)


async def test_of_many_pairs_for_one_claim_one_is_committed_and_its_caller_told(stores):
    (claimed,) = await claimed_users(stores, 1)
    names = [f"pair-of-{number}" for number in range(COUNT)]
    settled = await asyncio.gather(
        *(stores.claims.settle(a_settlement(claimed.claim, name)) for name in names)
    )
    [(told, grant)] = [(name, one) for name, one in zip(names, settled, strict=True) if one is not None]
    assert grant == await stores.grants.load(claimed.key)
    assert grant.pair.access_token.startswith(f"{told}.")


async def test_a_connection_lost_before_the_commit_leaves_every_claim_as_it_was_and_settles_again(stores):
    claimed = await claimed_users(stores)
    async with stores.holding("LOCK TABLE lineage IN ACCESS EXCLUSIVE MODE"):
        tasks = settling(stores, claimed)
        await stores.until_blocked()
        await stores.raw.execute(OURS)
        lost = await outcomes_of(tasks)
    assert {type(one) for one in lost} == {StorageUnavailable}
    assert [(await stores.grants.load(one.key)).claim for one in claimed] == [one.claim for one in claimed]
    assert None not in await asyncio.gather(*settling(stores, claimed))


async def test_a_commit_whose_answer_was_lost_has_committed_everything_and_settles_nothing_again(
    stores, database_url
):
    (first, *claimed), silent_s = await claimed_users(stores), [0.0]
    async with (
        listening(Proxy(database_url, lambda: silent_s[0]).serve, database_url) as url,
        open_stores(url, timeout_s=1.0) as hearing,
    ):
        await asyncio.gather(*settling(hearing, [first]))  # so that the statement is prepared
        silent_s[0] = A_SILENCE_S
        lost = await outcomes_of(settling(hearing, claimed))
        assert {type(one) for one in lost} == {StorageUnavailable}
    assert [await is_settled(stores, one) for one in claimed] == [True] * len(claimed)
    assert await asyncio.gather(*settling(stores, claimed)) == [None] * len(claimed)


async def test_who_leaves_takes_nobody_along_and_the_pair_is_committed_all_the_same(stores):
    claimed = await claimed_users(stores)
    async with stores.holding("LOCK TABLE lineage IN ACCESS EXCLUSIVE MODE"):
        tasks = settling(stores, claimed)
        await stores.until_blocked()
        tasks[2].cancel()
        await asyncio.wait({tasks[2]})
    stayed = await asyncio.gather(*tasks[:2], *tasks[3:])
    assert None not in stayed
    assert [await is_settled(stores, one) for one in claimed] == [True] * COUNT


async def test_more_than_go_into_one_statement_are_all_committed(stores, monkeypatch):
    writer = stores.claims._settlements
    monkeypatch.setattr(writer, "_groups", Batcher(writer._settle_together, most=2, in_flight=1))
    claimed = await claimed_users(stores, 5)
    assert None not in await asyncio.gather(*settling(stores, claimed))
    assert await stores.raw.fetchval(TRANSACTIONS) == 3
