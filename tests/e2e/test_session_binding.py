"""Two service processes that bind tokens to an app's sessions: what they ask, say, write and keep."""

import asyncio
import json
import signal
import time
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import pytest
import redis

from sandbox.calcom import SandboxClient, SandboxConfig, serve
from tests.chaos.check.leaks import forms
from tests.chaos.dumps import _raw, _rows_of, _value
from tests.support.environment import environment
from tests.support.programs import started
from tests.support.proxies import Proxy, listening
from tests.support.signing_in import an_app
from tests.support.stack import SCALED, running_broker
from tests.support.statements import key_set, public, statement

CLIENT = SandboxClient("acme", "secret-of-acme")
PATIENT = {"ANSWER_TIMEOUT": "8s", "PUBLIC_ANSWER_TIMEOUT": "12s", "DRAIN": "14s", "GRACE": "18s"}
LISTENERS = dict.fromkeys(("PUBLIC_ADDRESS", "INTERNAL_ADDRESS", "OBSERVE_ADDRESS"), "127.0.0.1:0")
UNKNOWN = "unknown-token." + "u" * 40

pytestmark = pytest.mark.timeout(240)


class Heard(Proxy):
    """Passes bytes on to upstream and keeps them."""

    def __init__(self, target):
        super().__init__(target, lambda: 0)
        self.said = bytearray()

    async def _pass_on(self, reader, writer, delay):
        said = self.said

        class Kept:
            @staticmethod
            async def read(most):
                data = await reader.read(most)
                said.extend(data)
                return data

        await Proxy._pass_on(Kept, writer, delay)


@asynccontextmanager
async def bound_stack(database_url, redis_url, **settings):
    """Two service processes and a worker, all that they say to upstream kept in `upstream`."""
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(serve(SandboxConfig(clients=(CLIENT,), lifetime_s=600)))
        upstream = Heard(sandbox.url)
        at = await stack.enter_async_context(listening(upstream.serve, sandbox.url))
        variables = environment(
            DATABASE_URL=database_url, REDIS_URL=redis_url, CAL_API_URL=at, CAL_OAUTH_CLIENT_ID=CLIENT.id,
            X_CAL_SECRET_KEY=CLIENT.secret, WORKERS="2", ACCESS_LOG="all", LOG_LEVEL="debug",
            **LISTENERS, **SCALED | PATIENT | settings,
        )  # fmt: skip
        yield await stack.enter_async_context(running_broker(sandbox, variables)), upstream


@pytest.fixture
async def app():
    async with an_app() as running:
        yield running


