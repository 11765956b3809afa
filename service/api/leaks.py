"""Recognises secrets that are presented where an access token belongs: whoever does so holds them.

It refuses nothing, for they are refused as any unknown token is, and it takes as long for those.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from service.api.doors import ApiKey
from service.broker.ports import Observer

_BEHIND_S = 0.5
_UPSTREAM, _UPSTREAM_BEGINS = "upstream_api_key", "cal_"

Digests = Callable[[], Iterable[bytes]]
"""The SHA-256 of secrets, as they are now."""


class Leaks:
    """Knows the digests of what opens the upstream clients and the internal listener."""

    def __init__(
        self, client_secrets: Digests, api_keys: Callable[[], Sequence[ApiKey]], observer: Observer
    ) -> None:
        self._client_secrets = client_secrets
        self._api_keys = api_keys
        self._observer = observer

    def look_at(self, refused: str) -> None:
        """Tell of it if what was refused is a secret; only once its answer is on its way."""
        what = self._named(refused)
        if what is not None:
            # That one is known by its beginning alone, so anybody can make it up.
            kind = "secret_like" if what == _UPSTREAM else "secret"
            tell = partial(self._observer.note, "token.reuse", kind=kind, what=what)
            asyncio.get_running_loop().call_later(_BEHIND_S, tell)

    def _named(self, refused: str) -> str | None:
        digest = hashlib.sha256(refused.encode("ascii")).digest()
        known = [("client_secret", one) for one in self._client_secrets()]
        known += [("api_key", key.digest) for key in self._api_keys()]
        alike = [what for what, one in known if hmac.compare_digest(one, digest)]
        if refused.startswith(_UPSTREAM_BEGINS):
            alike.append(_UPSTREAM)
        return alike[0] if alike else None
