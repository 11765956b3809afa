"""The helper that pages load from the broker: keep-fresh.test.mjs has the cases, on a clock that it moves."""

import subprocess

from tests.browser.building import HERE

HELPER = HERE.parent.parent / "service" / "api" / "static" / "keep-fresh.js"


def test_the_helper_asks_when_it_promises_to_and_at_no_other_time(node):
    command = [node, "--test", "--test-reporter=tap", "keep-fresh.test.mjs"]
    ended = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stdout


def test_the_helper_is_short_and_needs_nothing_else():
    lines = HELPER.read_text().splitlines()
    assert len(lines) <= 40
    assert [line for line in lines if line.startswith("import")] == []
