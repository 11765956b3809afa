"""A shelf for what the audit writes, and exchanges to keep there."""

import asyncio

from service.adapters.vault import FingerprintRing
from service.broker.asking import Asking
from service.broker.errors import Invalid
from tests.support.cached import ANNA

RING = FingerprintRing([("f1", b"f" * 32), ("f0", b"0" * 32)])
TOKEN, AGENT = "hush.access-token.of-a-user", "Browser/1.0 (hush)"
HOME = "203.0.113.7"


class Shelf:
    """Keeps the last form of each row; it can be down, slow behind a gate, or refuse a user's."""

    def __init__(self):
        self.rows = {}
        self.writes = 0
        self.fails = self.refuses = None
        self.open, self.asked = asyncio.Event(), asyncio.Event()
        self.open.set()

    async def write(self, recorded):
        self.asked.set()
        await self.open.wait()
        if self.fails is not None:
            raise self.fails
        if self.refuses in [one.key for one in recorded]:
            raise Invalid
        self.writes += 1
        self.rows |= {one.id: one for one in recorded}

    def events(self):
        return [one.event for one in self.rows.values()]

    def counts(self):
        return sorted(event.count for event in self.events())


def asking(*, key=ANNA, token=TOKEN, **changes):
    who = {"request_id": "r-1", "address": HOME, "agent": AGENT, "origin": "https://app.example.com"}
    return Asking(**{**who, "key": key, "fingerprint": RING.of(token)[0], "presented": 6, **changes})


def exchange(audit, outcome="ok", times=1, **changes):
    for _ in range(times):
        audit.exchanged(asking(**changes), "token.exchanged", outcome)
