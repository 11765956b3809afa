"""Negative controls: with one mechanism taken away the checker fails the run, with all in place it passes.

Both runs of a control go side by side, each in processes and servers of its own.
"""

import json
import subprocess
import sys

import pytest

from tests.chaos.controls import CONTROLS
from tests.chaos.fleet import ROOT

CAUGHT_WITHIN_S = 120


def started(name, *flags):
    command = [sys.executable, "-m", "tests.chaos.controls", name, *flags]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def ended(run):
    """Its exit code, its figures, and what it complained of."""
    said, complaints = run.communicate(timeout=CAUGHT_WITHIN_S)
    return run.returncode, json.loads(said.splitlines()[-1]) if said else {}, complaints


@pytest.mark.timeout(2 * CAUGHT_WITHIN_S)
@pytest.mark.parametrize("name", CONTROLS)
def test_the_checker_sees_what_is_taken_away(name):
    with started(name) as whole, started(name, "--without") as weakened:
        code, figures, complaints = ended(weakened)
        assert code == 1, complaints
        assert figures.get(CONTROLS[name].finding, 0) > 0, complaints

        code, figures, complaints = ended(whole)
        assert code == 0, (complaints, figures)
