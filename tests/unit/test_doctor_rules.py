"""What the doctor thinks of what it has seen: tables of what servers say, each with its judgement."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from service.doctor import postgres_rules, redis_rules
from service.doctor.clocks import Offset, judge_clocks, offset_of
from service.doctor.configuration import judge_settings
from service.doctor.findings import State
from service.doctor.postgres_facts import Facts
from service.settings import inspect_settings
from tests.support.environment import environment, key_of

SERVER = {
    "server_version": "18.6",
    "server_encoding": "UTF8",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "autovacuum": "on",
    "checkpoint_timeout": "5min",
    "statement_timeout": "2s",
    "lock_timeout": "1s",
    "max_connections": "100",
    "superuser_reserved_connections": "3",
    "reserved_connections": "0",
    "transaction_read_only": "off",
}
FACTS = Facts(
    settings=SERVER,
    role="token_broker",
    superuser=False,
    owner=False,
    database="broker",
    schema="public",
    standby=False,
    migrated=True,
    limits=(),
    others=0,
    answered_s=0.001,
)
NOON = datetime(2024, 3, 4, 12, tzinfo=UTC)


def settings(**changes):
    return inspect_settings(environment(**{"TRUSTED_PROXIES": "127.0.0.1", **changes}), role="serve")


def facts(changes=None, **more):
    return replace(FACTS, settings=SERVER | (changes or {}), **more)


def states(findings):
    return {one.check: one.state.value for one in findings if one.state is not State.FINE}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, {}),
        ({"fsync": "off"}, {"postgres.fsync": "wrong"}),
        ({"full_page_writes": "off"}, {"postgres.full_page_writes": "wrong"}),
        ({"synchronous_commit": "off"}, {"postgres.synchronous_commit": "wrong"}),
        ({"synchronous_commit": "remote_apply"}, {}),
        ({"checkpoint_timeout": "30s"}, {"postgres.checkpoint_timeout": "doubtful"}),
        ({"checkpoint_timeout": "1h"}, {}),
        ({"autovacuum": "off"}, {"postgres.autovacuum": "wrong"}),
        ({"server_encoding": "SQL_ASCII"}, {"postgres.encoding": "doubtful"}),
    ],
)
def test_what_a_crash_would_lose_is_found(changes, found):
    assert states(postgres_rules.judge_durability(facts(changes))) == found


@pytest.mark.parametrize(
    ("workers", "limits", "most", "others", "state"),
    [
        ("1", (), 100, 0, "fine"),
        ("1", (23,), 100, 0, "fine"),
        ("1", (22,), 100, 0, "wrong"),
        ("7", (), 86, 0, "fine"),
        ("7", (), 85, 0, "wrong"),
        ("1", (), 100, 75, "doubtful"),
        ("1", (200, 30), 100, 0, "fine"),
        ("1", (), 25, 0, "wrong"),
    ],
)
def test_the_pools_must_fit_into_what_there_is(workers, limits, most, others, state):
    known = facts({"max_connections": str(most)}, limits=limits, others=others)
    assert postgres_rules.judge_room(known, settings(WORKERS=workers)[0]).state.value == state


@pytest.mark.parametrize(
    ("changes", "more", "found"),
    [
        ({}, {}, {}),
        ({}, {"superuser": True}, {"postgres.role": "doubtful"}),
        ({}, {"owner": True}, {"postgres.role": "doubtful"}),
        ({"statement_timeout": "0"}, {}, {"postgres.statement_timeout": "doubtful"}),
        ({"statement_timeout": "3s"}, {}, {"postgres.statement_timeout": "doubtful"}),
        ({"statement_timeout": "2999ms"}, {}, {}),
        ({"lock_timeout": "1min"}, {}, {"postgres.lock_timeout": "doubtful"}),
    ],
)
def test_the_role_may_do_its_work_and_no_more(changes, more, found):
    assert states(postgres_rules.judge_role(facts(changes, **more), settings()[0])) == found


@pytest.mark.parametrize(
    ("more", "changes", "refused", "state"),
    [
        ({}, {}, "", "fine"),
        ({"standby": True}, {}, "", "wrong"),
        ({}, {"transaction_read_only": "on"}, "", "wrong"),
        ({}, {}, "DiskFullError", "wrong"),
    ],
)
def test_a_database_that_takes_no_writes_is_found(more, changes, refused, state):
    assert postgres_rules.judge_writes(facts(changes, **more), refused).state.value == state


def test_every_missing_right_is_named_with_what_gives_it():
    missing = {"grants": ["INSERT", "UPDATE"], "lineage_make_day(date)": ["EXECUTE"]}
    found = postgres_rules.judge_rights(FACTS, missing)
    assert "token_broker lacks INSERT, UPDATE on grants" in found.what
    assert found.mend == (
        "As the tables' owner: GRANT INSERT, UPDATE ON grants TO token_broker; "
        "GRANT EXECUTE ON FUNCTION lineage_make_day(date) TO token_broker;"
    )


def test_an_index_that_was_never_finished_is_found():
    [found] = postgres_rules.judge_indexes(["grants_due"])
    assert "REINDEX INDEX CONCURRENTLY grants_due;" in found.mend


@pytest.mark.parametrize(
    ("shown", "seconds"), [("0", 0), ("250ms", 0.25), ("2s", 2), ("5min", 300), ("1h", 3600), (None, 0)]
)
def test_durations_are_read_as_postgresql_shows_them(shown, seconds):
    assert postgres_rules.seconds_of(shown) == seconds


REDIS = {
    "redis_version": "7.2.4",
    "valkey_version": "9.1.2",
    "redis_mode": "standalone",
    "maxmemory": "0",
    "maxmemory_policy": "noeviction",
    "used_memory": "1000000",
    "connected_clients": "3",
    "maxclients": "10000",
    "rdb_last_bgsave_status": "ok",
    "aof_last_write_status": "ok",
}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, {}),
        ({"maxmemory_policy": "allkeys-lru"}, {"redis.policy": "doubtful"}),
        ({"maxmemory_policy": "volatile-ttl", "maxmemory": "9000000"}, {"redis.policy": "wrong"}),
        ({"maxmemory": "1050000"}, {"redis.memory": "wrong"}),
        ({"connected_clients": "9999"}, {"redis.clients": "wrong"}),
        ({"rdb_last_bgsave_status": "err"}, {"redis.persistence": "wrong"}),
        ({"aof_last_write_status": "err"}, {"redis.persistence": "wrong"}),
        ({"cluster_enabled": "1"}, {"redis.version": "wrong"}),
        ({"redis_version": "6.0.16", "valkey_version": ""}, {"redis.version": "wrong"}),
        ({"redis_version": "6.2.14"}, {}),
    ],
)
def test_what_redis_says_of_itself_is_judged(changes, found):
    known = redis_rules.Facts(REDIS | changes, (0.001,))
    assert states(redis_rules.judge_info(known)) == found


def test_a_redis_that_says_nothing_of_itself_is_not_called_well():
    [found] = redis_rules.judge_info(redis_rules.Facts({}, (0.001,)))
    assert found.state is State.UNSEEN


@pytest.mark.parametrize(
    ("times_s", "state"),
    [((0.001,) * 7, "fine"), ((0.06,) * 7, "doubtful"), ((0.3,) * 7, "wrong"), ((0.9, 0.001, 0.001), "fine")],
)
def test_redis_is_as_slow_as_it_mostly_is(times_s, state):
    assert redis_rules.judge_latency(redis_rules.Facts(REDIS, times_s)).state.value == state


@pytest.mark.parametrize(
    ("offsets", "state", "off"),
    [
        ({}, "unseen", ""),
        ({"a": 0.1, "b": -0.5, "c": 1.9}, "fine", ""),
        ({"a": 0.0, "b": 0.0, "c": 40.0}, "wrong", "off is c clock"),
        ({"a": 5.0, "b": 0.0, "c": 0.2}, "doubtful", "off is a clock"),
        ({"a": 300.0, "b": 300.1, "c": 299.9}, "wrong", "off is this machine's clock"),
        ({"a": 60.0}, "wrong", "off is this machine's and a clock"),
        ({"a": -1.5}, "fine", ""),
        ({"a": 40.0, "b": -40.0}, "wrong", "off is a and b clock"),
    ],
)
def test_the_clock_that_is_off_is_told_by_the_others(offsets, state, off):
    found = judge_clocks({name: Offset(seconds) for name, seconds in offsets.items()})
    assert found.state.value == state
    assert off in found.mend


def test_a_clock_that_took_long_to_answer_or_shows_whole_seconds_is_given_leeway():
    slow = offset_of(NOON + timedelta(seconds=4), NOON, took_s=6.0)
    assert slow == Offset(1.0, 3.0)
    assert offset_of(NOON - timedelta(seconds=1), NOON, 0.0, resolution_s=1.0) == Offset(-0.5, 0.5)
    assert judge_clocks({"a": Offset(4.0, 3.0), "b": Offset(0.0)}).state is State.FINE


@pytest.mark.parametrize(
    ("changes", "found", "mend"),
    [
        ({}, {}, ""),
        ({"TRUSTED_PROXIES": None}, {"origins": "doubtful"}, "Set TOKEN_BROKER_TRUSTED_PROXIES"),
        (
            {"ALLOWED_ORIGINS": "http://app.example.com"},
            {"origins": "doubtful"},
            "allow https://app.example.com",
        ),
        ({"ALLOWED_ORIGINS": "http://localhost:3000,http://[::1]:3000"}, {}, ""),
        (
            {"ALLOWED_ORIGINS": "https://a.example", "SESSION_CHECK_URL": "http://app.internal/session"},
            {"origins": "doubtful"},
            "Mount the refresh endpoint under the app's own origin",
        ),
        ({"REDISURL": "redis://x"}, {"settings": "doubtful"}, "Correct its name"),
        ({"FINGERPRINT_KEYS": f"f1:{key_of('e')}"}, {"settings": "doubtful"}, "Draw a key of its own"),
        ({"DRAIN": "5m", "GRACE": "1m"}, {"timeouts": "wrong"}, "Set TOKEN_BROKER_GRACE"),
        ({"API_KEYS": "backend:not-a-digest"}, {"settings": "wrong"}, "Set TOKEN_BROKER_API_KEYS"),
    ],
)
def test_settings_are_judged(changes, found, mend):
    said = list(judge_settings(*settings(**changes)))
    assert states(said) == found
    assert mend in " ".join(one.mend for one in said)
