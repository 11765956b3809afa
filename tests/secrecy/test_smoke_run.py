"""What `make smoke` keeps of a run is looked through, every part of it: what is planted there is found."""

from contextlib import closing
from types import SimpleNamespace

import aiohttp
import asyncpg
import pytest
import redis
from aiohttp import web
from aiohttp.test_utils import TestServer

from sandbox.calcom.jwt import sign
from sandbox.dev.home import Keys
from sandbox.smoke.kept import Kept

TOKEN = sign({"type": "refresh_token", "jti": "planted"}, b"k" * 32)
ACCESS_TOKEN = sign({"type": "access_token", "jti": "handed out"}, b"k" * 32)
END = TOKEN.rpartition(".")[2]
KEYS = Keys()


@pytest.fixture
def kept(embedded_servers):
    """Gives what is kept of a run; `ends` looks through it."""
    run = Kept()
    run.tokens.append(TOKEN)
    home = SimpleNamespace(keys=KEYS)
    run.ends = lambda: {f"{one.channel}: {one.what}" for one in run.leaks(home, embedded_servers)}
    return run


async def serving(path, body, *configs):
    async def answer(_):
        return web.Response(text=body)

    app = web.Application()
    app.router.add_get(path, answer)
    async with TestServer(app) as server, aiohttp.ClientSession(trace_configs=list(configs)) as session:
        async with session.get(server.make_url(path)) as given:
            await given.read()
        yield server


@pytest.mark.parametrize(
    "secret", [END, KEYS.client_secret, KEYS.backend, KEYS.jobs, KEYS.encryption, KEYS.fingerprint]
)
def test_in_what_a_process_wrote(kept, secret):
    kept.line("service", {"event": "request.done", "reason": f"presented {secret}"})
    assert any(one.startswith("the output of service: ") for one in kept.ends())


@pytest.mark.may_stand(place="/v1/users", why="it is planted there")
async def test_in_an_answer(kept):
    async for _ in serving("/v1/users/anna", f'{{"refreshToken":"{TOKEN}"}}', kept.answers()):
        assert "the answer to GET /v1/users/anna: a token as it is" in kept.ends()


async def test_but_not_the_token_that_an_answer_is_there_for(kept):
    async for _ in serving("/refresh", f'{{"accessToken":"{ACCESS_TOKEN}"}}', kept.answers()):
        assert kept.ends() == set()


@pytest.mark.may_stand(place="/metrics", why="it is planted there")
async def test_in_metrics(kept):
    async for server in serving("/metrics", f'users{{token="{END}"}} 1'):
        await kept.metrics(SimpleNamespace(observe=server.port, worker=server.port))
        assert "the metrics of the service: a token's signature" in kept.ends()


@pytest.mark.may_stand(place="planted", why="it is planted there")
@pytest.mark.may_stand(place="Redis", why="it is planted there")
@pytest.mark.may_stand(place="the output of postgres", why="it is planted there")
async def test_in_a_store_and_in_what_it_wrote(kept, own_servers):
    connection = await asyncpg.connect(own_servers.postgres.url)
    await connection.execute("CREATE TABLE planted AS SELECT $1::text AS sealed", TOKEN)
    await connection.close()
    with closing(redis.Redis.from_url(own_servers.valkey.url)) as client:
        client.rpush("planted", END)
    with own_servers.postgres.log_path.open("a") as log:
        log.write(f"STATEMENT: {TOKEN}\n")
    await kept.stores(own_servers)
    assert {
        "PostgreSQL's table planted: a token as it is",
        "Redis, a list,: a token's signature",
        "the log of postgres: a token as it is",
    } <= kept.ends()
