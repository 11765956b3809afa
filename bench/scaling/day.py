"""A day of a million users against a rate budget, event by event, with the product's own decisions.

What a request gets, when a pair is due, what the worker does with it, when a new pair ends and what the
budget lets through are the broker's own functions. Written anew is only what they act on: time, users, an
upstream that always answers. A run is the same each time: all chance comes from one seed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from bench.scaling.activity import DAY_S, visits
from bench.scaling.counts import Counts
from bench.scaling.world import MIDNIGHT, Held, Request, World
from service.adapters.bucket import Bucket
from service.adapters.budget import capacity_of
from service.broker.model import Marks, Trigger
from service.broker.policy import (
    Asked,
    Decision,
    Due,
    Presented,
    Terms,
    on_read,
    trigger_when_due,
    when_due,
    worth_trying,
)
from worker.jobs import MOST_AT_A_SWEEP
from worker.main import tick_s

_AT_ONCE, _REST_S = 96, 1.0
"""As many calls as a sweep has under way; how long the worker rests when the budget has no more to spare."""
_UPSTREAM_S = 0.3
"""An assumption: upstream's answer takes so long."""
_TRIES = 4
"""A request that is sent away for want of budget comes back when it was told to, in all so often."""
_MARKS = Marks()


@dataclass(frozen=True, slots=True)
class Scene:
    """One day's terms."""

    users: int = 1_000_000
    seen: float = 0.10
    rate_a_minute: float = 450.0
    warm_up_s: float = 6 * 3600.0
    lasts_s: float = DAY_S
    seed: int = 1


