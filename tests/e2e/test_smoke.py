"""A short smoke run, as `make smoke` starts it."""

import os
import subprocess
import sys

import orjson

from tests.e2e.runs import ROOT


def test_a_short_run_keeps_every_promise_and_ends_with_its_figures(server_folder):
    command = [sys.executable, "-m", "sandbox.smoke", "--users", "6", "--lifetime", "12s"]
    environ = {**os.environ, "TMPDIR": str(server_folder)}
    done = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    seen = orjson.loads(done.stdout.splitlines()[-1])
    assert seen["upstream_refreshes"] == seen["pairs_replaced"] >= 18
    assert (seen["needless_refreshes"], seen["errors"], seen["two_tabs_ok"]) == (0, 0, True)
    assert list(server_folder.iterdir()) == []
