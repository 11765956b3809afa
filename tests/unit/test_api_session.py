"""The public door when tokens are bound to the app's sessions, with witnesses that obey the test."""

import asyncio

import pytest

from service.api.doors import ClientDoor
from service.api.session import Witnesses
from service.broker.errors import SessionUnavailable, TokenUnknown
from service.broker.model import Nobody, SignedIn
from tests.support.doors import CURRENT, HELD, KEY, ORIGIN, AnswersScript, open_house
from tests.support.waiting import eventually

US, ANOTHER, NOBODY = SignedIn("u-1"), SignedIn("u-2"), Nobody("not_signed_in")


class Says:
    """A witness that says the same to all, when its gate opens; remembers what it was shown."""

    def __init__(self, who=US, *, gate=None):
        self.who, self.gate = who, gate
        self.shown = []
        self.asked = asyncio.Event()

    async def ask(self, proof):
        self.shown.append(proof)
        self.asked.set()
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(self.who, Exception):
            raise self.who
        return self.who

    async def look(self):
        """Nothing was ever wrong."""


def bound(cookies=None, statements=None, **settings):
    return open_house(witnesses=Witnesses(cookies, statements), **settings)


async def answered_raw(house, *lines):
    """Send a refresh with these header lines as they are, and return what came back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port("public"))
    bearer = f"Authorization: Bearer {HELD}".encode()
    writer.write(
        b"\r\n".join([b"GET /refresh HTTP/1.1", b"Host: h", b"Connection: close", bearer, *lines, b"", b""])
    )
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return int(answer.split()[1])


async def answered(house, token=HELD, **headers):
    async with house.refresh(token, **headers) as response:
        return response, await response.json()


@pytest.mark.parametrize("said", [US, SignedIn("u-1", "acme")])
async def test_who_is_signed_in_gets_their_token(said):
    witness = Says(said)
    async with bound(witness) as house:
        _, body = await answered(house, Cookie="session=a; b=c")

    assert body["accessToken"] == CURRENT
    assert witness.shown == ["session=a; b=c"]


@pytest.mark.parametrize("said", [ANOTHER, SignedIn("u-1", "globex"), SignedIn("U-1")])
async def test_another_users_token_is_refused_noted_and_counted(said):
    async with bound(Says(said)) as house:
        response, body = await answered(house, Cookie="session=a", Origin=ORIGIN)

    assert (response.status, body["code"], body["accessToken"]) == (403, "session_mismatch", "")
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    [noted] = house.notes.of("token.reuse")
    assert noted == {"key": KEY, "kind": "session_mismatch", "signed_in": said.user_id}


async def test_nobody_signed_in_is_answered_as_an_unknown_token_is():
    answers, seen = AnswersScript(), []
    async with bound(Says(NOBODY), answers=answers) as house:
        for result in (None, TokenUnknown()):
            answers.results["for_browser"] = result
            response, body = await answered(house, Cookie="session=a", X_Request_Id="r-1")
            headers = {name: text for name, text in response.headers.items() if name != "Date"}
            seen.append((response.status, body, headers))

    assert seen[0] == seen[1]
    assert seen[0][0] == 401
    assert house.notes.of("session.refused") == [{"key": KEY, "reason": "not_signed_in"}]
    assert house.notes.of("token.reuse") == []


async def test_nobody_signed_in_counts_for_the_limits_as_an_unknown_token_does():
    async with bound(Says(NOBODY), address_failures_per_minute=3) as house:
        codes = [(await answered(house, Cookie="session=a"))[1]["code"] for _ in range(4)]
    assert codes == ["token_unknown"] * 3 + ["too_many_requests"]


async def test_the_app_is_not_asked_about_tokens_that_do_not_count():
    cookies, statements = Says(), Says()
    async with bound(cookies, statements) as house:
        for token in ("u" * 300, "nope", "%" * 40):
            response, _ = await answered(house, token, Cookie="session=a", X_Broker_Assertion="a.b.c")
            assert response.status == 401
    assert (cookies.shown, statements.shown) == ([], [])


async def test_without_a_cookie_the_app_need_not_be_asked():
    witness = Says()
    async with bound(witness) as house:
        response, body = await answered(house)
    assert (response.status, body["code"], witness.shown) == (401, "token_unknown", [])
    assert house.notes.of("session.refused")[0]["reason"] == "no_cookie"


async def test_when_the_app_does_not_say_nobody_is_given_anything():
    async with bound(Says(SessionUnavailable(retry_after_s=2.0))) as house:
        response, body = await answered(house, Cookie="session=a", Origin=ORIGIN)
    assert (response.status, body["code"], body["accessToken"]) == (503, "session_unavailable", "")
    assert response.headers["Retry-After"] == "2"
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN


async def test_a_browser_does_not_wait_for_the_app_beyond_its_patience():
    async with bound(Says(gate=asyncio.Event()), public_answer_timeout_s=0.05) as house:
        response, body = await answered(house, Cookie="session=a")
    assert (response.status, body["code"]) == (503, "refresh_in_progress")


async def test_requests_with_the_same_cookies_at_the_same_time_share_a_question_and_nothing_later():
    witness = Says(gate=asyncio.Event())
    async with bound(witness) as house:
        calls = [asyncio.create_task(answered(house, Cookie=f"session={of}")) for of in "aaab"]
        await eventually(lambda: len(house.answers.calls) == 4 and len(witness.shown) == 2)
        witness.gate.set()
        assert {body["accessToken"] for _, body in await asyncio.gather(*calls)} == {CURRENT}
        assert sorted(witness.shown) == ["session=a", "session=b"]
        await answered(house, Cookie="session=a")
    assert len(witness.shown) == 3


async def test_cookies_in_several_headers_are_shown_as_one():
    witness = Says()
    async with bound(witness) as house:
        assert await answered_raw(house, b"Cookie: a=1", b"Cookie: b=2") == 200
    assert witness.shown == ["a=1; b=2"]


@pytest.mark.parametrize("lines", [[b"Cookie: a=\xff\xfe"], [b"Cookie: " + b"x" * 6_000] * 3])
async def test_cookies_that_cannot_be_passed_on_are_nobodys(lines):
    witness = Says()
    async with bound(witness) as house:
        assert await answered_raw(house, *lines) == 401
    assert witness.shown == []
    assert house.notes.of("session.refused")[0]["reason"] == "cookie_malformed"


async def test_a_cookie_in_utf_8_is_passed_on():
    witness = Says()
    async with bound(witness) as house:
        assert (await answered(house, Cookie="name=żółć"))[0].status == 200
    assert witness.shown == ["name=żółć"]


async def test_a_page_of_another_clients_origin_is_refused_before_the_app_is_asked():
    witness = Says()
    async with bound(witness, clients=_two_clients()) as house:
        response, body = await answered(house, Cookie="session=a", Origin="https://other.example.com")
    assert (response.status, body["code"], witness.shown) == (403, "origin_refused", [])


def _two_clients():
    return [
        ClientDoor("acme", frozenset({ORIGIN})),
        ClientDoor("b", frozenset({"https://other.example.com"})),
    ]


async def test_a_statement_suffices_without_any_cookie():
    witness = Says()
    async with bound(statements=witness) as house:
        _, body = await answered(house, X_Broker_Assertion="a.b.c", Cookie="session=a")
    assert (body["accessToken"], witness.shown) == (CURRENT, ["a.b.c"])


async def test_without_a_statement_where_one_is_due_nobody_is_signed_in():
    async with bound(statements=Says()) as house:
        response, _ = await answered(house, Cookie="session=a")
    assert response.status == 401
    assert house.notes.of("session.refused")[0]["reason"] == "assertion_missing"


async def test_two_statements_are_none():
    witness = Says()
    async with bound(Says(), witness) as house:
        assert await answered_raw(house, b"X-Broker-Assertion: a.b.c", b"X-Broker-Assertion: a.b.c") == 401
    assert witness.shown == []


async def test_with_both_ways_a_cookie_suffices_where_no_statement_is_presented():
    cookies, statements = Says(), Says(NOBODY)
    async with bound(cookies, statements) as house:
        assert (await answered(house, Cookie="session=a"))[0].status == 200
    assert statements.shown == []


@pytest.mark.parametrize(("said", "status"), [(NOBODY, 401), (ANOTHER, 403)])
async def test_no_cookie_mends_a_bad_statement(said, status):
    cookies = Says()
    async with bound(cookies, Says(said)) as house:
        response, _ = await answered(house, Cookie="session=a", X_Broker_Assertion="a.b.c")
    assert (response.status, cookies.shown) == (status, [])


async def test_unbound_nothing_of_it_is_looked_at():
    async with open_house() as house:
        assert (await answered(house, X_Broker_Assertion="garbage", Cookie="x"))[0].status == 200


async def test_a_statement_longer_than_any_header_may_be_is_no_request():
    async with bound(statements=Says()) as house:
        response, _ = await answered(house, X_Broker_Assertion="a" * 100_000)
    assert response.status in {400, 431}
