"""Who is signed in at the app, as somebody entitled to say so says it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_USER_ID = re.compile(r"[A-Za-z0-9._:@|+=~-]{1,128}")
_CLIENT = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The app's own id of who is signed in; `client` where it says under which client as well."""

    user_id: str
    client: str | None = None

    @classmethod
    def read(cls, said: Mapping[str, object], id_name: str) -> SignedIn | None:
        """Return who is meant by what was said; None when that cannot be a user of ours."""
        user_id, client = said.get(id_name), said.get("client")
        if not isinstance(user_id, str) or not _USER_ID.fullmatch(user_id):
            return None
        if client is not None and not (isinstance(client, str) and _CLIENT.fullmatch(client)):
            return None
        return cls(user_id, client)


@dataclass(frozen=True, slots=True)
class Nobody:
    """Nobody is signed in, or nothing good was shown for it; `reason` is for the log alone."""

    reason: str


Witnessed = SignedIn | Nobody
