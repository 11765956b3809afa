"""How a town is set up: its secrets, OAuth clients and ports, and the environment of each process."""

from __future__ import annotations

import hashlib
import os
import secrets

from tests.chaos.setup import DOORS, HOST, draw_secrets, free_ports
from tests.hostile import accounts
from tests.hostile.cases import APP

ACME, OTHER = "acme", "other"
TRUSTED = "127.0.0.9"
"""The address of the one proxy that `strict` believes."""
STRICT_FAILURES = 3
_TIMEOUTS = {
    "UPSTREAM_TIMEOUT": "2s", "DATABASE_TIMEOUT": "1s", "LEASE_TTL": "4s", "CLAIM_DEADLINE": "4s",
    "ANSWER_TIMEOUT": "4s", "PUBLIC_ANSWER_TIMEOUT": "8s", "DRAIN": "10s", "GRACE": "15s",
}  # fmt: skip
_ALL = "users:read+users:write+tokens:read+vouch"
_CALLERS = {
    "backend": f"{_ALL}:{ACME}",
    "admin": f"{_ALL}+admin",
    "reader": f"users:read:{ACME}",
    "tokens": f"tokens:read:{ACME}",
    "stranger": f"{_ALL}:{OTHER}",
}
_PROCESSES = {
    "main": {},
    "strict": {"TRUSTED_PROXIES": TRUSTED, "ADDRESS_FAILURES": f"{STRICT_FAILURES}/min"},
}


def draw(servers, odd_clients):
    """Return everything there is to know: secrets by name, keys by caller, clients, ports."""
    keys = {caller: secrets.token_urlsafe(24) for caller in _CALLERS}
    clients = {name: secrets.token_urlsafe(24) for name in (ACME, OTHER, *odd_clients)}
    tokens = accounts.draw()
    kept = {**draw_secrets(servers), **{f"key_{caller}": key for caller, key in keys.items()}, **tokens}
    ports = iter(free_ports(len(DOORS) * 3))
    return {
        "keys": keys,
        "tokens": tokens,
        "clients": clients,
        "secrets": {**kept, **{f"client_secret_{name}": secret for name, secret in clients.items()}},
        "ports": {name: {door: next(ports) for door in DOORS} for name in (*_PROCESSES, "worker")},
    }


def write_clients(path, drawn, urls):
    """Write the OAuth clients; `urls` tells where each one's upstream is."""
    path.write_text(
        "".join(
            f'[[clients]]\nname = "{name}"\nid = "{name}"\nsecret = "{secret}"\napi_url = "{urls[name]}"\n'
            for name, secret in drawn["clients"].items()
        )
    )


def environment(drawn, name, clients_file):
    """Return the environment of one process, PATH included."""
    kept = drawn["secrets"]
    hashes = {caller: hashlib.sha256(key.encode()).hexdigest() for caller, key in drawn["keys"].items()}
    settings = {
        "DATABASE_URL": kept["database_url"],
        "REDIS_URL": kept["redis_url"],
        "ENCRYPTION_KEYS": f"e1:{kept['encryption_key']}",
        "FINGERPRINT_KEYS": f"f1:{kept['fingerprint_key']}",
        "API_KEYS": ",".join(f"{caller}:{hashes[caller]}:{rights}" for caller, rights in _CALLERS.items()),
        "CLIENTS_FILE": str(clients_file),
        **accounts.settings(clients_file.parent, _ALL, ACME, OTHER),
        **{f"{door.upper()}_ADDRESS": f"{HOST}:{port}" for door, port in drawn["ports"][name].items()},
        "ALLOWED_ORIGINS": APP,
        "UPSTREAM_RATE": "12000/min",
        "USER_ROTATIONS": "0",
        "ADDRESS_FAILURES": "0",
        "LOG_LEVEL": "debug",
        "ACCESS_LOG": "all",
        **_TIMEOUTS,
        **_PROCESSES.get(name, {}),
    }
    return {
        "PATH": os.environ["PATH"],
        # Nothing of this may be believed: upstream is called directly.
        "HTTP_PROXY": "http://127.0.0.1:9",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        **{f"TOKEN_BROKER_{setting}": value for setting, value in settings.items()},
    }
