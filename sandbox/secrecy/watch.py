"""Looks at everything it is shown, and remembers what stood there that must not: never the secret itself."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import orjson

from sandbox.secrecy.needles import Needles

ENDPOINTS = ("/refresh", "/token")
REFRESH_CLAIMS = "." + base64.urlsafe_b64encode(b'{"type":"refresh_token"').decode()[:28]
"""How the claims of a refresh token begin: it may be handed to nobody, in whichever field."""
_ITS_FIELDS = {"accessToken", "accessTokenExpiresAt", "calUserId", "generation"}


@dataclass(frozen=True, slots=True)
class Sighting:
    """A secret where none may stand."""

    channel: str
    what: str
    at: int

    def __str__(self) -> str:
        return f"{self.channel} holds {self.what}, at byte {self.at}"


class Watch:
    """Looks for these needles; `seen` is what was found, each kind once a channel.

    `endpoints` are how the paths end whose good answer holds an access token.
    """

    def __init__(self, needles: Needles, endpoints: tuple[str, ...] = ENDPOINTS) -> None:
        self.needles = needles
        self._endpoints = endpoints
        self.looked_at = 0
        self._seen: dict[tuple[str, str], Sighting] = {}

    @property
    def seen(self) -> list[Sighting]:
        """What was found so far."""
        return list(self._seen.values())

    def look(self, channel: str, content: bytes | str) -> None:
        """Look at something that may hold no secret."""
        raw = content.encode(errors="replace") if isinstance(content, str) else content
        self.looked_at += len(raw)
        for what, at in self.needles.found(raw):
            self._seen.setdefault((channel, what), Sighting(channel, what, at))

    def answer(self, method: str, path: str, body: bytes) -> None:
        """Look at the body of an answer, without the one token that a good one is there for."""
        allowed = path.endswith(self._endpoints)
        self.look(f"the answer to {method} {path}", without_its_token(body) if allowed else body)

    def taken(self) -> list[Sighting]:
        """Return what was found so far, and forget it."""
        seen = self.seen
        self._seen.clear()
        return seen


def without_its_token(body: bytes) -> bytes:
    """Return an answer without the access token it is there for.

    One with anything else in it, or with a refresh token in its place, stays whole.
    """
    try:
        facts = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
    if not isinstance(facts, dict) or not set(facts) <= _ITS_FIELDS:
        return body
    token = facts.get("accessToken")
    if not isinstance(token, str) or not token or REFRESH_CLAIMS in token:
        return body
    return body.replace(token.encode(), b"", 1)
