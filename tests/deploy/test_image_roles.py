"""The image at work, without a container engine: its roles in a root of its own that cannot be written to."""

import asyncio
import os
import re
import signal
import subprocess
from contextlib import contextmanager

import pytest

from sandbox.dev.ports import HOST, Ports
from tests.deploy.containers import in_container, run_in
from tests.support.environment import environment
from tests.support.waiting import eventually

IMPORT_ALL = """
import importlib, pkgutil
for room in ("service", "worker", "sql"):
    for module in pkgutil.walk_packages(importlib.import_module(room).__path__, room + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
"""


def test_everything_in_it_can_be_imported_from_the_lock_alone(image, unchanged):
    ended = run_in(image, ["python3", "-c", IMPORT_ALL])
    assert (ended.returncode, ended.stderr) == (0, "")


def test_it_runs_as_somebody_without_rights_where_nothing_but_tmp_can_be_written(image):
    tried = "import os; print(os.getuid()); open('/tmp/x', 'w'); open('/opt/token-broker/x', 'w')"
    ended = run_in(image, ["python3", "-c", tried])
    who = 65532 if os.geteuid() == 0 else os.getuid()
    assert ended.stdout.strip() == str(who)
    assert re.search("Read-only file system|Permission denied", ended.stderr)


def test_it_says_what_it_can_do(image):
    ended = run_in(image, image.command("--help"))
    commands = re.findall(r"^    (\w+) ", ended.stdout, re.MULTILINE)
    assert commands[:3] == ["serve", "work", "migrate"]
    assert not {"sandbox", "dev"} & set(commands)


def test_a_wrong_setting_is_named_and_not_a_traceback(image):
    ended = run_in(image, image.command())
    assert ended.returncode == 2
    assert ended.stderr.startswith("TOKEN_BROKER_DATABASE_URL: is missing")


@pytest.fixture
def settings(empty_database_url, redis_url):
    """What every role is told, at addresses of this machine; the two processes get ports of their own."""
    ports = Ports.free()
    told = environment(
        DATABASE_URL=empty_database_url,
        REDIS_URL=redis_url,
        PUBLIC_ADDRESS=f"{HOST}:{ports.public}",
        INTERNAL_ADDRESS=f"{HOST}:{ports.internal}",
    )
    return {
        "migrate": told,
        "serve": told | {"TOKEN_BROKER_OBSERVE_ADDRESS": f"{HOST}:{ports.observe}"},
        "work": told | {"TOKEN_BROKER_OBSERVE_ADDRESS": f"{HOST}:{ports.worker}"},
    }


@contextmanager
def running(image, role, told):
    """Start a role; gives the process and ends it."""
    words, keywords = in_container(image, image.command(role), told)
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **keywords
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def is_healthy(image, told):
    return run_in(image, image.health_check, told).returncode == 0


WAYS = {
    "serve": ("serve", {}),
    "serve with several processes": ("serve", {"TOKEN_BROKER_WORKERS": "2"}),
    "serve with traces": ("serve", {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{HOST}:9"}),
    "work": ("work", {}),
}


@pytest.mark.parametrize(("role", "more"), WAYS.values(), ids=WAYS)
async def test_each_role_is_healthy_once_it_runs_and_ends_when_told_to(
    image, role, more, settings, unchanged
):
    told = settings[role] | more
    migrated = run_in(image, image.command("migrate"), settings["migrate"])
    assert (migrated.returncode, migrated.stderr) == (0, "")
    with running(image, role, told) as process:
        await eventually(lambda: asyncio.to_thread(is_healthy, image, told), 60, 0.3)
        process.send_signal(signal.SIGTERM)
        said, _ = await asyncio.to_thread(process.communicate, timeout=60)
    assert process.returncode == 0, said
    assert not is_healthy(image, told)
