"""Who says who is signed in."""

from __future__ import annotations

from typing import Protocol

from service.broker.model import Witnessed


class Witness(Protocol):
    """Knows from what a browser's request carries who is signed in at the app."""

    async def ask(self, proof: str) -> Witnessed:
        """Return who it is, by this cookie or this statement; SessionUnavailable when it cannot be known."""

    async def look(self) -> None:
        """See whether what could not be known before can be known again; never raises."""
