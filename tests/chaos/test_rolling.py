"""A rolling update under load: callers notice nothing, and no user's other tokens are killed."""

import json
import subprocess
import sys

import pytest

from tests.chaos.fleet import ROOT

WITHIN_S = 150


@pytest.mark.timeout(WITHIN_S + 10)
def test_a_rolling_restart_fails_no_answer_and_forces_nothing():
    command = [sys.executable, "-m", "tests.chaos.rolling", "--rounds", "4"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    assert run.returncode == 0, run.stderr

    figures = json.loads(run.stdout.splitlines()[-1])
    assert figures["restarts"] == 8
    assert figures["unanswered"] == {}
    assert figures["forced_share"] == 0
