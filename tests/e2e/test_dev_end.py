"""How a run ends, and what is left of it."""

import os
import signal
import sys

import pytest

from sandbox.calcom import SandboxClient, SandboxConfig, serve
from tests.e2e.runs import alive, bearer, call
from tests.support.waiting import eventually

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")


@needs_linux
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_told_to_stop_it_leaves_no_process_and_no_file(start, number):
    run = start().up()
    family = run.family()
    assert len(family) >= 4
    assert run.end(number) == 0
    assert alive(family) == []
    assert list(run.temporary.iterdir()) == []


@needs_linux
@pytest.mark.parametrize("begun", ["initdb", "postgres", "work"])
async def test_told_to_stop_while_it_starts_it_leaves_nothing_either(start, begun):
    run = start()
    await eventually(lambda: run.has_started(begun), within_s=20)
    family = run.family()
    assert run.end(signal.SIGTERM) == 0
    assert alive(family) == []
    assert list(run.temporary.iterdir()) == []


@needs_linux
async def test_killed_it_leaves_no_process(start):
    run = start().up()
    family = run.family()
    run.end(signal.SIGKILL)
    await eventually(lambda: not alive(family), within_s=20)


@needs_linux
@pytest.mark.parametrize(("command", "name"), [("serve", "service"), ("work", "worker")])
def test_a_part_that_dies_ends_the_run_with_its_last_words(start, command, name):
    run = start().up()
    os.kill(run.child(command), signal.SIGKILL)
    assert run.ended() == 1
    assert f"The {name} ended with exit code -9" in run.output
    assert list(run.temporary.iterdir()) == []


async def test_kept_data_is_opened_again_with_its_users(start, server_folder):
    keep = server_folder / "kept"
    first = start("--keep", str(keep)).up()
    _, before = await call("POST", f"{first.page}/demo/session")
    assert first.end() == 0
    again = start("--keep", str(keep)).up()
    status, answer = await call("GET", again.refresh_url, headers=bearer(before["accessToken"]))
    assert status == 200
    working = {"status": 200}
    assert (await call("GET", f"{again.page}/demo/call", headers=bearer(answer["accessToken"])))[1] == working
    assert "Created" not in again.output


def test_a_folder_of_something_else_is_not_touched(start, server_folder):
    (server_folder / "photos").mkdir()
    (server_folder / "photos" / "cat.png").touch()
    run = start("--keep", str(server_folder / "photos"))
    assert run.ended() == 2
    assert "is not empty" in run.output
    assert [file.name for file in (server_folder / "photos").iterdir()] == ["cat.png"]


@pytest.mark.parametrize("half", [{"CAL_OAUTH_CLIENT_ID": "client"}, {"X_CAL_SECRET_KEY": "the-secret"}])
def test_half_of_the_credentials_is_wrong_usage(start, half):
    run = start(**half)
    assert run.ended() == 2
    assert "is missing" in run.output
    assert "the-secret" not in run.output


def test_settings_of_the_surroundings_do_not_lead_a_run_to_other_databases(start):
    run = start(TOKEN_BROKER_DATABASE_URL="postgresql://broker:pass-word@127.0.0.1:1/production").up()
    assert "Not taken over from your environment" in run.output
    assert "pass-word" not in run.output


async def test_with_credentials_it_speaks_to_the_real_calcom_and_takes_its_user_back(start):
    config = SandboxConfig(clients=(SandboxClient("real-client", "real-secret"),))
    async with serve(config) as real:
        environ = {
            "CAL_API_URL": real.url,
            "CAL_OAUTH_CLIENT_ID": "real-client",
            "X_CAL_SECRET_KEY": "real-secret",
        }
        run = start(**environ)
        await eventually(lambda: "Ctrl-C stops" in run.output, within_s=30)
        _, held = await call("POST", f"{run.page}/demo/session")
        assert real.sandbox.is_live(held["accessToken"])
        run.process.send_signal(signal.SIGINT)
        await eventually(lambda: run.process.poll() is not None, within_s=30)
        assert real.sandbox.users("real-client") == []
    assert "real-secret" not in run.output
