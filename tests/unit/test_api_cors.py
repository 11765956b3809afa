"""Which pages may ask, and which headers they need to read the answer."""

from ipaddress import ip_network

import pytest

from service.api.doors import ClientDoor
from service.broker.model import UserKey
from tests.support.doors import ORIGIN, AnswersScript, current_token, open_house

PROXY = [ip_network("127.0.0.0/8")]


@pytest.fixture
async def house():
    async with open_house() as opened:
        yield opened


def shared_with(response):
    return response.headers.get("Access-Control-Allow-Origin")


async def ask(house, origin, method="GET", path="/refresh", **headers):
    headers = {"Authorization": "Bearer " + "u" * 40, "Origin": origin, **headers}
    async with house.session.request(method, house.url("public", path), headers=headers) as response:
        await response.read()
    return response


@pytest.mark.parametrize(("method", "path"), [("GET", "/refresh"), ("GET", "/nowhere"), ("POST", "/refresh")])
async def test_an_allowed_page_may_read_every_answer_errors_included(house, method, path):
    response = await ask(house, ORIGIN, method, path)

    assert response.status >= 400
    assert shared_with(response) == ORIGIN
    assert response.headers["Access-Control-Expose-Headers"] == "Retry-After, X-Request-Id"


async def test_an_allowed_page_may_read_an_internal_error():
    async with open_house(answers=AnswersScript(for_browser=RuntimeError())) as house:
        response = await ask(house, ORIGIN)

    assert (response.status, shared_with(response)) == (500, ORIGIN)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example", f"{ORIGIN}.evil.com", "https://evilapp.example.com", "http://app.example.com",
        f"{ORIGIN}:444", f"{ORIGIN}.", ORIGIN.upper(), "https://xn--pp-7ka.example.com", "null", "",
        f"{ORIGIN}/", "*", f"{ORIGIN}, https://evil.example",
    ],
)  # fmt: skip
async def test_any_other_page_is_refused_and_told_nothing(house, origin):
    response = await ask(house, origin)

    assert (response.status, (await response.json())["code"]) == (403, "origin_refused")
    assert shared_with(response) is None
    assert house.answers.calls == []


async def test_two_origins_are_none(house):
    headers = [("Origin", ORIGIN), ("Origin", ORIGIN)]
    async with house.session.get(house.url("public", "/refresh"), headers=headers) as response:
        assert (response.status, shared_with(response)) == (403, None)


async def test_a_preflight_is_answered_with_exactly_what_the_library_needs(house):
    asked = {
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    response = await ask(house, ORIGIN, "OPTIONS", **asked)

    headers = response.headers
    assert (response.status, shared_with(response)) == (204, ORIGIN)
    assert headers["Access-Control-Allow-Methods"] == "GET"
    assert headers["Access-Control-Allow-Headers"] == "authorization, content-type"
    assert headers["Access-Control-Max-Age"] == "600"
    assert set(headers["Vary"].split(", ")) == {
        "Origin", "Authorization", "Access-Control-Request-Method", "Access-Control-Request-Headers"
    }  # fmt: skip
    assert "Content-Length" not in headers


async def test_a_preflight_from_elsewhere_is_refused(house):
    response = await ask(house, "https://evil.example", "OPTIONS", **{"Access-Control-Request-Method": "GET"})

    assert (response.status, shared_with(response)) == (403, None)


async def test_an_origin_counts_for_its_own_clients_users_only():
    clients = [
        ClientDoor("acme", frozenset({ORIGIN})),
        ClientDoor("beta", frozenset({"https://beta.example"})),
    ]
    answers = AnswersScript(for_browser=current_token(UserKey("beta", "u-1")))
    async with open_house(clients=clients, answers=answers) as house:
        foreign, own = await ask(house, ORIGIN), await ask(house, "https://beta.example")
        preflight = await ask(house, ORIGIN, "OPTIONS")

    assert (foreign.status, shared_with(foreign)) == (403, None)
    assert (own.status, shared_with(own)) == (200, "https://beta.example")
    assert preflight.status == 204


async def test_an_origin_allowed_everywhere_counts_for_every_client():
    answers = AnswersScript(for_browser=current_token())
    everywhere = frozenset({"https://all.example"})
    async with open_house(answers=answers, allowed_origins=everywhere) as house:
        response = await ask(house, "https://all.example")

    assert (response.status, shared_with(response)) == (200, "https://all.example")


async def test_a_page_of_the_same_origin_may_ask():
    async with open_house(answers=AnswersScript(for_browser=current_token())) as house:
        own = house.url("public")

        assert (await ask(house, own)).status == 200
        assert (await ask(house, own.replace("http:", "https:"))).status == 403


@pytest.mark.parametrize(("trusted", "status"), [(PROXY, 200), ([], 403)])
async def test_only_a_trusted_proxy_says_under_which_name_we_are_reached(trusted, status):
    named = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "my.example.com"}
    async with open_house(
        answers=AnswersScript(for_browser=current_token()), trusted_proxies=trusted
    ) as house:
        assert (await ask(house, "https://my.example.com", **named)).status == status


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"Sec-Fetch-Mode": "navigate"}, 403), ({"Sec-Fetch-Dest": "image"}, 403),
        ({"Sec-Fetch-Dest": "document"}, 403), ({"Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, 200),
        ({"Sec-Fetch-Mode": "same-origin", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "same-origin"}, 200),
    ],
)  # fmt: skip
async def test_only_code_may_ask_not_a_page_or_an_image(sent, status):
    async with open_house(answers=AnswersScript(for_browser=current_token())) as house:
        response = await ask(house, ORIGIN, **sent)

    assert response.status == status
    assert (shared_with(response) == ORIGIN) is (status == 200)
