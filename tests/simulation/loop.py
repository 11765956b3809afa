"""An event loop without sockets, threads or real time: one seed decides who runs next.

Among the processes that can run, chance picks one, and its oldest callback runs: so every process keeps the
order that asyncio promises, and any interleaving of processes may come. Time stands still while anything can
run, then jumps to the next timer.
"""

from __future__ import annotations

import asyncio
from asyncio import events
from contextvars import copy_context
from heapq import heappop, heappush

from tests.simulation.processes import PROCESS, Process

_MOST_STEPS = 400_000


class Stuck(Exception):
    """Nothing is left that could happen, or it never ends."""


class Callback:
    """One callback asked for; what asyncio calls a handle."""

    __slots__ = ("args", "call", "context", "process")

    def __init__(self, call, args, context, process):
        self.call = call
        self.args = args
        self.context = context
        self.process = process

    def cancel(self):
        self.call = None

    def cancelled(self):
        return self.call is None


class Loop(asyncio.AbstractEventLoop):
    """Runs one schedule: `choose` gives numbers in [0, 1)."""

    def __init__(self, choose):
        self.now = 0.0
        self.steps = 0
        self.processes = []
        self.outside = self.process("outside")
        self.complaints = []
        self.over = False
        self._choose = choose
        self._runnable = []
        self._timers = []
        self._asked = 0
        self._tasks = []

    def process(self, name):
        """Return a new process of this name."""
        process = Process(name)
        self.processes.append(process)
        return process

    def run(self, main):
        """Run a coroutine of the outside to its end and return its result."""
        events._set_running_loop(self)
        try:
            task = self.create_task(main, context=self.outside.context)
            while not task.done():
                self._step()
            return task.result()
        finally:
            events._set_running_loop(None)

    def close(self):
        """Let go of everything that was left unfinished; what it would still do is of no effect."""
        self.over = True
        events._set_running_loop(self)
        try:
            for task, _ in self._tasks:
                if not task.done():
                    task._log_destroy_pending = False
                    task.get_coro().close()
        finally:
            events._set_running_loop(None)
        self._tasks.clear()
        self._timers.clear()

    def forget(self):
        """Let go of the processes: each holds the context that holds it."""
        for process in self.processes:
            process.context = None
        self.processes.clear()
        self._runnable.clear()

    def unheard(self):
        """Tasks of living processes that failed without anybody hearing of it."""
        return [
            task for task, process in self._tasks if process.alive and task.done() and task._log_traceback
        ]

    def stop(self, process):
        """Stop a process as SIGSTOP does."""
        process.stopped = True

    def resume(self, process):
        """Let a stopped process go on."""
        process.stopped = False
        self._list(process)

    def time(self):
        return self.now

    def call_soon(self, callback, *args, context=None):
        if context is None:
            context = copy_context()
        process = context.get(PROCESS, self.outside)
        asked = Callback(callback, args, context, process)
        if process.alive:
            process.ready.append(asked)
            if not process.listed and not process.stopped:
                process.listed = True
                self._runnable.append(process)
        return asked

    def call_later(self, delay, callback, *args, context=None):
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(self, when, callback, *args, context=None):
        if context is None:
            context = copy_context()
        asked = Callback(callback, args, context, context.get(PROCESS, self.outside))
        self._asked += 1
        heappush(self._timers, (when, self._asked, asked))
        return asked

    def create_future(self):
        return asyncio.Future(loop=self)

    def create_task(self, coro, *, name=None, context=None):
        task = asyncio.Task(coro, loop=self, name=name or "task", context=context)
        process = PROCESS.get(self.outside) if context is None else context.get(PROCESS, self.outside)
        self._tasks.append((task, process))
        return task

    def get_debug(self):
        return False

    def is_running(self):
        return not self.over

    def is_closed(self):
        return self.over

    def call_exception_handler(self, context):
        if not self.over:
            self.complaints.append(f"{context['message']}: {context.get('exception')!r}")

    def _step(self):
        runnable = self._runnable
        if not runnable:
            self._pass_time()
            return
        place = int(self._choose() * len(runnable)) if len(runnable) > 1 else 0
        process = runnable[place]
        ready = process.ready
        if not ready or process.stopped:
            process.listed = False
            runnable[place] = runnable[-1]
            runnable.pop()
            return
        self.steps += 1
        if self.steps > _MOST_STEPS:
            raise Stuck("the schedule does not come to an end")
        asked = ready.popleft()
        if asked.call is not None:
            asked.context.run(asked.call, *asked.args)

    def _pass_time(self):
        """Go to the next timer and make its callback ready, with all that are due at the same instant."""
        timers = self._timers
        if not timers:
            raise Stuck("nothing is left that could happen")
        self.now = max(self.now, timers[0][0])
        while timers and timers[0][0] <= self.now:
            asked = heappop(timers)[2]
            process = asked.process
            if asked.call is not None and process.alive:
                process.ready.append(asked)
                self._list(process)

    def _list(self, process):
        if not process.listed and not process.stopped and process.ready:
            process.listed = True
            self._runnable.append(process)
