"""How a run is set up: secrets, ports, and the environment of each process, written down in one file.

The file is for the run's own processes and the checker; it holds every secret there is.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import socket

from tests.chaos.plan import CLIENT_ID, SERVED_WITHIN_S, TIMEOUTS

HOST = "127.0.0.1"
DOORS = ("public", "internal", "observe")


def set_up(plan, servers):
    """Return what there is to know about a run, as JSON objects."""
    names = [f"service-{number}" for number in range(plan.services)]
    names += [f"worker-{number}" for number in range(plan.workers)]
    ports = iter(free_ports(1 + len(DOORS) * len(names)))
    return {
        "seed": plan.seed,
        "users": plan.users,
        "lifetime_s": plan.lifetime_s,
        "served_within_s": SERVED_WITHIN_S,
        "upstream_port": next(ports),
        "replicas": {name: {door: next(ports) for door in DOORS} for name in names},
        "client_id": CLIENT_ID,
        "claim_deadline_s": float(TIMEOUTS["CLAIM_DEADLINE"].removesuffix("s")),
        "secrets": draw_secrets(servers),
    }


def environment(plan, run, name):
    """Return the environment of one process, PATH included."""
    kept, ports = run["secrets"], run["replicas"][name]
    settings = {
        "DATABASE_URL": kept["database_url"],
        "REDIS_URL": kept["redis_url"],
        "ENCRYPTION_KEYS": f"e1:{kept['encryption_key']}",
        "FINGERPRINT_KEYS": f"f1:{kept['fingerprint_key']}",
        "API_KEYS": f"backend:{hashlib.sha256(kept['api_key'].encode()).hexdigest()}",
        **{f"{door.upper()}_ADDRESS": f"{HOST}:{ports[door]}" for door in DOORS},
        "ACCESS_TOKEN_LIFETIME": f"{plan.lifetime_s}s",
        "REFRESH_MARGIN": f"{plan.lifetime_s / 2}s",
        "MIN_LIFE": "1s",
        "UPSTREAM_RATE": "12000/min",
        "USER_ROTATIONS": "0",
        "ADDRESS_FAILURES": "0",
        "LOG_LEVEL": "debug",
        "ACCESS_LOG": "all",
        **TIMEOUTS,
        **plan.settings,
    }
    return {
        "PATH": os.environ["PATH"],
        "CAL_API_URL": f"http://{HOST}:{run['upstream_port']}/v2",
        "CAL_OAUTH_CLIENT_ID": run["client_id"],
        "X_CAL_SECRET_KEY": kept["client_secret"],
        **{f"TOKEN_BROKER_{setting}": value for setting, value in settings.items()},
    }


def free_ports(count):
    """Return ports that are free now, below those the kernel gives to clients."""
    found = []
    while len(found) < count:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if port not in found and probe.connect_ex((HOST, port)) != 0:
                found.append(port)
    return found


def draw_secrets(servers):
    """Return new secrets and keys, and the stores' addresses, which hold passwords."""
    return {
        "client_secret": secrets.token_urlsafe(24),
        "api_key": secrets.token_urlsafe(24),
        "encryption_key": base64.b64encode(secrets.token_bytes(32)).decode(),
        "fingerprint_key": base64.b64encode(secrets.token_bytes(32)).decode(),
        "database_url": servers.postgres.url,
        "redis_url": servers.valkey.url,
    }
