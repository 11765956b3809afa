"""Tokens in the shape of Cal.com's: what users hold at the start, and what the stub upstream hands out.

Nobody here verifies a signature, so a constant key signs them.
"""

from __future__ import annotations

import base64
import itertools
import os
import time

import orjson

from sandbox.calcom.jwt import sign

CLIENT_ID = "clbench0000000000000000"
LIFETIME_S = 3600
_REFRESH_LIFETIME_S = 365 * 24 * 3600
_KEY = b"a key that signs what nobody verifies"
_numbers = itertools.count(int.from_bytes(os.urandom(6), "big"))


def access_token(owner: int, ends_at: float) -> str:
    """Return a new access token of a user, about as long as Cal.com's."""
    return _token("access_token", owner, ends_at, ends_at - LIFETIME_S)


def refresh_token(owner: int) -> str:
    """Return a new refresh token of a user."""
    now = time.time()
    return _token("refresh_token", owner, now + _REFRESH_LIFETIME_S, now)


def owner_of(token: str) -> int:
    """Return whose token of ours this is; raises ValueError for anything else."""
    try:
        payload = token.split(".")[1]
        return int(orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["ownerId"])
    except (IndexError, KeyError, TypeError) as error:
        raise ValueError("not a token of ours") from error


def _token(kind: str, owner: int, ends_at: float, began_at: float) -> str:
    claims = {
        "type": kind,
        "clientId": CLIENT_ID,
        "ownerId": owner,
        "jti": next(_numbers),
        "iat": int(began_at),
        "exp": int(ends_at),
        "expiresAt": int(ends_at) * 1000,
    }
    return sign(claims, _KEY)
