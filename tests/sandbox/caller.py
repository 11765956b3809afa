"""A caller that speaks to a sandbox of two OAuth clients, and reads its answers."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import orjson

from sandbox.calcom import SandboxClient, SandboxConfig

FIRST = SandboxClient(
    "c1", "s1", name="First", redirect_uris=("https://app.example", "https://*.preview.example")
)
SECOND = SandboxClient("c2", "s2", name="Second", default_event_types=False)
UNTHROTTLED = SandboxConfig(clients=(FIRST, SECOND), throttle=False)


@dataclass
class Reply:
    status: int
    body: Any
    headers: Any

    @property
    def data(self):
        return self.body["data"]

    @property
    def message(self):
        return self.body["error"]["message"]

    @property
    def code(self):
        return self.body["error"]["code"]


def claims_of(token):
    segment = token.split(".")[1]
    return orjson.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))


class Caller:
    """Calls the sandbox with a client's credentials, or with whatever a test sends instead."""

    def __init__(self, http, client=FIRST):
        self.http = http
        self.client = client
        self.users = f"/v2/oauth-clients/{client.id}/users"

    async def call(self, method, path, *, secret=None, bearer=None, headers=None, **request):
        sent = {} if secret == "" else {"x-cal-secret-key": secret or self.client.secret}
        if bearer is not None:
            sent = {"Authorization": f"Bearer {bearer}"}
        async with self.http.request(
            method, path, headers={**sent, **(headers or {})}, **request
        ) as response:
            raw = await response.read()
            is_json = response.content_type == "application/json" and raw
            body = orjson.loads(raw) if is_json and raw[:1] in b'{["' else raw
            return Reply(response.status, body, response.headers)

    async def create(self, email="ann@example.com", name="Ann", **fields):
        return await self.call("POST", self.users, json={"email": email, "name": name, **fields})

    async def refresh(self, token, **request):
        path = f"/v2/oauth/{self.client.id}/refresh"
        return await self.call("POST", path, json={"refreshToken": token}, **request)

    async def force(self, user_id, **request):
        return await self.call("POST", f"{self.users}/{user_id}/force-refresh", **request)

    async def check(self, token, **request):
        return await self.call("GET", f"/v2/provider/{self.client.id}/access-token", bearer=token, **request)

    async def me(self, token, **request):
        return await self.call("GET", "/v2/me", bearer=token, **request)
