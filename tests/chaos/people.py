"""One user with its tabs and its app's services: what they hold, and when they ask.

Tabs ask shortly before their token ends, or late; a tab that slept presents an old one.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

_TABS = 2
_AWAKE = 0.8
_PAUSE_S = 0.6, 2.8
_SOON = 0.3
"""The share of its life at which a tab asks for the next token."""


class Person:
    """A user; `live` until it is enough."""

    def __init__(self, asking, user_id, cal_user_id, random, lifetime_s):
        self.enough = asyncio.Event()
        self._asking = asking
        self._user_id = user_id
        self._cal_user_id = cal_user_id
        self._random = random
        self._lifetime_s = lifetime_s
        self._tabs = [None] * _TABS

    async def live(self):
        """Ask now and then."""
        while not self.enough.is_set():
            await self._ask()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.enough.wait(), self._random.uniform(*_PAUSE_S))

    async def token(self, kind="token", by=None):
        """Ask as a service that wants the user's token."""
        path = f"/v1/users/{self._user_id}/token"
        return await self._asking.ask(kind, self._cal_user_id, "GET", path, by=by)

    async def refresh(self, held):
        """Ask as a browser whose token was refused."""
        return await self._asking.ask("refresh", self._cal_user_id, "GET", "/refresh", presented=held)

    async def complain(self, held):
        """Ask as a service whose call upstream was refused."""
        path, body = f"/v1/users/{self._user_id}/refresh", {"refused": held}
        return await self._asking.ask("complain", self._cal_user_id, "POST", path, presented=held, body=body)

    async def _ask(self):
        place, roll = self._next_tab(), self._random.random()
        held = self._tabs[place]
        if held is None or (roll < 0.97 and not self._ends_soon(held)):
            answer = await self.token()
        elif roll < 0.1 and self._left_s(held) < 0:
            answer = await self.complain(held["accessToken"])
        else:
            answer = await self.refresh(held["accessToken"])
        self._tabs[place] = answer or held

    def _next_tab(self):
        """Choose a tab whose token ends soon; now and then any, so that some have slept over it."""
        due = [place for place, held in enumerate(self._tabs) if held is not None and self._ends_soon(held)]
        awake = self._random.random() < _AWAKE
        return self._random.choice(due) if due and awake else self._random.randrange(_TABS)

    def _ends_soon(self, held):
        return self._left_s(held) <= _SOON * self._lifetime_s

    def _left_s(self, held):
        return held["accessTokenExpiresAt"] / 1000 - time.time()
