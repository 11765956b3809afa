"""The doctor against real stores and the strict stand-in: each seeded fault is found, its mend named."""

import re
import socket
from datetime import timedelta

import pytest

from service.doctor.command import exit_code
from service.doctor.findings import State
from tests.support.deployments import AWAY, OURS, this_time, told
from tests.support.environment import key_of
from tests.support.redis_trouble import redis_behind

LOST = ("lost", b"l" * 32)


async def test_a_healthy_deployment_has_nothing_wrong_or_doubtful(deployment):
    await deployment.users(OURS, "anna", "bert")
    findings = await deployment.examined()
    assert [one for one in findings if one.state is not State.FINE] == []
    assert exit_code(findings, []) == 0


async def nothing(_):
    """Leave the deployment as it is: only a setting is wrong."""


async def unreachable_database(_):
    return {"DATABASE_URL": f"postgresql://broker:hush-hush@{AWAY}/broker"}


async def wrong_password(it):
    return {"DATABASE_URL": it.env["TOKEN_BROKER_DATABASE_URL"].replace("of-token_broker@", "old-password@")}


async def evicting(it):
    await it.redis("CONFIG", "SET", "maxmemory", "200mb")
    await it.redis("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")


async def another_secret(it):
    it.sandbox.rotate_secret("client-1", "the-new-one")


async def another_time_upstream(it):
    it.answers["Date"] = "Sat, 01 Jan 2000 00:00:00 GMT"


async def one_client_too_many(it):
    await it.users(OURS, "anna", client="gone")


def sql(*statements):
    return lambda it: it.sql(*statements)


