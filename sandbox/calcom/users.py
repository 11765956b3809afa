"""Upstream's rules for managed users: e-mails, usernames, and the shapes they are shown in.

Pure; never imports the doors.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import Any

from sandbox.calcom.records import Client, User

_NOT_SLUG = re.compile(r"[^a-z0-9-]+")
_DASHES = re.compile(r"-{2,}")


def suffixed_email(client_id: str, email: str) -> str:
    """Return the e-mail as upstream stores it: `local+<clientId>@domain`; unchanged when it is already."""
    if f"+{client_id}@" in email:
        return email
    local, _, rest = email.partition("@")
    domain = rest.split("@")[0] if rest else "undefined"
    return f"{local}+{client_id}@{domain}"


def slug(text: str) -> str:
    """Return the text as a username: lower-case ASCII letters, digits and single dashes."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii").lower()
    return _DASHES.sub("-", _NOT_SLUG.sub("-", plain)).strip("-")


def username_of(stored_email: str) -> str:
    """Return the username upstream derives from a stored e-mail: slug of local-domain-TLD."""
    local, _, domain = stored_email.partition("@")
    labels = [*domain.split("."), "undefined"]
    return slug(f"{local}-{labels[0]}-{labels[1]}")


def iso(epoch_ms: int) -> str:
    """Return the instant as JavaScript's toISOString does."""
    instant = datetime.fromtimestamp(epoch_ms / 1000, UTC)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def managed_user(user: User) -> dict[str, Any]:
    """Return the user as the managed-user routes show it."""
    shown = {
        "id": user.id,
        "email": user.email,
        "username": user.username,
        "name": user.name,
        "bio": user.bio,
        "timeZone": user.time_zone,
        "weekStart": user.week_start,
        "createdDate": iso(user.created_ms),
        "timeFormat": user.time_format,
        "defaultScheduleId": user.default_schedule_id,
        "locale": user.locale,
        "avatarUrl": user.avatar_url,
        "metadata": user.metadata,
    }
    return {name: value for name, value in shown.items() if value is not None or name not in _OMITTED}


_OMITTED = {"locale", "metadata"}


def me(user: User, client: Client | None) -> dict[str, Any]:
    """Return the user as /v2/me shows it."""
    shown: dict[str, Any] = {
        "id": user.id,
        "username": user.username,
        "email": user.email,
        "name": user.name,
        "avatarUrl": user.avatar_url,
        "bio": user.bio,
        "timeFormat": user.time_format,
        "defaultScheduleId": user.default_schedule_id,
        "weekStart": user.week_start,
        "timeZone": user.time_zone,
        "organizationId": user.organization_id,
    }
    if user.organization_id is not None and client is not None:
        shown["organization"] = {"isPlatform": client.platform, "id": user.organization_id}
    return shown
