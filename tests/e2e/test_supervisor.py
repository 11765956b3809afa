"""The supervisor over programs that do what service processes should not."""

import asyncio
import os
import resource
import signal
import sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from service.supervisor import LOOK_EVERY_S
from tests.support.environment import environment
from tests.support.programs import started
from tests.support.several import ANYWHERE, HASTY
from tests.support.waiting import eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="adopting orphans is Linux's")

PREFACE = """
import json, os, pathlib, socket, sys, time
place = json.loads(sys.argv[1])
def say(event, **facts):
    os.write(1, (json.dumps({"event": event, "process": place["number"], **facts}) + "\\n").encode())
def serve():
    line = socket.socket(fileno=place["line"])
    line.send(b".")
    line.recv(1)
"""
BREAKS_IN_ONE_PLACE = (
    PREFACE
    + """
if place["number"] == 0:
    raise SystemExit(3)
serve()
"""
)
SERVES = (
    PREFACE
    + """
say("began", pid=os.getpid())
serve()
"""
)
BEATS = (
    PREFACE
    + """
line = socket.socket(fileno=place["line"])
line.settimeout(0.1)
say("began", pid=os.getpid())
while True:
    line.send(b".")
    try:
        line.recv(1)
        break
    except TimeoutError:
        pass
"""
)
QUICK = HASTY | {
    "UPSTREAM_TIMEOUT": "0.4s", "DATABASE_TIMEOUT": "0.4s", "LEASE_TTL": "1s", "CLAIM_DEADLINE": "1s",
    "ANSWER_TIMEOUT": "1s", "PUBLIC_ANSWER_TIMEOUT": "2s", "DRAIN": "3s", "GRACE": "4s",
}  # fmt: skip
IS_TOLD_WRONG_THINGS = PREFACE + "raise SystemExit(2)"
IS_TOLD_WRONG_THINGS_LATER = (
    PREFACE
    + """
seen = pathlib.Path(place["folder"], "seen")
if place["number"] == 1 and seen.exists():
    raise SystemExit(2)
seen.touch()
if place["number"] == 1:
    time.sleep(0.5)
    raise SystemExit(1)
serve()
"""
)
LEAVES_AN_ORPHAN = (
    PREFACE
    + """
between = os.fork()
if between == 0:
    orphan = os.fork()
    if orphan == 0:
        time.sleep(0.5)
        os._exit(0)
    say("orphaned", pid=orphan)
    os._exit(0)
os.waitpid(between, 0)
serve()
"""
)
LEAVES_FIGURES = (
    PREFACE
    + """
names = [f"{kind}_{place['number']}.db" for kind in ("counter", "gauge_livemax")]
files = [pathlib.Path(place["folder"], name) for name in names]
say("found", files=[file.name for file in files if file.exists()])
for file in files:
    file.touch()
if place["number"] == 0:
    raise SystemExit(1)
serve()
"""
)


@asynccontextmanager
async def supervised(source, times=HASTY):
    """Run two processes of this source under a supervisor; gives its Program."""
    program = await started(source, environment(WORKERS="2", **ANYWHERE, **times), "tests.support.supervised")
    try:
        yield program
    finally:
        await program.kill()


@contextmanager
def no_new_file(pid):
    """Let a process open no file more."""
    allowed = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (0, allowed[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, allowed)


async def test_who_breaks_again_and_again_is_given_longer_and_longer_pauses():
    async with supervised(BREAKS_IN_ONE_PLACE) as program:
        for after_s in (0.1, 0.2, 0.4, 0.8):
            told = await program.said("process.restarted", after_s=after_s)
            assert (told["process"], told["exit_code"]) == (0, 3)
        assert program.of("process.restarted", process=1) == []
        assert await program.end() == 0


async def test_a_wrong_configuration_that_only_a_process_finds_ends_all():
    async with supervised(IS_TOLD_WRONG_THINGS) as program:
        assert await asyncio.wait_for(program.process.wait(), 30) == 2
    assert program.of("process.restarted") == []


async def test_once_others_serve_it_is_tried_again():
    async with supervised(IS_TOLD_WRONG_THINGS_LATER) as program:
        await program.said("process.restarted", process=1, exit_code=2, after_s=0.4)
        assert program.process.returncode is None
        assert await program.end() == 0


async def test_a_place_that_cannot_be_taken_for_want_of_room_is_taken_once_there_is_room():
    async with supervised(SERVES) as program:
        first = await program.said("began", process=0)
        await program.said("service.started")
        with no_new_file(program.process.pid):
            os.kill(first["pid"], signal.SIGKILL)
            await program.said("process.restarted", reason="it cannot be started: Too many open files")
        await eventually(lambda: len(program.of("began", process=0)) == 2, within_s=20)
        assert await program.end() == 0


async def test_nobody_is_taken_for_hanging_because_all_of_them_stood_still():
    async with supervised(BEATS, QUICK) as program:
        await program.said("service.started")
        members = [line["pid"] for line in program.of("began")]
        for pid in (program.process.pid, *members):
            os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(5)  # longer than GRACE: a paused container, a machine that is moved
        os.kill(program.process.pid, signal.SIGCONT)
        await asyncio.sleep(2 * LOOK_EVERY_S)  # it looks before the others have had their turn
        for pid in members:
            os.kill(pid, signal.SIGCONT)
        assert await program.end() == 0
        assert program.of("process.restarted") + program.of("process.killed") == []


async def test_orphans_that_end_are_not_kept_as_zombies():
    async with supervised(LEAVES_AN_ORPHAN) as program:
        orphan = await program.said("orphaned")
        await eventually(lambda: not Path(f"/proc/{orphan['pid']}").exists(), within_s=20)
        assert await program.end() == 0


async def test_who_takes_a_place_finds_the_counts_and_not_the_gauges_of_the_one_before():
    async with supervised(LEAVES_FIGURES) as program:
        await program.said("found", process=0, files=[])
        await program.said("found", process=0, files=["counter_0.db"])
