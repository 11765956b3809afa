"""An event loop without sockets, threads or real time: one seed decides who runs next.

Among the processes that can run, chance picks one, and its oldest callback runs: so every process keeps the
order that asyncio promises, and any interleaving of processes may come. Time stands still while anything can
run, then jumps to the next timer.
"""

from __future__ import annotations

import asyncio
from asyncio import events
from contextlib import contextmanager
from contextvars import copy_context
from heapq import heappop, heappush

from tests.simulation.processes import PROCESS, Process

_MOST_STEPS = 400_000
_LOOK_UPS = ("get_running_loop", "_get_event_loop")


class Stuck(Exception):
    """Nothing is left that could happen, or it never ends."""


class Callback(list):
    """One callback asked for, as [call, args, context, process]; what asyncio calls a handle."""

    __slots__ = ()

    def cancel(self):
        self[0] = None

    def cancelled(self):
        return self[0] is None


class Loop(asyncio.AbstractEventLoop):
    """Runs one schedule: `choose` gives numbers in [0, 1)."""

    get_debug = bool
    """Asked at every future's birth: the quickest way to say no."""

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
        with _running(self):
            task = self.create_task(main, context=self.outside.context)
            self._run_until(task.done)
            return task.result()

    def close(self):
        """Let go of everything that was left unfinished; what it would still do is of no effect."""
        self.over = True
        with _running(self):
            for task, _ in self._tasks:
                if not task.done():
                    task._log_destroy_pending = False
                    task.get_coro().close()
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
        asked = Callback((callback, args, context, process))
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
        asked = Callback((callback, args, context, context.get(PROCESS, self.outside)))
        self._asked += 1
        heappush(self._timers, (when, self._asked, asked))
        return asked

    def after(self, delay):
        """Return a future that is done when so much time has passed."""
        passed = asyncio.Future(loop=self)
        self._asked += 1
        heappush(self._timers, (self.now + delay, self._asked, passed))
        return passed

    def create_future(self):
        return asyncio.Future(loop=self)

    def create_task(self, coro, *, name=None, context=None):
        task = asyncio.Task(coro, loop=self, name=name or "task", context=context)
        process = PROCESS.get(self.outside) if context is None else context.get(PROCESS, self.outside)
        self._tasks.append((task, process))
        return task

    def is_running(self):
        return not self.over

    def is_closed(self):
        return self.over

    def call_exception_handler(self, context):
        if not self.over:
            self.complaints.append(f"{context['message']}: {context.get('exception')!r}")

    def _run_until(self, done):
        """Let one process after the other go a step; a process with nothing to do is not asked."""
        runnable, choose = self._runnable, self._choose
        while not done():
            many = len(runnable)
            if not many:
                self._pass_time()
                continue
            place = int(choose() * many) if many > 1 else 0
            process = runnable[place]
            ready = process.ready
            asked = ready.popleft() if ready and not process.stopped else None
            if not ready or process.stopped:
                process.listed = False
                runnable[place] = runnable[-1]
                runnable.pop()
            if asked is None or asked[0] is None:
                continue
            self.steps += 1
            if self.steps > _MOST_STEPS:
                raise Stuck("the schedule does not come to an end")
            call, arguments, context, _ = asked
            context.run(call, *arguments)

    def _pass_time(self):
        """Go to the next timer and make its callback ready, with all that are due at the same instant."""
        timers = self._timers
        if not timers:
            raise Stuck("nothing is left that could happen")
        self.now = now = max(self.now, timers[0][0])
        while timers and timers[0][0] <= now:
            asked = heappop(timers)[2]
            if type(asked) is not Callback:
                if not asked.done():
                    asked.set_result(None)
            elif asked[0] is not None and asked[3].alive:
                asked[3].ready.append(asked)
                self._list(asked[3])

    def _list(self, process):
        if not process.listed and not process.stopped and process.ready:
            process.listed = True
            self._runnable.append(process)


@contextmanager
def _running(loop):
    """Have asyncio find this loop; its own look-up asks the kernel for the process id every time."""
    looked_up = {name: getattr(events, name) for name in _LOOK_UPS if hasattr(events, name)}
    events._set_running_loop(loop)
    for name in looked_up:
        setattr(events, name, lambda *_, **__: loop)
    asyncio.get_running_loop = events.get_running_loop
    try:
        yield
    finally:
        for name, own in looked_up.items():
            setattr(events, name, own)
        asyncio.get_running_loop = events.get_running_loop
        events._set_running_loop(None)
