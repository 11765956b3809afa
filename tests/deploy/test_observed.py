"""Every expression, evaluated by a real Prometheus on what a running service and worker really expose.

And the troubles that the important alerts are about, really caused: each sets its expression off, and when it
is over the expression calms down.
"""

import asyncio
import re

import pytest

from tests.deploy.watched import CLIENT, FAILED_BEFORE, LEFT, OLDER, SECRET, SPOILED
from tests.support.promql import expressions, selectors
from tests.support.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

# What nobody foresaw cannot be caused; that it would be a 500 is held by the tests of the doors.
CANNOT_BE_CAUSED = {("status", "=", "500")}
# What holds from the first second on, without trouble.
STANDING = [
    "TokenBrokerUsersBricked", "TokenBrokerGrantsUnreadable", "TokenBrokerInternalError",
    "TokenBrokerCircuitOpen", "TokenBrokerSweepSilent", "TokenBrokerOverdue", "TokenBrokerExpiredClaims",
    "TokenBrokerSecretPresented", "TokenBrokerSecretLikePresented", "TokenBrokerManyAddresses",
    "TokenBrokerFarBehind", "TokenBrokerAuditIncomplete", "TokenBrokerWebhookGivenUp",
    "TokenBrokerPostgresDown", "TokenBrokerDegraded",
    "TokenBrokerServiceAbsent", "TokenBrokerAbsent",
]  # fmt: skip


def fits(series, matcher):
    """Whether a series has what a matcher names; of alternatives each is a matcher of its own."""
    label, operator, value = matcher
    if label not in series:
        return False
    return operator.startswith("!") or re.fullmatch(value, series[label]) is not None


def alternatives(matcher):
    label, operator, value = matcher
    return [(label, operator, one) for one in value.split("|")] if "~" in operator else [matcher]


async def seen(watched, selector):
    """Return the matchers of a selector that nothing scraped so far fits; None without such a metric."""
    scraped = await watched.prometheus.series(selector.metric)
    wanted = [one for matcher in selector.matchers for one in alternatives(matcher)]
    if not scraped:
        return None
    return [
        one for one in wanted if one not in CANNOT_BE_CAUSED and not any(fits(each, one) for each in scraped)
    ]


async def test_without_trouble_nothing_holds_that_should_not(watched):
    for alert in STANDING:
        await watched.calms(alert)


@pytest.mark.parametrize(("name", "expr"), expressions(), ids=lambda given: given[:40])
async def test_prometheus_evaluates_it_and_has_seen_all_it_names(watched, name, expr):
    await watched.prometheus.query(expr)
    for selector in selectors(expr):
        await eventually(lambda one=selector: _all_seen(watched, one), within_s=20, every_s=0.3)


async def _all_seen(watched, selector):
    return await seen(watched, selector) == []


async def test_a_misspelled_metric_or_value_would_be_found(watched):
    (metric,) = selectors('sum(rate(token_broker_answer_total{source="near"}[5m]))')
    (value,) = selectors('sum(rate(token_broker_answers_total{source="post"}[5m]))')
    assert await seen(watched, metric) is None
    assert await seen(watched, value) == [("source", "=", "post")]


async def test_a_wrong_client_secret_opens_the_circuit(watched):
    watched.stack.sandbox.change_client(CLIENT, secret="another")
    await watched.ask("anna")
    await watched.fires("TokenBrokerCircuitOpen", client=CLIENT)
    await watched.fires("TokenBrokerDegraded", dependency="upstream")
    watched.stack.sandbox.change_client(CLIENT, secret=SECRET)
    await watched.calms("TokenBrokerCircuitOpen")


async def test_without_redis_it_is_degraded(watched):
    watched.servers.valkey.stop()
    await watched.fires("TokenBrokerDegraded", dependency="redis")
    watched.servers.valkey.start()
    await watched.calms("TokenBrokerDegraded", dependency="redis")


async def test_without_postgres_it_says_so(watched):
    watched.servers.postgres.stop()
    await watched.fires("TokenBrokerPostgresDown")
    watched.servers.postgres.start()
    await watched.calms("TokenBrokerPostgresDown")


async def test_without_a_worker_no_sweep_is_heard_of(watched):
    async with watched.stopped(watched.stack.worker):
        await watched.fires("TokenBrokerSweepSilent", job="broker")
    await watched.calms("TokenBrokerSweepSilent")


async def test_without_a_service_the_worker_alone_is_seen(watched):
    async with watched.stopped(watched.stack.service):
        await watched.fires("TokenBrokerServiceAbsent")
        await watched.fires("TokenBrokerTargetDown", job="broker")
    await watched.calms("TokenBrokerServiceAbsent")


async def test_without_both_nothing_is_seen_and_that_is_said(watched):
    async with watched.stopped(watched.stack.service, watched.stack.worker):
        await watched.fires("TokenBrokerAbsent")
        assert await watched.holds("TokenBrokerSweepSilent")
    await watched.calms("TokenBrokerAbsent")


async def test_a_key_that_is_missing_is_found_by_the_worker(watched):
    await watched.user("otto")
    await watched.sql(SPOILED, "otto")
    await watched.fires("TokenBrokerGrantsUnreadable", client=CLIENT)


async def test_spent_refresh_tokens_raise_the_forced_share(watched):
    await asyncio.gather(*(watched.lose_pair(f"lost-{number}") for number in range(4)))
    await watched.fires("TokenBrokerForcedShare", client=CLIENT)


async def test_a_revoked_token_that_is_presented_is_reuse(watched):
    _, token = await watched.user("ruth")
    await watched.stack.call("POST", "/v1/users/ruth/revoke", CLIENT, status=(200, 202, 204))
    assert await watched.browser(token) == 401
    await watched.fires("TokenBrokerTokenReuse", kind="revoked")


async def test_an_upstream_that_fails_is_told_of_and_costs_calls_and_answers(watched):
    watched.stack.sandbox.fault("throttled", "refresh", reset_s=0.1)
    for _ in range(5):
        await asyncio.gather(*map(watched.ask, ("bert", "cora", "emil", "lost-0", "lost-1")))
    await watched.fires("TokenBrokerUpstreamFailing", client=CLIENT)
    await watched.fires("TokenBrokerErrors")
    await watched.fires("TokenBrokerCallsPerPair", client=CLIENT)
    watched.stack.sandbox.clear_faults()


async def test_what_only_a_count_finds_is_found_when_a_worker_counts(watched):
    watched.stack.sandbox.fault("error_before", "refresh")
    for name in ("brik", "left"):
        await watched.user(name)
    async with watched.stopped(watched.stack.worker):
        await watched.ask("brik")
        await watched.sql(OLDER, "brik")
        await watched.sql(FAILED_BEFORE, "brik")
        await watched.sql(LEFT, "left")
        async with watched.second_worker():
            await watched.fires("TokenBrokerUsersBricked", client=CLIENT)
            await watched.fires("TokenBrokerExpiredClaims", client=CLIENT)
            watched.stack.sandbox.clear_faults()


async def test_more_callers_than_the_rate_allows_use_the_budget_up(watched):
    async def hammer():
        while True:
            await asyncio.gather(*(watched.ask(f"lost-{number}") for number in range(4)))

    hammering = [asyncio.create_task(hammer()) for _ in range(4)]
    try:
        await watched.fires("TokenBrokerRateBudgetExhausted", client=CLIENT)
    finally:
        for task in hammering:
            task.cancel()
        await asyncio.gather(*hammering, return_exceptions=True)
    await watched.calms("TokenBrokerRateBudgetExhausted")
