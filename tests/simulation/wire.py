"""The way to upstream and back, as one process's Provider: slow, lossy, and sometimes late or doubled.

A call's caller gives up after the broker's own time-out; what is sent may still be carried out. Every call
is written into the journal when it is sent, when upstream carries it out, and when its answer arrives.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from service.broker.model import HELD_BACK, Denial, Denied, MintedPair, Rotated, Stated, Unavailable, Unknown
from tests.simulation.profile import UPSTREAM_TIMEOUT_S
from tests.simulation.world import _wake

ROTATING = frozenset({"refresh", "recover"})
_READS = frozenset({"check", "probe", "find", "read"})
_SENDING_WEIGHS = 4
_CONNECTING_S = 0.05


@dataclass(slots=True)
class Exchange:
    """One call: `shown` is the token or the user it is about."""

    call: str
    shown: str
    owner: str
    sent_at: float
    done_at: float | None = None
    answered_at: float | None = None
    outcome: object = None


class Wire:
    """One process's Provider."""

    def __init__(self, world, upstream, journal, owner, process):
        self.recovers = world.profile.recovers
        self._world = world
        self._upstream = upstream
        self._journal = journal
        self._owner = owner
        self._process = process

    async def refresh(self, refresh_token, *, may_send=None):
        return await self._rotate("refresh", refresh_token, self._upstream.refresh, may_send)

    async def recover(self, upstream_id, *, may_send=None):
        return await self._rotate("recover", upstream_id, self._upstream.recover, may_send)

    async def check(self, access_token):
        return await self._call("check", access_token, self._upstream.check)

    async def probe(self):
        return await self._call("probe", "", lambda _: self._upstream.probe())

    def describe(self, access_token):
        return Stated()

    async def create_user(self, profile):
        return await self._call("create", profile.email, self._upstream.create)

    async def find_users(self, email):
        return await self._call("find", email, self._upstream.find)

    async def read_user(self, upstream_id):
        return await self._call("read", upstream_id, self._upstream.read)

    async def delete_user(self, upstream_id):
        return await self._call("delete", upstream_id, self._upstream.delete)

    async def _rotate(self, call, shown, carry_out, may_send):
        """Connect, during which the process may be stopped, ask once more, and send."""
        self._world.strike(_SENDING_WEIGHS)
        await self._world.spend(self._world.between(0.0, _CONNECTING_S))
        await self._world.alive()
        if may_send is not None and not may_send():
            self._world.say("keeps back {} {}", call, shown)
            return HELD_BACK
        return await self._call(call, shown, carry_out)

    async def _call(self, call, shown, carry_out):
        world = self._world
        exchange = Exchange(call, shown, self._owner, world.loop.now)
        self._journal.append(exchange)
        world.say("sends {} {}", call, shown)
        world.strike(_SENDING_WEIGHS)
        fate = self._fate(call)
        world.troubles[fate] += 1
        outcome = await getattr(self, f"_{fate}")(exchange, partial(self._carry_out, exchange, carry_out))
        await world.alive()
        exchange.answered_at, exchange.outcome = world.loop.now, outcome
        world.say("hears of {} {}: {}", call, shown, outcome)
        world.strike(_SENDING_WEIGHS)
        await world.alive()
        return outcome

    def _fate(self, call):
        """Draw what becomes of a call; a read that has no effect cannot be late or doubled."""
        world, chances = self._world, self._world.profile.upstream
        if world.calm:
            return "well"
        if world.upstream_down:
            return "vanished" if world.random() < 0.5 else "not_sent"
        chance = world.random()
        if call == "recover":
            chance -= chances.recover_late
            if chance < 0:
                return "late"
        for fate in ("lost", "late", "vanished", "not_sent", "throttled", "doubled", "slow"):
            chance -= getattr(chances, fate)
            if chance < 0:
                return "lost" if (fate, call) == ("doubled", "create") else fate
        return "well"

    def _carry_out(self, exchange, carry_out):
        world = self._world
        if world.client_refused:
            return Denied(Denial.CLIENT_FAULT, "the client secret is wrong")
        exchange.done_at = world.loop.now
        outcome = carry_out(exchange.shown)
        world.say("upstream has done {} {} of {}: {}", exchange.call, exchange.shown, exchange.owner, outcome)
        return outcome

    async def _well(self, exchange, carry_out):
        there, back = self._world.between(0.02, 0.3), self._world.between(0.02, 0.3)
        return await self._answered(exchange, carry_out, there, back)

    async def _slow(self, exchange, carry_out):
        there = self._world.between(0.0, UPSTREAM_TIMEOUT_S)
        return await self._answered(exchange, carry_out, there, self._world.between(0.0, UPSTREAM_TIMEOUT_S))

    async def _doubled(self, exchange, carry_out):
        """Either answer arrives; of a force-refresh the second, which is the one whose pair is alive."""
        if exchange.call != "recover" and self._world.random() < 0.5:
            self._world.later(self._world.between(0.3, self._world.profile.zombie_s), carry_out)
            return await self._well(exchange, carry_out)
        self._world.later(self._world.between(0.0, 0.3), carry_out)
        return await self._answered(exchange, carry_out, 0.3, self._world.between(0.02, 1.0))

    async def _lost(self, exchange, carry_out):
        """Carried out, and what comes back is nothing, or another user's pair."""
        self._world.later(self._world.between(0.02, 0.3), carry_out)
        await self._world.spend(self._world.between(0.3, UPSTREAM_TIMEOUT_S))
        if exchange.call in ROTATING and self._world.random() < 0.2:
            return Rotated(MintedPair("a0.foreign", "r0.foreign", Stated(owner_id="foreign")))
        return self._no_answer(exchange)

    async def _late(self, exchange, carry_out):
        """Carried out after the caller has given up, and at most so much later."""
        zombie_s = self._world.between(0.0, self._world.profile.zombie_s)
        given_up_s = UPSTREAM_TIMEOUT_S if self._world.random() < 0.5 else self._world.between(0.1, 5.0)
        self._world.later(given_up_s + zombie_s, carry_out)
        await self._world.spend(given_up_s)
        return self._no_answer(exchange)

    async def _vanished(self, exchange, carry_out):
        await self._world.spend(self._world.between(0.1, UPSTREAM_TIMEOUT_S))
        return self._no_answer(exchange)

    async def _not_sent(self, exchange, carry_out):
        await self._world.spend(self._world.between(0.0, 2.0))
        return Unavailable("not sent: ClientConnectorError")

    async def _throttled(self, exchange, carry_out):
        await self._world.spend(0.05)
        return Unavailable("upstream says too many requests", float(int(self._world.between(1, 30))))

    def _no_answer(self, exchange):
        if exchange.call in _READS:
            return Unavailable("answer lost")
        return Unknown("answer lost")

    async def _answered(self, exchange, carry_out, there_s, back_s):
        """Have it carried out and wait for the answer, no longer than the time-out."""
        world = self._world
        answer = world.loop.create_future()

        def arrive():
            world.later(back_s, self._deliver, answer, carry_out(), exchange)

        world.later(there_s, arrive)
        timer = world.loop.call_later(UPSTREAM_TIMEOUT_S, _wake, answer)
        try:
            outcome = await answer
        finally:
            timer.cancel()
        return self._no_answer(exchange) if outcome is None else outcome

    def _deliver(self, answer, outcome, exchange):
        """An answer that meets its caller stopped past the time-out is read or not, as chance has it."""
        if answer.done():
            return
        late = self._world.loop.now >= exchange.sent_at + UPSTREAM_TIMEOUT_S
        if self._process.stopped and (late or self._world.random() < 0.5):
            return
        answer.set_result(outcome)
