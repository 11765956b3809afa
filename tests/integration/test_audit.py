"""The audit of a running broker: what each exchange and each order leaves, and that nobody waits for it."""

import asyncio

import pytest

from service.broker.asking import who_asks
from service.broker.errors import StorageUnavailable
from tests.support.environment import digest_of
from tests.support.served import ANYWHERE, served
from tests.support.signing_in import an_app

KEYS = {"backend": "", "root": ":admin", "reader": ":users:read"}
API_KEYS = ",".join(f"{name}:{digest_of(f'{name}-key')}{scopes}" for name, scopes in KEYS.items())
ORIGIN = "https://app.example.com"
BROWSER = {"User-Agent": "Browser/1.0 (hush)", "X-Request-Id": "page-1"}
ORDER = {"X-Request-Id": "order-1"}
HERE = "127.0.0.1"
USER = "/v1/users/anna"
NEW = {"id": "anna", "email": "anna@example.com", "name": "Anna"}
RECOVER = {"email": "anna@example.com", "recover": True}


@pytest.fixture
async def world(worlds):
    return await worlds(ALLOWED_ORIGINS=ORIGIN, TRUSTED_PROXIES=HERE, API_KEYS=API_KEYS, **ANYWHERE)


@pytest.fixture
async def house(world):
    async with served(world) as opened:
        yield opened


async def told(house, world, **asked):
    """What the internal listener tells of anna, the oldest first."""
    await world.broker.behind.flush()
    await world.broker.answers.reuses.flush()
    await world.broker.audit.flush()
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    status, body = await house.service("GET", f"{USER}/events?{query}")
    assert status == 200
    return body["events"][::-1]


def of(event, *names):
    return tuple(event[name] for name in names)


async def a_page(world):
    """A user with the token of a page, and the newer one."""
    anna = await world.user()
    old = await anna.token()
    return anna, old, await anna.rotate()


async def test_a_pages_exchange_is_told_with_both_generations_and_where_it_came_from(house, world):
    _, old, _ = await a_page(world)
    earlier, newer = [event["generation"] for event in await told(house, world)]
    await house.refresh(old, **BROWSER, Origin=ORIGIN, **{"X-Forwarded-For": "203.0.113.7"})
    [event] = await told(house, world, kind="exchange")
    assert of(event, "event", "outcome", "count", "actor") == ("token.exchanged", "ok", 1, None)
    assert of(event, "presented", "generation") == (earlier, newer)
    assert of(event, "address", "origin", "requestId") == ("203.0.113.7", ORIGIN, "page-1")
    assert (len(event["fingerprint"]), len(event["agent"])) == (8, 16)


async def test_a_page_that_spins_is_one_event(house, world):
    _, old, _ = await a_page(world)
    for _ in range(40):
        await house.refresh(old, **BROWSER)
    [event] = await told(house, world, kind="exchange")
    assert event["count"] == 40
    assert event["lastAt"] > event["at"]


async def test_a_revoked_tokens_exchange_is_told_with_its_reason_and_as_a_sign_of_misuse(house, world):
    anna, old, _ = await a_page(world)
    await world.broker.users.revoke(anna.key, actor="test")
    await house.refresh(old, **BROWSER)
    [exchange] = await told(house, world, kind="exchange")
    [signal] = await told(house, world, kind="signal")
    assert of(exchange, "outcome", "reason") == ("token_unknown", "revoked")
    assert of(signal, "event", "reason", "address", "requestId") == ("token.reuse", "revoked", HERE, "page-1")
    assert exchange["fingerprint"] == signal["fingerprint"]


async def test_a_token_of_nobody_leaves_nothing(house, world):
    await world.user()
    await house.refresh("unknown-token." + "u" * 40, **BROWSER)
    assert await told(house, world, kind="exchange") == []


async def test_another_users_session_is_told(worlds):
    async with an_app() as app:
        world = await worlds(SESSION_CHECK_URL=app.check_url, **ANYWHERE)
        _, old, _ = await a_page(world)
        async with served(world) as house:
            await house.refresh(old, Cookie=app.cookie_of("bob"), **BROWSER)
            await house.refresh(old, **BROWSER)
            exchanges = await told(house, world, kind="exchange")
            [signal] = await told(house, world, kind="signal")
    outcomes = [of(event, "outcome", "reason") for event in exchanges]
    assert outcomes == [("session_mismatch", None), ("token_unknown", "no_cookie")]
    assert of(signal, "reason", "facts") == ("session_mismatch", {"signed_in": "bob"})


