"""The browser helper, in a world whose clock and network belong to the test; needs Node.js to run."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from service import api

STATIC = Path(api.__file__).parent / "static"
NODE = shutil.which("node")


def test_the_helper_is_short_and_needs_nothing():
    text = (STATIC / "keep-fresh.js").read_text()

    assert len(text.splitlines()) <= 40
    assert "\nimport " not in text


@pytest.mark.skipif(NODE is None, reason="Node.js is not installed")
def test_the_helper_keeps_a_token_fresh_and_the_endpoint_unharmed():
    world = Path(__file__).with_suffix(".mjs")
    helper = (STATIC / "keep-fresh.js").as_uri()

    run = subprocess.run(
        [NODE, world],
        env={**os.environ, "KEEP_FRESH": helper},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
