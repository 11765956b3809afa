"""A service of several processes, for tests: who they are, and an outsider who asks whoever answers."""

import json
import os
import signal
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp

from tests.e2e.runs import alive, descendants
from tests.support.environment import environment
from tests.support.programs import START_WITHIN_S, token_broker
from tests.support.waiting import eventually

API_KEY = "backend-key"
ANYWHERE = dict.fromkeys(("PUBLIC_ADDRESS", "INTERNAL_ADDRESS", "OBSERVE_ADDRESS"), "127.0.0.1:0")
HASTY = {
    "UPSTREAM_TIMEOUT": "1s", "DATABASE_TIMEOUT": "1s", "LEASE_TTL": "3s", "CLAIM_DEADLINE": "3s",
    "ANSWER_TIMEOUT": "4s", "PUBLIC_ANSWER_TIMEOUT": "6s", "DRAIN": "7s", "GRACE": "8s",
}  # fmt: skip
"""The shortest chain of time-outs, for who waits for the last of them."""


class Several:
    """The running service: its supervisor, its processes by their places, and its addresses."""

    def __init__(self, program, where):
        self.program = program
        self.where = where

    @property
    def members(self):
        """The process ids by place, of those that live."""
        found = {}
        for pid in alive(descendants(self.program.process.pid)):
            with suppress(OSError, ValueError, TypeError, KeyError):
                words = Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")
                found[json.loads(words[-1])["number"]] = pid
        return found

    async def kill(self, place):
        """Kill the process in this place, and wait until another one serves there."""
        began = len(self.program.of("process.started", process=place))
        os.kill(self.members[place], signal.SIGKILL)
        await eventually(
            lambda: len(self.program.of("process.started", process=place)) > began, within_s=START_WITHIN_S
        )

    async def ask(self, path, door="observe"):
        """Ask on a connection of its own, so that any process may answer; returns status and text."""
        headers = {"Authorization": f"Bearer {API_KEY}"}
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as http,
            http.get(f"http://{self.where[door]}{path}", headers=headers) as answer,
        ):
            return answer.status, await answer.text()

    def answered_by(self, route):
        """How many requests for this route each process has written a line about, by place."""
        lines = self.program.of("request.done", route=route)
        return {place: sum(line["process"] == place for line in lines) for place in self.members}


def variables(database_url, redis_url, workers, **settings):
    """The environment of such a service; every request has its line."""
    told = {"ACCESS_LOG": "all", "LOG_LEVEL": "debug", "WORKERS": str(workers)}
    return environment(DATABASE_URL=database_url, REDIS_URL=redis_url, **ANYWHERE | told | settings)


@asynccontextmanager
async def several(workers, database_url, redis_url, *, folder=None, **settings):
    """Run a service of so many processes, its files in `folder`; gives a Several once all of them serve."""
    env = variables(database_url, redis_url, workers, **settings) | (
        {"TMPDIR": str(folder)} if folder else {}
    )
    async with token_broker("serve", env) as program:
        yield Several(program, await program.said("service.started", processes=workers))
