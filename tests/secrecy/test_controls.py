"""The watch over a suite can fail: what is planted in each of its channels is found, and told without it."""

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from sandbox.calcom.jwt import sign

ROOT = Path(__file__).parents[2]
TOKEN = sign({"type": "access_token", "jti": "planted"}, b"k" * 32)
LEAKY = ("tests/secrecy/leaky.py", "tests/integration/leaky.py")
FOUND = {
    "pipe": "the output of python",
    "file": "the output of python",
    "lasting": "the output of python",
    "stream": "the output of python",
    "secret": "holds the client secret as it is",
    "table": "PostgreSQL's table planted",
    "server": "PostgreSQL's table planted",
    "value": "Redis, a hash,",
    "metrics": "the answer to GET /metrics",
    "answer": "the answer to GET /v1/users/anna",
    "noted": "what a broker noted",
    "printed": "Captured stdout call",
    "logged": "Captured log call",
    "allowed_elsewhere": "the output of python",
}
ALLOWED = ("good_answer", "allowed", "before_it_leaks")


def suite(*which):
    """Run these tests as a suite of their own."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--show-capture=no", "-q", *which]
    environ = {**os.environ, "PLANTED": TOKEN}
    return subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=100, check=False
    )


@pytest.fixture(scope="module")
def leaky():
    """What a suite says whose tests leak, and how it ends."""
    return suite(*LEAKY)


def told_of(name, text):
    """The lines that tell of this test: below its name what is found at once, beside it what is late."""
    lines = text.splitlines()
    at_once = [after for line, after in pairwise(lines) if f"of test_{name} _" in line]
    return at_once + [line for line in lines if f"::test_{name}: " in line]


def test_a_suite_that_leaks_fails(leaky):
    assert leaky.returncode == 1, leaky.stdout + leaky.stderr


def test_so_does_one_that_leaks_nowhere_but_in_what_is_seen_when_its_test_is_over():
    alone = suite(f"{LEAKY[0]}::test_printed")
    assert alone.returncode == 1, alone.stdout + alone.stderr
    assert "1 passed" in alone.stdout


@pytest.mark.parametrize(("name", "where"), FOUND.items(), ids=FOUND)
def test_what_is_planted_is_found(leaky, name, where):
    assert [line for line in told_of(name, leaky.stdout) if where in line], leaky.stdout


@pytest.mark.parametrize("name", ALLOWED)
def test_what_is_allowed_is_not_complained_of(leaky, name):
    assert told_of(name, leaky.stdout) == []


def test_nobody_is_shown_what_was_found(leaky):
    said = "\n".join(line for name in FOUND for line in told_of(name, leaky.stdout))
    assert said
    assert TOKEN[:20] not in said
    assert "planted-secret" not in said
