"""A client's turn upstream: its circuit, its budget, and what an answer says about the client as a whole.

One place for both doors and for every call that is not a claim's own.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from service.broker.circuits import Circuits
from service.broker.errors import BrokerError, Conflict, GrantDead, Invalid, UpstreamUnavailable
from service.broker.model import Denial, Denied, Unavailable
from service.broker.policy import Terms
from service.broker.ports import Ports

_TRY_AGAIN_S = 5.0


class Calls:
    """Lets calls through and hears what their answers mean for the client's other users."""

    def __init__(self, ports: Ports, terms: Terms, circuits: Circuits) -> None:
        self._ports = ports
        self._terms = terms
        self._circuits = circuits
        self._rests_until: dict[str, datetime] = {}

    async def turn(self, client: str) -> None:
        """Wait for the client's turn; raises UpstreamUnavailable when it does not come in time."""
        await self._circuits.require(client)
        wait_s = (self._terms.claim_deadline - self._terms.upstream_timeout).total_seconds()
        if not await self._ports.budget.take(client, wait_s):
            raise UpstreamUnavailable(
                "The client's budget of upstream calls is used up for now.", retry_after_s=wait_s
            )

    async def may_go_ahead(self, client: str) -> bool:
        """Whether work ahead of time may call now: no circuit open, and upstream asked for no rest."""
        rests_until = self._rests_until.get(client)
        rested = rests_until is None or self._ports.clock() >= rests_until
        return rested and await self._circuits.allows(client)

    async def heard(self, client: str, outcome: object) -> bool:
        """Act on what an answer says of the client as a whole; True when it was about the client."""
        if isinstance(outcome, Unavailable) and outcome.retry_after_s is not None:
            rest = timedelta(seconds=outcome.retry_after_s)
            self._rests_until[client] = self._ports.clock() + rest
            await self._ports.budget.pause(client, outcome.retry_after_s)
            return True
        if isinstance(outcome, Denied) and outcome.code is Denial.CLIENT_FAULT:
            self._circuits.open(client, outcome.detail or outcome.code)
            return True
        return False

    async def failure(self, client: str, outcome: object) -> BrokerError:
        """Return what a caller is told about an answer that is not the one asked for."""
        await self.heard(client, outcome)
        match outcome:
            case Denied(Denial.USER_GONE):
                return GrantDead("Upstream has no such user of this OAuth client any more.")
            case Denied(Denial.EXISTS):
                return Conflict("Upstream has another user with this e-mail address.")
            case Denied(Denial.INVALID, detail):
                fields = dict.fromkeys(filter(None, detail.split(",")), "was refused by upstream")
                return Invalid("Upstream refused the user's details.", fields=fields)
            case Denied(Denial.CLIENT_FAULT):
                return UpstreamUnavailable(
                    "Upstream refuses this OAuth client itself: an operator must mend its configuration.",
                    retry_after_s=_TRY_AGAIN_S,
                )
            case Unavailable(_, retry_after_s):
                return UpstreamUnavailable(retry_after_s=retry_after_s or _TRY_AGAIN_S)
        return UpstreamUnavailable(
            "Upstream gave no usable answer; the change may or may not have been carried out.",
            retry_after_s=_TRY_AGAIN_S,
        )
