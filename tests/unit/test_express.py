"""The short way and the long one: the same answer, the same facts, the same history, whoever asks."""

import re
from contextvars import ContextVar
from dataclasses import asdict
from ipaddress import ip_network

import pytest

from service.api.doors import ClientDoor
from service.broker.asking import who_asks
from service.broker.behind import DONE
from tests.support.at_hand import AtHandScript, TellingAnswers, fingerprint, hit_of
from tests.support.doors import CURRENT, HELD, ORIGIN, api_key, open_house
from tests.support.talk import BEARER, request, talk

ANYWHERE, OTHERS = "https://anywhere.example.com", "https://other.example.com"
ACME, ZETA = ClientDoor("acme", frozenset({ORIGIN})), ClientDoor("zeta", frozenset({OTHERS}))
KEYS = [
    api_key("app", "tokens:read", "vouch"), api_key("plain", "tokens:read"), api_key("none"),
    api_key("acme", "tokens:read", clients=["acme"]),
]  # fmt: skip
PUBLIC = {
    "clients": [ACME, ZETA],
    "allowed_origins": frozenset({ANYWHERE}),
    "trusted_proxies": [ip_network("127.0.0.0/8"), ip_network("192.0.2.0/24")],
}


class Kept:
    """An audit that keeps what it is told."""

    def __init__(self):
        self.told = []

    def exchanged(self, asking, event, outcome):
        self.told.append((event, outcome, asdict(asking)))

    def refused(self, asking, act, outcome):
        self.told.append((act, outcome, asdict(asking)))


def comparable(seen):
    """Without what differs from one request to the next: instants, durations and ids that were made up.

    And without where the token was found, which the broker notes as an event of its own on the long way.
    """
    seen = re.sub(r"Date: [^\\]+|'seconds': [\d.e-]+|, 'source': ('\w+'|None)", "", repr(seen))
    return re.sub(r"\b[0-9a-f]{16}\b", "an-id", seen)


async def played(raw, at_hand=None, listener="public", **settings):
    """Everything that anybody learns of a request, and what the long way was asked."""
    kept, answers = Kept(), TellingAnswers()
    opened = open_house(answers=answers, audit=kept, at_hand=at_hand, api_keys=lambda: KEYS, **settings)
    async with opened as house, talk(house, listener) as line:
        line.say(raw)
        answer = await line.hear(body=not raw.startswith(b"HEAD"))
    given = answers.given + (at_hand.given if at_hand is not None else [])
    for one in at_hand.noted if at_hand is not None else ():
        kept.exchanged(one.asking, one.event, DONE)
    return comparable([answer, house.notes.heard, kept.told, given]), answers.calls


def with_token(token):
    return request(f"Authorization: Bearer {token}")


SHORT = {
    "a bare one": request(BEARER),
    "a page of the client's": request(BEARER, f"Origin: {ORIGIN}"),
    "a page of any client's": request(BEARER, f"Origin: {ANYWHERE}"),
    "a page of our own origin": request(BEARER, "Origin: http://x"),
    "a page behind a proxy": request(
        BEARER, "Origin: https://b.example", "X-Forwarded-Proto: https", "X-Forwarded-Host: b.example"
    ),
    "a script's fetch": request(BEARER, "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"),
    "a caller behind a proxy": request(BEARER, "X-Forwarded-For: 203.0.113.9"),
    "a caller behind two": request(BEARER, "X-Forwarded-For: 198.51.100.1, 203.0.113.9, 192.0.2.1"),
    "a caller with six numbers": request(BEARER, "X-Forwarded-For: 2001:db8::7"),
    "an address that is none": request(BEARER, "X-Forwarded-For: nowhere"),
    "a request with an id": request(BEARER, "X-Request-Id: asked-by.me_1"),
    "an id that is none": request(BEARER, "X-Request-Id: not one"),
    "an agent": request(BEARER, "User-Agent: Browser/1.0 (of somebody)"),
    "a long agent": request(BEARER, f"User-Agent: {'b' * 2000}"),
    "a small scheme": request(BEARER.replace("Bearer", "bearer")),
}
LONG = {
    "a foreign page": request(BEARER, "Origin: https://evil.example"),
    "no origin": request(BEARER, "Origin: null"),
    "a page of another client's": request(BEARER, f"Origin: {OTHERS}"),
    "a page that is opened": request(BEARER, "Sec-Fetch-Mode: navigate"),
    "a page that is embedded": request(BEARER, "Sec-Fetch-Dest: iframe"),
    "no token": request(),
    "an unknown token": with_token("made-up-token.uuuuuuuuuuuuuu"),
    "a token too short": with_token("short"),
    "a token with an escape": with_token(HELD[:-2] + "%68"),
    "two tokens": with_token(f"{HELD}, {HELD}"),
    "another scheme": request(f"Basic {HELD}"),
    "a query": request(BEARER, target="/refresh?a=b"),
    "a token in the query": request(BEARER, target=f"/refresh?access_token={HELD}"),
    "a fragment": request(BEARER, target="/refresh#a"),
    "another path": request(BEARER, target="/refresh/"),
    "another spelling": request(BEARER, target="/%72efresh"),
    "another method": request(BEARER, method="HEAD"),
    "a browser that asks before": request(f"Origin: {ORIGIN}", method="OPTIONS"),
    "a body": request(BEARER, "Content-Length: 2", body=b"{}"),
    "no header that is known": request(BEARER, "X-Odd: y"),
}


