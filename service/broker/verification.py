"""Asks upstream whether pairs that are to be taken over are worth it, within the budget that callers leave.

A refresh token can only be tried by spending it, so this asks about the access token while it lives, and
afterwards about its user.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta

from service.broker.calls import Calls
from service.broker.errors import BrokerError, GrantDead, Invalid, UpstreamUnavailable
from service.broker.model import Confirmed, Denial, Denied, Found
from service.broker.ports import NewGrant, Ports

MOST_IN_VAIN = 5
PATIENCE_S = 300.0
_AGAIN_S = 1.0
_ABOUT_TO_END = timedelta(seconds=5)

Answer = object


class Verification:
    """Asks upstream about pairs."""

    def __init__(self, ports: Ports, calls: Calls) -> None:
        self._ports = ports
        self._calls = calls
        self.patience_s = PATIENCE_S
        """How long it waits for a turn that never comes: a circuit that stays open, a budget used up."""
        self.again_s = _AGAIN_S
        """How long upstream is left alone when it gave no answer; twice as long each time."""

    async def refused(self, client: str, grants: Mapping[int, NewGrant]) -> dict[int, BrokerError]:
        """Return why some of these are not to be taken over; raises UpstreamUnavailable."""
        refused: dict[int, BrokerError] = {}
        waiting, vain = list(grants), 0
        while waiting:
            taken = await self._turns(client, len(waiting))
            asked, waiting = waiting[:taken], waiting[taken:]
            answers = await asyncio.gather(*(self._ask(grants[place]) for place in asked))
            again = []
            for place, answer in zip(asked, answers, strict=True):
                error = _refusal(answer)
                if error is not None:
                    refused[place] = error
                elif not isinstance(answer, Confirmed | Found):
                    await self._heard(client, answer)
                    again.append(place)
            waiting += again
            vain = vain + 1 if len(again) == len(asked) else 0
            if vain > MOST_IN_VAIN:
                raise UpstreamUnavailable("Upstream gave no usable answer.")
            if again:
                await asyncio.sleep(self.again_s * 2**vain)
        return refused

    async def _heard(self, client: str, answer: Answer) -> None:
        """Act on an answer that says nothing of the pair; one about the client is about all of them."""
        if isinstance(answer, Denied) and answer.code is Denial.CLIENT_FAULT:
            raise await self._calls.failure(client, answer)
        await self._calls.heard(client, answer)

    async def _turns(self, client: str, most: int) -> int:
        """Wait for up to so many calls; callers who wait for a token come first."""
        try:
            async with asyncio.timeout(self.patience_s):
                while True:
                    if await self._calls.may_go_ahead(client):
                        taken = await self._ports.budget.take_ahead(client, most)
                        if taken:
                            return taken
                    await asyncio.sleep(_AGAIN_S)
        except TimeoutError:
            raise UpstreamUnavailable("Upstream could not be asked.") from None

    async def _ask(self, grant: NewGrant) -> Answer:
        provider = self._ports.providers[grant.key.client]
        if grant.pair.expires_at - self._ports.clock() > _ABOUT_TO_END:
            return await provider.check(grant.pair.access_token)
        return await provider.read_user(grant.upstream_id)


def _refusal(answer: Answer) -> BrokerError | None:
    """Return what a definitive no means for the pair; None for any other answer."""
    match answer:
        case Denied(Denial.TOKEN_REFUSED):
            return Invalid(
                fields={"accessToken": "is refused upstream before its end: the pair was replaced elsewhere"}
            )
        case Denied(Denial.USER_GONE):
            return GrantDead("Upstream has no such user of this OAuth client.")
        case _:
            return None
