"""What the worker counts for the operator page, and who is listed as needing attention."""

from datetime import timedelta

import pytest

from service.broker.model import UserKey
from service.broker.ports import Gauges
from service.broker.ports.overview import Concern, Happened, TroubleQuery
from tests.support.builders import DAY, HOUR, MINUTE, NOON, SECOND
from tests.support.stored import open_stores

CLIENT = "first-client"
GAUGES = Gauges({"LIVE": 6, "DEAD": 1, "PAUSED": 1}, due=2, overdue_s=300.0, expired_claims=0, bricked=1)
KEEP = """
    INSERT INTO audit_events (client, user_id, at, kind, event, trigger)
    VALUES ($1, 'u', $2, 'change', $3, $4)
"""
TROUBLES = [
    ("pending", {"force_pending": True, "refused": True}, Concern.FORCE_PENDING),
    ("refused", {"refused": True, "retry_at": NOON}, Concern.REFUSED),
    ("failing", {"retry_at": NOON, "distrusted_until": NOON}, Concern.FAILING),
    ("spent", {"refresh_token_dead": True}, Concern.FAILING),
    ("doubtful", {"distrusted_until": NOON}, Concern.DISTRUSTED),
    ("overdue", {"due_at": NOON - 5 * MINUTE}, Concern.OVERDUE),
    ("dead", {"state": "DEAD", "reason": "user_gone", "refused": True, "due_at": None}, Concern.DEAD),
]


@pytest.fixture
async def stores(database_url):
    async with open_stores(database_url) as stores:
        yield stores


def key(name, client=CLIENT):
    return UserKey(client, name)


async def users(stores, **due):
    """Users who are each due so long after noon."""
    for name, after in due.items():
        await stores.link(key(name), name, upstream_id=name)
        await stores.set(key(name), due_at=NOON + after)


async def troubled_users(stores):
    for name, columns, _ in TROUBLES:
        await stores.link(key(name), name, upstream_id=name)
        await stores.set(key(name), **{"due_at": NOON + HOUR} | columns)


async def names(stores, **asked):
    found = await stores.overview.troubled(TroubleQuery(CLIENT, **{"limit": 20} | asked), NOON)
    return [one.key.user_id for one in found]


async def test_everybody_is_counted_once_by_where_the_pair_stands(stores):
    await users(stores, a=30 * MINUTE, b=59 * MINUTE, late=-5 * MINUTE, due=-SECOND, idle=DAY)
    await stores.overview.count(CLIENT, GAUGES, NOON)

    counted = await stores.overview.standing(CLIENT)
    assert counted.users == {"fresh": 2, "stale": 1, "overdue": 1, "idle": 2, "paused": 1, "dead": 1}
    assert (counted.at, counted.overdue_s, counted.marks["without_token"]) == (NOON, 300.0, 1)


async def test_the_horizon_has_a_step_for_each_minute_of_a_lifetime(stores):
    await users(stores, now=timedelta(0), soon=SECOND, minute=MINUTE, later=MINUTE + SECOND, last=HOUR)
    await stores.overview.count(CLIENT, GAUGES, NOON)

    counted = await stores.overview.standing(CLIENT)
    assert (counted.step_s, len(counted.horizon)) == (60.0, 60)
    assert [counted.horizon[place] for place in (0, 1, 59)] == [2, 1, 1]
    assert sum(counted.horizon) == 4


async def test_marks_are_counted_each_for_itself(stores):
    await troubled_users(stores)
    await stores.overview.count(CLIENT, GAUGES, NOON)

    marks = (await stores.overview.standing(CLIENT)).marks
    assert marks == {"refused": 2, "force_pending": 1, "distrusted": 2, "failing": 3, "without_token": 1}


async def test_an_older_count_does_not_replace_a_newer_one(stores):
    await stores.overview.count(CLIENT, GAUGES, NOON)
    await stores.overview.count(CLIENT, GAUGES, NOON - MINUTE)
    assert (await stores.overview.standing(CLIENT)).at == NOON


async def test_a_client_that_nobody_counted_has_no_standing(stores):
    assert await stores.overview.standing(CLIENT) is None


async def test_the_worst_are_listed_first_and_each_once(stores):
    await troubled_users(stores)
    assert await names(stores) == [name for name, _, _ in TROUBLES]


@pytest.mark.parametrize("concern", sorted({concern for _, _, concern in TROUBLES}))
async def test_a_list_of_one_concern_has_no_other(stores, concern):
    await troubled_users(stores)
    assert await names(stores, concern=concern) == [name for name, _, why in TROUBLES if why is concern]


@pytest.mark.parametrize("size", range(1, 7))
async def test_pages_follow_each_other_without_a_gap_or_a_double(stores, size):
    await troubled_users(stores)
    whole = await stores.overview.troubled(TroubleQuery(CLIENT, 20), NOON)
    last = whole[size - 1]
    after = (5, "") if last.concern is Concern.OVERDUE else (last.concern, last.key.user_id)
    assert await names(stores, limit=size) + await names(stores, after=after) == await names(stores)


