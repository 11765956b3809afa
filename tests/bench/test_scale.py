"""The scale report in its short form: that all of it runs, and that what it prints has its shape."""

import json
import subprocess
import sys

import pytest

from bench import scale
from bench.saved import due_growth
from bench.scaling import page
from bench.scaling.day import Day, Scene
from bench.scaling.filling import drop, fill
from bench.scaling.queries import due_node, index_of, look_at_both
from tests.docs.blocks import ROOT

SMALL = Scene(users=2_000, seen=0.2, rate_a_minute=9, warm_up_s=3600.0, lasts_s=6 * 3600.0)
"""A day of few hours, at a thousandth of a million users' activity and budget and then some."""


@pytest.fixture(scope="module")
def printed():
    command = [sys.executable, "-m", "bench.scale", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_each_size_has_every_figure_of_the_page(printed):
    line = printed["sizes"]["10000"]
    assert {key for _, key, _ in page.ROWS} <= set(line)


def test_a_refresh_writes_what_the_design_says(printed):
    line = printed["sizes"]["10000"]
    assert line["due_index"] == "grants_due"
    # The claim, the pair, its fingerprint, what happened; none of the four tables' rows is in two indexes too many.
    assert line["rows_a_refresh"] == 4
    assert line["index_entries_a_refresh"] == 8


def test_each_day_has_every_figure_of_the_page(printed):
    assert {key for _, key, _ in page.DAY_ROWS} <= set(printed["days"][0])


def test_a_short_run_leaves_the_saved_results_alone(printed):
    assert list(printed["sizes"]) == ["10000"]
    saved = json.loads(scale.SCALE.read_text())
    assert len(saved["sizes"]) > 1
