"""Sends the notices that wait to their receiver, again and again, each user's in their order.

A receiver that is away is tried with one notice at a time, ever more seldom; what waited goes out at once
when it is back. A notice that is refused alone holds up its own user's, and is given up in the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from service.broker.errors import BrokerError
from service.broker.flights import TimeLeft
from service.broker.model import UserKey
from service.broker.model.notice import Notice, NoticeOutcome, NotReceived, Receipt, Received
from service.broker.ports.notices import NoticeStore, Receiver
from service.broker.ports.world import Clock, Observer, Roll

AT_ONCE = 10
AWAY_AFTER = 5
"""After so many rounds in a row in which nothing was received the receiver itself is taken to be away."""
FIRST_AGAIN = timedelta(seconds=1)
LONGEST_AGAIN = timedelta(hours=1)
"""How seldom one notice is tried while others are received."""
LONGEST_REST = timedelta(seconds=30)
"""How seldom a receiver that is away is tried."""
LONGEST_ASKED_REST = timedelta(hours=1)
DEPENDENCY = "webhook"


@dataclass(frozen=True, slots=True)
class DeliveryTerms:
    """Which types are sent, how long one claim holds, and after how long a notice is given up."""

    types: tuple[str, ...]
    hold: timedelta
    give_up: timedelta


def again_after(failures: int, roll: float, longest: timedelta = LONGEST_AGAIN) -> timedelta:
    """Return how long to wait after so many failures in a row, a quarter more or less."""
    doubled = FIRST_AGAIN * (1 << min(max(failures, 1) - 1, 20))
    return min(doubled, longest) * (0.75 + roll / 2)


class Deliveries:
    """Sends what waits, from one process; several do not get into each other's way."""

    def __init__(
        self,
        store: NoticeStore,
        receiver: Receiver,
        terms: DeliveryTerms,
        owner: str,
        clock: Clock,
        roll: Roll,
        observer: Observer,
    ) -> None:
        self._store = store
        self._receiver = receiver
        self._terms = terms
        self._owner = owner
        self._clock = clock
        self._roll = roll
        self._observer = observer
        self._failures = 0
        self._rests_until: datetime | None = None
        self._ending = False
        self._sending: set[asyncio.Task[Receipt]] = set()

    async def run(self) -> int:
        """Send what is due until nothing is, or the receiver is to be left alone; returns how many it has."""
        delivered = 0
        while not self._ending and not self._rests():
            most = 1 if self._failures else AT_ONCE
            terms = self._terms
            notices = await self._store.claim(self._owner, terms.types, most, self._clock(), terms.hold)
            if not notices:
                break
            receipts = await asyncio.gather(*map(self._deliver, notices))
            delivered += sum(isinstance(receipt, Received) for receipt in receipts)
            await self._heed(receipts)
        return delivered

    async def drain(self, timeout_s: float) -> None:
        """Begin nothing more, and let what is being sent end; what has not by then is sent again later."""
        self._ending = True
        left_s = TimeLeft(timeout_s)
        while self._sending and left_s() > 0:
            await asyncio.wait(set(self._sending), timeout=left_s())

    def _rests(self) -> bool:
        return self._rests_until is not None and self._clock() < self._rests_until

    async def _deliver(self, notice: Notice) -> Receipt:
        sending = asyncio.ensure_future(self._send(notice))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)
        return await sending

    async def _send(self, notice: Notice) -> Receipt:
        """Send one, and write what came of it; what cannot be written is sent again after its claim."""
        started = asyncio.get_running_loop().time()
        receipt = await self._receiver.send(notice)
        seconds = asyncio.get_running_loop().time() - started
        try:
            if isinstance(receipt, Received):
                await self._store.settle(notice, NoticeOutcome.DELIVERED, self._clock(), None)
                self._note("webhook.delivered", notice, seconds=seconds)
            else:
                await self._failed(notice, receipt, seconds)
        except BrokerError as error:
            self._note("webhook.unsettled", notice, reason=error.code)
        return receipt

    async def _failed(self, notice: Notice, receipt: NotReceived, seconds: float) -> None:
        now = self._clock()
        if now - notice.since >= self._terms.give_up:
            await self._store.settle(notice, NoticeOutcome.GIVEN_UP, now, receipt.reason)
            self._note("webhook.given_up", notice, reason=receipt.reason, seconds=seconds)
            return
        wait = max(again_after(notice.attempts, self._roll()), _asked(receipt))
        await self._store.put_off(notice, now + wait, receipt.reason)
        self._note("webhook.failed", notice, reason=receipt.reason, seconds=seconds)

    async def _heed(self, receipts: Sequence[Receipt]) -> None:
        """Take from these whether the receiver is there, and how long to leave it alone."""
        failed = [receipt for receipt in receipts if isinstance(receipt, NotReceived)]
        rest = max(map(_asked, failed), default=timedelta(0))
        if len(failed) < len(receipts):
            was_away, self._failures = self._failures >= AWAY_AFTER, 0
            self._rests_until = self._clock() + rest if rest else None
            if was_away:
                self._observer.note("dependency.up", dependency=DEPENDENCY)
                await self._store.hurry(self._clock())
            return
        self._failures += 1
        rest = max(rest, again_after(self._failures, self._roll(), LONGEST_REST))
        self._rests_until = self._clock() + rest
        if self._failures >= AWAY_AFTER:
            self._observer.note("dependency.down", dependency=DEPENDENCY, reason=failed[-1].reason)

    def _note(self, event: str, notice: Notice, **facts: Any) -> None:  # noqa: ANN401 - facts of the event
        key = UserKey(notice.client, notice.user_id) if notice.user_id else None
        named: dict[str, Any] = {} if key else {"client": notice.client}
        told = {"type": notice.type, "notice": str(notice.id), "attempt": notice.attempts}
        self._observer.note(event, key, **named, **told, **facts)


def _asked(receipt: NotReceived) -> timedelta:
    return min(timedelta(seconds=receipt.retry_after_s), LONGEST_ASKED_REST)
