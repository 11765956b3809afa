"""The scale report in its short form: that all of it runs, and that what it prints has its shape."""

import json
import subprocess
import sys

import pytest

from bench import scale
from bench.scaling import growth, page
from tests.docs.blocks import ROOT

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def printed():
    command = [sys.executable, "-m", "bench.scale", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_size_has_every_figure_of_the_page(printed):
    line = printed["sizes"]["10000"]
    assert {key for _, key, _ in page.ROWS} <= set(line)


def test_what_is_due_is_found_by_its_index_and_a_refresh_writes_what_the_design_says(printed):
    line = printed["sizes"]["10000"]
    assert line["due_index"] == "grants_due"
    # The claim, the pair, its fingerprint and what happened, each with two entries in indexes.
    assert line["rows_a_refresh"] == 4
    assert line["index_entries_a_refresh"] == pytest.approx(8, abs=0.5)


def test_a_day_has_every_figure_of_the_page(printed):
    assert {key for _, key, _ in page.DAY_ROWS} <= set(printed["days"][0])


@pytest.mark.parametrize("sizes", ["15000", "10000,7"])
def test_a_size_in_which_the_due_ones_cannot_lie_evenly_is_refused(sizes, capsys):
    with pytest.raises(SystemExit) as refused:
        scale.main(["--sizes", sizes])
    assert refused.value.code == 2
    assert "a multiple of 10,000" in capsys.readouterr().err


def test_a_size_for_which_the_disk_has_no_room_is_told_and_not_guessed(monkeypatch, tmp_path):
    monkeypatch.setattr(growth, "fill", an_empty_base)
    said = []
    where = type("Where", (), {"place": tmp_path, "server_url": ""})()

    [(name, line)] = growth.measure(where, [10**12], growth.QUICK, said.append)

    assert name == str(10**12)
    assert line == {"missing": said[0]}
    assert "GB are free" in said[0]


async def an_empty_base(server_url, grants, due):
    return None


def test_the_figure_that_the_benchmark_reads_is_that_of_ten_million_grants():
    assert scale.due_growth({"1000000": {"due_vs_10k": 9.0}}) == {}
    assert scale.due_growth({"10000000": {"missing": "no room"}}) == {}
    assert scale.due_growth({"10000000": {"due_vs_10k": 1.5}}) == {"due_10m_vs_10k": 1.5}