FAULTS = {
    "the database cannot be reached": (
        unreachable_database,
        "postgres.reachable",
        "Start PostgreSQL, or correct host and port in TOKEN_BROKER_DATABASE_URL",
    ),
    "the database refuses the password": (
        wrong_password,
        "postgres.reachable",
        "Put the role's password into TOKEN_BROKER_DATABASE_URL",
    ),
    "the database takes no writes": (
        sql("ALTER DATABASE <db> SET default_transaction_read_only = on"),
        "postgres.writable",
        "SET default_transaction_read_only = off;",
    ),
    "a migration is missing": (
        sql("DELETE FROM schema_migrations WHERE version = (SELECT max(version) FROM schema_migrations)"),
        "postgres.migrations",
        "Run: token-broker migrate",
    ),
    "commits may be lost": (
        sql("ALTER ROLE token_broker IN DATABASE <db> SET synchronous_commit = off"),
        "postgres.synchronous_commit",
        "ALTER ROLE token_broker IN DATABASE",
    ),
    "a right is missing": (
        sql("REVOKE UPDATE ON grants FROM token_broker"),
        "postgres.rights",
        "GRANT UPDATE ON grants TO token_broker;",
    ),
    "a function may not be called": (
        sql("REVOKE EXECUTE ON FUNCTION lineage_make_day(date) FROM token_broker"),
        "postgres.rights",
        "GRANT EXECUTE ON FUNCTION lineage_make_day(date) TO token_broker;",
    ),
    "the pools do not fit": (
        sql("ALTER DATABASE <db> CONNECTION LIMIT 12"),
        "postgres.connections",
        "to 23 or more",
    ),
    "Redis evicts": (evicting, "redis.policy", "CONFIG SET maxmemory-policy noeviction"),
    "the client's secret is wrong": (another_secret, "upstream.default", "into X_CAL_SECRET_KEY"),
    "upstream's clock is off": (another_time_upstream, "clocks", "off is upstream's (default) clock"),
    "a key is missing": (
        lambda it: it.users(LOST, "anna"),
        "keys.encryption_keys",
        "Put lost back into TOKEN_BROKER_ENCRYPTION_KEYS",
    ),
    "a key is another one": (
        lambda it: it.users(("e1", b"x" * 32), "anna"),
        "keys.encryption_keys",
        "Put the key that e1 was",
    ),
    "a client is missing": (one_client_too_many, "clients", "Put gone back into TOKEN_BROKER_CLIENTS_FILE"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_seeded_fault_is_found_with_its_mend(deployment, fault):
    seed, check, mend = FAULTS[fault]
    changes = await seed(deployment)
    findings = await deployment.examined(**(changes or {}))
    found = told(findings, check)
    assert found.state is State.WRONG
    assert mend in found.mend
    assert exit_code(findings, []) == 1


MENDS = re.compile(r"(?:administrator|owner): (?P<sql>.+;)")
MENDED_BY_SQL = [
    "the database takes no writes",
    "commits may be lost",
    "a right is missing",
    "a function may not be called",
]


@pytest.mark.parametrize("fault", MENDED_BY_SQL)
async def test_who_does_as_the_mend_says_has_mended_it(deployment, fault):
    seed, check, _ = FAULTS[fault]
    await seed(deployment)
    found = told(await deployment.examined(), check)
    await deployment.sql(*re.findall(r"[^;]+;", MENDS.search(found.mend)["sql"]))
    assert [one for one in await deployment.examined() if one.state is not State.FINE] == []


SETTINGS = {
    "Redis is away": (
        {"REDIS_URL": f"redis://{AWAY}/0"},
        "redis.reachable",
        "Start it, or correct host and port in TOKEN_BROKER_REDIS_URL",
    ),
    "Redis refuses the password": (
        {"REDIS_URL": "redis://:not-this-one@{redis}/0"},
        "redis.reachable",
        "Put the right user and password into TOKEN_BROKER_REDIS_URL",
    ),
    "upstream is away": (
        {"CAL_API_URL": f"http://{AWAY}/v2"},
        "upstream.default",
        "Correct CAL_API_URL, or let this machine reach it",
    ),
    "upstream is another site": ({"CAL_API_URL": "{upstream}/v3"}, "upstream.default", "Correct CAL_API_URL"),
    "the client is unknown": (
        {"CAL_OAUTH_CLIENT_ID": "client-2"},
        "upstream.default",
        "into CAL_OAUTH_CLIENT_ID",
    ),
    "the fingerprint key was replaced": (
        {"FINGERPRINT_KEYS": f"f2:{key_of('g')}"},
        "keys.fingerprint_keys",
        "Put f1 back into TOKEN_BROKER_FINGERPRINT_KEYS, behind the first",
    ),
}


@pytest.mark.parametrize("fault", SETTINGS)
async def test_a_setting_that_names_the_wrong_thing_is_found_with_its_mend(deployment, fault):
    changes, check, mend = SETTINGS[fault]
    await deployment.users(OURS, "anna")
    found = told(await deployment.examined(**deployment.filled(changes)), check)
    assert found.state is State.WRONG
    assert mend in found.mend


CONFIGURATION = {
    "the timeout chain does not hold": (
        {"LEASE_TTL": "13s"},
        "timeouts",
        "Set TOKEN_BROKER_LEASE_TTL, for example to 18s",
    ),
    "an origin has a path": (
        {"ALLOWED_ORIGINS": "https://app.example.com/app"},
        "origins",
        "Set TOKEN_BROKER_ALLOWED_ORIGINS, for example to https://",
    ),
    "a key ring is missing": (
        {"ENCRYPTION_KEYS": None},
        "settings",
        "Set TOKEN_BROKER_ENCRYPTION_KEYS, for example to 2026a:<output of",
    ),
}


@pytest.mark.parametrize("fault", CONFIGURATION)
async def test_settings_that_cannot_be_used_are_findings_beside_all_others(deployment, fault):
    changes, check, mend = CONFIGURATION[fault]
    findings = await deployment.examined(**changes)
    found = told(findings, check)
    assert found.state is State.WRONG
    assert mend in found.mend
    assert {"postgres.writable", "redis.policy", "upstream.default"} <= {one.check for one in findings}


async def test_a_port_that_somebody_else_has_is_found_with_its_mend(deployment):
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        port = somebody.getsockname()[1]
        found = told(await deployment.examined(PUBLIC_ADDRESS=f"127.0.0.1:{port}"), "listeners.public")
    assert found.state is State.WRONG
    assert "set TOKEN_BROKER_PUBLIC_ADDRESS to another port" in found.mend


async def test_this_machines_clock_is_told_from_the_others(deployment):
    found = told(await deployment.examined(wall=lambda: this_time() - timedelta(minutes=5)), "clocks")
    assert found.state is State.WRONG
    assert "this machine's clock is 300 s behind" in found.what


async def test_a_slow_redis_is_found(deployment, durable_servers):
    async with redis_behind(durable_servers[0].valkey) as trouble:
        await trouble.answer_after(0.3)
        found = told(await deployment.examined(REDIS_URL=trouble.url), "redis.latency")
    assert found.state is State.WRONG
    assert "Bring Redis nearer" in found.mend
