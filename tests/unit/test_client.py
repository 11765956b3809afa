"""The Python client and what may come over the wire: what is asked again, how soon, and what never is."""

import asyncio
import logging

import pytest
from token_broker_client import (
    BadAnswer,
    Broker,
    BrokerError,
    Invalid,
    RefreshInProgress,
    StorageUnavailable,
    TryAgain,
    Unreachable,
    errors,
)

from service.api.errors import STATUS
from tests.support.scripted_broker import (
    BETTER,
    HELD,
    KEY,
    break_off,
    good,
    hang_up,
    problem,
    raw,
    scripted,
    silence,
)

AWAY = problem("storage_unavailable", 503, after=0)


async def asked_with(*answers, **how):
    """What a client is given by such a broker, and what the broker was asked."""
    async with scripted(*answers) as it, it.client(**how) as broker:
        token = await broker.token("anna")
        return token, it


@pytest.mark.parametrize(
    "first",
    [hang_up, AWAY, problem("refresh_in_progress", 503), problem("too_many_requests", 429, after=0),
     raw("<h1>Bad Gateway</h1>", 502), raw("", 503), raw("<h1>Gateway Time-out</h1>", 504)],
)  # fmt: skip
async def test_what_may_pass_is_asked_again(first):
    token, it = await asked_with(first, good())
    assert token.access_token == HELD
    assert it.methods == ["GET", "GET"]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (raw("<h1>It works!</h1>"), BadAnswer),
        (raw("{"), BadAnswer),
        (raw(""), BadAnswer),
        (raw("[]", content_type="application/json"), BadAnswer),
        (raw("[" * 60_000), BadAnswer),
        (raw("x" * 100_000), BadAnswer),
        (raw("Moved", 302, Location="http://127.0.0.1:1/"), BadAnswer),
        (raw("<h1>Not Found</h1>", 404), BadAnswer),
        (good(token=""), BadAnswer),
        (good(token="two words"), BadAnswer),
        (good(token="line\r\nbreak"), BadAnswer),
        (good(token=None), BadAnswer),
        (good(accessTokenExpiresAt="soon"), BadAnswer),
        (good(accessTokenExpiresAt=True), BadAnswer),
        (good(accessTokenExpiresAt=10**18), BadAnswer),
        (good(generation=None), BadAnswer),
        (problem("internal", 500), BrokerError),
        (problem("a_code_to_come", 422), Invalid),
        (problem("key_unknown", 401), errors.KeyUnknown),
        (problem("grant_dead", 409), errors.GrantDead),
    ],
)
async def test_what_does_not_pass_is_not_asked_again(answer, kind):
    async with scripted(answer) as it, it.client() as broker:
        with pytest.raises(kind) as wrong:
            await broker.token("anna")
    assert type(wrong.value) is kind
    assert len(it.asked) == 1


async def test_a_body_that_breaks_off_is_asked_for_again():
    token, it = await asked_with(break_off, good())
    assert (token.access_token, len(it.asked)) == (HELD, 2)


async def test_the_broker_is_not_asked_before_it_said():
    async with scripted(problem("storage_unavailable", 503, after=1), good()) as it, it.client() as broker:
        began_at = asyncio.get_running_loop().time()
        await broker.token("anna")
        assert 1.0 <= asyncio.get_running_loop().time() - began_at < 2.5


async def test_a_wait_that_is_too_long_is_not_begun():
    async with scripted(problem("storage_unavailable", 503, after=60)) as it, it.client() as broker:
        with pytest.raises(StorageUnavailable) as away:
            async with asyncio.timeout(2):
                await broker.token("anna")
    assert (away.value.retry_after_s, away.value.status, len(it.asked)) == (60, 503, 1)


@pytest.mark.parametrize("after", ["Wed, 21 Oct 2099 07:28:00 GMT", "-1", "1e9", "99999999", ""])
async def test_a_retry_after_that_makes_no_sense_is_passed_over(after):
    token, _ = await asked_with(raw("", 503, **{"Retry-After": after}), good())
    assert token.access_token == HELD


async def test_all_tries_together_end_in_time():
    async with scripted(problem("refresh_in_progress", 503)) as it, it.client(timeout_s=1.0) as broker:
        with pytest.raises(RefreshInProgress):
            async with asyncio.timeout(2):
                await broker.token("anna")
    assert 2 < len(it.asked) < 12


async def test_a_broker_that_says_nothing_is_given_up():
    async with scripted(silence) as it, it.client(timeout_s=0.3) as broker:
        with pytest.raises(Unreachable, match="TimeoutError"):
            async with asyncio.timeout(2):
                await broker.token("anna")


