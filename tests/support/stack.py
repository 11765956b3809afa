"""The whole broker as it runs in production, for tests: service and worker as processes, a sandbox upstream.

    async with running_stack(database_url, redis_url, SandboxConfig(clients=(...,), lifetime_s=60)) as stack:
        await stack.create_user("client-id", "ann")

The broker's clients are the sandbox's, each named by its id. Durations are scaled to tokens of a minute.
"""

import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from sandbox.calcom import Running, serve
from tests.support.environment import environment
from tests.support.programs import Program, token_broker

API_KEY = "backend-key"
SCALED = {
    "UPSTREAM_TIMEOUT": "2s",
    "DATABASE_TIMEOUT": "1s",
    "LEASE_TTL": "4s",
    "CLAIM_DEADLINE": "4s",
    "ANSWER_TIMEOUT": "4s",
    "PUBLIC_ANSWER_TIMEOUT": "8s",
    "DRAIN": "10s",
    "GRACE": "15s",
}


@dataclass(frozen=True)
class Stack:
    """What runs, where it listens, and an app's back end to call it with."""

    upstream: Running
    service: Program
    worker: Program | None
    public_url: str
    internal_url: str
    observe_url: str
    http: aiohttp.ClientSession
    variables: dict

    @property
    def sandbox(self):
        """The world outside: its rows, journal, clock and faults."""
        return self.upstream.sandbox

    async def call(self, method, path, client, *, status=(200, 201), **request):
        """Call the internal listener about a user of this client, and return the answer's body."""
        url, params = f"{self.internal_url}{path}", {"client": client}
        headers = {"Authorization": f"Bearer {API_KEY}"} | request.pop("headers", {})
        async with self.http.request(method, url, params=params, headers=headers, **request) as answer:
            body = await answer.json()
            assert answer.status in status, f"{method} {path}: {answer.status} {body}"
            return body

    async def create_user(self, client, user_id):
        """Create a managed user and return it; `calUserId` is its id in the sandbox."""
        body = {"id": user_id, "email": f"{user_id}@example.com", "name": user_id.title()}
        return await self.call("POST", "/v1/users", client, json=body)

    async def token(self, client, user_id):
        """Return the user's current token, as the app asks for it when it renders a page."""
        return await self.call("GET", f"/v1/users/{user_id}/token", client)

    async def rotate(self, client, user_id):
        """Replace the user's pair now and return the new token."""
        return await self.call("POST", f"/v1/users/{user_id}/refresh", client, json={})


@asynccontextmanager
async def running_stack(database_url, redis_url, sandbox_config, *, origins=(), **settings):
    """Run sandbox, `token-broker serve` and `token-broker work` on a migrated database; gives a Stack.

    `origins` may call the refresh endpoint; `settings` are further variables without their prefix.
    """
    settings["ALLOWED_ORIGINS"] = ",".join(origins) or None
    async with (
        _around(database_url, redis_url, sandbox_config, settings) as around,
        running_broker(*around) as stack,
    ):
        yield stack


@asynccontextmanager
async def running_service(database_url, redis_url, sandbox_config, **settings):
    """Run the same without a worker; gives a Stack that has none."""
    async with (
        _around(database_url, redis_url, sandbox_config, settings) as around,
        running_broker(*around, works=False) as stack,
    ):
        yield stack


@asynccontextmanager
async def _around(database_url, redis_url, sandbox_config, settings):
    """Run a sandbox, and give it with the variables of a broker before it."""
    with tempfile.TemporaryDirectory(prefix="token-broker-") as folder:
        async with serve(sandbox_config) as upstream:
            yield (
                upstream,
                environment(
                    DATABASE_URL=database_url,
                    REDIS_URL=redis_url,
                    CAL_API_URL=upstream.url,
                    CAL_OAUTH_CLIENT_ID=None,
                    X_CAL_SECRET_KEY=None,
                    CLIENTS_FILE=_clients_file(Path(folder), sandbox_config),
                    ACCESS_TOKEN_LIFETIME=f"{sandbox_config.lifetime_s}s",
                    PUBLIC_ADDRESS="127.0.0.1:0",
                    INTERNAL_ADDRESS="127.0.0.1:0",
                    OBSERVE_ADDRESS="127.0.0.1:0",
                    **SCALED | settings,
                ),
            )


@asynccontextmanager
async def running_broker(upstream, variables, *, works=True):
    """Run service and worker with these variables against a sandbox that runs already; gives a Stack."""
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(token_broker("serve", variables))
        worker = await stack.enter_async_context(token_broker("work", variables)) if works else None
        where = await service.said("service.started")
        if worker is not None:
            await worker.said("worker.started")
        urls = [f"http://{where[name]}" for name in ("public", "internal", "observe")]
        http = await stack.enter_async_context(aiohttp.ClientSession())
        yield Stack(upstream, service, worker, *urls, http, variables)


def _clients_file(folder, sandbox_config):
    path = folder / "clients.toml"
    path.write_text(
        "".join(
            f'[[clients]]\nname = "{client.id}"\nid = "{client.id}"\nsecret = "{client.secret}"\n'
            for client in sandbox_config.clients
        )
    )
    return str(path)
