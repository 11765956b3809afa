"""Everything of a run, started and ended in order: stores, stand-in, processes, clients.

Runs in the main thread and never waits without looking after its children: `wait` ticks.
"""

from __future__ import annotations

import heapq
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path

import orjson

from sandbox.embedded import servers
from tests.chaos import dumps
from tests.chaos import folder as names
from tests.chaos.fleet import Replica, State, spawn
from tests.chaos.setup import environment, set_up
from tests.chaos.switches import Switches

_STORES = {
    "postgres_options": {"fsync": "off", "full_page_writes": "off"},
    "valkey_options": {"appendonly": "no"},
}
_UP_WITHIN_S = 60.0
_GRACE_S = 11.0
_TICK_S = 0.02


class Failed(Exception):
    """A run that could not be carried out; the message says why."""


class World:
    """A run under way; `blows` is where what is done to it is written down."""

    def __init__(self, plan, folder, stores, run):
        self.plan = plan
        self.folder = folder
        self.stores = stores
        self.run = run
        self.blows = names.Lines(folder / names.BLOWS)
        self.switches = Switches(run["upstream_port"])
        self.clients = None
        self._upstream = None
        self.replicas = {name: self._replica(name) for name in run["replicas"]}
        self.emptied_at = time.monotonic()
        self._later = []
        self._numbers = count()
        self._dark_since_ms = None

    def _replica(self, name):
        return Replica(
            name,
            environment(self.plan, self.run, name),
            self.run["replicas"][name],
            self.folder / names.OUTPUT / f"{name}.log",
            dict(self.plan.chaos.get(name, {})),
        )

    def note(self, what, **facts):
        """Write down what was done."""
        self.blows.add(at_ms=names.now_ms(), what=what, **facts)

    def later(self, after_s: float, act: Callable[[], None]):
        """Have something done in so many seconds."""
        heapq.heappush(self._later, (time.monotonic() + after_s, next(self._numbers), act))

    def wait(self, seconds: float, until: Callable[[], bool] = lambda: False):
        """Let so much time pass, less when `until` becomes true; returns whether it has."""
        ends_at = time.monotonic() + seconds
        while not until():
            if time.monotonic() >= ends_at:
                return False
            self.tick()
            time.sleep(_TICK_S)
        return True

    def tick(self):
        """Do what is due, and look after every child."""
        while self._later and self._later[0][0] <= time.monotonic():
            heapq.heappop(self._later)[2]()
        for replica in self.replicas.values():
            before = replica.state
            code = replica.look()
            if code is not None:
                self._ended(replica, before, code)
        if self.clients is not None and self.clients.poll() not in {None, 0}:
            raise Failed(f"The clients ended with {self.clients.poll()}: {self._said('clients')}")
        self._watch_the_dark()

    def _ended(self, replica, before, code):
        if before is not State.ENDING or code != 0:
            self.note("ended_by_itself", who=replica.name, code=code, state=before.value)
        replica.start()

    def end_gently(self, replica):
        """Ask a process to end, and kill it when its grace is over; it is started again."""
        replica.ask_to_end()

        def out_of_grace():
            if replica.state is State.ENDING and replica.ending_for_s() >= _GRACE_S:
                self.note("ended_by_itself", who=replica.name, code=None, state="out_of_grace")
                replica.kill()
                replica.start()

        self.later(_GRACE_S, out_of_grace)

    def _watch_the_dark(self):
        """Write down intervals in which we ourselves have taken everything away."""
        served = any(one.serves and one.state is State.UP for one in self.replicas.values())
        stored = self.stores.postgres.running or self.stores.valkey.running
        dark = not (served and stored)
        if dark and self._dark_since_ms is None:
            self._dark_since_ms = names.now_ms()
        elif not dark and self._dark_since_ms is not None:
            self.blows.add(what="dark", from_ms=self._dark_since_ms, to_ms=names.now_ms())
            self._dark_since_ms = None

    def all_up(self):
        """Whether nothing is taken away."""
        stores = self.stores.postgres.running and self.stores.valkey.running
        return stores and all(one.state is State.UP for one in self.replicas.values())

    def start(self):
        """Start everything, and have the users made."""
        environ = {"PATH": os.environ["PATH"]}
        log = self.folder / names.OUTPUT
        self._upstream = spawn("tests.chaos.upstream", [str(self.folder)], environ, log / "upstream.log")
        if not self.wait(_UP_WITHIN_S, self.switches.answers):
            raise Failed(f"The stand-in does not answer: {self._said('upstream')}")
        for replica in self.replicas.values():
            replica.start()
        if not self.wait(_UP_WITHIN_S, self.all_up):
            raise Failed(f"Not every process has come up: {[one.state for one in self.replicas.values()]}")
        self.clients = spawn(
            "tests.chaos.clients", [str(self.folder)], environ, log / "clients.log", stdin=subprocess.PIPE
        )
        if not self.wait(_UP_WITHIN_S, lambda: "ready" in self._said("clients")):
            raise Failed(f"The users were not made: {self._said('clients')}")

    def calm(self):
        """End every fault, and have everybody served; what was to land late has landed afterwards."""
        self.switches.all_off()
        self._later.clear()
        for replica in self.replicas.values():
            replica.go_on()
        self.stores.postgres.start()
        self.stores.valkey.start()
        if not self.wait(_UP_WITHIN_S, self.all_up):
            self.note(
                "never_up", who=[name for name, one in self.replicas.items() if one.state is not State.UP]
            )
        self.note("calm")
        self.clients.stdin.close()
        if not self.wait(_UP_WITHIN_S, lambda: self.clients.poll() is not None):
            raise Failed("The clients do not end.")

    def scrape(self):
        """Write down what the metrics of all that are up say."""
        for replica in self.replicas.values():
            if replica.state is State.UP:
                with suppress(OSError):
                    dumps.dump_metrics(replica.ports, self.folder)

    def finish(self):
        """Write down what both stores and every process hold, and end the processes."""
        self.scrape()
        dumps.dump_redis(self.stores.valkey.url, self.folder)
        for replica in self.replicas.values():
            code = replica.end(_GRACE_S)
            if code != 0:
                self.note("ended_by_itself", who=replica.name, code=code, state="end")
        dumps.dump_rows(self.stores.postgres.url, self.folder)
        dumps.dump_database(self.stores.postgres.url, self.folder)
        self._upstream.send_signal(signal.SIGTERM)
        self._upstream.wait(10)

    def kill_all(self):
        """Leave nothing behind."""
        for child in (self.clients, self._upstream, *(one.process for one in self.replicas.values())):
            if child is not None:
                child.kill()
                child.wait()

    def _said(self, name):
        path = self.folder / names.OUTPUT / f"{name}.log"
        return path.read_text()[-2000:] if path.exists() else ""


@contextmanager
def world(plan, folder: Path):
    """Start everything of a run in this folder; nothing is left running at the end."""
    (folder / names.OUTPUT).mkdir(mode=0o700)
    with ExitStack() as stack:
        pair = stack.enter_context(servers(folder / names.STORES, **_STORES))
        run = set_up(plan, pair)
        names.write_private(folder / names.RUN, orjson.dumps(run))
        dumps.prepare(pair.postgres.url)
        it = World(plan, folder, pair, run)
        stack.callback(it.kill_all)
        it.start()
        yield it
