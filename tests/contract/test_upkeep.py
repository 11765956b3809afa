"""Housekeeping: room made ahead in the lineage, what stopped counting dropped behind, and the gauges."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from service.broker.model import ClaimKind, Event, Recorded, UserKey
from service.broker.ports import Aftermath, Gauges
from tests.support.builders import DAY, HOUR, MINUTE, NOON, SECOND, TICK, a_pair, a_settlement
from tests.support.cached import ANNA, BERT
from tests.support.stored import DEADLINE, fingerprint_of, open_stores, stands

FAR_AHEAD = datetime(2100, 1, 1, tzinfo=UTC)
MIDNIGHT = NOON + 12 * HOUR
MONTH = 30 * DAY
PARTITIONS = """
    SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE inhparent = 'lineage'::regclass
    ORDER BY relname
"""
ROOMS = "SELECT tableoid::regclass::text FROM lineage ORDER BY counts_until"


@pytest.fixture
async def stores(database_url):
    async with open_stores(database_url) as stores:
        yield stores


async def partitions(stores):
    return [row["relname"] for row in await stores.raw.fetch(PARTITIONS)]


async def rooms(stores):
    """In which partition each line stands, the earliest first."""
    return [row["tableoid"] for row in await stores.raw.fetch(ROOMS)]


async def line(stores, name, counts_until):
    """Store a user of this name whose token counts until then."""
    await stores.link(UserKey("first-client", name), name, counts_until=counts_until)


async def known(stores, *names):
    """Those of the names whose access tokens still find somebody."""
    return [name for name in names if await stores.grants.find(fingerprint_of(name)) is not None]


async def test_room_is_made_for_today_and_the_longest_window_ahead(stores):
    assert await stores.upkeep.prepare_partitions(NOON) == 2 * 9
    days = [f"lineage_{NOON + n * DAY:%Y%m%d}" for n in range(9)]
    assert await partitions(stores) == [*days, "lineage_rest"]
    assert days[0] == "lineage_20240304"


async def test_only_what_is_missing_is_made(stores):
    await stores.upkeep.prepare_partitions(NOON)
    assert await stores.upkeep.prepare_partitions(NOON + 11 * HOUR) == 0
    assert await stores.upkeep.prepare_partitions(MIDNIGHT) == 2 * 1
    assert await stores.upkeep.prepare_partitions(MIDNIGHT + 30 * DAY) == 2 * 9


async def test_the_day_is_the_day_in_utc_whatever_the_instants_zone(stores):
    tokyo = datetime.fromisoformat("2024-03-05T08:59:59+09:00")
    await stores.upkeep.prepare_partitions(tokyo)
    assert (await partitions(stores))[0] == "lineage_20240304"


async def test_a_line_stands_in_the_day_it_stops_counting(stores):
    await stores.upkeep.prepare_partitions(NOON)
    await line(stores, "late", MIDNIGHT)
    await line(stores, "early", MIDNIGHT - TICK)
    await line(stores, "beyond", NOON + 300 * DAY)
    assert await rooms(stores) == ["lineage_20240304", "lineage_20240305", "lineage_rest"]
    assert await known(stores, "early", "late", "beyond") == ["early", "late", "beyond"]


async def test_lines_written_before_there_was_room_stay_where_they_are(stores):
    await line(stores, "first", MIDNIGHT)
    assert await stores.upkeep.prepare_partitions(NOON) == 8 + 9
    assert "lineage_20240305" not in await partitions(stores)
    await line(stores, "second", MIDNIGHT + SECOND)
    assert await rooms(stores) == ["lineage_rest", "lineage_rest"]
    assert await known(stores, "first", "second") == ["first", "second"]


async def test_days_that_are_over_are_dropped_and_no_other(stores):
    await stores.upkeep.prepare_partitions(NOON)
    await line(stores, "yesterday", MIDNIGHT - TICK)
    await line(stores, "today", MIDNIGHT)
    assert await stores.upkeep.prune(MIDNIGHT - TICK, MONTH) == 0
    assert await stores.upkeep.prune(MIDNIGHT, MONTH) == 1
    assert await known(stores, "yesterday", "today") == ["today"]
    assert (await partitions(stores))[0] == "lineage_20240305"


async def test_lines_in_the_rest_are_pruned_to_the_instant(stores):
    await line(stores, "over", NOON - TICK)
    await line(stores, "counts", NOON)
    assert await stores.upkeep.prune(NOON, MONTH) == 1
    assert await known(stores, "over", "counts") == ["counts"]


async def test_room_is_made_again_once_the_rest_is_empty_of_that_day(stores):
    await line(stores, "over", NOON)
    assert await stores.upkeep.prepare_partitions(NOON) == 8 + 9
    await stores.upkeep.prune(NOON + SECOND, MONTH)
    assert await stores.upkeep.prepare_partitions(NOON + SECOND) == 1


async def test_users_and_grants_are_never_pruned(stores):
    linked = await stores.link(counts_until=NOON)
    await stores.upkeep.prune(FAR_AHEAD, 0 * DAY)
    assert await stores.grants.load(ANNA) == linked


async def test_a_grant_whose_line_is_gone_is_settled_as_before(stores):
    claimed = await stores.claimed(counts_until=NOON)
    await stores.upkeep.prune(FAR_AHEAD, MONTH)
    await stores.upkeep.prepare_partitions(NOON)
    assert await stores.claims.settle(a_settlement(claimed.claim)) is not None
    assert await known(stores, "first", "next") == ["next"]


EVENT_DAYS = PARTITIONS.replace("lineage", "audit_events")


async def wrote(stores, *ats):
    """Keep an event of these instants, each named by its place."""
    events = [Recorded(uuid4(), ANNA, Event(at, str(place))) for place, at in enumerate(ats)]
    await stores.events.write(events)


async def test_days_of_events_that_are_out_of_retention_go_and_nothing_else_does(stores):
    linked = await stores.link(counts_until=FAR_AHEAD)
    await stores.upkeep.prepare_partitions(NOON)
    await wrote(stores, MIDNIGHT - TICK, MIDNIGHT)
    assert await stores.upkeep.prune(MIDNIGHT + MONTH - TICK, MONTH) == 9
    assert await stores.upkeep.prune(MIDNIGHT + MONTH, MONTH) == 1
    assert [event.event for event in await stores.happened()] == ["grant.created", "1"]
    assert await stores.grants.load(ANNA) == linked
    assert await known(stores, "first") == ["first"]


async def test_no_event_younger_than_a_day_is_dropped_whatever_clock_and_setting_say(stores):
    await stores.link()
    now = await stores.grants.now()
    await stores.upkeep.prepare_partitions(now - 3 * DAY)
    await wrote(stores, now - 1 * DAY, now - 3 * DAY)
    await stores.upkeep.prune(FAR_AHEAD, 0 * DAY)
    assert [event.event for event in await stores.happened()] == ["grant.created", "0"]


async def test_events_written_before_there_was_room_are_pruned_to_the_instant(stores):
    await wrote(stores, NOON - TICK, NOON)
    assert await stores.upkeep.prepare_partitions(NOON) == 9 + 8
    assert await stores.upkeep.prune(NOON + 30 * DAY, MONTH) == 9 + 1
    assert [event.event for event in await stores.happened()] == ["1"]


async def test_a_new_database_has_room_for_events_from_the_first_moment(stores):
    await stores.link()
    day = (await stores.grants.now()).strftime("audit_events_%Y%m%d")
    assert await stores.raw.fetchval("SELECT tableoid::regclass::text FROM audit_events") == day
    assert len(await stores.raw.fetch(EVENT_DAYS)) == 9 + 1


async def test_what_an_older_release_wrote_is_pruned_in_bounded_bites(stores):
    one = "INSERT INTO events (client, user_id, at, event) SELECT 'c', 'u', $1, 'x'"
    await stores.raw.execute(f"{one} FROM generate_series(1, 5001)", NOON)
    assert await stores.upkeep.prune(NOON + MONTH + DAY, MONTH) == 5000
    assert await stores.upkeep.prune(NOON + MONTH + DAY, MONTH) == 1


async def behind_a_lock(stores, work):
    """Let two workers do the same at once: both begin before either has got anywhere."""
    async with stores.holding("LOCK TABLE lineage IN ACCESS EXCLUSIVE MODE"):
        working = [asyncio.create_task(work()) for _ in range(2)]
        await stores.until_blocked(2, or_done=working)
    return await asyncio.gather(*working)


async def test_two_workers_may_make_room_at_once(stores):
    made = await behind_a_lock(stores, lambda: stores.upkeep.prepare_partitions(NOON))
    assert sum(made) >= 9
    assert len(await partitions(stores)) == 10


async def test_two_workers_may_prune_at_once(stores):
    await stores.upkeep.prepare_partitions(NOON)
    gone = await behind_a_lock(stores, lambda: stores.upkeep.prune(NOON + 3 * DAY, MONTH))
    assert sum(gone) >= 3
    assert (await partitions(stores))[0] == "lineage_20240307"


@pytest.mark.parametrize("work", ["prune", "prepare"])
async def test_upkeep_that_waits_for_a_backup_does_not_make_callers_wait(stores, work):
    linked = await stores.link(counts_until=NOON)
    await stores.upkeep.prepare_partitions(NOON - 9 * DAY)
    async with stores.holding("SELECT FROM lineage"):
        if work == "prune":
            working = asyncio.create_task(stores.upkeep.prune(FAR_AHEAD, MONTH))
        else:
            working = asyncio.create_task(stores.upkeep.prepare_partitions(FAR_AHEAD))
        await stores.until_blocked(or_done=[working])
        async with asyncio.timeout(2):
            assert (await stores.grants.find(fingerprint_of("first")))[1] == stands(linked)
    await asyncio.gather(working, return_exceptions=True)


async def gauges(stores, now=NOON, client="first-client"):
    return await stores.upkeep.gauges(client, now)


async def test_a_client_without_users_has_gauges_of_nought(stores):
    await stores.link(due_at=NOON)
    assert await gauges(stores, client="second-client") == Gauges({}, 0, 0.0, 0, 0)


async def test_grants_are_counted_by_their_state(stores):
    for number, state in enumerate(["LIVE", "LIVE", "DEAD", "PAUSED"]):
        key = UserKey("first-client", f"user-{number}")
        await stores.link(key, key.user_id, due_at=NOON)
        await stores.set(key, state=state)
    assert await gauges(stores) == Gauges({"LIVE": 2, "DEAD": 1, "PAUSED": 1}, 2, 0.0, 0, 0)


LOOKED = "SELECT indexrelname, idx_scan FROM pg_stat_user_indexes WHERE relname = 'grants'"


async def looks(stores):
    """How often each index of the grants has been looked into over the stores' one connection."""
    async with stores.database.connection() as connection:
        await connection.execute("SELECT pg_stat_force_next_flush()")
        return dict(await connection.fetch(LOOKED))


