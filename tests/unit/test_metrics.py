"""Each event moves the figures it is documented to move, and its line is written as loudly as it should."""

import asyncio

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.broker.model import Denial, Trigger, UserKey
from service.broker.ports import Observer
from service.metrics import Metrics, Telemetry
from tests.support.written_logs import written_logs

USER = UserKey("acme", "u-1")
DOCUMENTED = {
    "http_requests_total": {"route", "status"},
    "http_request_seconds": {"route"},
    "answers_total": {"source"},
    "refreshes_total": {"client", "trigger", "outcome"},
    "upstream_requests_total": {"client", "call", "outcome"},
    "upstream_seconds": {"client", "call"},
    "coalesced_waiters_total": set(),
    "lease_wait_seconds": set(),
    "refresh_lead_seconds": set(),
    "users": {"client", "state"},
    "due": {"client"},
    "overdue_seconds": {"client"},
    "expired_claims": {"client"},
    "bricked_users": {"client"},
    "unreadable_total": {"client"},
    "recoveries_total": {"client", "kind"},
    "rate_budget_remaining": {"client"},
    "circuit_open": {"client"},
    "client_secret_old": {"client"},
    "seals_total": {"key_id"},
    "events_dropped_total": set(),
    "cache_key_missing_total": set(),
    "last_sweep_timestamp_seconds": set(),
    "token_reuse_total": {"kind"},
    "degraded": {"dependency"},
    "webhook_messages_total": {"type", "outcome"},
    "webhook_seconds": set(),
    "webhook_waiting": set(),
    "webhook_oldest_seconds": set(),
}
ROTATED = {"trigger": Trigger.AHEAD, "generation": 3, "lead_s": 500.0}
GAUGES = {"users": {"LIVE": 2}, "due": 4, "overdue_s": 1.5, "expired_claims": 1, "bricked": 2}
CALL = {"client": "acme", "call": "refresh", "outcome": "rotated", "seconds": 0.2}
TRY = {"type": "grant.died", "notice": "n-1", "attempt": 1, "seconds": 0.2}
REQUEST = {"route": "refresh", "status": 200, "seconds": 0.01, "request_id": "r-1"}

# Every event with facts as its sender gives them.
EVENTS = [
    ("refresh.rotated", USER, ROTATED),
    ("refresh.denied", USER, {"trigger": Trigger.REQUEST, "code": Denial.REFRESH_TOKEN_DEAD}),
    ("refresh.unavailable", USER, {"trigger": Trigger.AHEAD, "reason": "status_503"}),
    ("refresh.unknown", USER, {"trigger": Trigger.KEEPALIVE, "reason": "lost"}),
    ("refresh.fenced_out", USER, {"trigger": Trigger.REQUEST}),
    ("refresh.joined", USER, {}),
    ("lease.waited", USER, {"seconds": 0.3}),
    ("grant.recovered", USER, {"kind": "force"}),
    ("circuit.opened", None, {"client": "acme", "reason": "client_fault"}),
    ("client_secret.changed", None, {"client": "acme", "sends": "new"}),
    ("vault.sealed", None, {"key_id": "2026a", "count": 3}),
    ("client_secret.refused", None, {"client": "acme", "sends": "old"}),
    ("answer", USER, {"source": "near"}),
    ("token.reuse", USER, {"kind": "revoked"}),
    ("events.dropped", None, {"count": 3}),
    ("cache.key_missing", USER, {}),
    ("grant.unreadable", USER, {"generation": 3}),
    ("budget.remaining", None, {"client": "acme", "value": 449}),
    ("upstream.call", None, CALL),
    ("worker.sweep", None, {"client": "acme", "claimed": 2, "parked": 0, "seconds": 0.1}),
    ("dependency.down", None, {"dependency": "redis", "reason": "timeout"}),
    ("gauges", None, {"client": "acme", **GAUGES}),
    ("webhook.delivered", USER, TRY),
    ("webhook.failed", USER, TRY | {"reason": "status 500"}),
    ("webhook.given_up", USER, TRY | {"reason": "status 500"}),
    ("webhook.backlog", None, {"waiting": 3, "oldest_s": 1.5}),
    ("request.done", None, REQUEST),
]


@pytest.fixture
def written():
    """The logs of this test, debug included."""
    with written_logs("debug") as written:
        yield written


@pytest.fixture
def telemetry(written):
    return Telemetry(Metrics())


def figures(telemetry, name):
    """The samples of a metric, by their labels' values in alphabetical order of the labels."""
    families = text_string_to_metric_families(telemetry.metrics.render().decode())
    samples = [sample for family in families for sample in family.samples]
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for sample in samples
        if sample.name == f"token_broker_{name}"
    }


async def answered(telemetry, source):
    """The part of a request that finds a token."""
    telemetry.note("answer", USER, source=source)


def test_it_can_stand_where_the_broker_wants_an_observer(telemetry):
    observer: Observer = telemetry
    assert observer.note("something.new") is None


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_documented_metric_has_its_name_and_labels(telemetry, name):
    for event, key, facts in EVENTS:
        telemetry.note(event, key, **facts)
    families = text_string_to_metric_families(telemetry.metrics.render().decode())
    samples = [sample for family in families for sample in family.samples]
    names = {f"token_broker_{name}", f"token_broker_{name}_count"}
    assert [set(sample.labels) for sample in samples if sample.name in names][:1] == [DOCUMENTED[name]]


