"""The settings of the two processes: embedded storage always, time-outs in proportion to short lifetimes.

Knows the settings by the names that people use; must import nothing of the broker.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sandbox.dev.home import digest
from sandbox.dev.plan import Plan
from sandbox.dev.ports import HOST

if TYPE_CHECKING:
    from sandbox.dev.home import Home, Keys
    from sandbox.embedded import Servers

CLIENT_ID = "sandbox-client"
PREFIX = "TOKEN_BROKER_"
_UPSTREAM = ("CAL_API_URL", "CAL_OAUTH_CLIENT_ID", "X_CAL_SECRET_KEY", "X_CAL_SECRET_KEY_FILE")

DRAIN_S, GRACE_S = 10, 15
_CHAIN = {
    "UPSTREAM_TIMEOUT": "2s",
    "DATABASE_TIMEOUT": "1s",
    "LEASE_TTL": "4s",
    "CLAIM_DEADLINE": "4s",
    "ANSWER_TIMEOUT": "4s",
    "PUBLIC_ANSWER_TIMEOUT": "8s",
    "DISTRUST_WINDOW": "10s",
    "USER_ROTATIONS": "120/min",
    "DRAIN": f"{DRAIN_S}s",
    "GRACE": f"{GRACE_S}s",
}
"""A whole day in ninety seconds: every step that may take long at an hour's lifetime is shortened."""


def of_service(plan: Plan, home: Home, servers: Servers) -> dict[str, str]:
    """Return the environment of `token-broker serve`."""
    return _environ(plan, home, servers) | _named(OBSERVE_ADDRESS=f"{HOST}:{plan.ports.observe}")


def of_worker(plan: Plan, home: Home, servers: Servers) -> dict[str, str]:
    """Return the environment of `token-broker work`."""
    return _environ(plan, home, servers) | _named(OBSERVE_ADDRESS=f"{HOST}:{plan.ports.worker}")


def ignored(environ: Mapping[str, str]) -> list[str]:
    """Return the settings in our own environment that a run does not take over."""
    return sorted(name for name in environ if name.startswith(PREFIX))


def _environ(plan: Plan, home: Home, servers: Servers) -> dict[str, str]:
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(PREFIX) and name not in _UPSTREAM
    }
    return ours | _upstream(plan, home) | _always(plan, home.keys, servers)


def _upstream(plan: Plan, home: Home) -> dict[str, str]:
    if plan.real is not None:
        return dict(plan.real.variables)
    return {
        "CAL_API_URL": f"http://{HOST}:{plan.ports.demo}/v2",
        "CAL_OAUTH_CLIENT_ID": CLIENT_ID,
        "X_CAL_SECRET_KEY": home.keys.client_secret,
        **_named(
            ACCESS_TOKEN_LIFETIME=_seconds(plan.lifetime_s),
            REFRESH_MARGIN=_seconds(plan.margin_s),
            MIN_LIFE=_seconds(plan.least_life_s),
            **_CHAIN,
        ),
    }


def _always(plan: Plan, keys: Keys, servers: Servers) -> dict[str, str]:
    ports = plan.ports
    return _named(
        DATABASE_URL=servers.postgres.url,
        REDIS_URL=servers.valkey.url,
        ENCRYPTION_KEYS=f"dev:{keys.encryption}",
        FINGERPRINT_KEYS=f"dev:{keys.fingerprint}",
        API_KEYS=f"backend:{digest(keys.backend)}:users:read+users:write+tokens:read+vouch+admin,"
        f"jobs:{digest(keys.jobs)}:users:read+tokens:read,"
        f"operator:{digest(keys.operator)}:users:read+users:write+admin",
        PUBLIC_ADDRESS=f"{HOST}:{ports.public}",
        INTERNAL_ADDRESS=f"{HOST}:{ports.internal}",
        ALLOWED_ORIGINS=f"http://{HOST}:{ports.demo},http://localhost:{ports.demo}",
        TRUSTED_PROXIES=f"{HOST}/32",
        LOG_LEVEL="debug",
        LOG_FORMAT="json",
    )


def _named(**settings: str) -> dict[str, str]:
    return {f"{PREFIX}{name}": value for name, value in settings.items()}


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}"
