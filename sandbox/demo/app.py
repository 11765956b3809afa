"""The demo app: its page, its users, and the doors the page uses; mounted on the sandbox's own origin.

Real calls through real doors: users over the internal listener, refreshes over the public one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

from sandbox.demo.backend import Backend, BrokerRefused
from sandbox.demo.feed import Feed
from sandbox.demo.heard import Heard
from sandbox.demo.notes import Tally
from sandbox.demo.pairs import Pairs
from sandbox.demo.proxy import Proxy
from sandbox.demo.seen import Seen
from sandbox.dev.ports import HOST

if TYPE_CHECKING:
    from sandbox.calcom import Sandbox
    from sandbox.demo.notes import Source
    from sandbox.dev.home import Keys
    from sandbox.dev.plan import Plan
    from sandbox.dev.ports import Ports

NAME = "Ada"
_UNHEARD = dict.fromkeys(("ahead", "on_request", "joined"), "-")
_CALL_TIMEOUT = aiohttp.ClientTimeout(total=10)  # as the browser library's


@dataclass(frozen=True, slots=True)
class Broker:
    """Where a broker is, for us, and where its internal listener is for a browser."""

    public_url: str
    internal_url: str
    shown_url: str


class Demo:
    """The app of one run; `sandbox` is None when the run speaks to the real Cal.com.

    Of a broker that runs elsewhere the logs are not heard, only what it does is seen.
    """

    def __init__(self, plan: Plan, keys: Keys, sandbox: Sandbox | None, broker: Broker | None = None) -> None:
        self.plan = plan
        self.broker = broker or _beside(plan.ports)
        self._hears = broker is None
        self.sandbox = sandbox
        self.backend: Backend | None = None
        self.proxy: Proxy | None = None
        self.user_id = f"{NAME.lower()}-{keys.suffix}"
        self.cal_user_id: int | None = None
        self.tally = Tally()
        self._seen = Seen(self.tally, self._name_of)
        self._heard = Heard(self.tally, alone=sandbox is None)
        self.pairs = Pairs()
        self.feed = Feed(self.figures)
        self._session: aiohttp.ClientSession | None = None
        self._api_key = keys.backend
        self._read_to = 0
        self._created = False

    def hear(self, who: Source, facts: dict[str, Any]) -> None:
        """Take in what the service or the worker said."""
        note = self._heard.of_line(who, facts)
        if note is not None:
            self.feed.add(note)

    def gather(self) -> None:
        """Take in what the sandbox's journal has had since the last time."""
        if self.sandbox is None:
            return
        for entry in self.sandbox.journal.tail(1000, after=self._read_to) if self._read_to else self._first():
            self._read_to = entry.seq
            self.pairs.note(entry)
            note = self._seen.of_entry(entry)
            if note is not None:
                self.feed.add(note)

    def figures(self) -> dict[str, Any]:
        """Return what the page shows of this moment."""
        return {
            "ready": self.backend is not None,
            "tally": self.tally if self._hears else asdict(self.tally) | _UNHEARD,
            "pairs": self.pairs.numbers,
            "current": self.pairs.current(self.cal_user_id),
        }

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Serve the page's doors while the broker runs; at the end take users back from a real Cal.com."""
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            self.backend = Backend(session, self.broker.internal_url, self._api_key)
            self.proxy = Proxy(session, self.broker.public_url)
            self._session = session
            try:
                yield
            finally:
                await self._leave(self.backend)
                self.backend = self.proxy = self._session = None

    async def enter(self) -> dict[str, Any]:
        """Sign the demo's user in, who is made the first time; returns the current token, as to any app."""
        backend = self.working()
        user = await backend.create(self.user_id, NAME, f"{self.user_id}@example.com")
        self._created = True
        self.cal_user_id = int(user["calUserId"])
        return await backend.token(self.user_id)

    async def call_api(self, authorization: str) -> int:
        """Call Cal.com's API as a page would; returns the status, 0 when there was no answer."""
        api = self.plan.real.api_url if self.plan.real else f"http://{HOST}:{self.plan.ports.demo}/v2"
        if self._session is None:
            return 0
        with suppress(aiohttp.ClientError, TimeoutError):
            async with self._session.get(
                f"{api}/me", headers={"Authorization": authorization}, timeout=_CALL_TIMEOUT
            ) as response:
                return response.status
        return 0

    def working(self) -> Backend:
        """Return the backend; BrokerRefused while the broker is not up."""
        if self.backend is None:
            raise BrokerRefused(503, "the broker is still starting")
        return self.backend

    async def _leave(self, backend: Backend) -> None:
        if self.plan.real is not None and self.plan.keep is None and self._created:
            with suppress(BrokerRefused):
                await backend.delete(self.user_id)

    def _name_of(self, cal_user_id: int) -> str | None:
        user = None if self.sandbox is None else self.sandbox.user(cal_user_id)
        return None if user is None else user.name

    def _first(self) -> list[Any]:
        return [] if self.sandbox is None else list(self.sandbox.journal)


def _beside(ports: Ports) -> Broker:
    """The broker of the same run."""
    internal_url = f"http://{HOST}:{ports.internal}"
    return Broker(f"http://{HOST}:{ports.public}", internal_url, internal_url)