async def test_a_complaint_that_may_have_been_heard_is_not_made_again_before_the_token_is_looked_at():
    async with scripted(hang_up, good(BETTER, 2)) as it, it.client() as broker:
        assert (await broker.refused("anna", HELD)).access_token == BETTER
    assert it.methods == ["POST", "GET"]


async def test_a_complaint_that_changed_nothing_is_made_again():
    async with scripted(hang_up, good(HELD), good(BETTER, 2)) as it, it.client() as broker:
        assert (await broker.refused("anna", HELD)).access_token == BETTER
    assert it.methods == ["POST", "GET", "POST"]
    assert it.asked[0] == it.asked[2] == ("POST", "/v1/users/anna/refresh", {"refused": HELD})


async def test_a_complaint_that_the_broker_put_off_is_made_again():
    async with (
        scripted(problem("refresh_in_progress", 503, after=0), good(BETTER, 2)) as it,
        it.client() as broker,
    ):
        assert (await broker.refused("anna", HELD)).access_token == BETTER
    assert it.methods == ["POST", "POST"]


async def test_the_user_and_the_client_stand_in_the_address_encoded():
    async with scripted(good()) as it, it.client(client="acme") as broker:
        await broker.token("a/b|c@d", min_ttl=90)
    assert it.asked[0][1] == "/v1/users/a%2Fb%7Cc%40d/token?min_ttl=90&client=acme"
    assert it.bearers == [f"Bearer {KEY}"]


@pytest.mark.parametrize("user_id", ["", ".", ".."])
async def test_an_id_that_would_ask_for_something_else_is_refused(user_id):
    async with Broker("http://127.0.0.1:1", KEY) as broker:
        with pytest.raises(ValueError, match="id"):
            await broker.token(user_id)


@pytest.mark.parametrize("url", ["broker:8081", "http://key@broker", "https://broker/?x=1", "redis://broker"])
def test_what_is_no_address_of_a_broker_is_refused(url):
    with pytest.raises(ValueError, match="URL"):
        Broker(url, KEY)


async def test_the_key_is_read_anew_for_each_question():
    keys = iter(["first-key", "second-key"])
    async with scripted(good()) as it, Broker(it.url, lambda: next(keys), keep_s=0) as broker:
        await broker.token("anna")
        await broker.token("anna")
    assert it.bearers == ["Bearer first-key", "Bearer second-key"]


async def test_who_leaves_does_not_take_the_answer_from_the_others():
    async with scripted(good()) as it, it.client() as broker:
        it.open.clear()
        first, second = (asyncio.ensure_future(broker.token("anna")) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        it.open.set()
        assert (await second).access_token == HELD
    assert len(it.asked) == 1
    assert first.cancelled()


async def test_closing_ends_what_is_under_way_with_an_error_of_its_own():
    async with scripted(silence) as it:
        broker = await it.client().__aenter__()
        asking = asyncio.ensure_future(broker.token("anna"))
        await asyncio.sleep(0)
        await broker.aclose()
        with pytest.raises(Unreachable, match="closed"):
            await asking


async def test_neither_token_nor_key_is_in_an_error_or_a_log(caplog):
    caplog.set_level(logging.DEBUG)
    refusal = problem("invalid", 422, errors=[{"field": "refused", "message": "is no token"}])
    async with scripted(refusal) as it, it.client() as broker:
        with pytest.raises(Invalid) as wrong:
            await broker.refused("anna", HELD)
    assert wrong.value.fields == {"refused": "is no token"}
    seen = f"{wrong.value!r} {wrong.value} {caplog.text} {broker!r}"
    assert HELD not in seen
    assert KEY not in seen


async def test_who_says_come_at_once_is_not_stormed():
    async with (
        scripted(problem("storage_unavailable", 503, after=0)) as it,
        it.client(timeout_s=1.0) as broker,
    ):
        with pytest.raises(StorageUnavailable):
            await broker.token("anna")
    assert len(it.asked) < 12


def test_every_code_of_the_calls_has_a_class_and_what_may_pass_can_be_told():
    of_the_token = {
        "key_unknown", "scope_missing", "user_unknown", "grant_dead", "grant_paused", "conflict", "invalid",
        "min_ttl_too_long", "too_many_requests", "upstream_unavailable", "storage_unavailable",
        "refresh_in_progress", "keys_unavailable",
    }  # fmt: skip
    classes = {code: errors.error_class(code, STATUS[code]) for code in of_the_token}
    assert all(kind.code == code for code, kind in classes.items())
    assert {code for code, kind in classes.items() if issubclass(kind, TryAgain)} == {
        code for code in of_the_token if STATUS[code] in {429, 503}
    }
