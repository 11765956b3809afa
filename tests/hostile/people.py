"""The users of a town, and the tokens they hold or have held: what cases present."""

from __future__ import annotations

import base64
import json

import asyncpg
import redis.asyncio as redis

from tests.hostile.setting import ACME, OTHER

_AGES_H = {"late23": 1, "late25": -1, "late8d": -7 * 24}
"""How many hours are left until a user's first token stops counting; the window is 24 hours."""


async def settle_in(town):
    """Create the users and name their tokens. {ann} is superseded, {ann.now} is her current one."""
    for user in ("ann", "bob", "fay", "gone", "revoked", "paused", "dead", *_AGES_H):
        await _move_in(town, user)
    await _move_in(town, "dora", rotations=5)
    await _move_in(town, "olga", client=OTHER, key="stranger")
    await town.call("DELETE", "/v1/users/gone")
    await town.call("POST", "/v1/users/revoked/revoke")
    await town.call("POST", "/v1/users/paused/pause")
    await _bury(town, "dead")
    await _age(town)
    _name_secrets(town)


async def _move_in(town, user, *, rotations=1, client=ACME, key="backend"):
    body = {"id": user, "email": f"{user}@example.com", "name": user.title()}
    created = await town.call("POST", "/v1/users", body, key=key)
    town.name(f"{user}.id", str(created["calUserId"]))
    held = await town.call("GET", f"/v1/users/{user}/token", key=key)
    for number in range(rotations):
        town.name(f"{user}.{number}" if number else user, held["accessToken"])
        held = await town.call("POST", f"/v1/users/{user}/refresh", {}, key=key)
    town.name(f"{user}.now", held["accessToken"])


async def _bury(town, user):
    """Have upstream lose the user, and the broker notice."""
    sandbox = town.sandbox
    gone = sandbox.find_user(ACME, f"{user}@example.com")
    sandbox.state.delete_user(gone)
    await town.call("POST", f"/v1/users/{user}/refresh", {"force": True}, status=(409,))


async def _age(town):
    """Let the first tokens of some users have expired so and so long ago."""
    connection = await asyncpg.connect(town.stores.postgres.url)
    try:
        for user, hours in _AGES_H.items():
            await connection.execute(
                "UPDATE lineage SET counts_until = now() + $2 * interval '1 hour' WHERE user_id = $1"
                " AND generation = (SELECT min(generation) FROM lineage WHERE user_id = $1)",
                user, hours,
            )  # fmt: skip
    finally:
        await connection.close()
    # What Redis holds of them says when they stop counting as well.
    async with redis.from_url(town.stores.valkey.url) as client:
        await client.flushall()


def _name_secrets(town):
    row = town.sandbox.find_user(ACME, "ann@example.com")
    town.name("ann.refresh", next(iter(row.refresh_tokens)))
    town.name("secret", town.drawn["clients"][ACME])
    town.name("trap", town.odd.trap_url)
    owner = int(town.names["ann.id"])
    for name, header in FORGED.items():
        head = {key: value.replace("{trap}", town.names["trap"]) for key, value in header.items()}
        town.name(name, forged(head, {"ownerId": owner, "clientId": ACME, "iat": 1700000000}))


def _segment(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def forged(header, claims, signature="c2lnbmF0dXJlc2lnbmF0dXJlc2lnbmF0dXJl"):
    """Return a JWT that nobody signed."""
    return f"{_segment(header)}.{_segment(claims)}.{signature}"


FORGED = {
    "forged.none": {"alg": "none"},
    "forged.None": {"alg": "None", "typ": "JWT"},
    "forged.nOnE": {"alg": "nOnE", "typ": "JWT"},
    "forged.hs256": {"alg": "HS256", "typ": "JWT"},
    "forged.rs256": {"alg": "RS256", "typ": "JWT"},
    "forged.es256": {"alg": "ES256", "typ": "at+jwt"},
    "forged.kid-sql": {"alg": "HS256", "kid": "1' UNION SELECT 'a';--"},
    "forged.kid-path": {"alg": "HS256", "kid": "../../../../dev/null"},
    "forged.kid-url": {"alg": "HS256", "kid": "{trap}"},
    "forged.jku": {"alg": "RS256", "jku": "{trap}"},
    "forged.x5u": {"alg": "RS256", "x5u": "{trap}"},
    "forged.jwk": {"alg": "ES256", "jwk": '{"kty":"EC"}'},
    "forged.crit": {"alg": "HS256", "crit": "exp"},
    "forged.zip": {"alg": "dir", "enc": "A256GCM", "zip": "DEF"},
}
"""What no token here is looked into for."""