def cases(short, long):
    """Every request with its user in this process, in the cache or in neither, and whether that is short."""
    places = {"near": {"near": hit_of}, "far": {"far": hit_of}, "nowhere": {}}
    return [
        pytest.param(raw, at_hand, name in short and bool(at_hand), id=f"{name}, {where}")
        for name, raw in {**short, **long}.items()
        for where, at_hand in places.items()
    ]


@pytest.mark.parametrize(("raw", "at_hand", "taken"), cases(SHORT, LONG))
async def test_a_browser_cannot_tell_the_ways_apart_nor_can_anybody_later(raw, at_hand, taken):
    long, _ = await played(raw, **PUBLIC)
    short, asked = await played(raw, AtHandScript(**at_hand), **PUBLIC)

    assert short == long
    assert not (taken and asked)


TOKEN = "/v1/users/u-1/token"


def service(*lines, key="app-key", target=TOKEN, **changes):
    return request(f"Authorization: Bearer {key}", *lines, target=target, **changes)


SHORT_INSIDE = {
    "a service": service(),
    "a service that does not vouch": service(key="plain-key"),
    "a service of one client": service(key="acme-key"),
    "an escaped id": service(target="/v1/users/u%2D1/token"),
    "an id of all signs": service(target="/v1/users/a.b_c:d@e|f+g=h~i-j/token"),
    "a caller behind a proxy": service("X-Forwarded-For: 203.0.113.9"),
    "a request with an id": service("X-Request-Id: r-1"),
    "an agent": service("User-Agent: s/1"),
}
LONG_INSIDE = {
    "an unknown key": service(key="no-key"),
    "no key": request(target=TOKEN),
    "a caller without a scope": service(key="none-key"),
    "an id that is none": service(target="/v1/users/a$b/token"),
    "an id above ascii": service(target="/v1/users/%c5%bc/token"),
    "a broken escape": service(target="/v1/users/%zz/token"),
    "a way out": service(target="/v1/users/../token"),
    "the template itself": service(target="/v1/users/{id}/token"),
    "an empty id": service(target="/v1/users//token"),
    "more life": service(target=f"{TOKEN}?min_ttl=60"),
    "a question mark": service(target=f"{TOKEN}?"),
    "a client by name": service(target=f"{TOKEN}?client=acme"),
    "a key in the query": service(target=f"{TOKEN}?access_token=app-key"),
    "another call": service(target="/v1/users/u-1"),
    "another method": service(method="POST"),
}
ONE, TWO = {"clients": [ACME]}, {"clients": [ACME, ZETA]}


@pytest.mark.parametrize(("raw", "at_hand", "taken"), cases(SHORT_INSIDE, LONG_INSIDE))
async def test_a_service_cannot_tell_the_ways_apart_nor_can_anybody_later(raw, at_hand, taken):
    long, _ = await played(raw, listener="internal", **PUBLIC | ONE)
    short, asked = await played(raw, AtHandScript(**at_hand), "internal", **PUBLIC | ONE)

    assert short == long
    assert not (taken and asked)


@pytest.mark.parametrize(("raw", "status"), [(service(), 422), (service(key="acme-key"), 200)])
async def test_of_several_clients_a_service_of_one_need_not_name_it(raw, status):
    long, _ = await played(raw, listener="internal", **TWO)
    short, asked = await played(raw, AtHandScript(near=hit_of), "internal", **TWO)

    assert short == long
    assert f"HTTP/1.1 {status} " in short
    assert asked == []


async def test_what_is_at_hand_is_asked_on_behalf_of_the_service_as_the_long_way_is():
    at_hand = AtHandScript(near=hit_of)
    for key in ("app-key", "plain-key"):
        await played(service(key=key), at_hand, "internal", **ONE)

    assert at_hand.given == [True, False]


async def test_an_answer_of_the_short_way_is_what_was_at_hand():
    at_hand = AtHandScript(near=hit_of)
    async with open_house(at_hand=at_hand) as house:
        async with house.refresh() as answer:
            assert (await answer.json())["accessToken"] == CURRENT
        async with house.call("GET", TOKEN) as answer:
            assert (await answer.json())["generation"] == 5
        assert house.answers.calls == []


class Watcher(AtHandScript):
    """Sees on whose behalf it runs."""

    def __init__(self, where):
        super().__init__(**{where: hit_of})
        self.entered = ContextVar("entered", default=None)
        self.seen = []

    def ask(self, look, found):
        self.look_around()
        super().ask(look, found)

    def fingerprint(self, access_token):
        self.look_around()
        return fingerprint(access_token)

    def for_browser(self, hit, now):
        self.look_around()
        return super().for_browser(hit, now)

    def look_around(self):
        self.seen.append((self.entered.get(), who_asks()))


@pytest.mark.parametrize("where", ["near", "far"])
async def test_nothing_of_a_request_is_left_for_the_next_one_of_its_connection(where):
    at_hand = Watcher(where)
    async with open_house(at_hand=at_hand, enter_request=at_hand.entered.set) as house, talk(house) as line:
        for name in ("first", "second"):
            line.say(request(BEARER, f"X-Request-Id: {name}"))
            await line.hear()

    assert set(at_hand.seen) == {(None, None)}
    assert [given.asking.request_id for given in at_hand.noted] == ["first", "second"]
