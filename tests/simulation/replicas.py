"""The broker's processes: each builds the real use cases over its own ports, as service/wiring.py does.

A replica outlives its processes: after a kill it starts anew, with another name in claims and nothing
remembered.
"""

from __future__ import annotations

import asyncio
import traceback
from contextlib import suppress
from contextvars import ContextVar
from datetime import timedelta

from service.broker.answers import Answers
from service.broker.calls import Calls
from service.broker.circuits import Circuits
from service.broker.confirmations import Confirmations
from service.broker.creation import Creation
from service.broker.errors import BrokerError
from service.broker.grants import Grants
from service.broker.policy import Terms
from service.broker.ports import Ports
from service.broker.refresh import Refresh
from service.broker.sweeps import Sweeps
from service.broker.users import Users
from tests.simulation.cache import Cache, RedisLine, Shelves
from tests.simulation.coordination import Budget, Fingerprints, Leases, Observer, Wakeups
from tests.simulation.storage import ClaimStore, GrantStore, Line, UserStore
from tests.simulation.tables import NOON
from tests.simulation.wire import Wire

CLIENT = "first-client"
_FLUSH_AFTER_S = 0.5
_DRAIN_S = 45.0
_SWEEP_AT_MOST = 500

CALL: ContextVar = ContextVar("call", default=None)
"""The record of the call that is being answered."""


class Gone(Exception):
    """The process ended before it answered."""


class Impatient(Exception):
    """The caller's patience ended first; what was begun goes on."""


class Replica:
    """One place where a process of the broker runs; `sweeping` for the worker."""

    def __init__(self, world, tables, stores, upstream, journal, number, *, sweeping):
        self._world = world
        self._tables = tables
        self._stores = stores
        self._upstream = upstream
        self._journal = journal
        self._sweeping = sweeping
        self.name = f"worker-{number}" if sweeping else f"service-{number}"
        self.started = 0
        self.start()

    def start(self):
        """Start a process: fresh use cases, a new name, and a clock of its own."""
        self.started += 1
        self.process = self._world.loop.process(f"{self.name}.{self.started}")
        self.waiting = []
        self.open = True
        self._flushing = False
        self.broker = self.process.context.run(self._build)
        self._world.say(f"{self.process} starts")
        if self._sweeping:
            self.run(self._sweep_always())

    def restore(self):
        """Have a process run here that answers: start one where there is none, let a stopped one go on."""
        if not self.process.alive:
            self.start()
        elif self.process.stopped:
            self._world.loop.resume(self.process)

    def kill(self):
        """End the process at once; who waits for an answer of it hears that the connection broke."""
        self._world.say(f"{self.process} KILLED")
        self.process.kill()
        self.open = False
        for answer in self.waiting:
            if not answer.done():
                answer.set_exception(Gone())
        self.waiting.clear()

    def retire(self):
        """End the process as SIGTERM does: flights end first, then another takes its place."""
        if self.open:
            self.open = False
            self._world.say(f"{self.process} retires")
            self.run(self._drain(self.process))

    def run(self, work):
        """Run something as a task of the process."""
        return self._world.loop.create_task(work, context=self.process.context.copy())

    def budget_paused_until(self):
        """Return until when (loop time) upstream has told this process's client to wait."""
        return max(self.budget._bucket(CLIENT)._paused_until, self.budget._alone[CLIENT]._paused_until)

    async def ask(self, record, use):
        """Have a use case of the process answer, for somebody outside; raises Gone."""
        if not self.open:
            raise Gone
        answer = self._world.loop.create_future()
        self.waiting = [one for one in self.waiting if not one.done()]
        self.waiting.append(answer)
        context = self.process.context.copy()
        context.run(CALL.set, record)
        self._world.loop.create_task(self._answer(record, use, answer), context=context)
        return await answer

    async def _answer(self, record, use, answer):
        patience = self._world.loop.call_later(record.patience_s, asyncio.current_task().cancel)
        try:
            outcome = await use(self.broker)
        except asyncio.CancelledError:
            outcome = Impatient()
        except BrokerError as error:
            outcome = error.with_traceback(None)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            self._world.say("fails: {}", "".join(traceback.format_exception(error)))
            outcome = error.with_traceback(None)
        finally:
            patience.cancel()
        self._flush_later()
        if not answer.done():
            answer.set_result(outcome)

    def _flush_later(self):
        if not self._flushing and self.broker.answers.uses._pending:
            self._flushing = True
            self.run(self._flush(self.broker))

    async def _flush(self, broker):
        await self._world.spend(_FLUSH_AFTER_S)
        self._flushing = False
        with suppress(BrokerError):
            await broker.answers.uses.flush()

    async def _drain(self, process):
        broker = self.broker
        for room in (broker.refresh, broker.confirmations, broker.creation):
            await room.drain(_DRAIN_S)
        with suppress(BrokerError):
            await broker.answers.uses.flush()
        if self.process is process:
            self.kill()
            self._world.later(0.5, self.restore)

    async def _sweep_always(self):
        broker = self.broker
        while True:
            await self._world.spend(self._world.profile.tick_s)
            if self._world.likely(self._world.profile.delivered_twice):
                self._world.troubles["tick delivered twice"] += 1
                self.run(self._sweep(broker))
            await self._sweep(broker)

    async def _sweep(self, broker):
        if self.open:
            with suppress(BrokerError):
                await broker.sweeps.sweep(CLIENT, _SWEEP_AT_MOST)

    def _build(self):
        world, profile = self._world, self._world.profile
        clock = _clock(world, world.between(-profile.clock_error_s, profile.clock_error_s))
        redis, storage, fingerprints = RedisLine(world), Line(world), Fingerprints()
        observer = Observer(world, self._journal.counts, _decided(world, clock))
        owner = self.process.name
        self.budget = Budget(redis, observer, {CLIENT: profile.rate_per_min / 60})
        ports = Ports(
            claims=ClaimStore(storage, self._stores.claims, fingerprints),
            grants=GrantStore(storage, self._stores.grants),
            users=UserStore(storage, self._stores.users, fingerprints),
            events=None,
            providers={CLIENT: Wire(world, self._upstream, self._journal.exchanges, owner, self.process)},
            cache=Cache(redis, Shelves(world, clock, self._journal.note_cached), clock, self._journal),
            leases=Leases(redis),
            wakeups=Wakeups(redis),
            budget=self.budget,
            fingerprints=fingerprints,
            observer=observer,
            clock=clock,
            roll=world.random,
            owner=owner,
        )
        return UseCases(ports, terms_of(profile))


