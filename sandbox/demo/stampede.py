"""The stampede: a hundred callers at once hold one expired token, and upstream is called once.

Sent from here, because a browser opens six connections at most. Its user is made for it and deleted
afterwards.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import aiohttp

from sandbox.calcom import identifier

if TYPE_CHECKING:
    from sandbox.calcom import Sandbox
    from sandbox.demo.backend import Backend

CALLERS = 100
_TIMEOUT = aiohttp.ClientTimeout(total=15)


async def stampede(sandbox: Sandbox, client_id: str, backend: Backend, refresh_url: str) -> dict[str, Any]:
    """Let a hundred callers present one expired token at once; returns what they got and upstream saw."""
    user_id = f"crowd-{secrets.token_hex(3)}"
    token, cal_user_id = await _expired(sandbox, client_id, backend, user_id)
    seen = len(sandbox.journal.of(user_id=cal_user_id))
    started = time.perf_counter()
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=_TIMEOUT,
        headers={"Authorization": f"Bearer {token}"},
    ) as session:
        answers = await asyncio.gather(*(_ask(session, refresh_url) for _ in range(CALLERS)))
    took_ms = (time.perf_counter() - started) * 1000
    calls = Counter(entry.route for entry in sandbox.journal.of(user_id=cal_user_id)[seen:])
    await backend.delete(user_id)
    return {
        "callers": CALLERS,
        "answered": sum(status == 200 for status, _ in answers),  # noqa: PLR2004 - OK
        "tokens": len({named for _, named in answers if named}),
        "upstream": dict(calls),
        "took_ms": round(took_ms),
    }


async def _expired(sandbox: Sandbox, client_id: str, backend: Backend, user_id: str) -> tuple[str, int]:
    """Make a user and give the broker its pair, whose access token ends within the second."""
    user, pair = sandbox.create_user(client_id, f"{user_id}@example.com", "Crowd")
    ends_at_s = pair.access.created_ms // 1000 + 1
    enrolment = {
        "calUserId": user.id,
        "accessToken": pair.access.secret,
        "refreshToken": pair.refresh.secret,
        "accessTokenExpiresAt": ends_at_s * 1000,
    }
    await backend.enrol(user_id, enrolment)
    await asyncio.sleep(max(0.0, ends_at_s - time.time()))
    sandbox.expire(user.id)
    return pair.access.secret, user.id


async def _ask(session: aiohttp.ClientSession, url: str) -> tuple[int, str | None]:
    async with session.get(url) as response:
        token = (await response.json(content_type=None)).get("accessToken")
        return response.status, identifier(token) if token else None
