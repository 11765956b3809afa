"""What the doors say to the audit: who asks, what came of it, and not before the answer has left."""

import pytest

from service.api.doors import ClientDoor
from service.broker.errors import UpstreamUnavailable, UserUnknown
from tests.support.doors import KEY, ORIGIN, AnswersScript, UsersScript, open_house

OTHERS = "https://other.example.com"
CLIENTS = [ClientDoor("acme", frozenset({ORIGIN})), ClientDoor("zeta", frozenset({OTHERS}))]
HERE = "127.0.0.1"


class Kept:
    """An audit that keeps what it is told."""

    def __init__(self):
        self.told = []

    def exchanged(self, asking, event, outcome):
        self.told.append((event, outcome, asking))

    def refused(self, asking, act, outcome):
        self.told.append((act, outcome, asking))


@pytest.fixture
def kept():
    return Kept()


async def refreshed(kept, *, answers=None, **headers):
    """What is told of a page that asks; with several clients, each with an origin of its own."""
    async with open_house(answers=answers, audit=kept, clients=CLIENTS) as house:
        async with house.refresh(**headers) as answer:
            await answer.read()
        [(event, outcome, asking)] = kept.told
        return event, outcome, asking


async def test_an_answer_is_told_with_user_origin_address_agent_and_request(kept):
    event, outcome, asking = await refreshed(kept, Origin=ORIGIN, User_Agent="b/1", X_Request_Id="r-1")
    assert (event, outcome, asking.key) == ("token.exchanged", "ok", KEY)
    assert (asking.origin, str(asking.address), asking.agent) == (ORIGIN, HERE, "b/1")
    assert (asking.request_id, asking.actor) == ("r-1", None)


async def test_a_page_of_another_clients_origin_is_told_of_the_user_it_asked_for(kept):
    _, outcome, asking = await refreshed(kept, Origin=OTHERS)
    assert (outcome, asking.key, asking.origin) == ("origin_refused", KEY, OTHERS)


@pytest.mark.parametrize(
    ("error", "outcome"), [(UpstreamUnavailable(), "upstream_unavailable"), (ZeroDivisionError(), "internal")]
)
async def test_what_the_page_was_answered_is_told(kept, error, outcome):
    told = await refreshed(kept, answers=AnswersScript(for_browser=error))
    assert told[:2] == ("token.exchanged", outcome)


async def test_it_is_told_once_the_answer_has_left(kept):
    async with open_house(audit=kept) as house:
        kept.told = house.notes.heard
        async with house.refresh() as answer:
            await answer.read()
        assert [told[0] for told in kept.told] == ["request.done", "token.exchanged"]


@pytest.mark.parametrize(
    ("method", "path", "named"),
    [
        ("GET", "/token", "token.read"),
        ("POST", "/refresh", "token.refreshed"),
        ("POST", "/rotate", "token.replaced"),
    ],
)
async def test_a_service_that_asks_for_a_token_is_told_by_its_name(kept, method, path, named):
    async with open_house(audit=kept) as house:
        async with house.call(method, f"/v1/users/u-1{path}") as answer:
            await answer.read()
        [(event, outcome, asking)] = kept.told
    assert (event, outcome, asking.actor, asking.key) == (named, "ok", "app", KEY)


@pytest.mark.parametrize(
    ("method", "path", "act"),
    [
        ("PATCH", "", "change"), ("DELETE", "", "delete"), ("PUT", "/tokens", "enrol"),
        ("POST", "/revoke", "revoke"), ("POST", "/pause", "pause"), ("POST", "/resume", "resume"),
    ],
)  # fmt: skip
async def test_an_order_by_who_may_not_give_it_is_told(kept, method, path, act):
    async with (
        open_house(audit=kept) as house,
        house.call(method, f"/v1/users/u-1{path}", key="none-key") as answer,
    ):
        assert answer.status == 403
    [(named, outcome, asking)] = kept.told
    assert (named, outcome, asking.actor, asking.key) == (act, "scope_missing", "none", KEY)


async def test_an_order_that_is_carried_out_is_not_told_here_and_reading_never_is(kept):
    async with open_house(audit=kept, users=UsersScript(read=UserUnknown())) as house:
        for method, path in (("POST", "/revoke"), ("GET", "")):
            async with house.call(method, f"/v1/users/u-1{path}") as answer:
                await answer.read()
    assert kept.told == []


async def test_a_user_agent_is_not_kept_waiting_at_the_length_a_stranger_chose(kept):
    _, _, asking = await refreshed(kept, **{"User-Agent": "x" * 8000})
    assert asking.agent == "x" * 1024
