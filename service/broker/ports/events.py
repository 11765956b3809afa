"""The audit's storage: what happened to users, written behind or in the change's own transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from service.broker.model import Event, EventQuery, Recorded, UserKey


class EventStore(Protocol):
    """Events beside those that the other stores write with the changes they make."""

    async def write(self, recorded: Sequence[Recorded]) -> None:
        """Write these; one written before gets the greater count. Of a user who is gone not who asked."""

    async def page(self, key: UserKey, query: EventQuery) -> list[Event]:
        """Return what happened to the user, newest first; also of a user who was deleted."""