async def test_services_that_read_a_token_are_told_by_name_and_counted(house, world):
    await world.user()
    for _ in range(5):
        await house.service("GET", f"{USER}/token", **ORDER)
    await house.service("POST", f"{USER}/refresh", {}, **ORDER)
    read, refreshed = await told(house, world, kind="exchange")
    assert of(read, "event", "actor", "outcome", "count") == ("token.read", "backend", "ok", 5)
    assert of(refreshed, "event", "actor", "outcome") == ("token.refreshed", "backend", "ok")
    assert refreshed["generation"] > read["generation"]


async def test_what_is_known_of_another_users_token_does_not_enter_this_ones_history(house, world):
    await world.user()
    bert = await world.user("bert")
    status, _ = await house.service("POST", f"{USER}/refresh", {"refused": await bert.token()})
    [event] = await told(house, world, kind="exchange")
    assert (status, event["outcome"], event["reason"]) == (422, "invalid", "another_users")
    assert of(event, "presented", "fingerprint") == (None, None)


async def create(house, world):
    return await house.service("POST", "/v1/users", NEW, **ORDER)


async def enrol(house, world):
    anna, enrolment = world.seed()
    pair = {"accessToken": enrolment.access_token, "refreshToken": enrolment.refresh_token}
    return await house.service("PUT", f"{USER}/tokens", {"calUserId": anna.upstream_id, **pair}, **ORDER)


async def recover(house, world):
    anna, _ = world.seed()
    body = {"calUserId": anna.upstream_id, **RECOVER}
    return await house.service("PUT", f"{USER}/tokens", body, key="root-key", **ORDER)


@pytest.mark.parametrize(
    ("order", "event", "actor"),
    [
        (create, "grant.created", "backend"),
        (enrol, "grant.enrolled", "backend"),
        (recover, "grant.recovered", "root"),
    ],
)
async def test_how_a_user_came_is_its_first_event(house, world, order, event, actor):
    await order(house, world)
    [first] = await told(house, world)
    assert of(first, "kind", "event", "actor", "requestId") == ("act", event, actor, "order-1")


@pytest.mark.parametrize(
    ("method", "path", "body", "events"),
    [
        ("POST", "/revoke", None, ["grant.revoked"]),
        ("POST", "/refresh", {"force": True}, ["grant.forced"]),
        ("POST", "/pause", None, ["grant.paused"]),
        ("PATCH", "", {"name": "Ann", "timeFormat": 12}, ["user.changed"]),
        ("DELETE", "", None, ["grant.paused", "user.deleted"]),
        ("POST", "/resume", None, []),
    ],
)
async def test_an_order_leaves_its_event_with_who_ordered_it_in_which_request(
    house, world, method, path, body, events
):
    await world.user()
    status, _ = await house.service(method, f"{USER}{path}", body, **ORDER)
    left = [event for event in await told(house, world, kind="act") if event["actor"] != "test"]
    assert status in {200, 204}
    assert [event["event"] for event in left] == events
    assert {of(event, "actor", "requestId", "outcome") for event in left} <= {("backend", "order-1", None)}


async def test_a_resume_is_told_and_a_change_names_fields_and_no_values(house, world):
    await world.user()
    await house.service("POST", f"{USER}/pause")
    await house.service("POST", f"{USER}/resume")
    await house.service("PATCH", USER, {"name": "Hush", "bio": "hush"})
    *_, resumed, changed = await told(house, world, kind="act")
    assert of(resumed, "event", "reason") == ("grant.live", "resumed")
    assert of(changed, "event", "facts") == ("user.changed", {"fields": ["bio", "name"]})


async def test_a_create_that_found_the_user_is_told_because_it_vouches(house, world):
    await create(house, world)
    await create(house, world)
    _, vouched = await told(house, world)
    assert of(vouched, "kind", "event", "actor") == ("act", "user.vouched", "backend")


@pytest.mark.parametrize(
    ("key", "method", "path", "body", "act", "outcome"),
    [
        ("reader-key", "POST", "/revoke", None, "revoke", "scope_missing"),
        ("reader-key", "DELETE", "", None, "delete", "scope_missing"),
        ("backend-key", "PUT", "/tokens", {"calUserId": 1, **RECOVER}, "enrol", "scope_missing"),
        ("root-key", "PUT", "/tokens", {"calUserId": 99999, **RECOVER}, "enrol", "invalid"),
        ("backend-key", "PATCH", "", {"email": "bert@example.com"}, "change", "conflict"),
    ],
)
async def test_an_order_that_is_refused_is_told_as_that(house, world, key, method, path, body, act, outcome):
    await world.user()
    await world.user("bert")
    status, answered = await house.service(method, f"{USER}{path}", body, key=key, **ORDER)
    assert (status >= 400, answered["code"]) == (True, outcome)
    *_, refused = await told(house, world, kind="act")
    assert of(refused, "event", "reason", "outcome") == ("act.refused", act, outcome)
    assert of(refused, "actor", "requestId") == (key.removesuffix("-key"), "order-1")


