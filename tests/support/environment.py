"""A complete environment for `load_settings`, to be changed where a test needs it."""

import base64
import hashlib


def key_of(letter: str) -> str:
    """A 32-byte key in base64, recognisable by its letter."""
    return base64.b64encode(letter.encode() * 32).decode()


api_keys: set[str] = set()
"""Every key of a caller that a test has used."""


def digest_of(api_key: str) -> str:
    """What API_KEYS holds of a caller's key."""
    api_keys.add(api_key)
    return hashlib.sha256(api_key.encode()).hexdigest()


def environment(**changes: str | None) -> dict[str, str]:
    """Everything the service needs; names with or without the prefix, None leaves one out."""
    env: dict[str, str | None] = {
        "TOKEN_BROKER_DATABASE_URL": "postgresql://broker:database-password@127.0.0.1:5432/broker",
        "TOKEN_BROKER_REDIS_URL": "redis://:redis-password@127.0.0.1:6379/0",
        "TOKEN_BROKER_ENCRYPTION_KEYS": f"e1:{key_of('e')}",
        "TOKEN_BROKER_FINGERPRINT_KEYS": f"f1:{key_of('f')}",
        "TOKEN_BROKER_API_KEYS": f"backend:{digest_of('backend-key')}",
        "CAL_OAUTH_CLIENT_ID": "client-1",
        "X_CAL_SECRET_KEY": "hush-of-client-1",
    }
    for name, value in changes.items():
        whole = (
            name if name.startswith(("CAL_", "X_CAL_", "OTEL_", "TOKEN_BROKER_")) else f"TOKEN_BROKER_{name}"
        )
        env[whole] = value
    return {name: value for name, value in env.items() if value is not None}
