"""A person's visit to the page: the tab, the token it began with, and all that is seen of it afterwards."""

import asyncio
import time
from dataclasses import dataclass

from sandbox.calcom import Entry
from tests.browser.chromium import Request, Tab
from tests.support.stack import Stack
from tests.support.waiting import eventually

RHYTHM_S = 4
MARGIN_S = 600
SETTLES_WITHIN_S = 8
READY_WITHIN_S = 20


@dataclass(frozen=True, repr=False)
class Seen:
    """What there was to see of a visit, from both ends; written out, it is the visit's timetable."""

    answers: list[int]
    """How each call that the person made was answered in the end."""
    requests: list[Request]
    heard: dict
    """How often the provider told the page of its refreshes, since the page was last loaded."""
    token_errors: list[str]
    """What `onTokenRefreshError` was called with."""
    script_errors: list[str]
    rotations: list[Entry]
    """Upstream refresh calls for this user."""
    ended: int
    """How many of the tokens that the page used have ended by upstream's clock."""

    def __repr__(self):
        began_at = self.requests[0].at
        asked = [(r.at, f"{r.method} {r.path} -> {r.status} with {r.bearer}") for r in self.requests]
        rotated = [
            (e.started_ms / 1000, f"upstream: {e.presented} -> {e.status}, issued {e.issued_access}")
            for e in self.rotations
        ]
        lines = [f"{at - began_at:6.1f} s {what}" for at, what in sorted(asked + rotated)]
        return "\n".join(
            ["", f"{self.answers} {self.heard} {self.token_errors} {self.script_errors}", *lines, ""]
        )

    def to_broker(self):
        """Return the requests to the refresh endpoint."""
        return [request for request in self.requests if request.path == "/refresh"]

    def to_upstream(self):
        """Return the requests to Cal.com's API."""
        return [request for request in self.requests if request.path.startswith("/v2/")]

    def refused(self):
        """Return the requests to Cal.com's API that were refused for their token."""
        return [request for request in self.to_upstream() if request.status in (401, 498)]

    def busiest_minute(self):
        """Return the most requests to Cal.com's API within any minute."""
        starts = [request.at for request in self.to_upstream()]
        return max(sum(start <= at < start + 60 for at in starts) for start in starts)


class Visit:
    """One tab of one person."""

    def __init__(self, stack: Stack, tab: Tab, cal_user_id, token):
        self._stack = stack
        self.tab = tab
        self.cal_user_id = cal_user_id
        self.token = token
        self._answers = []
        self._held = {}
        self._token_errors = []

    async def call(self):
        """Call the API as a part of the page would; returns the status of what came of it."""
        status = (await self.tab.play("callMe"))["status"]
        self._answers.append(status)
        self._held[await self.tab.play("token")] = True
        return status

    async def live_through(self, expiries):
        """Call the API every few seconds until so many tokens of this visit have ended, and once more."""
        while True:
            ended = self.ended()
            await self.call()
            if ended >= expiries:
                return
            await asyncio.sleep(RHYTHM_S)

    async def call_for(self, seconds):
        """Call the API every few seconds for more than so long."""
        for _ in range(0, seconds + 1, RHYTHM_S):
            await asyncio.sleep(RHYTHM_S)
            await self.call()

    def ended(self):
        """Return how many of the tokens seen in this tab have ended by upstream's clock."""
        state = self._stack.sandbox.state
        return sum(state.trace(token).expires_ms < state.now_ms() for token in self._held)

    def purged(self):
        """Return how many of the tokens seen in this tab are gone upstream."""
        return sum(token not in self._stack.sandbox.state.access for token in self._held)

    def refusals(self):
        """Return how many calls upstream has refused because their token had ended."""
        calls = self._stack.sandbox.journal.of("me", user_id=self.cal_user_id)
        return sum(entry.status == 498 for entry in calls)

    async def its_token_ends(self):
        """Let the time pass until the token that the visit began with has ended."""
        ends_at = self._stack.sandbox.state.trace(self.token).expires_ms / 1000
        await asyncio.sleep(max(0.0, ends_at - time.time()))

    async def its_token_is_gone(self):
        """Wait until upstream has purged the token that the visit began with."""
        await eventually(lambda: self.token not in self._stack.sandbox.state.access, within_s=10)

    async def remount(self):
        """Take the provider out of the page and put a new one in, with the token of the beginning."""
        await self.tab.play("unmount")
        await self.tab.play("mount")
        await self.has_another_token()

    async def reload(self):
        """Load the page again, with the token of the beginning."""
        self._token_errors += (await self.tab.play("heard"))["failed"]
        await self.tab.do("reload")
        await self.has_another_token()

    async def has_another_token(self):
        """Wait until the page sends another token than the one it began with."""

        async def another():
            return await self.tab.play("token") not in ("", self.token)

        await eventually(another, within_s=SETTLES_WITHIN_S)

    async def seen(self):
        """Return everything that is to be seen of the visit."""
        heard = await self.tab.play("heard")
        return Seen(
            answers=self._answers,
            requests=await self.tab.requests(),
            heard=heard,
            token_errors=self._token_errors + heard["failed"],
            script_errors=await self.tab.do("errors"),
            rotations=self._stack.sandbox.journal.of("refresh", user_id=self.cal_user_id),
            ended=self.ended(),
        )


@dataclass(frozen=True)
class Stage:
    """What a visit needs: the broker, a browser, and the page's origin."""

    stack: Stack
    chromium: object
    origin: str

    async def visit(self, client, user_id="ann", *, helper=False, beside=None):
        """Open the page for a user, as the user's app would; `beside` another visit in the same profile."""
        user = await self.stack.create_user(client, user_id)
        token = (await self.stack.token(client, user_id))["accessToken"]
        settings = {
            "apiUrl": self.stack.upstream.url,
            "brokerUrl": self.stack.public_url,
            "clientId": client,
            "accessToken": token,
            "keepsFresh": helper,
            "margin": MARGIN_S,
        }
        tab = await self.chromium.open(self.origin, settings, beside and beside.tab)
        await eventually(lambda: tab.play("ready"), within_s=READY_WITHIN_S)
        return Visit(self.stack, tab, user["calUserId"], token)
