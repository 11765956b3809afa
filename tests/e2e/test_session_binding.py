"""Two service processes that bind tokens to an app's sessions: what they ask, say, write and keep."""

import asyncio
import json
import signal
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest

from sandbox.calcom import SandboxClient, SandboxConfig, serve
from tests.chaos.check.leaks import forms
from tests.chaos.dumps import dump_database, dump_redis
from tests.chaos.folder import OUTPUT
from tests.support.environment import environment
from tests.support.programs import started
from tests.support.proxies import Proxy, listening
from tests.support.signing_in import an_app
from tests.support.stack import SCALED, running_broker
from tests.support.statements import key_set, public, statement

CLIENT = SandboxClient("acme", "secret-of-acme")
PATIENT = {"ANSWER_TIMEOUT": "8s", "PUBLIC_ANSWER_TIMEOUT": "12s", "DRAIN": "14s", "GRACE": "18s"}
LISTENERS = dict.fromkeys(("PUBLIC_ADDRESS", "INTERNAL_ADDRESS", "OBSERVE_ADDRESS"), "127.0.0.1:0")

pytestmark = pytest.mark.timeout(240)


class Kept:
    """What a reader reads, kept."""

    def __init__(self, reader, said):
        self._reader, self._said = reader, said

    async def read(self, most):
        data = await self._reader.read(most)
        self._said.extend(data)
        return data


class Heard(Proxy):
    """Passes bytes on to upstream and back, and keeps them."""

    def __init__(self, target):
        super().__init__(target, lambda: 0)
        self.said = bytearray()

    async def _pass_on(self, reader, writer, delay):
        await super()._pass_on(Kept(reader, self.said), writer, delay)


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
    sent = {"Authorization": f"Bearer {token}", "Connection": "close", **headers}
    async with stack.http.get(f"{stack.public_url}/refresh", headers=sent) as answer:
        return answer.status, await answer.text()


async def two_tokens(stack, user):
    await stack.create_user("default", user)
    old = await stack.token("default", user)
    return old["accessToken"], (await stack.rotate("default", user))["accessToken"]


async def everything_kept(stack, database_url, redis_url, folder):
    """All that the processes wrote and the stores hold, as bytes."""
    (folder / OUTPUT).mkdir()
    await asyncio.to_thread(dump_database, database_url, folder)
    dump_redis(redis_url, folder)
    texts = [json.dumps(line) for of in (stack.service, stack.worker) for line in [*of.lines, *of.stray]]
    async with stack.http.get(f"{stack.observe_url}/metrics") as answer:
        texts.append(await answer.text())
    return b"\n".join(
        ["\n".join(texts).encode(), *(file.read_bytes() for file in (folder / OUTPUT).iterdir())]
    )


def shown(kept, secret):
    """The forms in which a secret stands somewhere."""
    return [form for form, needle in forms(secret.encode()) if needle in kept]


@dataclass
class Browsers:
    """What four browsers present: their own session or statement, another's, one for somebody else."""

    proofs: list

    @classmethod
    def of(cls, app):
        cookies = [{"Cookie": app.cookie_of(user)} for user in ("anna", "bob")]
        said = [statement(now=int(time.time()), sub="anna", aud=aud) for aud in ("token-broker", "elsewhere")]
        return cls(cookies + [{"X-Broker-Assertion": one} for one in said])

    async def ask(self, stack, token, times):
        """The answers in turn, so many times."""
        return [await refresh(stack, token, **proof) for _ in range(times) for proof in self.proofs]

    @property
    def secrets(self):
        """What must stand nowhere: the end of each, which is nobody else's."""
        return [next(iter(proof.values()))[-32:] for proof in self.proofs]


@pytest.fixture
def key_file(app, tmp_path):
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps(app.keys))
    return file


@pytest.fixture
def both(app, key_file):
    """The settings of both ways."""
    return {"SESSION_CHECK_URL": app.check_url, "ASSERTION_JWKS": str(key_file)}


async def test_every_process_tells_who_may_have_the_token(app, both, database_url, redis_url):
    async with bound_stack(database_url, redis_url, **both) as (stack, _):
        old, new = await two_tokens(stack, "anna")
        answers = await Browsers.of(app).ask(stack, old, 20)
        done = stack.service.of("request.done", route="/refresh", status=200)
        assert stack.service.of("session.mode", mode="session+assertion", level="info")

    assert [status for status, _ in answers] == [200, 403, 200, 401] * 20
    assert {json.loads(body)["accessToken"] for _, body in answers} == {new, ""}
    assert {line["process"] for line in done} == {0, 1}


async def test_no_proof_is_kept_written_or_passed_on(app, both, database_url, redis_url, tmp_path):
    browsers = Browsers.of(app)
    async with bound_stack(database_url, redis_url, **both) as (stack, upstream):
        old, new = await two_tokens(stack, "anna")
        answers = [*await browsers.ask(stack, old, 4), *await browsers.ask(stack, new, 1)]
        kept = await everything_kept(stack, database_url, redis_url, tmp_path)

    assert b"Bearer " + new.encode() in upstream.said, "upstream was asked, and heard"
    assert b"anna" in kept, "what is looked through is not empty"
    everything = b"".join([kept, bytes(upstream.said), str(answers).encode()])
    assert [shown(everything, secret) for secret in browsers.secrets] == [[]] * 4
    assert not any(token in str(app.headers) for token in (old, new))


async def test_a_file_of_keys_is_replaced_under_all_processes(database_url, redis_url, key_file):
    async with bound_stack(database_url, redis_url, ASSERTION_JWKS=str(key_file)) as (stack, _):
        old, new = await two_tokens(stack, "anna")
        fresh = key_file.with_name("fresh.json")
        fresh.write_text(json.dumps(key_set(public("ec"))))
        fresh.replace(key_file)
        said = {kid: statement(kid, now=int(time.time()), sub="anna") for kid in ("ed", "ec")}
        answers = [
            (kid, *await refresh(stack, old, **{"X-Broker-Assertion": said[kid]})) for kid in [*said] * 20
        ]

    assert {(kid, status) for kid, status, _ in answers} == {("ed", 401), ("ec", 200)}
    assert {json.loads(body)["accessToken"] for _, _, body in answers} == {new, ""}


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