class UseCases:
    """The use cases of one process."""

    def __init__(self, ports, terms):
        calls = Calls(ports, terms, Circuits(ports.providers, ports.observer, ports.clock))
        self.refresh = Refresh(ports, terms, calls)
        self.confirmations = Confirmations(ports)
        self.grants = Grants(ports, terms, self.refresh)
        self.creation = Creation(ports, terms, calls)
        self.answers = Answers(ports, terms, self.refresh, self.confirmations, self.grants)
        self.users = Users(ports, terms, calls, self.creation, self.grants)
        self.sweeps = Sweeps(ports, terms, self.refresh, self.confirmations, calls)


def terms_of(profile):
    """Return the broker's own durations, but for what the schedule varies."""
    return Terms(
        access_token_lifetime=timedelta(seconds=profile.lifetime_s),
        ahead_all=profile.ahead_all,
        user_rotations_per_s=profile.user_rotations_per_s,
    )


def _clock(world, error_s):
    """Return a process's measure of the database's clock."""
    started, loop = NOON + timedelta(seconds=error_s), world.loop
    read_at, then = 0.0, started

    def now():
        nonlocal read_at, then
        if loop.now != read_at:
            read_at, then = loop.now, started + timedelta(seconds=loop.now)
        return then

    return now


def _decided(world, clock):
    def decided():
        record = CALL.get()
        if record is not None:
            record.decided_at = world.loop.now
            record.decided_by_clock = clock()
            record.clock_error_s = (record.decided_by_clock - NOON).total_seconds() - world.loop.now

    return decided
