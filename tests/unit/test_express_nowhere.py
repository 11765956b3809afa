"""Where there is no short way: where it takes more to answer than who asks and what a cache holds."""

from contextlib import nullcontext

import aiohttp
import pytest

from service.api.express import connection
from service.api.session import Witnesses
from service.broker.model import SignedIn
from tests.support.at_hand import AtHandScript, hit_of
from tests.support.certified import Village
from tests.support.doors import CURRENT, open_house
from tests.support.talk import BEARER, GOOD, request, talk

TOKEN_PATH = "/v1/users/u-1/token"


@pytest.fixture
def at_hand():
    """A cache in which everybody is near."""
    return AtHandScript(near=hit_of)


class App:
    """Says who is signed in."""

    async def ask(self, _):
        return SignedIn("u-1")


@pytest.mark.parametrize("by", ["cookies", "statements"])
async def test_where_the_app_is_asked_who_is_signed_in(at_hand, by):
    bound = open_house(at_hand=at_hand, witnesses=Witnesses(**{by: App()}))
    async with bound as house, talk(house) as line:
        line.say(request(BEARER, "Cookie: a=b", "X-Broker-Assertion: c"))
        assert CURRENT.encode() in await line.hear()

    assert (len(house.answers.calls), at_hand.given) == (1, [])


async def test_a_service_of_such_an_app_is_answered_the_short_way(at_hand):
    async with open_house(at_hand=at_hand, witnesses=Witnesses(cookies=App())) as house:
        async with house.call("GET", TOKEN_PATH) as answer:
            assert answer.status == 200
        assert house.answers.calls == []


@pytest.mark.parametrize("listener", ["public", "internal"])
async def test_where_somebody_follows_the_requests(at_hand, listener):
    followed = []

    def follow(named, *_, **__):
        followed.append(named)
        return nullcontext()

    async with open_house(at_hand=at_hand, follow=follow) as house, talk(house, listener) as line:
        line.say(
            GOOD if listener == "public" else request("Authorization: Bearer app-key", target=TOKEN_PATH)
        )
        assert CURRENT.encode() in await line.hear()

    assert (followed, at_hand.given) == ([listener], [])


async def test_over_tls(at_hand, tmp_path):
    village = Village(tmp_path)
    connector = aiohttp.TCPConnector(ssl=village.caller())
    async with (
        village.house(at_hand=at_hand) as house,
        aiohttp.ClientSession(connector=connector, headers={"Authorization": "Bearer app-key"}) as http,
        http.get(f"https://127.0.0.1:{house.port('internal')}{TOKEN_PATH}") as answer,
    ):
        assert (answer.status, at_hand.given) == (200, [])


async def test_on_the_observing_listener(at_hand):
    async with open_house(at_hand=at_hand) as house, talk(house, "observe") as line:
        line.say(GOOD)
        assert (await line.hear()).startswith(b"HTTP/1.1 404 ")

    assert at_hand.given == []


async def test_where_nothing_is_at_hand(at_hand):
    async with open_house() as house, talk(house) as line:
        line.say(GOOD)
        assert CURRENT.encode() in await line.hear()

    assert len(house.answers.calls) == 1


async def test_where_aiohttp_has_not_what_tells_that_it_has_nothing_in_hand(at_hand, monkeypatch):
    assert connection.fits()
    monkeypatch.setattr(connection, "_OF_AIOHTTP", connection._OF_AIOHTTP | {"_renamed"})

    async with open_house(at_hand=at_hand) as house, talk(house) as line:
        line.say(GOOD)
        assert CURRENT.encode() in await line.hear()

    assert (len(house.answers.calls), at_hand.given) == (1, [])
