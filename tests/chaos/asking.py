"""One request to whichever replica answers, and the line that is written of it, tokens named by identifier.

A connection that is refused or reset is tried once more, at another replica, as a load balancer would.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import aiohttp

from sandbox.calcom import identifier
from tests.chaos.folder import ANSWERS, Lines, now_ms
from tests.chaos.plan import PATIENCE_S
from tests.chaos.setup import HOST

_AGAIN = (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError)
_EXPECTED = {"accessToken", "accessTokenExpiresAt", "calUserId", "generation"}
_MAKE_AGAIN_S = 0.3
_OK = 200
_REMEMBERED_S = 1.0


class Asking:
    """Asks the replicas of a run."""

    def __init__(self, folder, run, random):
        self._lines = Lines(folder / ANSWERS)
        self._random = random
        self._key = run["secrets"]["api_key"]
        self._replicas = run["replicas"]
        self._failed_at = {}
        self.services = [name for name in run["replicas"] if name.startswith("service")]

    async def __aenter__(self):
        timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
        # Kept connections would be tried again by the library itself, and nobody would know.
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        return self

    async def __aexit__(self, *failure):
        await self._session.close()

    async def create(self, user_id):
        """Make a user, however often that takes; returns its id upstream."""
        body = {"id": user_id, "email": f"{user_id}@example.com", "name": user_id}
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                status, answer = await self._once(
                    self._random.choice(self.services), "POST", "/v1/users", None, body
                )
                if status in {200, 201}:
                    return answer["calUserId"]
            await asyncio.sleep(_MAKE_AGAIN_S)

    async def ask(self, kind, cal_user_id, method, path, presented=None, body=None, by=None):
        """Ask for a token; returns the answer's body, None without a token."""
        line = {"kind": kind, "user": cal_user_id, "sent_ms": now_ms(), "status": 0, "tries": 0}
        names = [by] * 2 if by else self._two()
        line["presented"] = identifier(presented) if presented else None
        answer = {}
        for name in names:
            line["by"], line["tries"] = name, line["tries"] + 1
            try:
                line["status"], answer = await self._once(name, method, path, presented, body)
                break
            except _AGAIN as error:
                line["error"] = type(error).__name__
                self._failed_at[name] = time.monotonic()
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                line["error"] = type(error).__name__
                break
        return self._note(line, answer)

    def _two(self):
        """Choose two replicas, those first that have not just failed: what a load balancer remembers."""
        since = time.monotonic() - _REMEMBERED_S
        names = self._random.sample(self.services, k=len(self.services))
        return sorted(names, key=lambda name: self._failed_at.get(name, since) > since)[:2]

    def _note(self, line, answer):
        token = answer.get("accessToken")
        line |= {"done_ms": now_ms(), "answered": identifier(token) if token else None}
        line |= {"code": answer.get("code"), "generation": answer.get("generation")}
        if token:
            line["more"] = {name: answer[name] for name in answer.keys() - _EXPECTED}
        self._lines.add(**line)
        return answer if token and line["status"] == _OK else None

    async def _once(self, name, method, path, presented, body):
        public = path == "/refresh"
        port = self._replicas[name]["public" if public else "internal"]
        headers = {"Authorization": f"Bearer {presented if public else self._key}"}
        async with self._session.request(
            method, f"http://{HOST}:{port}{path}", headers=headers, json=body
        ) as response:
            return response.status, await response.json(content_type=None)
