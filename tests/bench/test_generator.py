"""The load generator counts as right only what is right; every other answer it reports."""

import os
import shutil

import pytest

from bench.generator import LoadFailed, Request, build, write_requests
from tests.bench.small_server import answer, chunked, serving
from tests.support.needs import need

RIGHT = '{"accessToken":"one","more":1}'


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    if shutil.which("cc") is None:
        need("A C compiler is missing: apt-get install gcc libc6-dev.")
    return build(tmp_path_factory.mktemp("load"))


@pytest.fixture
def asked(tmp_path):
    requests = [Request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b'{"accessToken":"one"')]
    return write_requests(tmp_path / "requests", requests)


@pytest.fixture
def burst(load, asked):
    def play(port, **changes):
        told = {"connections": 4, "first": 0, "warm_s": 0.01, "burst_s": 0.1, "watched": [os.getpid()]}
        return load.burst(port, asked, **told | changes)

    return play


def counts(found):
    return {name for name in ("right", "wrong_status", "wrong_body", "broken") if found[name]}


def test_it_counts_right_answers_and_how_long_they_took(burst):
    with serving(answer(RIGHT)) as port:
        found = burst(port)

    assert counts(found) == {"right"}
    assert 0 < found["p50_ms"] <= found["p99_ms"] <= found["max_ms"]


def test_it_measures_the_processor_time_of_the_processes_it_is_told_to_watch(burst):
    with serving(answer(RIGHT)) as port:
        watched, unwatched = burst(port), burst(port, watched=[])

    assert watched["server_cpu_s"] > 0
    assert unwatched["server_cpu_s"] == 0


def test_another_status_is_no_answer(burst):
    with serving(answer(RIGHT, "503 Service Unavailable")) as port:
        assert counts(burst(port)) == {"wrong_status"}


def test_the_token_of_somebody_else_is_no_answer(burst):
    with serving(answer('{"accessToken":"other","more":1}')) as port:
        assert counts(burst(port)) == {"wrong_body"}


def test_an_answer_that_is_cut_short_is_no_answer(burst):
    with serving(answer('{"accessToken"')) as port:
        assert counts(burst(port)) == {"wrong_body"}


def test_it_reads_answers_in_chunks(burst):
    with serving(chunked(RIGHT[:9], RIGHT[9:])) as port:
        assert counts(burst(port)) == {"right"}


def test_it_reads_answers_that_come_in_pieces(burst):
    whole = answer(RIGHT)
    with serving(whole[:20], whole[20:60], whole[60:]) as port:
        assert counts(burst(port)) == {"right"}


def test_it_goes_on_with_a_new_connection_where_the_server_ends_one_in_order(burst):
    with serving(answer(RIGHT, "200 OK", "Connection: close"), then_ends=True) as port:
        assert counts(burst(port)) == {"right"}


def test_two_answers_to_one_request_end_the_burst(burst):
    with serving(answer(RIGHT) + answer(RIGHT)) as port, pytest.raises(LoadFailed, match="more than once"):
        burst(port)


def test_what_is_no_http_ends_the_burst(burst):
    with serving(b"nothing of the kind\r\n\r\n") as port, pytest.raises(LoadFailed, match="no HTTP"):
        burst(port)


def test_a_server_that_is_not_there_is_told(burst):
    with serving(answer(RIGHT)) as port:
        pass

    with pytest.raises(LoadFailed, match="does not take connections"):
        burst(port)


def test_requests_go_round_and_begin_where_they_are_told_to(load, tmp_path):
    pages = [Request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"{" if n == 2 else b"no") for n in range(5)]
    requests = write_requests(tmp_path / "five", pages)

    with serving(answer(RIGHT)) as port:
        found = load.stampede(port, requests, connections=11, first=2)

    assert (found["right"], found["wrong_body"]) == (3, 8)


def test_a_stampede_asks_once_on_each_connection_and_notes_when_each_answer_came(load, asked):
    with serving(answer(RIGHT)) as port:
        found = load.stampede(port, asked, connections=50, first=0)

    assert counts(found) == {"right"}
    assert found["right"] == len(found["came_at"]) == 50
    assert min(found["came_at"]) >= found["began_at"]


def test_a_stampede_notes_no_time_for_answers_that_are_wrong(load, asked):
    with serving(answer("{}")) as port:
        found = load.stampede(port, asked, connections=20, first=0)

    assert (found["wrong_body"], found["came_at"]) == (20, [])
