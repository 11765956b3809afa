"""docs/supply-chain.md: its commands do what it says, and its figures are those of this commit."""

import json
import os
import shutil
import subprocess

import pytest

from supply import advisories, locks, sbom
from supply.audit import RELEASE_WITHIN_DAYS, TOLD_AFTER_DAYS
from tests.docs.blocks import blocks_of

PAGE = "docs/supply-chain.md"
TEXT = " ".join((locks.ROOT / PAGE).read_text().split())


@pytest.fixture
def careful_make(tmp_path):
    """A folder with a `make` that never makes the environment anew, in which these tests run."""
    program = tmp_path / "make"
    program.write_text(f'#!/bin/sh\nexec {shutil.which("make")} -o .venv/.ready "$@"\n')
    program.chmod(0o755)
    return tmp_path


def test_the_commands_that_are_said_to_be_run_here_do_their_work(careful_make):
    mark = "run by tests/supply/test_page.py"
    [block] = [block for block in blocks_of(PAGE, "sh") if block.mark == mark]
    shell = ["/bin/sh", "-eu", "-c", block.text]
    variables = {"PATH": f"{careful_make}:{os.environ['PATH']}"}
    ended = subprocess.run(
        shell, cwd=locks.ROOT, env=variables, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout.splitlines()[-1])["problems"] == 0


def test_it_says_of_the_file_what_is_in_it():
    known = advisories.load().packages
    vulns = [one for entry in known.values() for one in entry.vulns]
    with_any = sum(bool(entry.vulns) for entry in known.values())
    if all(entry.whole for entry in known.values()):
        assert "What the file of this commit rests on" not in TEXT, (
            "the file is whole now: take the section out"
        )
        return
    whole = sum(entry.whole for entry in known.values())
    assert f"{whole} of the {len(known)} packages are locked in that one" in TEXT
    assert f"**{len(known) - whole} packages count as checked in part**" in TEXT
    assert f"{len(vulns)} advisories of {with_any} packages are in it" in TEXT.replace("**", "")


def test_it_tells_the_days_that_the_audit_counts_in():
    assert f"Past {TOLD_AFTER_DAYS} days the file's age is told" in TEXT
    assert f"older than {RELEASE_WITHIN_DAYS} days" in TEXT
    assert f"at most {advisories.LONGEST_DAYS} days on" in TEXT


def test_it_names_every_lock_and_both_documents():
    for name in (*locks.LOCKS, sbom.PRODUCT, sbom.DEVELOPMENT):
        assert f"`{name}`" in TEXT
