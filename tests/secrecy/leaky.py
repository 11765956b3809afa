"""Tests that leak on purpose, a channel each; run by test_controls.py in a suite of their own."""

import asyncio
import logging
import os
import subprocess
import sys
from contextlib import closing

import aiohttp
import asyncpg
import pytest
import redis
from aiohttp import web
from aiohttp.test_utils import TestServer

TOKEN = os.environ["PLANTED"]
SAYS = [sys.executable, "-c", f"import sys; sys.stdout.write({TOKEN!r})"]
WRITES = "import os, time; os.write(1, {!r}); time.sleep(0.2); os.write(1, {!r})"
SLOWLY = WRITES.format(TOKEN[:5].encode(), TOKEN[5:].encode())
SECRET = "planted-secret-of-a-client"


async def written(url):
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE IF NOT EXISTS planted (sealed bytea)")
    await connection.execute("INSERT INTO planted VALUES ($1)", TOKEN.encode())
    await connection.close()


async def answered(path, body):
    async def answer(_):
        return web.Response(text=body)

    app = web.Application()
    app.router.add_get(path, answer)
    async with (
        TestServer(app) as server,
        aiohttp.ClientSession() as session,
        session.get(server.make_url(path)) as given,
    ):
        await given.text()


def test_pipe():
    subprocess.run(SAYS, capture_output=True, check=True)


def test_file(tmp_path):
    with (tmp_path / "log").open("w") as log:
        subprocess.run(SAYS, stdout=log, check=True)
    (tmp_path / "log").unlink()


@pytest.fixture(scope="module")
def lasting(tmp_path_factory):
    says = [sys.executable, "-c", f"input(); print({TOKEN!r})"]
    with (tmp_path_factory.mktemp("lasting") / "log").open("w") as log:
        return subprocess.Popen(says, stdin=subprocess.PIPE, stdout=log, text=True)


def test_before_it_leaks(lasting):
    assert lasting.poll() is None


def test_lasting(lasting):
    lasting.stdin.write("now\n")
    lasting.stdin.close()
    assert lasting.wait() == 0


async def test_stream():
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SLOWLY, stdout=subprocess.PIPE)
    assert await process.stdout.read() == TOKEN.encode()
    await process.wait()


def test_secret():
    says = [sys.executable, "-c", f"print({SECRET!r})"]
    environ = {"PATH": os.environ["PATH"], "X_CAL_SECRET_KEY": SECRET}
    subprocess.run(says, env=environ, capture_output=True, check=True)


async def test_table(database_url):
    await written(database_url)


async def test_server(own_servers):
    await written(own_servers.postgres.url)


def test_value(redis_url):
    with closing(redis.Redis.from_url(redis_url)) as client:
        client.hset("planted", "token", TOKEN)


async def test_metrics():
    await answered("/metrics", f'users{{token="{TOKEN}"}} 1')


async def test_answer():
    await answered("/v1/users/anna", f'{{"accessToken":"{TOKEN}"}}')


async def test_good_answer():
    await answered("/refresh", f'{{"accessToken":"{TOKEN}"}}')


def test_printed():
    sys.stdout.write(TOKEN)


def test_logged():
    logging.getLogger("some.library").warning("presented %s", TOKEN)


@pytest.mark.may_stand(place="Captured stdout", why="it is allowed to here")
def test_allowed():
    sys.stdout.write(TOKEN)


@pytest.mark.may_stand(place="Captured stdout", why="it is allowed to there, and nowhere else")
def test_allowed_elsewhere():
    subprocess.run(SAYS, capture_output=True, check=True)