async def test_each_count_has_an_index_so_that_none_goes_through_the_table(database_url):
    # In so small a table it would be quicker to read all of it.
    async with open_stores(f"{database_url}?enable_seqscan=off", connections=1) as stores:
        await stores.link(ANNA, "anna", due_at=NOON + DAY)
        await stores.raw.execute("VACUUM (ANALYZE) grants")
        before = await looks(stores)

        assert (await gauges(stores)).users == {"LIVE": 1}

        looked = {name: count - before[name] for name, count in (await looks(stores)).items()}
        # Of two that hold those who fail either will do: in an empty table they cost the same.
        looked["grants_failing"] += looked.pop("grants_attention")
        assert looked == dict.fromkeys(("grants_pkey", "grants_stopped", "grants_failing", "grants_due"), 1)


async def test_a_count_may_take_longer_than_the_server_allows_a_callers_statement(database_url):
    async with open_stores(f"{database_url}?statement_timeout=100ms") as stores:
        async with stores.holding("LOCK TABLE grants") as holder:
            counting = asyncio.create_task(gauges(stores))
            await stores.until_blocked(or_done=[counting])
            await holder.execute("SET LOCAL statement_timeout = 0")
            await holder.execute("SELECT pg_sleep(0.3)")
        assert (await counting).users == {}


