"""What the benchmark puts in the place of something: the stub upstream, the service that observes nothing."""

import json
import os
from contextlib import closing
from http.client import HTTPConnection

import orjson
import pytest

from bench import tokens
from bench.programs import free_port, python, running
from bench.stand import calls
from bench.unobserved import Deaf
from service.adapters.upstream import decode
from service.metrics import Metrics, Telemetry


@pytest.fixture
def upstream(tmp_path):
    port = free_port()
    with running(
        "stub", python("bench.upstream", port, 0), port=port, folder=tmp_path, cores=os.sched_getaffinity(0)
    ) as program:
        yield program


def refreshed(upstream, refresh_token):
    with closing(HTTPConnection("127.0.0.1", upstream.port, timeout=10)) as connection:
        connection.request("POST", "/v2/oauth/any/refresh", json.dumps({"refreshToken": refresh_token}))
        answer = connection.getresponse()
        return answer.status, orjson.loads(answer.read())


def test_the_stub_answers_with_a_new_pair_of_the_same_user_that_the_broker_can_read(upstream):
    _, first = refreshed(upstream, tokens.refresh_token(42))
    _, second = refreshed(upstream, first["data"]["refreshToken"])

    pairs = [decode.pair(answer["data"]) for answer in (first, second)]
    assert [pair.stated.owner_id for pair in pairs] == ["42", "42"]
    assert len({pair.access_token for pair in pairs} | {pair.refresh_token for pair in pairs}) == 4


def test_the_stub_counts_what_it_has_replaced_and_nothing_else(upstream):
    refreshed(upstream, tokens.refresh_token(42))
    status, _ = refreshed(upstream, "not a token of ours")

    assert status == 400
    assert calls(upstream)["refreshes"] == 1


def test_tokens_are_about_as_long_as_cal_coms():
    assert 250 < len(tokens.access_token(1_000_000, 2e9)) < 380


def test_an_unobserved_service_counts_nothing():
    observed, unobserved = Telemetry(Metrics()), Deaf(Metrics())

    for telemetry in (observed, unobserved):
        telemetry.note("answer", source="redis")

    assert 'source="redis"' in str(observed.metrics.render())
    assert 'source="redis"' not in str(unobserved.metrics.render())