async def test_who_may_not_read_a_token_is_told(house, world):
    await world.user()
    await house.service("GET", f"{USER}/token", key="reader-key")
    [event] = await told(house, world, kind="exchange")
    assert of(event, "event", "actor", "outcome") == ("token.read", "reader", "scope_missing")


async def test_after_a_delete_the_events_are_still_told_and_nobody_elses_are_made_up(house, world):
    _, old, _ = await a_page(world)
    await house.refresh(old, **BROWSER)
    await world.broker.behind.flush()
    await world.broker.audit.flush()
    await house.service("DELETE", USER, **ORDER)
    events = await told(house, world)
    assert (events[-1]["event"], events[-1]["actor"]) == ("user.deleted", "backend")
    assert {of(event, "address", "fingerprint", "agent", "origin") for event in events} == {(None,) * 4}
    assert (await house.service("GET", "/v1/users/nobody/events"))[0] == 404


async def test_an_exchange_that_is_noted_only_behind_a_delete_does_not_say_who_asked(house, world):
    _, old, _ = await a_page(world)
    await house.refresh(old, **BROWSER)
    await house.service("DELETE", USER, **ORDER)
    events = await told(house, world)
    [exchange] = [event for event in events if event["event"] == "token.exchanged"]
    assert of(exchange, "outcome", "count") == ("ok", 1)
    assert of(exchange, "address", "fingerprint", "agent", "origin") == (None,) * 4


async def test_no_token_secret_or_user_agent_is_in_any_row(house, world):
    anna, old, new = await a_page(world)
    for token in (old, new):
        await house.refresh(token, **BROWSER, Cookie="session=hush")
    await house.service("POST", f"{USER}/refresh", {"refused": old}, **BROWSER)
    await world.broker.behind.flush()
    await world.broker.audit.flush()
    written = str(await world.sql("SELECT to_jsonb(a)::text FROM audit_events a"))
    assert written.count("token.") == 3
    secrets = (old, new, *await anna.tokens(), "backend-key", "hush", "secret-of-default")
    assert [secret for secret in secrets if secret in written or secret[-20:] in written] == []


@pytest.fixture
def on_behalf(world, monkeypatch):
    """The uses of the database that somebody's request waits for."""
    database, used = world.broker.database, []
    connection = database.connection

    def counted():
        if who_asks() is not None:
            used.append(who_asks().request_id)
        return connection()

    monkeypatch.setattr(database, "connection", counted)
    return used


async def test_an_answer_from_the_cache_does_not_touch_postgresql(house, world, on_behalf):
    _, old, _ = await a_page(world)
    await house.refresh(old, **BROWSER)
    assert on_behalf
    on_behalf.clear()
    for _ in range(20):
        assert (await house.refresh(old, **BROWSER))[0] == 200
    assert on_behalf == []
    [event] = await told(house, world, kind="exchange")
    assert event["count"] == 21


async def test_while_postgresql_is_away_pages_are_answered_and_told_of_afterwards(house, world, monkeypatch):
    _, old, _ = await a_page(world)
    await house.refresh(old, **BROWSER)
    await world.broker.audit.flush()
    database = world.broker.database
    with monkeypatch.context() as away:
        away.setattr(database, "connection", _away)
        assert [(await house.refresh(old, **BROWSER))[0] for _ in range(3)] == [200] * 3
        await world.broker.behind.flush()
        with pytest.raises(StorageUnavailable):
            await world.broker.audit.flush()
    [event] = await told(house, world, kind="exchange")
    assert event["count"] == 4


def _away():
    raise StorageUnavailable


async def test_what_came_last_is_written_when_the_process_ends(house, world):
    _, old, _ = await a_page(world)
    await asyncio.gather(*(house.refresh(old, **BROWSER) for _ in range(5)))
    await world.broker.drain(5)
    counted = await world.sql("SELECT sum(count) AS n FROM audit_events WHERE event = 'token.exchanged'")
    assert counted[0]["n"] == 5
