"""That the measure of an import measures: each user once, a kill in the middle, memory looked at."""

import asyncio
import json
import subprocess
import sys

import pytest

from tests.support.programs import ROOT

USERS = 3000


@pytest.mark.timeout(240)
async def test_every_user_is_there_once_also_after_a_kill_and_memory_does_not_grow_with_them():
    words = (sys.executable, "-m", "bench.importing", "--users", str(USERS))
    done = await asyncio.to_thread(
        subprocess.run, words, cwd=ROOT, capture_output=True, check=True, text=True
    )
    found = json.loads(done.stdout)
    whole, resumed = found["whole"], found["killed_and_resumed"]
    assert set(whole["rows"].values()) == set(resumed["rows"].values()) == {USERS}
    assert (whole["exit"], resumed["killed_with"], resumed["exit"]) == (0, -9, 0)
    there = resumed["rows_then"]["grants"]
    assert set(resumed["rows_then"].values()) == {there}
    assert 0 < there < USERS
    assert (resumed["said"]["imported"], resumed["said"]["already"]) == (USERS - there, there)
    assert 0 < whole["peak_mb_after"] < whole["peak_mb_first_third"] + 30
