"""What is told and counted of an answer does not say which way it came."""

import asyncio

import pytest

from service.broker.model import UserKey
from service.metrics import Metrics, Telemetry
from tests.support.at_hand import AtHandScript, hit_of
from tests.support.doors import KEY, open_house
from tests.support.talk import BEARER, GOOD, request, talk
from tests.support.written_logs import written_logs

USER = UserKey("acme", "u-1")
DONE = {"route": "/refresh", "method": "GET", "status": 200, "seconds": 0.01, "request_id": "r-1"}


async def short(telemetry, source):
    telemetry.enter_request("r-1")
    telemetry.note("request.done", USER, **DONE, source=source)


async def service(telemetry, source):
    telemetry.note("request.done", USER, **DONE, source=source)


async def long(telemetry, source):
    telemetry.enter_request("r-1")
    telemetry.note("answer", USER, source=source)
    telemetry.note("request.done", USER, **DONE, source=None)


async def told(way, access_log, source):
    """The lines without their instants, and the figures."""
    with written_logs() as written:
        telemetry = Telemetry(Metrics(), access_log)
        await asyncio.create_task(way(telemetry, source))
        lines = [{**line, "ts": None} for line in written.lines]
    figures = telemetry.metrics.render().decode().splitlines()
    return lines, [line for line in figures if "_created" not in line and "process_" not in line]


@pytest.mark.parametrize("source", ["near", "redis"])
@pytest.mark.parametrize(("access_log", "lines"), [("misses", 0), ("all", 1), ("none", 0)])
@pytest.mark.parametrize("way", [short, service])
async def test_an_answer_is_told_and_counted_alike_whichever_way_it_came(way, access_log, lines, source):
    seen = await told(way, access_log, source)

    assert len(seen[0]) == lines
    assert any(f'source="{source}"' in line and line.endswith(" 1.0") for line in seen[1])
    assert seen == await told(long, access_log, source)


INSIDE = request("Authorization: Bearer app-key", target="/v1/users/u-1/token")
HELD_BY = {"public": (GOOD, "/refresh"), "internal": (INSIDE, "/v1/users/{id}/token")}


class Counts:
    """Counts good answers in plain numbers, of every route."""

    def __init__(self):
        self.counted = []

    def __call__(self, route):
        return lambda source, seconds: self.counted.append((route, source, 0 < seconds < 1))


@pytest.mark.parametrize("source", ["near", "redis"])
@pytest.mark.parametrize("listener", HELD_BY)
async def test_where_good_answers_are_only_counted_nobody_is_told_of_each(listener, source):
    raw, route = HELD_BY[listener]
    at_hand, counts = AtHandScript(near=lambda look: hit_of(look)._replace(source=source)), Counts()
    async with open_house(at_hand=at_hand, tally=counts) as house, talk(house, listener) as line:
        for _ in range(2):
            line.say(raw)
            await line.hear()

    assert counts.counted == [(route, source, True)] * 2
    assert (len(at_hand.noted), house.notes.of("request.done")) == (2, [])


@pytest.mark.parametrize("listener", HELD_BY)
async def test_what_goes_the_long_way_is_told_of_and_not_counted_besides(listener):
    counts = Counts()
    async with open_house(at_hand=AtHandScript(), tally=counts) as house, talk(house, listener) as line:
        line.say(HELD_BY[listener][0])
        await line.hear()

    assert (counts.counted, len(house.notes.of("request.done"))) == ([], 1)


@pytest.mark.parametrize("way", ["near", "far"])
async def test_where_every_answer_has_a_line_it_has_one_and_its_requests_id(way):
    with written_logs() as written:
        telemetry = Telemetry(Metrics(), "all")
        async with heard_by(telemetry, AtHandScript(**{way: hit_of})) as house, talk(house) as line:
            line.say(request(BEARER, "X-Request-Id: r-7"))
            await line.hear()
    [done] = [told for told in written.lines if told["event"] == "request.done"]

    assert (done["request_id"], done["user_id"], done["status"]) == ("r-7", KEY.user_id, 200)


def heard_by(telemetry, at_hand):
    """A house whose doors tell this telemetry of each answer."""
    return open_house(at_hand=at_hand, tally=telemetry.tally, hears=telemetry)