class Day:
    """The broker on one day of one OAuth client."""

    def __init__(self, scene: Scene, terms: Terms | None = None) -> None:
        """Begin some hours before midnight, so that the day begins as one that follows another."""
        self._scene, self._terms = scene, terms or Terms()
        self._roll = random.Random(scene.seed)  # noqa: S311 - a simulation
        self._world = World(-scene.warm_up_s, scene.lasts_s, self._terms, self._roll)
        rate_s = scene.rate_a_minute / 60
        self._bucket = Bucket(rate_s, capacity_of(rate_s))
        self._longest_s = (self._terms.claim_deadline - self._terms.upstream_timeout).total_seconds()
        self._tick_s = tick_s(self._terms.access_token_lifetime)
        self._sweeps_until_s = -scene.warm_up_s
        self._counts = Counts()

    def run(self) -> dict[str, object]:
        """Live through it and return its figures."""
        scene, world = self._scene, self._world
        for midnight_s in (-DAY_S, 0.0):
            for visit in visits(scene.users, scene.seen, midnight_s, self._roll):
                if visit.begins_s >= -scene.warm_up_s:
                    world.at(visit.begins_s, partial(self._ask, Request(visit, visit.begins_s)))
        world.keep_idle_alive(scene.users)
        world.at(world.now_s, self._tick)
        world.run()
        return self._counts.figures(scene.lasts_s)

    @property
    def _clock_s(self) -> float:
        """The budget's clock, which like any monotonic one is not negative."""
        return self._world.now_s + self._scene.warm_up_s

    @property
    def _counted(self) -> bool:
        return self._world.now_s >= 0

    def _ask(self, request: Request) -> None:
        """Decide for a request as the broker does."""
        held = self._world.held_of(request.visit.user)
        current, asked = held.grant.current(), Asked(_shown(request, held))
        match on_read(current, _MARKS, asked, self._world.now, self._terms):
            case Decision.SERVE:
                self._give(request, held)
            case Decision.SERVE_AND_REFRESH:
                self._give(request, held)
                self._kick(held)
            case Decision.MUST_REFRESH if held.waiting is not None:
                held.waiting.append(request)
            case Decision.MUST_REFRESH:
                self._rotate_for(request, held)
            case decision:
                raise LookupError(f"Nobody complains of a token on this day, and yet: {decision}.")

    def _rotate_for(self, request: Request, held: Held) -> None:
        """Take the client's turn; without one the request is sent away and comes back later."""
        wait_s = self._bucket.take(self._clock_s, self._longest_s)
        if wait_s is not None:
            self._fly(held, Trigger.REQUEST, wait_s + _UPSTREAM_S, [request])
            return
        last = request.tries == _TRIES
        if self._counted:
            self._counts.refused(last=last)
        if not last:
            request.tries += 1
            self._world.at(self._world.now_s + self._longest_s, partial(self._ask, request))

    def _give(self, request: Request, held: Held) -> None:
        """Hand the token out, note that it was, and have an open page come back shortly before it ends."""
        world, visit = self._world, request.visit
        if self._counted:
            self._counts.served(world.now_s - request.asked_s, presented=request.holds is not None)
        world.note_use(held)
        asks_at = held.grant.pair.expires_at - self._terms.refresh_margin / 2
        asks_s = max((asks_at - MIDNIGHT).total_seconds(), world.now_s)
        if asks_s < visit.ends_s:
            again = Request(visit, asks_s, holds=held.grant.generation)
            world.at(asks_s, partial(self._ask, again))

    def _kick(self, held: Held) -> None:
        """Refresh behind the caller's back, if the budget has a call to spare."""
        idle = held.waiting is None and worth_trying(held.grant, self._world.now)
        if idle and self._bucket.take_ahead(self._clock_s, 1):
            self._fly(held, Trigger.AHEAD, _UPSTREAM_S, [])

    def _tick(self) -> None:
        """Sweep, unless the sweep before is at work still."""
        world = self._world
        world.at(world.now_s + self._tick_s, self._tick)
        if world.now_s >= self._sweeps_until_s:
            self._sweep()

    def _sweep(self) -> None:
        """Take what is due, batch after batch, no more than the budget has to spare.

        When it ends for want of budget the next one does not wait for a tick.
        """
        world, claimed = self._world, 0
        while True:
            in_hand = self._bucket.take_ahead(self._clock_s, MOST_AT_A_SWEEP)
            batch = self._claim_due(in_hand)
            self._bucket.give_back(self._clock_s, in_hand - len(batch))
            for place, held in enumerate(batch, start=claimed):
                self._work(held, _UPSTREAM_S * (1 + place // _AT_ONCE))
            claimed += len(batch)
            if len(batch) < MOST_AT_A_SWEEP:
                break
        if claimed and len(batch) == in_hand:
            self._sweeps_until_s = max(self._sweeps_until_s, world.now_s) + _REST_S
            world.at(self._sweeps_until_s, self._sweep)

    def _claim_due(self, most: int) -> list[Held]:
        """Return what is due, most urgent first."""
        claimed: list[Held] = []
        while len(claimed) < most and (found := self._world.next_due()) is not None:
            held, late = found
            if self._counted:
                ended = self._world.now >= held.grant.pair.expires_at
                idle = held.grant.first_used_at is None
                self._counts.claimed(late.total_seconds(), ended=ended and not idle)
            claimed.append(held)
        return claimed

    def _work(self, held: Held, takes_s: float) -> None:
        """Do for a due grant what the worker does."""
        world = self._world
        if when_due(held.grant, world.now, self._terms, retaken=False) is Due.ROTATE:
            trigger = trigger_when_due(held.grant, world.now, retaken=False)
            self._fly(held, trigger, takes_s, [])
            self._sweeps_until_s = max(self._sweeps_until_s, world.now_s + takes_s)
        else:
            self._bucket.give_back(self._clock_s, 1)
            world.have_due(held)

    def _fly(self, held: Held, trigger: Trigger, takes_s: float, waiting: list[Request]) -> None:
        """Ask upstream for a new pair; the answer is there after so long."""
        held.waiting = waiting
        if self._counted:
            self._counts.called(self._world.now_s, trigger)
        self._world.at(self._world.now_s + takes_s, partial(self._settle, held, trigger))

    def _settle(self, held: Held, trigger: Trigger) -> None:
        """Store the new pair and answer those who have waited."""
        waited, held.waiting = held.waiting or [], None
        sent_at = self._world.now - timedelta(seconds=_UPSTREAM_S)
        self._world.replace(held, used=trigger is Trigger.REQUEST, sent_at=sent_at)
        for request in waited:
            self._give(request, held)


def _shown(request: Request, held: Held) -> Presented:
    if request.holds is None:
        return Presented.NOTHING
    return Presented.CURRENT if request.holds == held.grant.generation else Presented.SUPERSEDED
