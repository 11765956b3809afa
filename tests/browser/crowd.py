"""Fills a broker's tables with a crowd as one might find it: most idle, many in use, a few in trouble.

Their tokens are no tokens: who only looks opens none. PostgreSQL makes the rows itself.
"""

from datetime import UTC, datetime, timedelta

import asyncpg

from service.broker.ports import Gauges

CLIENT = "acme"
MARKUP = "<img-src=x-onerror=alert(1)>@example.com"
"""An address that a page must show and never read."""
TROUBLE = {
    # One user of so many each; the first of a kind is there however small the crowd is.
    "state = 'DEAD', reason = 'user_gone', due_at = NULL": 9_000,
    "state = 'DEAD', reason = 'refused', due_at = NULL": 40_000,
    "state = 'PAUSED', reason = 'paused', due_at = NULL": 60_000,
    "refused = true": 50_000,
    "force_pending = true, reason = 'revoked'": 300_000,
    "distrusted_until = $1::timestamptz + interval '40 seconds'": 200_000,
    "failures = 3, retry_at = $1::timestamptz + interval '4 minutes', last_error = 'upstream: 503', "
    "last_error_at = $1::timestamptz - interval '2 minutes'": 17_000,
    "refresh_token_dead = true, failures = 1, last_error = 'refresh_token_dead', "
    "last_error_at = $1::timestamptz - interval '9 minutes'": 90_000,
    "due_at = $1::timestamptz - interval '5 minutes', first_used_at = $1::timestamptz": 100_000,
}

_USERS = f"""
    INSERT INTO users (client, user_id, upstream_id, email, profile, created_at, vouched_at, refreshed_at)
    SELECT '{CLIENT}', 'user-' || n, (10000000 + n)::text, 'person.' || n || '@example.com',
        '{{"name": "A user of the app", "time_zone": "Europe/Berlin"}}', $3, $3, $3
    FROM generate_series($1::int, $2::int) n
"""
# A quarter is in use: their pairs come due over the next fifty minutes, more of them in the middle.
_GRANTS = f"""
    INSERT INTO grants (client, user_id, upstream_id, state, reason, generation, key_id, access_sealed,
        refresh_sealed, issued_at, expires_at, refresh_at, refresh_token_expires_at, first_used_at, due_at)
    SELECT '{CLIENT}', 'user-' || n, (10000000 + n)::text, 'LIVE', 'refresh.rotated', 1700000000000 + n, 'e1',
        decode(lpad(to_hex(n), 900, '5a'), 'hex'), decode(lpad(to_hex(n), 900, 'a5'), 'hex'),
        due - interval '50 minutes', due + interval '10 minutes', due, due + interval '1 year',
        CASE WHEN n % 4 = 0 THEN due - interval '40 minutes' END,
        CASE WHEN n % 4 = 0 THEN due
            ELSE $3::timestamptz + interval '1 day' + random() * interval '299 days' END
    FROM (SELECT n, $3::timestamptz + interval '10 seconds' + (CASE WHEN n % 12 = 0 THEN
        (random() + random() + random()) / 3 ELSE random() END) * interval '50 minutes' AS due
        FROM generate_series($1::int, $2::int) n) placed
"""
_MINUTES = f"""
    INSERT INTO minutes (client, at, rotated, failed, recovered, died)
    SELECT '{CLIENT}', at, ($2 * (0.6 + 0.4 * sin(extract(epoch FROM at) / 13750) + random() * 0.12))::int,
        CASE WHEN ago BETWEEN 26 AND 34 THEN $2 * 0.05 * random()
            WHEN random() < 0.04 THEN 1 + random() * 2 ELSE 0 END::int,
        CASE WHEN ago BETWEEN 21 AND 28 THEN $2 * 0.02 * random() ELSE 0 END::int,
        CASE WHEN random() < 0.012 THEN 1 ELSE 0 END
    FROM (SELECT ago, date_trunc('minute', $1::timestamptz) - ago * interval '1 minute' AS at
        FROM generate_series(2, 7 * 24 * 60) ago) past
"""
_EVENTS = f"""
    INSERT INTO audit_events (client, user_id, at, kind, event, generation, reason, trigger, actor)
    SELECT '{CLIENT}', $1, $2::timestamptz - ago::interval, kind, event, 7, reason, trigger, actor
    FROM (VALUES ('2 minutes', 'change', 'refresh.unavailable', 'upstream: 503', 'ahead', NULL),
        ('55 minutes', 'change', 'refresh.rotated', NULL, 'ahead', NULL),
        ('107 minutes', 'change', 'refresh.rotated', NULL, 'request', NULL),
        ('3 days', 'act', 'grant.created', NULL, NULL, 'backend')
    ) past (ago, kind, event, reason, trigger, actor)
"""
_AT_ONCE = 50_000


async def gather(url, grants):
    """Have so many grants there, and say how they stand: what a worker's gauges would say of them."""
    connection, now = await asyncpg.connect(url), datetime.now(UTC)
    await connection.execute("SET session_replication_role = replica")
    for first in range(1, grants + 1, _AT_ONCE):
        last = min(first + _AT_ONCE - 1, grants)
        await connection.execute(_USERS, first, last, now)
        await connection.execute(_GRANTS, first, last, now)
    for place, (change, one_of) in enumerate(TROUBLE.items(), start=1):
        users = [f"user-{n * 16 + place}" for n in range(max(1, grants // one_of))]
        takes = [now] if "$1" in change else []
        where = f"user_id = ANY(${len(takes) + 1}::text[]) AND client = '{CLIENT}'"
        await connection.execute(f"UPDATE grants SET {change} WHERE {where}", *takes, users)
    await connection.execute("UPDATE users SET email = $1 WHERE user_id = 'user-1'", MARKUP)
    await connection.execute(_MINUTES, now, grants / 4 / 50)
    await connection.execute(_EVENTS, "user-7", now)
    await connection.execute("VACUUM (ANALYZE)")
    states = await connection.fetch("SELECT state, count(*) AS n FROM grants GROUP BY state")
    await connection.close()
    return Gauges({row["state"]: row["n"] for row in states}, 0, timedelta(minutes=5).total_seconds(), 0, 0)
