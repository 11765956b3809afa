"""Odd ids and texts that are right: what stores, pages and logs make of them."""

import json

import asyncpg
import redis.asyncio as redis

from tests.hostile.cases import CANARY, KEY, Story, calls

IN_A_LOOP = 200
_STORED = (
    "a:b:c",
    "x|y",
    "~tilde",
    "a=b",
    "at@sign",
    "..a",
    "plus+plus",
    "{ann}".strip("{}") + "-1",
    "A" * 128,
)


def _lives(user_id):
    """Return a story: a user of an odd id is made, found by it, and gone by it."""

    async def play(town):
        path = f"/v1/users/{user_id.replace('+', '%2B').replace('|', '%7C')}"
        body = {"id": user_id, "email": f"odd-{abs(hash(user_id))}@example.com", "name": "Odd"}
        made = await town.call("POST", "/v1/users", body)
        found = await town.call("GET", path)
        token = await town.call("GET", f"{path}/token")
        await town.call("DELETE", path)
        return (
            []
            if made["id"] == found["id"] == user_id and token["accessToken"]
            else [f"made {made['id']}, found {found['id']}"]
        )

    return Story("H78", f"a user of the id {user_id[:20]}", play)


async def _tables_stand(town):
    """Look for a user whom no call could rightly delete: who explores the listener finds ann as well."""
    connection = await asyncpg.connect(town.stores.postgres.url)
    try:
        joined = "users JOIN grants USING (client, user_id) JOIN lineage USING (client, user_id)"
        users = await connection.fetchval(f"SELECT count(*) FROM {joined} WHERE user_id = 'olga'")
    finally:
        await connection.close()
    return [] if users else ["the users of another client are not there any more"]


_LOGGED = (
    "\x1b[31mred\x1b[0m".replace("\x1b", "\\x1b"),
    '{"event":"forged"}',
    '","event":"forged',
    "\u202egnp.exe",
    "%0a{}",
    "a" * 60_000,
    CANARY,
)
LOGS = [
    calls(
        "H80",
        f"{name}: {text[:30]}",
        200,
        None,
        None,
        f"{name}: {text}",
        method="GET",
        target="/v1/users/ann",
        holds=('"id":"ann"',),
    )
    for name in ("User-Agent", "Referer", "X-Note", "Cookie")
    for text in _LOGGED
]


async def _page(town):
    """A page of users never holds a token, whoever asks for it."""
    answer = await town.ask(
        "internal", KEY.replace("{backend}", town.names["backend"]), target="/v1/users?limit=200"
    )
    users = json.loads(answer.body)["users"]
    return [] if len(users) > 5 and b"eyJ" not in answer.body else [f"{len(users)} users, or a token"]


async def _asked_in_a_loop(town):
    """A service that asks for tokens again and again makes nobody rotate."""
    user = int(town.names["bob.id"])
    before = len(town.sandbox.journal.of("refresh", user_id=user))
    for _ in range(IN_A_LOOP):
        await town.call("GET", "/v1/users/bob/token")
    rotated = len(town.sandbox.journal.of("refresh", user_id=user)) - before
    return [f"{rotated} rotations"] if rotated else []


async def _nobody_named(town):
    """No key in Redis has a user's id in it, whatever that is made of."""
    async with redis.from_url(town.stores.valkey.url) as client:
        keys = [key async for key in client.scan_iter(count=1000)]
    named = [
        key for key in keys for user_id in ("dora", "late23", "revoked", *_STORED) if user_id.encode() in key
    ]
    return [f"{len(named)} of {len(keys)} keys name a user"] if named or not keys else []


CASES = [
    Story("H82", "a service that asks in a loop", _asked_in_a_loop),
    Story("H78", "no key in Redis names a user", _nobody_named, late=True),
    *map(_lives, _STORED),
    *LOGS,
    Story("H77", "the tables stand", _tables_stand, late=True),
    Story("H82", "a page of users holds no token", _page),
]
