"""What each event does: the level its line is written at, and the figures it moves. One table.

Decides nothing. Must import nothing of this program but the broker's words and the metrics.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from logging import DEBUG, ERROR, INFO, WARNING
from typing import Any, Literal

from service.metrics.figures import Metrics

AccessLog = Literal["misses", "all", "none"]
Facts = Mapping[str, Any]
NEVER = 0
CACHES = frozenset({"near", "redis"})
"""Where an answer comes from that is no miss."""
_FAULTS = 500
_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})

# Where the tokens came from that the running request was given: `answer` adds, `request.done` looks. A list
# made at the request's start, because the work may run in a task with a context of its own.
_sources: ContextVar[list[str] | None] = ContextVar("sources", default=None)


@dataclass(slots=True)
class State:
    """What an event can move: the figures, and what is down or held open as far as they show."""

    metrics: Metrics
    down: set[str]
    circuits: set[str]


Update = Callable[[State, str, Facts], None]
Level = Callable[[State, Facts], int]


@dataclass(frozen=True, slots=True)
class Rule:
    """What an event does: the level its line is written at, and the figures it moves."""

    level: int | Level = INFO
    update: Update | None = None


def _refresh(outcome: str) -> Update:
    def update(state: State, client: str, facts: Facts) -> None:
        state.metrics.refreshes.of(client, facts["trigger"], outcome).inc()

    return update


_count_rotated = _refresh("rotated")


def _rotated(state: State, client: str, facts: Facts) -> None:
    _count_rotated(state, client, facts)
    state.metrics.refresh_lead_seconds.of().observe(facts["lead_s"])


def _counted(name: str) -> Update:
    def update(state: State, _: str, facts: Facts) -> None:
        getattr(state.metrics, name).of().inc(facts.get("count", 1))

    return update


def _waited(state: State, _: str, facts: Facts) -> None:
    state.metrics.lease_wait_seconds.of().observe(facts["seconds"])


def _recovered(state: State, client: str, facts: Facts) -> None:
    state.metrics.recoveries.of(client, facts["kind"]).inc()


def _circuit(state: State, client: str, _: Facts, *, is_open: bool) -> None:
    (state.circuits.add if is_open else state.circuits.discard)(client)
    state.metrics.circuit_open.of(client).set(int(is_open))
    state.metrics.degraded.of("upstream").set(int(bool(state.circuits)))


def _sealed(state: State, _: str, facts: Facts) -> None:
    state.metrics.seals.of(facts["key_id"]).inc(facts["count"])


def _client_secret(state: State, client: str, facts: Facts) -> None:
    state.metrics.client_secret_old.of(client).set(int(facts["sends"] == "old"))


def _answer(state: State, _: str, facts: Facts) -> None:
    if (sources := _sources.get()) is not None:
        sources.append(facts["source"])
    state.metrics.answers.of(facts["source"]).inc()


def _reuse(state: State, _: str, facts: Facts) -> None:
    state.metrics.token_reuse.of(facts["kind"]).inc(facts.get("times", 1))


def _unreadable(state: State, client: str, _: Facts) -> None:
    state.metrics.unreadable.of(client).inc()


def _events_dropped(state: State, _: str, facts: Facts) -> None:
    state.metrics.events_dropped.of().inc(facts["count"])


def _budget(state: State, client: str, facts: Facts) -> None:
    state.metrics.rate_budget_remaining.of(client).set(facts["value"])


def _upstream(state: State, client: str, facts: Facts) -> None:
    state.metrics.upstream_requests.of(client, facts["call"], facts["outcome"]).inc()
    state.metrics.upstream_seconds.of(client, facts["call"]).observe(facts["seconds"])


def _sweep(state: State, _: str, __: Facts) -> None:
    state.metrics.last_sweep_timestamp_seconds.of().set(time.time())


def _down(state: State, _: str, facts: Facts) -> None:
    state.down.add(facts["dependency"])
    state.metrics.degraded.of(facts["dependency"]).set(1)


def _up(state: State, _: str, facts: Facts) -> None:
    state.down.discard(facts["dependency"])
    state.metrics.degraded.of(facts["dependency"]).set(0)


def _stopped(state: State, _: str, __: Facts) -> None:
    """Leave to the other processes what this one has counted since it last took it in."""
    state.metrics.pour()


def _webhook(state: State, _: str, facts: Facts, *, outcome: str) -> None:
    state.metrics.webhook_messages.of(facts["type"], outcome).inc()
    state.metrics.webhook_seconds.of().observe(facts["seconds"])


def _webhook_started(state: State, _: str, facts: Facts) -> None:
    """Show what is 0 until something happens: a counter that begins at 1 has not risen."""
    state.metrics.degraded.of("webhook").set(0)
    for one in facts["types"]:
        for outcome in ("delivered", "failed", "given_up"):
            state.metrics.webhook_messages.of(one, outcome)


def _backlog(state: State, _: str, facts: Facts) -> None:
    state.metrics.webhook_waiting.of().set(facts["waiting"])
    state.metrics.webhook_oldest_seconds.of().set(facts["oldest_s"])


def _gauges(state: State, client: str, facts: Facts) -> None:
    state.metrics.set_users(client, facts["users"])
    state.metrics.due.of(client).set(facts["due"])
    state.metrics.overdue_seconds.of(client).set(facts["overdue_s"])
    state.metrics.expired_claims.of(client).set(facts["expired_claims"])
    state.metrics.bricked_users.of(client).set(facts["bricked"])


def _request(state: State, _: str, facts: Facts) -> None:
    metrics = state.metrics
    metrics.http_requests.of(facts["route"], str(facts["status"])).inc()
    metrics.http_request_seconds.of(facts["route"]).observe(facts["seconds"])
    if source := facts.get("source"):
        metrics.answers.of(source).inc()


# --- How loudly an event is told ----------------------------------------------------------------------


def _request_level(access_log: AccessLog, _: State, facts: Facts) -> int:
    sources = _sources.get()
    cached = facts.get("source") in CACHES or bool(sources and CACHES.issuperset(sources))
    if access_log == "none" or (access_log == "misses" and cached):
        return NEVER
    if facts["route"] in _PROBES:
        return DEBUG
    return WARNING if facts["status"] >= _FAULTS else INFO


def _mode_level(_: State, facts: Facts) -> int:
    return WARNING if facts["mode"] == "bearer" else INFO


def _sweep_level(_: State, facts: Facts) -> int:
    return INFO if facts.get("claimed") or facts.get("parked") else DEBUG


def _when_news(level: int, *, down: bool) -> Level:
    """Tell only of a change: a dependency that is down is asked many times a second."""

    def news(state: State, facts: Facts) -> int:
        return NEVER if (facts["dependency"] in state.down) is down else level

    return news


UNLISTED = Rule()

RULES: dict[str, Rule] = {
    "refresh.rotated": Rule(INFO, _rotated),
    "refresh.denied": Rule(WARNING, _refresh("denied")),
    "refresh.unavailable": Rule(WARNING, _refresh("unavailable")),
    "refresh.unknown": Rule(WARNING, _refresh("unknown")),
    "refresh.fenced_out": Rule(INFO, _refresh("fenced_out")),
    "refresh.joined": Rule(DEBUG, _counted("coalesced_waiters")),
    "refresh.unsettled": Rule(ERROR),
    "refresh.refused": Rule(INFO),
    "lease.waited": Rule(DEBUG, _waited),
    "claim.left": Rule(WARNING),
    "clock.off": Rule(WARNING),
    "pair.foreign": Rule(ERROR),
    "expiry.implausible": Rule(WARNING),
    "cache.foreign": Rule(ERROR),
    "cache.key_missing": Rule(DEBUG, _counted("cache_key_missing")),
    "grant.contended": Rule(WARNING),
    "grant.died": Rule(ERROR),
    "grant.recovered": Rule(WARNING, _recovered),
    "grant.refused": Rule(INFO),
    "grant.distrusted": Rule(WARNING),
    "grant.trusted": Rule(INFO),
    "grant.unreadable": Rule(ERROR, _unreadable),
    "circuit.opened": Rule(ERROR, partial(_circuit, is_open=True)),
    "circuit.closed": Rule(INFO, partial(_circuit, is_open=False)),
    "vault.sealed": Rule(NEVER, _sealed),
    "client_secret.refused": Rule(WARNING, _client_secret),
    "client_secret.changed": Rule(INFO, _client_secret),
    "answer": Rule(NEVER, _answer),
    "token.reuse": Rule(WARNING, _reuse),
    "events.dropped": Rule(WARNING, _events_dropped),
    "user.vouched": Rule(DEBUG),
    "budget.remaining": Rule(NEVER, _budget),
    "upstream.call": Rule(DEBUG, _upstream),
    "worker.sweep": Rule(_sweep_level, _sweep),
    "dependency.down": Rule(_when_news(WARNING, down=True), _down),
    "dependency.up": Rule(_when_news(INFO, down=False), _up),
    "gauges": Rule(NEVER, _gauges),
    "lease.lost": Rule(WARNING),
    "request.failed": Rule(ERROR),
    "background.failed": Rule(ERROR),
    "request.work_failed": Rule(ERROR),
    "schema.behind": Rule(ERROR),
    "secret.kept": Rule(WARNING),
    "session.mode": Rule(_mode_level),
    "session.refused": Rule(INFO),
    "settings.warning": Rule(WARNING),
    "process.killed": Rule(ERROR),
    "process.restarted": Rule(WARNING),
    "process.stopped": Rule(INFO, _stopped),
    "tracing.failed": Rule(WARNING),
    "webhook.started": Rule(INFO, _webhook_started),
    "webhook.delivered": Rule(INFO, partial(_webhook, outcome="delivered")),
    "webhook.failed": Rule(WARNING, partial(_webhook, outcome="failed")),
    "webhook.given_up": Rule(ERROR, partial(_webhook, outcome="given_up")),
    "webhook.unsettled": Rule(WARNING),
    "webhook.backlog": Rule(NEVER, _backlog),
    "worker.restarted": Rule(WARNING),
    "worker.sweep_failed": Rule(WARNING),
    "worker.upkeep_failed": Rule(WARNING),
}


def begin_request() -> None:
    """Begin to note where the tokens come from that the request of this context is given."""
    _sources.set([])


def request_rule(access_log: AccessLog) -> Rule:
    """Return what the end of a request does, with the access log that is wanted."""
    return Rule(partial(_request_level, access_log), _request)
