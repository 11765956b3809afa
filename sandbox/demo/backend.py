"""The demo app's own backend: what any app does with the broker's internal listener, over HTTP.

Must import nothing of the broker.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import aiohttp

Answer = dict[str, Any]
_TIMEOUT = aiohttp.ClientTimeout(total=20)


class BrokerRefused(Exception):
    """The broker answered with an error, or not at all; carries its status and its own words."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Backend:
    """Calls the internal listener with one API key."""

    def __init__(self, session: aiohttp.ClientSession, url: str, api_key: str) -> None:
        self._session = session
        self._url = f"{url}/v1/users"
        self._headers = {"Authorization": f"Bearer {api_key}"}

    async def create(self, user_id: str, name: str, email: str) -> Answer:
        """Create the user, or find the one that was created before."""
        return await self._call("POST", "", {"id": user_id, "name": name, "email": email})

    async def enrol(self, user_id: str, pair: Answer) -> Answer:
        """Give the broker a pair that we hold ourselves."""
        return await self._call("PUT", f"/{quote(user_id)}/tokens", pair)

    async def token(self, user_id: str) -> Answer:
        """Return the user's current token."""
        return await self._call("GET", f"/{quote(user_id)}/token")

    async def rotate(self, user_id: str) -> Answer:
        """Have the user's pair replaced now."""
        return await self._call("POST", f"/{quote(user_id)}/refresh", {})

    async def delete(self, user_id: str) -> None:
        """Delete the user, upstream and at the broker."""
        await self._call("DELETE", f"/{quote(user_id)}")

    async def _call(self, method: str, path: str, body: Answer | None = None) -> Answer:
        try:
            async with self._session.request(
                method, self._url + path, json=body, headers=self._headers, timeout=_TIMEOUT
            ) as response:
                answer = await response.json(content_type=None) if response.status != 204 else {}  # noqa: PLR2004 - no content
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise BrokerRefused(503, f"the broker does not answer ({type(error).__name__})") from error
        if not response.ok:
            raise BrokerRefused(response.status, f"{answer.get('code')}: {answer.get('detail') or ''}")
        return dict(answer)
