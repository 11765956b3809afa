"""What the scale report fills its tables with, and how it finds the due query in the product's statement."""

from datetime import UTC, datetime

import asyncpg
import pytest

from bench.scaling.filling import drop, fill
from bench.scaling.queries import claims_of, due_node, index_of, look_at_both
from bench.settings import CLIENT
from bench.stored import Nobody
from service.adapters.postgres import Database

CLAIM = {
    "Node Type": "ModifyTable",
    "Plans": [{"Node Type": "Nested Loop", "Plans": [
        {"Node Type": "Limit", "Plans": [{"Node Type": "LockRows", "Plans": [
            {"Node Type": "Index Scan", "Index Name": "grants_due"}]}]},
        {"Node Type": "Index Scan", "Index Name": "users_pkey"}]}],
}  # fmt: skip


@pytest.fixture
async def filled(postgres):
    made = await fill(postgres.url, 1_000, 100)
    yield made
    await drop(postgres.url, made)


async def test_as_many_are_due_as_were_asked_for_and_the_broker_can_claim_each(filled):
    database = Database(filled.url, Nobody())
    await database.start()
    claimed = await claims_of(database).claim_due(CLIENT, 500, datetime.now(UTC), "test")
    await database.aclose()

    held = {due.grant.key.user_id: due.grant.pair.access_token for due in claimed}
    assert held == {one.id: one.current for one in filled.due}
    assert len(held) == 100


async def test_the_others_are_as_wide_and_idle(filled):
    connection = await asyncpg.connect(filled.url)
    counted = await connection.fetchrow(
        "SELECT count(*) AS grants, count(DISTINCT length(access_sealed)) AS widths, "
        "count(*) FILTER (WHERE due_at > now() + interval '1 day') AS idle FROM grants"
    )
    await connection.close()

    assert tuple(counted) == (1_000, 1, 900)


async def test_a_look_leaves_everything_as_it_was(filled):
    figures = await look_at_both(filled, filled, times=1)
    connection = await asyncpg.connect(filled.url)
    due = await connection.fetchval("SELECT count(*) FROM grants WHERE due_at <= now()")
    await connection.close()

    assert due == 100
    assert figures["due_vs_10k"] > 0


def test_the_due_query_is_all_below_the_claims_limit():
    node = due_node(CLAIM)
    assert node["Node Type"] == "Limit"
    assert index_of(node) == "grants_due"


def test_a_claim_without_a_limit_is_no_due_query():
    with pytest.raises(LookupError, match="has no LIMIT"):
        due_node(CLAIM["Plans"][0]["Plans"][1])