def test_nothing_undocumented_is_exported_under_our_prefix(telemetry):
    for event, key, facts in EVENTS:
        telemetry.note(event, key, **facts)
    families = text_string_to_metric_families(telemetry.metrics.render().decode())
    ours = {family.name.removeprefix("token_broker_") for family in families if "token_broker" in family.name}
    assert ours == {name.removesuffix("_total") for name in DOCUMENTED}


@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        (f"refresh.{outcome}", outcome)
        for outcome in ("rotated", "denied", "unavailable", "unknown", "fenced_out")
    ],
)
def test_every_end_of_a_refresh_is_counted_by_its_outcome(telemetry, event, outcome):
    telemetry.note(event, USER, **ROTATED)
    assert figures(telemetry, "refreshes_total") == {("acme", outcome, "ahead"): 1}


@pytest.mark.parametrize(
    ("event", "key", "facts", "name", "moved"),
    [
        ("refresh.rotated", USER, ROTATED, "refresh_lead_seconds_sum", {(): 500}),
        ("refresh.joined", USER, {}, "coalesced_waiters_total", {(): 1}),
        ("lease.waited", USER, {"seconds": 0.25}, "lease_wait_seconds_sum", {(): 0.25}),
        ("grant.recovered", USER, {"kind": "force"}, "recoveries_total", {("acme", "force"): 1}),
        ("answer", USER, {"source": "redis"}, "answers_total", {("redis",): 1}),
        ("token.reuse", USER, {"kind": "revoked"}, "token_reuse_total", {("revoked",): 1}),
        ("events.dropped", None, {"count": 3}, "events_dropped_total", {(): 3}),
        ("token.reuse", USER, {"kind": "revoked", "times": 5}, "token_reuse_total", {("revoked",): 5}),
        ("cache.key_missing", None, {}, "cache_key_missing_total", {(): 1}),
        ("budget.remaining", None, {"client": "a", "value": 9}, "rate_budget_remaining", {("a",): 9}),
        ("upstream.call", None, CALL, "upstream_requests_total", {("refresh", "acme", "rotated"): 1}),
        ("upstream.call", None, CALL, "upstream_seconds_sum", {("refresh", "acme"): 0.2}),
        ("request.done", None, REQUEST, "http_requests_total", {("refresh", "200"): 1}),
        ("request.done", None, REQUEST, "http_request_seconds_sum", {("refresh",): 0.01}),
        ("gauges", None, {"client": "a", **GAUGES}, "due", {("a",): 4}),
        ("gauges", None, {"client": "a", **GAUGES}, "overdue_seconds", {("a",): 1.5}),
        ("gauges", None, {"client": "a", **GAUGES}, "expired_claims", {("a",): 1}),
        ("gauges", None, {"client": "a", **GAUGES}, "bricked_users", {("a",): 2}),
        ("grant.unreadable", USER, {"generation": 3}, "unreadable_total", {("acme",): 1}),
        ("webhook.failed", USER, TRY, "webhook_messages_total", {("failed", "grant.died"): 1}),
        ("webhook.delivered", USER, TRY, "webhook_seconds_sum", {(): 0.2}),
        ("webhook.backlog", None, {"waiting": 3, "oldest_s": 1.5}, "webhook_waiting", {(): 3}),
        ("webhook.backlog", None, {"waiting": 3, "oldest_s": 1.5}, "webhook_oldest_seconds", {(): 1.5}),
    ],
)
def test_an_event_moves_its_figure(telemetry, event, key, facts, name, moved):
    telemetry.note(event, key, **facts)
    assert figures(telemetry, name) == moved


def test_a_state_that_nobody_is_in_any_more_is_zero(telemetry):
    telemetry.note("gauges", client="a", **{**GAUGES, "users": {"LIVE": 1, "DEAD": 1}})
    telemetry.note("gauges", client="a", **{**GAUGES, "users": {"LIVE": 2}})
    assert figures(telemetry, "users") == {("a", "LIVE"): 2, ("a", "DEAD"): 0, ("a", "PAUSED"): 0}


def test_the_last_sweep_is_an_instant(telemetry):
    telemetry.note("worker.sweep", client="a", claimed=0, parked=0, seconds=0.1)
    assert figures(telemetry, "last_sweep_timestamp_seconds")[()] > 1.6e9


def test_upstream_is_degraded_while_any_circuit_is_open(telemetry):
    seen = []
    for event, client in [("opened", "a"), ("opened", "b"), ("closed", "a"), ("closed", "b")]:
        telemetry.note(f"circuit.{event}", client=client, reason="client_fault")
        seen.append(figures(telemetry, "degraded")["upstream",])
    assert seen == [1, 1, 1, 0]
    assert figures(telemetry, "circuit_open") == {("a",): 0, ("b",): 0}


