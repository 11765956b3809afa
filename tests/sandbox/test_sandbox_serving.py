"""A sandbox serves on a port, and as a command, and stops cleanly."""

import asyncio
import signal
import socket
import sys

import aiohttp
import pytest

from sandbox.calcom import Sandbox, SandboxConfig, serve
from sandbox.calcom.cli import DEFAULT_CLIENT, read_client, read_seconds, run
from tests.sandbox.caller import FIRST, SECOND, UNTHROTTLED


async def test_a_served_sandbox_tells_its_urls():
    async with serve(UNTHROTTLED) as running, aiohttp.ClientSession() as session:
        async with session.get(f"{running.url}/provider/c1") as response:
            assert response.status == 200

        assert running.url == f"{running.origin}/v2"
        assert running.sandbox.journal[-1].route == "provider"


async def test_a_given_sandbox_is_the_one_served():
    mine = Sandbox(UNTHROTTLED)
    async with serve(UNTHROTTLED, sandbox=mine) as running:
        assert running.sandbox is mine


def waits_of(sandbox):
    """Make one route each hang, sleep and stand at a gate, and return what to await until they do."""
    return [
        sandbox.fault("hang_before", "provider").struck,
        sandbox.fault("delay_before", "unknown", delay_s=60).struck,
        sandbox.gate("me").arrived,
    ]


async def test_serving_ends_at_once_while_calls_hang_sleep_and_wait():
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession() as session:
        async with serve(UNTHROTTLED) as running:
            waits, paths = waits_of(running.sandbox), ("provider/c1", "nothing", "me")
            calls = [asyncio.ensure_future(session.get(f"{running.url}/{path}")) for path in paths]
            await asyncio.gather(*(wait() for wait in waits))
            ending_at = loop.time()
        statuses = [response.status for response in await asyncio.gather(*calls)]

    assert statuses == [200, 404, 401]
    assert loop.time() - ending_at < 1.5


async def test_a_call_that_would_land_late_ends_with_the_serving():
    async with asyncio.timeout(10), serve(UNTHROTTLED) as running, aiohttp.ClientSession() as session:
        running.sandbox.fault("zombie", "refresh", delay_s=60)
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await session.post(f"{running.url}/oauth/c1/refresh")

    assert running.sandbox.counts()["refresh"] == 2
    assert not any(entry.committed for entry in running.sandbox.journal)


@pytest.mark.parametrize(
    ("text", "client_id", "secret", "redirect_uris"),
    [
        ("a:b", "a", "b", ("*",)),
        ("a:b:https://x.example", "a", "b", ("https://x.example",)),
        ("a:b:https://x.example:8443,http://localhost:3000", "a", "b",
         ("https://x.example:8443", "http://localhost:3000")),
    ],
)  # fmt: skip
def test_a_client_is_read_from_the_command_line(text, client_id, secret, redirect_uris):
    client = read_client(text)

    assert (client.id, client.secret, client.redirect_uris) == (client_id, secret, redirect_uris)


@pytest.mark.parametrize(("text", "seconds"), [("20", 20), ("20s", 20), ("60m", 3600), ("0.5h", 1800)])
def test_a_lifetime_is_read_in_seconds_or_with_a_unit(text, seconds):
    assert read_seconds(text) == seconds


@pytest.mark.parametrize(
    "argv", [["--client", "lonely"], ["--lifetime", "soon"], ["--lifetime", "0"], ["--port", "99999"]]
)
def test_wrong_usage_is_exit_code_2_and_names_what_is_wrong(argv, capsys):
    with pytest.raises(SystemExit) as exit_:
        run(argv)

    assert exit_.value.code == 2
    assert argv[1] in capsys.readouterr().err


def test_a_taken_port_is_exit_code_2_and_says_what_to_do(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        assert run(["--port", str(port)]) == 2

    message = capsys.readouterr().err
    assert f"Port {port} of 127.0.0.1 is taken" in message
    assert "--port 0" in message


def test_a_journal_that_cannot_be_written_is_exit_code_2(capsys, tmp_path):
    path = tmp_path / "missing" / "journal.jsonl"

    assert run(["--journal", str(path)]) == 2
    assert f"The journal {path} cannot be written" in capsys.readouterr().err


async def started(*argv):
    """Start the command and return its process and the URL it printed."""
    code = "import sys; from sandbox.calcom.cli import run; raise SystemExit(run(sys.argv[1:]))"
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, *argv, stdout=pipe, stderr=pipe
    )
    return process, (await process.stdout.readline()).decode().strip()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_command_prints_its_url_serves_and_stops_on_a_signal(tmp_path, number):
    journal = tmp_path / "journal.jsonl"
    process, url = await started("--lifetime", "20", "--journal", str(journal))
    path = f"{url}/provider/{DEFAULT_CLIENT.id}"
    async with aiohttp.ClientSession() as session, session.get(path) as response:
        assert response.status == 200

    process.send_signal(number)
    out, err = await process.communicate()

    assert (process.returncode, out, err) == (0, b"", b"")
    assert len(journal.read_bytes().splitlines()) == 1


def test_no_repr_shows_a_secret():
    config = SandboxConfig(clients=(FIRST, SECOND))

    assert "s1" not in repr(config)
    assert "s1" not in repr(Sandbox(config).client("c1"))
