"""The settings that the broker's processes run with: shipped defaults but for addresses, keys and stores.

What a contestant must have otherwise (a rotation of one user after another is what the limits are there to
prevent) is added where it is started, and named in its description.
"""

from __future__ import annotations

import base64
import hashlib
import os

from bench.tokens import CLIENT_ID

CLIENT = "default"
ENCRYPTION_KEY = ("e1", os.urandom(32))
FINGERPRINT_KEY = ("f1", os.urandom(32))
API_KEY = base64.urlsafe_b64encode(os.urandom(24)).decode()
UPSTREAM_SECRET = "bench-secret"
HOST = "127.0.0.1"

NO_LIMITS = {"TOKEN_BROKER_USER_ROTATIONS": "0", "TOKEN_BROKER_UPSTREAM_RATE": "100000/s"}
"""For contestants that rotate without end: the limit on one user, and the upstream's budget."""


def environment(
    database_url: str, redis_url: str, upstream_port: int, ports: tuple[int, int, int]
) -> dict[str, str]:
    """Return what a process of the broker needs; `ports` are public, internal and observing."""
    public, internal, observe = ports
    key = hashlib.sha256(API_KEY.encode()).hexdigest()
    return upstream(upstream_port) | {
        "TOKEN_BROKER_DATABASE_URL": database_url,
        "TOKEN_BROKER_REDIS_URL": redis_url,
        "TOKEN_BROKER_ENCRYPTION_KEYS": _ring(ENCRYPTION_KEY),
        "TOKEN_BROKER_FINGERPRINT_KEYS": _ring(FINGERPRINT_KEY),
        "TOKEN_BROKER_API_KEYS": f"bench:{key}:users:write+tokens:read",
        "TOKEN_BROKER_PUBLIC_ADDRESS": f"{HOST}:{public}",
        "TOKEN_BROKER_INTERNAL_ADDRESS": f"{HOST}:{internal}",
        "TOKEN_BROKER_OBSERVE_ADDRESS": f"{HOST}:{observe}",
    }


def upstream(port: int) -> dict[str, str]:
    """Return what anybody needs who asks upstream."""
    return {
        "CAL_API_URL": f"http://{HOST}:{port}/v2",
        "CAL_OAUTH_CLIENT_ID": CLIENT_ID,
        "X_CAL_SECRET_KEY": UPSTREAM_SECRET,
    }


def _ring(key: tuple[str, bytes]) -> str:
    return f"{key[0]}:{base64.b64encode(key[1]).decode()}"