def test_a_dependency_is_told_of_only_when_it_changes(telemetry, written):
    for event in ("up", "down", "down", "up", "up"):
        telemetry.note(f"dependency.{event}", dependency="redis")
    assert [line["event"] for line in written.lines] == ["dependency.down", "dependency.up"]


def test_a_dependency_that_is_down_shows(telemetry):
    telemetry.note("dependency.down", dependency="redis", reason="timeout")
    assert figures(telemetry, "degraded") == {("redis",): 1, ("postgres",): 0, ("upstream",): 0}


def test_a_line_says_whose_grant_it_is_and_all_facts(telemetry, written):
    telemetry.note("refresh.rotated", USER, **ROTATED)
    assert {name: written.line[name] for name in ("level", "event", "client", "user_id", *ROTATED)} == {
        "level": "info", "event": "refresh.rotated", "client": "acme", "user_id": "u-1", **ROTATED,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("event", "level"),
    [
        ("refresh.joined", "debug"), ("lease.waited", "debug"), ("refresh.fenced_out", "info"),
        ("refresh.denied", "warning"), ("grant.recovered", "warning"), ("circuit.opened", "error"),
        ("upstream.call", "debug"), ("worker.sweep", "info"), ("dependency.down", "warning"),
        ("cache.key_missing", "debug"), ("webhook.delivered", "info"), ("webhook.failed", "warning"),
        ("webhook.given_up", "error"),
    ],
)  # fmt: skip
def test_an_event_is_told_as_loudly_as_it_matters(telemetry, written, event, level):
    ((key, facts),) = [(key, facts) for name, key, facts in EVENTS if name == event]
    telemetry.note(event, key, **facts)
    assert written.line["level"] == level


@pytest.mark.parametrize("event", ["answer", "budget.remaining", "gauges", "webhook.backlog"])
def test_what_happens_all_the_time_is_counted_and_never_told(telemetry, written, event):
    ((key, facts),) = [(key, facts) for name, key, facts in EVENTS if name == event]
    telemetry.note(event, key, **facts)
    assert written.text == ""


def test_a_sweep_that_found_nothing_is_told_only_to_who_looks_closely(telemetry, written):
    telemetry.note("worker.sweep", client="acme", claimed=0, parked=0, seconds=0.1)
    assert written.line["level"] == "debug"


@pytest.mark.parametrize(
    ("access_log", "source", "told"),
    [
        ("misses", "postgres", True), ("misses", "rotation", True), ("misses", "near", False),
        ("misses", "redis", False), ("all", "near", True), ("none", "rotation", False),
    ],
)  # fmt: skip
async def test_the_access_log_tells_of_misses_all_or_none_and_counts_all(written, access_log, source, told):
    telemetry = Telemetry(Metrics(), access_log)
    telemetry.enter_request("r-1")
    await asyncio.create_task(answered(telemetry, source))
    telemetry.note("request.done", **REQUEST)
    assert bool(written.text) is told
    assert figures(telemetry, "http_requests_total") == {("refresh", "200"): 1}


async def test_a_request_without_a_token_is_told_of_also_after_one_answered_from_cache(telemetry, written):
    telemetry.enter_request("r-1")
    await answered(telemetry, "near")
    telemetry.note("request.done", **REQUEST)
    telemetry.enter_request("r-2")
    telemetry.note("request.done", **{**REQUEST, "request_id": "r-2"})
    assert written.line["request_id"] == "r-2"


async def test_whatever_is_told_within_a_request_carries_its_id(telemetry, written):
    telemetry.enter_request("r-1")
    telemetry.note("refresh.rotated", USER, **ROTATED)
    assert written.line["request_id"] == "r-1"


def test_an_answer_that_is_our_fault_is_a_warning(telemetry, written):
    telemetry.note("request.done", **{**REQUEST, "status": 503})
    assert written.line["level"] == "warning"


def test_an_event_nobody_listed_is_told(telemetry, written):
    telemetry.note("something.new", USER, reason="why")
    told = [written.line[name] for name in ("event", "reason", "level")]
    assert told == ["something.new", "why", "info"]


NEED_NO_FACT = {"refresh.joined", "grant.unreadable", "cache.key_missing", "circuit.opened", "worker.sweep"}


@pytest.mark.parametrize("event", sorted({event for event, *_ in EVENTS} - NEED_NO_FACT))
def test_an_event_without_its_facts_harms_nobody_and_is_noticed(telemetry, written, event):
    telemetry.note(event)
    line = written.line
    assert (line["event"], line["about"], line["error"]) == ("telemetry.failed", event, "KeyError")


def test_a_broken_figure_is_reported_by_the_events_name(telemetry, written):
    telemetry.note("lease.waited", USER, seconds="5ecret")
    assert (written.line["event"], written.line["about"]) == ("telemetry.failed", "lease.waited")
    assert "5ecret" not in written.text


def test_below_its_level_an_event_still_counts():
    with written_logs("error") as written:
        telemetry = Telemetry(Metrics())
        telemetry.note("refresh.rotated", USER, **ROTATED)
    assert (written.text, figures(telemetry, "refreshes_total")) == ("", {("acme", "rotated", "ahead"): 1})
