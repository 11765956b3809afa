"""The operator page in a real Chromium, in front of as many grants as are asked for:

    python -m tests.browser.operator_page --grants 1000000 --pictures docs/pictures

Its last line is JSON: how long it took to the first paint and to the figures, and the slowest query.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from sandbox.calcom import SandboxClient, SandboxConfig
from sandbox.embedded import servers
from service.settings import load_settings
from service.wiring import open_broker
from sql.migrate import migrate
from tests.browser.building import HERE, chromium_path, install
from tests.browser.crowd import CLIENT, gather
from tests.support.cached import Notes
from tests.support.stack import API_KEY, SCALED, running_service

LIFETIME_S = 3600
PRELOADED = {
    "shared_preload_libraries": "pg_stat_statements",
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
}
_SLOWEST = """
    SELECT round(max_exec_time::numeric, 2)::float8 AS ms, calls,
        round(mean_exec_time::numeric, 2)::float8 AS mean,
        left(regexp_replace(query, '\\s+', ' ', 'g'), 90) AS query
    FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND position($1 IN query) > 0
    ORDER BY max_exec_time DESC LIMIT 10
"""
# A tenth of all is dead, and the worker has stood still for a quarter of an hour.
_WORSE = """
    UPDATE grants SET state = 'DEAD', reason = 'user_gone', due_at = NULL WHERE right(user_id, 1) = '5';
    UPDATE grants SET due_at = due_at - interval '15 minutes'
        WHERE due_at < clock_timestamp() + interval '1 day';
"""
ASKED = [
    "/v1/overview", "/v1/history?span=week", "/v1/attention?limit=200", "/v1/attention?reason=dead&limit=200",
    "/v1/attention?reason=dead&limit=200&cursor=5-user-5", "/v1/attention?reason=overdue&limit=200",
    "/v1/attention?reason=failing&limit=200", "/v1/attention?reason=paused", "/v1/users/user-7",
    "/v1/users/user-7/events", "/v1/users?limit=1&email=person.900@example.com",
    "/v1/users?limit=1&calUserId=10000900",
]  # fmt: skip
_FAILED = """
    UPDATE grants SET retry_at = clock_timestamp() + interval '1 hour', failures = 2,
        last_error = 'upstream: 503', last_error_at = clock_timestamp() - interval '1 minute'
    WHERE user_id = 'anna'
"""


def upstream_of():
    """The stand-in that the broker of these tests speaks to."""
    return SandboxConfig(clients=(SandboxClient(CLIENT, "secret-of-acme"),), lifetime_s=LIFETIME_S)


async def count(variables, gauges):
    """Do what a worker does for the page once a minute and after each sweep."""
    async with open_broker(load_settings(variables), Notes()) as broker:
        await broker.overview.count({CLIENT: gauges})
        await broker.overview.swept(CLIENT, 96, 3, 0.41)


async def look(url, folder=None):
    """Let a Chromium look at the page, and return what was seen."""
    command = (
        "node",
        "operator.mjs",
        chromium_path(),
        f"{url}/",
        API_KEY,
        *([str(folder)] if folder else []),
    )
    with tempfile.TemporaryDirectory(prefix="token-broker-", ignore_cleanup_errors=True) as home:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=HERE, env={"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": home, "TMPDIR": home},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return json.loads(out)


@asynccontextmanager
async def crowded(database_url, redis_url, grants):
    """Run the service in front of so many grants, counted, and of one real user whose refresh has failed."""
    gauges = await gather(database_url, grants)
    async with running_service(database_url, redis_url, upstream_of(), **SCALED) as stack:
        await stack.create_user(CLIENT, "anna")
        connection = await asyncpg.connect(database_url)
        await connection.execute(_FAILED)
        await connection.close()
        await count(stack.variables, gauges)
        yield stack


async def main(grants, pictures):
    """Measure once."""
    install(HERE)
    with servers(postgres_options=PRELOADED, valkey_options={"appendonly": "no"}) as pair:
        url = pair.postgres.url
        await migrate(url)
        connection = await asyncpg.connect(url)
        await connection.execute("CREATE EXTENSION pg_stat_statements")
        async with crowded(url, pair.valkey.url, grants) as stack:
            counted = await slowest(connection, "FROM grants WHERE client = $1 AND due_at")
            await connection.execute("SELECT pg_stat_statements_reset()")
            seen = await look(stack.internal_url, pictures)
            looked = await slowest(connection, "")
            await connection.execute(_WORSE)
            await connection.execute("SELECT pg_stat_statements_reset()")
            await ask_around(stack)
            worse = await slowest(connection, "FROM")
        await connection.close()
    for title, rows in (
        ("the worker's count", counted),
        ("who looks", looked),
        ("who looks in a bad hour", worse),
    ):
        sys.stdout.write("\n  ".join([title, *map(json.dumps, rows)]) + "\n")
    seen |= {"grants": grants, "slowestMs": looked[0]["ms"], "text": None, "person": None}
    sys.stdout.write(json.dumps(seen) + "\n")


async def ask_around(stack):
    """Ask for everything that the page may ask for, more often than a statement is planned anew."""
    for path in ASKED * 8:
        async with stack.http.get(
            f"{stack.internal_url}{path}", headers={"Authorization": f"Bearer {API_KEY}"}
        ) as answer:
            assert answer.status == 200, f"{path}: {await answer.text()}"


async def slowest(connection, part):
    """The slowest statements with this in their text."""
    return [dict(row) for row in await connection.fetch(_SLOWEST, part)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grants", type=int, default=1_000_000)
    parser.add_argument("--pictures", type=Path)
    given = parser.parse_args()
    asyncio.run(main(given.grants, given.pictures and given.pictures.resolve()))