async def test_who_is_paused_is_listed_only_when_asked_for(stores):
    await users(stores, resting=HOUR)
    await stores.set(key("resting"), state="PAUSED", reason="paused", due_at=None)
    assert (await names(stores), await names(stores, concern=Concern.PAUSED)) == ([], ["resting"])


async def test_other_clients_users_are_not_listed(stores):
    await stores.link(key("theirs", "other-client"), "theirs", upstream_id="theirs")
    await stores.set(key("theirs", "other-client"), refused=True)
    assert await names(stores) == []


async def test_a_token_that_is_refused_or_over_is_no_live_one(stores):
    await users(stores, good=HOUR, over=HOUR, refused=HOUR)
    for name, columns in {"good": {}, "over": {"expires_at": NOON}, "refused": {"refused": True}}.items():
        await stores.set(key(name), **{"retry_at": NOON, "expires_at": NOON + HOUR} | columns)
    found = await stores.overview.troubled(TroubleQuery(CLIENT, 9), NOON)
    assert {one.key.user_id: one.has_token for one in found} == {
        "good": True,
        "over": False,
        "refused": False,
    }


async def happened(stores, *events):
    """Keep events of this client: (seconds after noon, event, trigger)."""
    for after, event, trigger in events:
        await stores.raw.execute(KEEP, CLIENT, NOON + after * SECOND, event, trigger)


async def history(stores, step=MINUTE, span=10 * MINUTE):
    return await stores.overview.history(CLIENT, NOON, NOON + span, step)


async def test_what_happened_is_kept_minute_by_minute(stores):
    await happened(stores, (5, "refresh.rotated", "ahead"), (8, "refresh.rotated", "recovery"))
    await happened(stores, (9, "refresh.unknown", None), (65, "refresh.unavailable", None))
    await happened(stores, (70, "refresh.denied", None), (71, "grant.died", None), (72, "user.changed", None))
    await stores.overview.note_minutes([CLIENT], NOON + 2 * MINUTE + SECOND)

    assert await history(stores) == [Happened(NOON, 2, 1, 1, 0), Happened(NOON + MINUTE, 0, 2, 0, 1)]


async def test_the_minute_that_goes_on_is_not_counted_yet(stores):
    await happened(stores, (5, "refresh.rotated", "ahead"))
    await stores.overview.note_minutes([CLIENT], NOON + 59 * SECOND)
    assert await history(stores) == []


async def test_an_event_that_came_late_is_counted_the_next_time(stores):
    await stores.overview.note_minutes([CLIENT], NOON + MINUTE)
    await happened(stores, (5, "refresh.rotated", "ahead"))
    await stores.overview.note_minutes([CLIENT], NOON + 2 * MINUTE)
    assert (await history(stores))[0] == Happened(NOON, 1)


async def test_minutes_in_which_no_worker_ran_are_made_up_for(stores):
    await stores.overview.note_minutes([CLIENT], NOON)
    await happened(stores, (65, "refresh.rotated", "ahead"))
    await stores.overview.note_minutes([CLIENT], NOON + HOUR)

    made_up = await history(stores, span=HOUR)
    assert len(made_up) == 60
    assert made_up[1] == Happened(NOON + MINUTE, 1)


async def test_longer_steps_hold_the_sum(stores):
    await happened(stores, (5, "refresh.rotated", "ahead"), (125, "refresh.rotated", "ahead"))
    await stores.overview.note_minutes([CLIENT], NOON + 10 * MINUTE)
    assert await history(stores, step=10 * MINUTE) == [Happened(NOON, 2)]


async def test_minutes_are_kept_for_a_week_and_a_day(stores):
    await stores.overview.note_minutes([CLIENT], NOON)
    await stores.overview.note_minutes([CLIENT], NOON + 9 * DAY)
    assert await stores.raw.fetchval("SELECT min(at) FROM minutes") > NOON + DAY


@pytest.mark.parametrize("order", ["marked", "overdue"])
async def test_lists_are_read_from_their_index(stores, order):
    index = {"marked": "grants_attention", "overdue": "grants_due"}[order]
    from service.adapters.postgres import overview as statements

    statement, values = {
        "marked": (statements._MARKED, (CLIENT, NOON, 1, 4, 0, "", 50)),
        "overdue": (statements._OVERDUE, (CLIENT, NOON, NOON, 50)),
    }[order]
    await stores.raw.execute("SET enable_seqscan = off")
    plan = "\n".join(row[0] for row in await stores.raw.fetch(f"EXPLAIN {statement}", *values))
    assert index in plan
    assert "Seq Scan on grants" not in plan
