"""What is counted in plain numbers first comes to the same figures as what is told of each answer."""

import asyncio
import math
import random

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.metrics import Metrics, Telemetry
from service.metrics.figures import _HTTP_SECONDS
from service.metrics.tally import _POUR_AFTER_S
from tests.support.waiting import eventually
from tests.support.written_logs import written_logs

ROUTE, OTHER = "/refresh", "/v1/users/{id}/token"
EDGES = [
    edge for bound in _HTTP_SECONDS for edge in (math.nextafter(bound, 0), bound, math.nextafter(bound, 99))
]
SECONDS = {
    "none": [],
    "a quick one": [0.0001],
    "no time at all": [0.0],
    "one at each bound and beside it": EDGES,
    "longer than the last bound": [35.5, 100.0, 1e9],
    "many": [random.Random(7).expovariate(100) for _ in range(2000)],
}


def figures(telemetry):
    """Every figure of answers, but how long they took together, which is a sum and rounded."""
    families = text_string_to_metric_families(telemetry.metrics.render().decode())
    samples = [sample for family in families for sample in family.samples]
    named = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for sample in samples
        if not sample.name.startswith("process_")
    }
    return {
        name: pytest.approx(value) if name[0].endswith("seconds_sum") else value
        for name, value in named.items()
    }


def told(telemetry, seconds, source="near", route=ROUTE):
    for took in seconds:
        telemetry.note(
            "request.done", None, route=route, method="GET", status=200, seconds=took, request_id="r",
            source=source,
        )  # fmt: skip


def tallied(telemetry, seconds, source="near", route=ROUTE):
    count = telemetry.tally(route)
    for took in seconds:
        count(source, took)


@pytest.fixture
def telemetry():
    return Telemetry(Metrics())


@pytest.fixture
def each():
    """Telemetry that is told of each answer."""
    return Telemetry(Metrics())


@pytest.mark.parametrize("source", ["near", "redis"])
@pytest.mark.parametrize("seconds", SECONDS.values(), ids=SECONDS)
async def test_it_comes_to_the_same_figures(telemetry, each, seconds, source):
    tallied(telemetry, seconds, source)
    told(each, seconds, source)
    assert figures(telemetry) == figures(each)


async def test_both_sources_both_routes_and_both_ways_add_up(telemetry, each):
    count = {route: telemetry.tally(route) for route in (ROUTE, OTHER)}
    roll = random.Random(3)
    for _ in range(300):
        route, source = roll.choice([ROUTE, OTHER]), roll.choice(["near", "redis"])
        took, quickly = roll.choice(EDGES), roll.random() < 0.7
        count[route](source, took) if quickly else told(telemetry, [took], source, route)
        told(each, [took], source, route)
    assert figures(telemetry) == figures(each)


async def test_what_is_shown_once_is_not_counted_again(telemetry, each):
    count = telemetry.tally(ROUTE)
    for took in (0.01, 0.02):
        count("near", took)
        told(each, [took])
        for _ in range(2):
            assert figures(telemetry) == figures(each)


async def test_what_is_counted_while_figures_are_rendered_in_a_thread_is_counted_once(
    telemetry, each, monkeypatch
):
    """A scrape renders beside the loop: between any two of its steps answers are given."""
    count, answered = telemetry.tally(ROUTE), telemetry.metrics.answered

    def answered_and_another_came(*what):
        count("redis", 0.02)
        answered(*what)
        count("near", 0.03)

    count("near", 0.01)
    monkeypatch.setattr(telemetry.metrics, "answered", answered_and_another_came)
    telemetry.metrics.render()
    monkeypatch.undo()
    told(each, [0.01, 0.03])
    told(each, [0.02], "redis")
    assert figures(telemetry) == figures(each)


async def test_many_scrapes_lose_no_answer(telemetry, each):
    count, most = telemetry.tally(ROUTE), 20_000
    scrapes = [asyncio.create_task(asyncio.to_thread(telemetry.metrics.render))]
    for number in range(most):
        count("near", 0.01)
        if number % 100 == 0:
            await asyncio.sleep(0)
            if scrapes[-1].done():
                scrapes.append(asyncio.create_task(asyncio.to_thread(telemetry.metrics.render)))
    await asyncio.gather(*scrapes)
    told(each, [0.01] * most)
    assert figures(telemetry) == figures(each)


async def test_without_anybody_who_looks_they_are_in_the_metrics_soon(telemetry):
    """Another process may be asked for the figures of all."""
    requests = telemetry.metrics.http_requests.of(ROUTE, "200")
    tallied(telemetry, [0.01] * 3)
    begun = asyncio.get_running_loop().time()
    await eventually(lambda: requests._value.get() == 3)
    assert asyncio.get_running_loop().time() - begun < _POUR_AFTER_S + 1


async def test_the_next_ones_are_there_soon_as_well(telemetry):
    requests, count = telemetry.metrics.http_requests.of(ROUTE, "200"), telemetry.tally(ROUTE)
    for number in (1, 2):
        count("near", 0.01)
        await eventually(lambda number=number: requests._value.get() == number)


async def test_an_answer_whose_source_is_none_of_a_caches_is_counted_by_nobody(telemetry):
    count = telemetry.tally(ROUTE)
    with pytest.raises(KeyError):
        count("postgres", 0.01)
    assert figures(telemetry) == figures(Telemetry(Metrics()))


@pytest.mark.parametrize("access_log", ["misses", "none"])
async def test_where_answers_from_a_cache_have_no_line_none_is_written_by_either_way(access_log):
    with written_logs() as written:
        telemetry = Telemetry(Metrics(), access_log)
        tallied(telemetry, [0.01])
        told(telemetry, [0.01])
    assert written.lines == []


def test_where_each_answer_has_a_line_it_is_told_of_each():
    assert Telemetry(Metrics(), "all").tally(ROUTE) is None


def test_where_requests_are_followed_it_is_told_of_each(telemetry):
    telemetry.tracing = object()
    assert telemetry.tally(ROUTE) is None