async def refresh(stack, token, **headers):
    """What a browser is told, on a connection of its own: any of the processes may answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {"Authorization": f"Bearer {token}", "Connection": "close", **named}
    async with stack.http.get(f"{stack.public_url}/refresh", headers=sent) as answer:
        return answer.status, await answer.text()


async def two_tokens(stack, user):
    await stack.create_user("default", user)
    old = await stack.token("default", user)
    return old["accessToken"], (await stack.rotate("default", user))["accessToken"]


async def everything_kept(stack, database_url, redis_url):
    """All that the processes wrote and the stores hold, as bytes."""
    texts = [json.dumps(line) for of in (stack.service, stack.worker) for line in [*of.lines, *of.stray]]
    async with stack.http.get(f"{stack.observe_url}/metrics") as answer:
        texts.append(await answer.text())
    kept = ["\n".join(texts).encode()]
    connection = await asyncpg.connect(database_url)
    for (table,) in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
        kept += [_raw(value) async for row in _rows_of(connection, table) for value in row.values()]
    await connection.close()
    with redis.Redis.from_url(redis_url) as client:
        kept += [part for key in client.scan_iter() for part in (_raw(key), _raw(_value(client, key)))]
    return b"\n".join(kept)


def shown(kept, secret):
    """The forms in which a secret stands somewhere."""
    return [form for form, needle in forms(secret.encode()) if needle in kept]


async def test_every_process_asks_and_neither_cookies_nor_statements_are_kept_or_passed_on(
    app, database_url, redis_url, tmp_path
):
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps(app.keys))
    settings = {"SESSION_CHECK_URL": app.check_url, "ASSERTION_JWKS": str(keys)}
    async with bound_stack(database_url, redis_url, **settings) as (stack, upstream):
        old, new = await two_tokens(stack, "anna")
        cookie, other = app.cookie_of("anna"), app.cookie_of("bob")
        said = statement(now=int(time.time()), sub="anna")
        bad = statement(now=int(time.time()), sub="anna", aud="elsewhere")
        answers = []
        for _ in range(20):
            answers += [
                await refresh(stack, old, Cookie=cookie),
                await refresh(stack, old, X_Broker_Assertion=said),
            ]
            answers += [
                await refresh(stack, old, Cookie=other),
                await refresh(stack, old, X_Broker_Assertion=bad),
            ]
        await refresh(stack, new, Cookie=cookie)  # upstream is asked about it
        kept = await everything_kept(stack, database_url, redis_url)

    assert [status for status, _ in answers] == [200, 200, 403, 401] * 20
    assert {json.loads(body)["accessToken"] for status, body in answers if status == 200} == {new}
    processes = {line["process"] for line in stack.service.of("request.done", route="/refresh", status=200)}
    assert processes == {0, 1}
    secret_parts = [c.partition("session=")[2] for c in (cookie, other)] + [
        s.rpartition(".")[2] for s in (said, bad)
    ]
    everywhere = kept + bytes(upstream.said) + "".join(body for _, body in answers).encode()
    assert [shown(everywhere, part) for part in secret_parts] == [[]] * 4
    assert b"anna" in kept, "what is looked through is not empty"
    assert b"Bearer " + new.encode() in upstream.said, "what upstream was told was heard"
    assert not any(token in str(app.headers) for token in (old, new))
    assert stack.service.of("session.mode", mode="session+assertion", level="info")


async def test_a_file_of_keys_is_replaced_under_all_processes(app, database_url, redis_url, tmp_path):
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps(key_set(public("ed"))))
    async with bound_stack(database_url, redis_url, ASSERTION_JWKS=str(keys)) as (stack, _):
        old, new = await two_tokens(stack, "anna")
        fresh = tmp_path / "fresh.json"
        fresh.write_text(json.dumps(key_set(public("ec"))))
        fresh.replace(keys)
        now = int(time.time())
        answers = {kid: [await refresh(stack, old, X_Broker_Assertion=statement(kid, now=now, sub="anna"))
                         for _ in range(20)] for kid in ("ed", "ec")}  # fmt: skip

    assert {status for status, _ in answers["ed"]} == {401}
    assert {json.loads(body)["accessToken"] for _, body in answers["ec"]} == {new}


async def test_a_service_that_is_told_to_end_answers_who_waits_for_the_app(app, database_url, redis_url):
    async with bound_stack(database_url, redis_url, SESSION_CHECK_URL=app.check_url) as (stack, _):
        old, new = await two_tokens(stack, "anna")
        gate = app.hold()
        asking = asyncio.create_task(refresh(stack, old, Cookie=app.cookie_of("anna")))
        await app.asked()
        stack.service.process.send_signal(signal.SIGTERM)
        gate.set()
        status, body = await asking
        assert (status, json.loads(body)["accessToken"]) == (200, new)
        assert await stack.service.end(within_s=25) == 0


async def test_without_either_the_log_says_once_that_the_token_alone_identifies(database_url, redis_url):
    async with bound_stack(database_url, redis_url) as (stack, _):
        old, new = await two_tokens(stack, "anna")
        assert json.loads((await refresh(stack, old))[1])["accessToken"] == new
        [line] = stack.service.of("session.mode")
    assert (line["mode"], line["level"]) == ("bearer", "warning")
    assert "SESSION_CHECK_URL" in line["reason"]


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_keys_that_cannot_be_used_are_told_of_at_the_start(database_url, redis_url, tmp_path, workers):
    keys = tmp_path / "jwks.json"
    keys.write_text('{"keys": [{"kty": "oct", "k": "c2VjcmV0LWtleQ", "kid": "a"}]}')
    variables = environment(
        DATABASE_URL=database_url, REDIS_URL=redis_url, ASSERTION_JWKS=str(keys), WORKERS=workers, **LISTENERS
    )
    program = await started("serve", variables)
    try:
        async with asyncio.timeout(30):
            assert await program.process.wait() == 2
    finally:
        await program.kill()
    said = str(program.stray)
    assert "TOKEN_BROKER_ASSERTION_JWKS: names a file that cannot be used: key 1 is a secret" in said
    assert "c2VjcmV0" not in said
