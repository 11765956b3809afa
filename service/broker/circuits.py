"""A client's faults are not its users' faults: while upstream refuses a client, no grant of it is touched.

A circuit opens on the first such answer and closes when a probe with the client's credentials is accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from service.broker.errors import UpstreamUnavailable
from service.broker.model import Confirmed, Denial, Denied
from service.broker.ports import Clock, Observer, Provider

_PROBE_EVERY = timedelta(seconds=10)


@dataclass(slots=True)
class _Open:
    reason: str
    probe_at: datetime


class Circuits:
    """One circuit a client, for this process."""

    def __init__(self, providers: dict[str, Provider], observer: Observer, clock: Clock) -> None:
        self._providers = providers
        self._observer = observer
        self._clock = clock
        self._open: dict[str, _Open] = {}

    def open(self, client: str, reason: str) -> None:
        """Let no call of this client through until a probe is accepted."""
        if client not in self._open:
            self._observer.note("circuit.opened", client=client, reason=reason)
        self._open[client] = _Open(reason, self._clock() + _PROBE_EVERY)

    def why_open(self, client: str) -> str | None:
        """Return why the client's circuit is open in this process, None when it is closed."""
        circuit = self._open.get(client)
        return None if circuit is None else circuit.reason

    async def allows(self, client: str) -> bool:
        """Whether calls may be made; probes upstream, at most every 10 s, while they may not."""
        circuit = self._open.get(client)
        if circuit is None:
            return True
        if self._clock() < circuit.probe_at:
            return False
        circuit.probe_at = self._clock() + _PROBE_EVERY
        outcome = await self._providers[client].probe()
        if isinstance(outcome, Confirmed):
            if self._open.pop(client, None) is not None:
                self._observer.note("circuit.closed", client=client, reason=circuit.reason)
            return True
        if isinstance(outcome, Denied) and outcome.code is Denial.CLIENT_FAULT:
            circuit.reason = outcome.detail or circuit.reason
        return False

    def standing(self) -> dict[str, str]:
        """Return the clients whose circuit is open in this process, each with the reason."""
        return {client: circuit.reason for client, circuit in self._open.items()}

    async def require(self, client: str) -> None:
        """Raise UpstreamUnavailable while the client's circuit is open."""
        if not await self.allows(client):
            raise UpstreamUnavailable(
                "Upstream refuses this OAuth client itself (its secret, id or platform status): "
                "an operator must mend its configuration. No user's grant was touched.",
                retry_after_s=_PROBE_EVERY.total_seconds(),
            )
