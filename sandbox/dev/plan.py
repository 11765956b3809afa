"""What a run is: its ports, its tokens' lifetime, where its data is kept, and which upstream it speaks to.

Values only. Must import nothing of the broker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.dev.ports import Ports

CAL_API_URL = "https://api.cal.com/v2"
REAL_LIFETIME_S = 3600.0
_SECRETS = ("X_CAL_SECRET_KEY", "X_CAL_SECRET_KEY_FILE")


class WrongUsage(Exception):
    """The run cannot be as it was asked for; the message says what to change."""


@dataclass(frozen=True, slots=True)
class RealUpstream:
    """The real Cal.com, as the environment names it: its variables are handed on as they are."""

    api_url: str
    client_id: str
    variables: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> RealUpstream | None:
        """Return it when client and secret are set, None when neither is; WrongUsage for one alone."""
        client_id = environ.get("CAL_OAUTH_CLIENT_ID", "")
        secrets = {name: environ[name] for name in _SECRETS if environ.get(name)}
        if not client_id and not secrets:
            return None
        if not client_id or not secrets:
            missing = "X_CAL_SECRET_KEY" if client_id else "CAL_OAUTH_CLIENT_ID"
            raise WrongUsage(
                f"{missing} is missing. Set it too, to speak to the real Cal.com, or unset "
                f"{'CAL_OAUTH_CLIENT_ID' if client_id else 'X_CAL_SECRET_KEY'}, to have the sandbox."
            )
        api_url = environ.get("CAL_API_URL") or CAL_API_URL
        variables = {"CAL_API_URL": api_url, "CAL_OAUTH_CLIENT_ID": client_id, **secrets}
        return cls(api_url.rstrip("/"), client_id, variables)


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. `min_life_s` is the least life of an answered token; `journal` keeps the sandbox's there."""

    ports: Ports = field(default_factory=Ports)
    lifetime_s: float = 90.0
    min_life_s: float | None = None
    keep: Path | None = None
    real: RealUpstream | None = None
    journal: Path | None = None

    @property
    def margin_s(self) -> float:
        """The refresh margin, in proportion to the 10 minutes of 60 that are its default."""
        return self.lifetime_s / 6

    @property
    def least_life_s(self) -> float:
        """The least life of an answered token, in proportion to the 1 minute of 60 that is its default."""
        return self.lifetime_s / 60 if self.min_life_s is None else self.min_life_s
