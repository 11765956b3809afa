"""The settings of a process as one immutable object: values, secrets and clients.

Must import nothing of this program but the settings' own words and the secrets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from service.secrets import Secret, recheck_all
from service.settings.callers import ApiKey
from service.settings.fields import Role
from service.settings.grammar import Rate
from service.settings.keys import KeyRing, sensitive_parts
from service.settings.model import Values


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """One OAuth client; `origins` are the browser origins that may refresh its users' tokens.

    `secret` holds two secrets while it is changed, the new one first.
    """

    name: str
    kind: Literal["calcom-platform"]
    id: str
    secret: Secret[tuple[str, ...]]
    api_url: str
    rate: Rate
    origins: tuple[str, ...]


class Settings(Values):
    """Everything a process is told at its start; secrets its role does not need are empty."""

    role: Role
    database_url: Secret[str]
    redis_url: Secret[str]
    encryption_keys: Secret[KeyRing]
    fingerprint_keys: Secret[KeyRing]
    api_keys: Secret[tuple[ApiKey, ...]]
    webhook_secrets: Secret[tuple[bytes, ...]]
    clients: tuple[ClientSettings, ...]
    warnings: tuple[str, ...] = ()

    @property
    def secrets(self) -> tuple[Secret[Any], ...]:
        """Every secret there is, those of the clients included."""
        shared = (
            self.database_url,
            self.redis_url,
            self.encryption_keys,
            self.fingerprint_keys,
            self.api_keys,
            self.webhook_secrets,
        )
        return shared + tuple(client.secret for client in self.clients)

    @property
    def public_origins(self) -> frozenset[str]:
        """Every origin that some client's browsers may come from."""
        return frozenset(self.allowed_origins).union(*(client.origins for client in self.clients))

    def recheck_secrets(self, complain: Callable[[str, str], None]) -> tuple[str, ...]:
        """Re-read the secret files that changed and return their names; see `Secret.recheck`."""
        return recheck_all(self.secrets, complain)

    def sensitive_texts(self) -> frozenset[str]:
        """Return every text that must never be seen in a log, as of now."""
        return frozenset().union(*(sensitive_parts(secret.raw) for secret in self.secrets))