async def test_what_is_overdue_longest_is_told_in_seconds(stores):
    await stores.link(ANNA, "first", due_at=NOON)
    await stores.link(BERT, "second", due_at=NOON + MINUTE)
    assert (await gauges(stores, NOON + 90 * SECOND)).overdue_s == 90.0
    assert (await gauges(stores, NOON + 30 * SECOND)).due == 1
    assert await gauges(stores, NOON - TICK) == Gauges({"LIVE": 2}, 0, 0.0, 0, 0)


async def test_claims_that_were_left_are_counted_apart(stores):
    claimed = await stores.claimed()
    await stores.claims.restamp(claimed.claim, ClaimKind.FORCE)
    standing = await gauges(stores, await stores.grants.now())
    assert (standing.due, standing.expired_claims) == (0, 0)
    left = await gauges(stores, await stores.grants.now() + 2 * DEADLINE)
    assert (left.due, left.expired_claims) == (0, 1)


async def failing(stores, **changes):
    """A user of a pair that ended long ago, whom upstream would not give another just now."""
    claimed = await stores.claimed(**changes)
    await fail(stores, claimed)
    return claimed


async def fail(stores, claimed, event="refresh.unavailable"):
    aftermath = Aftermath(failed="status_503", retry_at=NOON, due_at=NOON, event=event)
    await stores.claims.end_claim(claimed.claim, aftermath)


