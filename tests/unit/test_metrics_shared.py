"""Figures of several processes in one folder: whoever reads them reads those of the whole service."""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families

from service.metrics import Metrics
from service.metrics.shared import forget_gauges, render_shared

ROOT = Path(__file__).parents[2]
# What a service process does with its figures, as a process: the library is switched once, at its start.
MEMBER = """
import asyncio, os, signal, sys
from service.metrics import Metrics, Telemetry
from service.metrics.shared import share_figures
folder, place, render, *says = sys.argv[1:]
STOPPED = "process.stopped {'unfinished': 0}"
share_figures(folder, int(place))
telemetry = Telemetry(Metrics(folder=folder))
tally = telemetry.tally("/refresh")
async def say():
    for said in says:
        event, _, facts = said.partition(" ")
        tally(**eval(facts)) if event == "tally" else telemetry.note(event, **eval(facts))
    await asyncio.sleep(0 if says[-1:] == [STOPPED] else 0.2)
asyncio.run(say())
sys.stdout.flush()
sys.stdout.buffer.write(telemetry.metrics.render() if render else b"# HELP")
sys.stdout.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""
ASKED = "request.done {'route': '/refresh', 'status': 200, 'seconds': 0.01}"
COUNTED = "tally {'source': 'near', 'seconds': 0.01}"
STOPPED = "process.stopped {'unfinished': 0}"
DOWN = "dependency.down {'dependency': 'redis', 'reason': 'timeout'}"


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path)


def member(folder, place, *says, render="yes"):
    """Run a process that says this and is killed; returns the figures that it showed before."""
    run = subprocess.run(
        [sys.executable, "-c", MEMBER, folder, str(place), render, *says],
        cwd=ROOT, stdout=subprocess.PIPE, env={"TOKEN_BROKER": ""}, check=False, timeout=60,
    )  # fmt: skip
    text = run.stdout.decode()
    return text[text.index("# HELP") :]


def samples(text, name):
    """The samples of a metric, by their labels."""
    families = text_string_to_metric_families(text)
    found = [sample for family in families for sample in family.samples]
    return [(sample.labels, sample.value) for sample in found if sample.name == f"token_broker_{name}"]


def read(folder):
    return render_shared(folder, Metrics(folder=folder).registry).decode()


def test_counts_of_all_processes_are_added_up_whoever_is_asked(folder):
    member(folder, 0, ASKED, ASKED)
    shown = member(folder, 1, ASKED)

    assert samples(shown, "http_requests_total") == [({"route": "/refresh", "status": "200"}, 3)]
    assert samples(shown, "http_request_seconds_count") == [({"route": "/refresh"}, 3)]
    assert read(folder) == shown


def took(seconds):
    """What a process says and what it counts of two answers that took so long, of which one was told."""
    facts = {"route": "/refresh", "method": "GET", "status": 200, "seconds": seconds, "source": "near"}
    return [f"request.done {facts}", f"tally {{'source': 'near', 'seconds': {seconds!r}}}"]


def test_what_is_counted_in_plain_numbers_adds_up_like_what_is_told(folder):
    edges = [0.0, 0.001, 0.0010001, 0.5, 1.0, 35.0, 35.1]
    told, counted = zip(*map(took, edges), strict=True)
    member(folder, 0, *counted)
    member(folder, 1, *counted[:3], *told[3:])
    of_both = read(folder)
    with TemporaryDirectory() as other:
        shown = member(other, 0, *told, *told)
    for name in ("http_requests_total", "answers_total", "http_request_seconds_bucket"):
        assert samples(of_both, name) == samples(shown, name) != []


def test_what_is_counted_is_known_to_the_others_before_anybody_asks_who_counted_it(folder):
    """The process is killed having been asked for nothing; it had a moment to write it down."""
    member(folder, 0, COUNTED, render="")
    assert samples(read(folder), "http_requests_total") == [({"route": "/refresh", "status": "200"}, 1)]


def test_what_was_counted_last_is_written_down_by_who_ends_in_order(folder):
    member(folder, 0, COUNTED, STOPPED, render="")
    assert samples(read(folder), "http_requests_total") == [({"route": "/refresh", "status": "200"}, 1)]


def test_who_takes_the_place_of_a_killed_process_goes_on_counting(folder):
    for count in (1, 2, 3):
        shown = member(folder, 0, ASKED)
        assert samples(shown, "http_requests_total")[0][1] == count
    assert {path.name.split("_")[-1] for path in Path(folder).iterdir()} == {"0.db"}


def test_what_a_dead_process_said_of_itself_counts_until_it_is_forgotten(folder):
    member(folder, 0)
    member(folder, 1, DOWN, ASKED)
    assert ({"dependency": "redis"}, 1) in samples(read(folder), "degraded")

    forget_gauges(folder, 1)

    assert ({"dependency": "redis"}, 0) in samples(read(folder), "degraded")
    assert samples(read(folder), "http_requests_total")[0][1] == 1


def test_who_takes_a_place_over_says_nothing_that_the_one_before_it_said(folder):
    member(folder, 0, DOWN)
    assert ({"dependency": "redis"}, 0) in samples(member(folder, 0), "degraded")


def test_of_what_is_shared_the_one_told_last_counts(folder):
    member(folder, 0, "budget.remaining {'client': 'a', 'value': 7}")
    shown = member(folder, 1, "budget.remaining {'client': 'a', 'value': 3}")
    forget_gauges(folder, 1)
    assert samples(shown, "rate_budget_remaining") == [({"client": "a"}, 3)]
    assert samples(read(folder), "rate_budget_remaining") == [({"client": "a"}, 3)]


def test_names_and_types_are_those_of_a_process_that_is_alone(folder):
    def described(text):
        return {line for line in text.splitlines() if line.startswith("# ") and "token_broker" in line}

    shown = member(folder, 0, ASKED, DOWN)

    assert described(shown) == described(Metrics().render().decode())
    assert "pid=" not in shown


def test_the_figures_of_one_process_are_not_shown_as_the_services(folder):
    assert "process_cpu" not in member(folder, 0)
    assert "process_cpu" in Metrics().render().decode()


def test_a_file_that_has_just_been_made_does_not_spoil_a_scrape(folder, monkeypatch):
    member(folder, 0, ASKED)
    new = Path(folder, "counter_1.db")
    new.touch()
    merge, tries = MultiProcessCollector.merge, []

    def merge_while_it_is_made(files):
        tries.append(files)
        if len(tries) > 1:
            new.unlink()
            files.remove(str(new))
        return merge(files)

    monkeypatch.setattr(MultiProcessCollector, "merge", merge_while_it_is_made)
    assert samples(read(folder), "http_requests_total")[0][1] == 1
    assert len(tries) == 2