async def bricked(stores, since_failing):
    return (await gauges(stores, await stores.grants.now() + since_failing)).bricked


@pytest.mark.parametrize("event", ["refresh.unavailable", "refresh.unknown"])
async def test_who_has_had_no_live_token_for_two_minutes_of_trying_is_bricked(stores, event):
    await fail(stores, await stores.claimed(), event)
    assert await bricked(stores, MINUTE) == 0
    assert await bricked(stores, 2 * MINUTE + SECOND) == 1


async def test_nobody_lacks_the_pair_that_ended_while_nobody_asked(stores):
    await stores.link()
    await stores.claimed(BERT, name="second")
    assert await bricked(stores, HOUR) == 0


async def test_who_still_has_a_live_token_is_not_bricked_unless_upstream_refused_it(stores):
    await failing(stores, pair=a_pair(issued_at=await stores.grants.now(), lifetime=DAY))
    assert await bricked(stores, HOUR) == 0
    await stores.set(refused=True)
    assert await bricked(stores, HOUR) == 1


async def test_who_has_a_new_pair_since_is_not_bricked_by_the_failures_before_it(stores):
    claimed = await failing(stores)
    again = await stores.claims.claim(ANNA, claimed.generation, "this-process")
    settled = await stores.claims.settle(a_settlement(again.claim))
    assert await bricked(stores, HOUR) == 0
    await stores.set(retry_at=NOON)
    assert await bricked(stores, HOUR) == 0
    await fail(stores, await stores.claims.claim(ANNA, settled.generation, "this-process"))
    assert await bricked(stores, HOUR) == 1


@pytest.mark.parametrize("state", ["DEAD", "PAUSED"])
async def test_who_is_not_live_is_counted_by_the_state_and_is_not_bricked(stores, state):
    await failing(stores)
    await stores.set(state=state)
    assert await bricked(stores, HOUR) == 0
